"""Storage over HTTP: figures that add up, retention, who may free."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from conftest import Person
from costs.models import StorageQuota, StorageRetention
from costs.tests.storage_rows import SIZE, Full, full, make_source, stored_ids
from profiles import scope
from profiles.models import Profile, StoredFile

pytestmark = pytest.mark.django_db
URL = "/api/v1/costs/storage/"
FREE = f"{URL}free-up/"


@pytest.fixture
def brand(in_scope: Profile, tmp_path: Path) -> Full:
    return full(in_scope, tmp_path)


def shown(person: Person) -> dict[str, Any]:
    answer = person.client.get(URL)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def by_kind(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["kind"]: row for row in body["kinds"]}


def test_the_kinds_add_up_to_all_that_is_stored(owner: Person, brand: Full) -> None:
    body = shown(owner)
    stored = StoredFile.objects.for_profile(brand.profile).filter(state="stored")
    assert body["total_bytes"] == stored.aggregate(Sum("size"))["size__sum"]
    assert body["total_files"] == stored.count() == sum(row["files"] for row in body["kinds"])
    assert body["total_bytes"] == sum(row["bytes"] for row in body["kinds"])
    found = {name: (row["files"], row["freeable_files"]) for name, row in by_kind(body).items()}
    assert found == {
        "originals": (1, 0),
        "proxies": (4, 1),
        "extracts": (2, 2),
        "renders": (27, 1),
        "renditions": (2, 1),
        "outbox": (2, 0),
        "trash": (9, 9),  # a source with its five files, and a clip with its three and a rendition
        "other": (1, 0),
    }
    for row in body["kinds"]:
        assert row["freeable_bytes"] == row["freeable_files"] * SIZE
    assert (body["quota_bytes"], body["remaining_bytes"]) == (None, None)


def test_another_brand_has_figures_of_its_own(owner: Person, stranger: Person, brand: Full, tmp_path: Path) -> None:
    assert shown(stranger)["total_files"] == 0
    before = shown(owner)
    with scope.activate(stranger.profile.pk):
        make_source(stranger.profile, tmp_path)
        StorageQuota.objects.create(profile=stranger.profile, max_bytes=100)
        StorageRetention.objects.create(profile=stranger.profile, kind="proxies", days=3)
    assert shown(owner) == before
    theirs = shown(stranger)
    assert (theirs["total_files"], theirs["quota_bytes"]) == (5, 100)
    assert by_kind(theirs)["proxies"]["retention_days"] == 3


def test_figures_cost_a_constant_number_of_queries(owner: Person, brand: Full, tmp_path: Path) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as found:
            shown(owner)
        return len(found)

    shown(owner)
    few = count()
    for number in range(5):
        make_source(brand.profile, tmp_path, f"More {number}")
    assert count() == few


def test_what_is_being_written_or_is_doomed_does_not_count(owner: Person, brand: Full) -> None:
    before = shown(owner)
    for state in ("writing", "doomed"):
        StoredFile.objects.create(profile=brand.profile, key=state, content_type="video/mp4", size=99, state=state)
    assert shown(owner) == before


def test_owners_say_how_long_things_are_kept(owner: Person, in_scope: Profile) -> None:
    answer = owner.client.patch(URL, {"retention": {"proxies": 90, "renders": 30}}, format="json")
    assert answer.status_code == 200, answer.content
    assert by_kind(answer.json())["proxies"]["retention_days"] == 90
    answer = owner.client.patch(URL, {"retention": {"renders": None, "proxies": 60}}, format="json")
    kinds = by_kind(answer.json())
    assert (kinds["proxies"]["retention_days"], kinds["renders"]["retention_days"]) == (60, None)
    assert kinds["trash"]["retention_days"] == 14
    assert StorageRetention.objects.count() == 1


@pytest.mark.parametrize(
    "retention",
    [
        {"originals": 3},
        {"trash": 3},
        {"other": 3},
        {"nothing": 3},
        {"proxies": 0},
        {"proxies": -1},
        {"proxies": "x"},
        3,
    ],
)
def test_what_makes_no_sense_is_refused(owner: Person, in_scope: Profile, retention: Any) -> None:
    answer = owner.client.patch(URL, {"retention": retention}, format="json")
    assert answer.status_code == 400
    assert all(name.startswith("retention") for name in answer.json()["error"]["fields"])
    assert not StorageRetention.objects.exists()


@pytest.mark.parametrize(
    "body", [{"kinds": ["nothing"]}, {"older_than_days": -1}, {"dry_run": "perhaps"}, {"dryrun": False}, {"kinds": 3}]
)
def test_a_body_that_makes_no_sense_frees_nothing(owner: Person, brand: Full, body: Any) -> None:
    before = stored_ids(brand.profile)
    assert owner.client.post(FREE, {"dry_run": False, **body}, format="json").status_code == 400
    assert stored_ids(brand.profile) == before


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_owners_free_and_set(member: Any, brand: Full, role: str) -> None:
    person, before = member(role), stored_ids(brand.profile)
    assert person.client.get(URL).status_code == 200
    assert person.client.patch(URL, {"retention": {"proxies": 1}}, format="json").status_code == 403
    assert person.client.post(FREE, {"dry_run": False}, format="json").status_code == 403
    assert stored_ids(brand.profile) == before


def test_other_methods_are_not_allowed(owner: Person) -> None:
    assert owner.client.post(URL, {}, format="json").status_code == 405
    assert owner.client.delete(URL).status_code == 405
    assert owner.client.get(FREE).status_code == 405


def test_the_answer_of_free_up(owner: Person, brand: Full) -> None:
    total = shown(owner)["total_bytes"]
    told = owner.client.post(FREE, {}, format="json").json()
    assert told["dry_run"] is True
    assert (told["before_bytes"], told["after_bytes"]) == (total, total - 5 * SIZE)
    assert shown(owner)["total_bytes"] == total
    done = owner.client.post(FREE, {"dry_run": False}, format="json").json()
    assert done == {**told, "dry_run": False}
    assert shown(owner)["total_bytes"] == done["after_bytes"]
