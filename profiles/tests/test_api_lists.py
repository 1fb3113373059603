"""Paging, ordering, filters: constant queries, no counting, nothing unknown. Attacks C12, C25."""

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Person
from profiles import scope
from profiles.models import StoredFile

pytestmark = [pytest.mark.django_db, pytest.mark.urls("profiles.tests.toys")]
TOYS = "/api/v1/toys/"


@pytest.fixture
def toys(owner: Person) -> list[StoredFile]:
    """23 rows; every three share their time, and one in four has no attempt."""
    start = timezone.now() - timedelta(days=1)
    with scope.activate(owner.profile.pk):
        return StoredFile.objects.bulk_create(
            StoredFile(
                profile=owner.profile,
                key=f"toy {number:02} of {'red' if number % 2 else 'blue'}",
                content_type="video/mp4" if number % 3 else "image/jpeg",
                size=number // 2,
                attempt=None if number % 4 == 0 else number % 5,
                created_at=start + timedelta(minutes=number // 3),
            )
            for number in range(23)
        )


def walk(person: Person, url: str, direction: str = "next") -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    address: str | None = url
    for _ in range(50):
        if address is None:
            return rows
        answer = person.client.get(address)
        assert answer.status_code == 200, answer.content
        page = answer.json()
        assert set(page) == {"next", "previous", "results"}
        rows = rows + page["results"] if direction == "next" else page["results"] + rows
        address = page[direction]
    raise AssertionError("the pages never end")


def test_every_row_comes_exactly_once_newest_first(owner: Person, toys: list[StoredFile]) -> None:
    wanted = [str(toy.pk) for toy in sorted(toys, key=lambda toy: (toy.created_at, toy.pk), reverse=True)]
    for size in (1, 3, 4, 22, 23, 24):
        assert [row["id"] for row in walk(owner, f"{TOYS}?page_size={size}")] == wanted


@pytest.mark.parametrize("ordering", ["size", "-size", "key", "-key", "attempt", "-attempt", "created_at"])
def test_other_orderings_walk_both_ways(owner: Person, toys: list[StoredFile], ordering: str) -> None:
    name = ordering.removeprefix("-")
    with_value = [toy for toy in toys if getattr(toy, name) is not None]
    without = [toy for toy in toys if getattr(toy, name) is None]
    down = ordering.startswith("-")

    def key(toy: StoredFile) -> tuple[Any, UUID]:
        return getattr(toy, name), toy.pk

    wanted = sorted(with_value, key=key, reverse=down) + sorted(without, key=lambda toy: toy.pk, reverse=down)
    ids = [str(toy.pk) for toy in wanted]
    url = f"{TOYS}?ordering={ordering}&page_size=5"
    assert [row["id"] for row in walk(owner, url)] == ids
    last, address = None, url
    while address:
        last = owner.client.get(address).json()
        address = last["next"]
    assert last
    assert [row["id"] for row in walk(owner, last["previous"], "previous") + last["results"]] == ids


def test_a_page_costs_one_query_wherever_it_lies_and_counts_nothing(owner: Person, toys: list[StoredFile]) -> None:
    owner.client.get(TOYS)
    costs = []
    address: str | None = f"{TOYS}?page_size=5"
    while address:
        with CaptureQueriesContext(connection) as asked:
            address = owner.client.get(address).json()["next"]
        costs.append(len(asked))
        assert not [query["sql"] for query in asked if "COUNT(" in query["sql"].upper()]
    assert len(set(costs)) == 1
    with scope.activate(owner.profile.pk):
        StoredFile.objects.all().delete()
    with CaptureQueriesContext(connection) as asked:
        owner.client.get(TOYS)
    assert len(asked) == costs[0]


def test_first_and_later_pages_are_one_range_of_the_index(owner: Person, stranger: Person) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("only PostgreSQL explains itself so")
    start = timezone.now() - timedelta(days=1)
    for person in (owner, stranger):
        with scope.activate(person.profile.pk):
            StoredFile.objects.bulk_create(
                StoredFile(
                    profile=person.profile,
                    key=f"{person.user.username} {number}",
                    content_type="video/mp4",
                    created_at=start + timedelta(seconds=number // 2),
                )
                for number in range(3000)
            )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE profiles_storedfile")
        address = f"{TOYS}?page_size=20"
        for _ in range(3):
            with CaptureQueriesContext(connection) as asked:
                address = owner.client.get(address).json()["next"]
            (page,) = [query["sql"] for query in asked if "ORDER BY" in query["sql"] and "storedfile" in query["sql"]]
            cursor.execute(f"EXPLAIN {page}")
            plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Index Scan using storedfile_newest" in plan, plan
            assert "Sort" not in plan, plan
    assert "created_at <= " in plan.split("Index Cond")[1].split("Filter")[0]


@pytest.mark.parametrize("size", ["1000000000", "9" * 30, "201"])
def test_a_huge_page_is_cut(owner: Person, size: str) -> None:
    with scope.activate(owner.profile.pk):
        StoredFile.objects.bulk_create(
            StoredFile(profile=owner.profile, key=f"k{number}", content_type="video/mp4") for number in range(210)
        )
    assert len(owner.client.get(f"{TOYS}?page_size={size}").json()["results"]) == 200
    assert len(owner.client.get(TOYS).json()["results"]) == 50


@pytest.mark.parametrize("size", ["0", "-1", "x", "1.5", "%C2%B2", "00"])
def test_a_page_size_that_is_none_is_400(owner: Person, size: str) -> None:
    answer = owner.client.get(f"{TOYS}?page_size={size}")
    assert answer.status_code == 400
    assert set(answer.json()["error"]["fields"]) == {"page_size"}


def forged(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


AN_ID = "01a206ec-28ce-7c28-9b94-e8e19db63e94"


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "%00",
        "A" * 601,
        forged(),
        forged(1, 2, 3, 4),
        forged("-created_at", "yesterday", AN_ID, 0),
        forged("-created_at", "10000000000000000000000000000", AN_ID, 0),
        forged("-created_at", "2026-01-01T00:00:00+00:00", "1", 0),
        forged("-created_at", None, AN_ID, 0),
        forged("-created_at", "2026-01-01\x00", AN_ID, 0),
        forged("-created_at", "2026-13-45T99:00:00", AN_ID, 0),
        forged("profile__name", "a", AN_ID, 0),
        forged("size", "1" + "0" * 30, AN_ID, 0),
        forged("-created_at", ["a"], AN_ID, 0),
        base64.urlsafe_b64encode(b"[" * 400).decode(),
    ],
)
def test_a_forged_cursor_is_400(owner: Person, toys: list[StoredFile], cursor: str) -> None:
    for ordering in ("", "&ordering=size", "&ordering=-created_at"):
        answer = owner.client.get(f"{TOYS}?cursor={cursor}{ordering}")
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] in {"invalid_cursor", "invalid"}


