"""The local outbox over HTTP."""

from typing import Any

import pytest
from django.test import Client

from conftest import Person
from profiles.models import Profile
from publishing.models import OutboxItem
from publishing.tests.test_outbox import delivered

pytestmark = pytest.mark.django_db(transaction=True)
BASE = "/api/v1/publishing/outbox/"


@pytest.fixture
def item(in_scope: Profile) -> Any:
    return delivered(in_scope, caption="Hello", first_comment="First", settings={"privacy": "public"})


def test_an_item_says_what_it_is_and_brings_its_file(owner: Person, item: Any) -> None:
    (listed,) = owner.client.get(BASE).json()["results"]
    assert listed == owner.client.get(f"{BASE}{item.pk}/").json()
    assert listed["label"] == "Local outbox: not posted on any network"
    assert (listed["caption"], listed["first_comment"]) == ("Hello", "First")
    assert (listed["settings"], listed["url"], listed["posted_at"]) == ({"privacy": "public"}, None, None)
    download = Client().get(listed["links"]["download"])
    assert download.status_code == 200
    assert len(download.getvalue()) == listed["size"]
    assert download["Content-Disposition"] == f'attachment; filename="{item.publication.clip_name}.mp4"'
    part = owner.client.get(f"{BASE}{item.pk}/stream/", headers={"Range": "bytes=0-3"})
    assert (part.status_code, len(part.getvalue())) == (206, 4)
    assert owner.client.get(f"{BASE}{item.pk}/stream/?variant=cover").status_code == 404
    assert owner.client.get(f"{BASE}{item.pk}/stream/?variant=x").status_code == 400


def test_finishing_and_undoing(owner: Person, item: Any) -> None:
    url = "https://www.instagram.com/reel/1/"
    earlier = item.publication.created_at.isoformat()
    done = owner.client.post(f"{BASE}{item.pk}/finish/", {"url": url, "posted_at": earlier}, format="json")
    assert done.status_code == 200, done.content
    assert (done.json()["url"], done.json()["posted_by"]) == (url, "olga")
    assert [row["id"] for row in owner.client.get(f"{BASE}?is_posted=true").json()["results"]] == [str(item.pk)]
    assert owner.client.get(f"{BASE}?is_posted=false").json()["results"] == []
    again = owner.client.post(f"{BASE}{item.pk}/finish/", {"url": url}, format="json")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "already_finished")
    assert owner.client.post(f"{BASE}{item.pk}/undo/").json()["url"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": "javascript:alert(1)"},
        {"url": "https://example.org/", "posted_at": "2026-01-01T10:00:00"},
        {"url": "https://example.org/", "posted_at": "2020-01-01T10:00:00Z"},
        {"url": "https://example.org/", "posted_at": "9999-12-31T23:00:00-14:00"},
        {"url": "https://example.org/", "posted_at": "0001-01-01T00:00:00+14:00"},
    ],
    ids=["nothing", "script", "naive time", "before it was made", "after the calendar", "before the calendar"],
)
def test_bad_input_finishes_nothing(owner: Person, item: Any, body: dict[str, str]) -> None:
    answer = owner.client.post(f"{BASE}{item.pk}/finish/", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["fields"]
    assert OutboxItem.objects.get().posted_at is None


def test_deleting_takes_the_file_along(owner: Person, item: Any) -> None:
    link = owner.client.get(f"{BASE}{item.pk}/").json()["links"]["video"]
    assert owner.client.delete(f"{BASE}{item.pk}/").status_code == 204
    assert owner.client.get(f"{BASE}{item.pk}/").status_code == 404
    assert Client().get(link).status_code == 404


def test_a_list_costs_the_same_however_long(
    owner: Person, in_scope: Profile, item: Any, django_assert_max_num_queries: Any
) -> None:
    publication = item.publication
    for number in range(6):
        publication.pk = None
        publication.state, publication.fingerprint_at = "draft", None
        publication.clip_name = f"Copy {number}"
        publication.clip = type(item.publication.clip).objects.get(pk=item.publication.clip_id)
        publication.save()
        OutboxItem.objects.create(profile=in_scope, publication=publication, file=item.file)
        type(publication).objects.filter(pk=publication.pk).update(state="cancelled")
    with django_assert_max_num_queries(6):
        assert len(owner.client.get(BASE).json()["results"]) == 7