def test_a_number_beyond_the_column_is_400(owner: Person, toys: list[StoredFile]) -> None:
    answer = owner.client.get(f"{TOYS}?ordering=size&cursor={forged('size', '1' + '0' * 30, AN_ID, 0)}")
    assert answer.status_code == 400


def test_a_cursor_of_another_brand_shows_nothing_of_it(owner: Person, stranger: Person, toys: list[StoredFile]) -> None:
    address = owner.client.get(f"{TOYS}?page_size=5").json()["next"]
    assert stranger.client.get(address).json()["results"] == []


@pytest.mark.parametrize(
    ("query", "field", "hint"),
    [
        ("content_typ=a", "content_typ", "content_type"),
        ("minsize=3", "minsize", "min_size"),
        ("user__password__startswith=a", "user__password__startswith", ""),
        ("profile=1", "profile", ""),
        ("profile__name=a", "profile__name", ""),
        ("Ordering=size", "Ordering", "ordering"),
        ("sig=", "sig", ""),
    ],
)
def test_an_unknown_parameter_is_400_and_the_nearest_is_named(
    owner: Person, toys: list[StoredFile], query: str, field: str, hint: str
) -> None:
    answer = owner.client.get(f"{TOYS}?{query}")
    assert answer.status_code == 400
    (message,) = answer.json()["error"]["fields"][field]
    assert message.startswith("Unknown filter.")
    assert hint in message


@pytest.mark.parametrize("ordering", ["profile__name", "-profile", "id", "?", "size,key", "created_at;drop", "pk"])
def test_ordering_comes_from_a_list(owner: Person, ordering: str) -> None:
    answer = owner.client.get(TOYS, {"ordering": ordering})
    assert answer.status_code == 400
    assert set(answer.json()["error"]["fields"]) == {"ordering"}


def test_filters_and_search(owner: Person, toys: list[StoredFile]) -> None:
    def found(**query: Any) -> int:
        return len(owner.client.get(TOYS, query).json()["results"])

    assert found() == 23
    assert found(content_type="image/jpeg") == 8
    assert found(min_size=10) == 3
    assert found(q="red") == 11
    assert found(q="BLUE toy") == 12
    assert found(q="red blue") == 0
    assert found(q="%") == 0
    assert found(q="red", content_type="image/jpeg", page_size=2) == 2


def test_a_filterset_may_search_by_itself(owner: Person, toys: list[StoredFile]) -> None:
    rows = owner.client.get("/api/v1/searched/", {"q": toys[3].key}).json()["results"]
    assert [row["id"] for row in rows] == [str(toys[3].pk)]


@pytest.mark.parametrize("query", [{"q": "a" * 201}, {"q": "a\x00"}, {"min_size": "x"}, {"content_type": "a" * 2001}])
def test_bad_values_are_400(owner: Person, query: dict[str, str]) -> None:
    answer = owner.client.get(TOYS, query)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"]


@pytest.mark.parametrize("value", ["1e400", "9" * 400, "nan", "-inf", "1e49", "99999999999999999999"])
def test_numbers_out_of_this_world_do_no_harm(owner: Person, toys: list[StoredFile], value: str) -> None:
    assert owner.client.get(TOYS, {"min_size": value}).status_code in {200, 400}


def test_links_stay_under_the_brands_prefix(owner: Person, toys: list[StoredFile]) -> None:
    page = owner.client.get(f"/p/{owner.profile.slug}{TOYS}?page_size=5").json()
    assert f"/p/{owner.profile.slug}{TOYS}" in page["next"]
