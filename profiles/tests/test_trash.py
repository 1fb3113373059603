"""The trash over HTTP. What lies in it comes from the apps above; here they are asked through the registry only."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Person
from profiles import scope, trash
from profiles.models import Profile
from segments.models import Segment, SourceVideo

pytestmark = pytest.mark.django_db(transaction=True)

V1 = "/api/v1"


def make_source(profile: Profile, name: str) -> SourceVideo:
    with scope.activate(profile.pk):
        return SourceVideo.objects.create(profile=profile, name=name, size=1, sha256="0" * 64)


def make_segment(source: SourceVideo) -> Segment:
    with scope.activate(source.profile_id):
        return Segment.objects.create(
            profile=source.profile, source=source, first_frame=0, end_frame=25, start_pts=0, end_pts=25,
            start_time=0, end_time=1, duration=1,
        )  # fmt: skip


def throw_away(row: Any, minutes_ago: int = 0) -> None:
    with scope.activate(row.profile_id):
        trash.throw_away(row)
        moment = timezone.now() - timedelta(minutes=minutes_ago)
        type(row).objects.filter(pk=row.pk).update(trashed_at=moment)


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [row["name"] for row in answer.json()["results"]]


def test_the_trash_shows_all_kinds_the_latest_first(owner: Person) -> None:
    beach, forest, lake = (make_source(owner.profile, name) for name in ("Beach", "Forest", "Lake"))
    make_segment(beach)
    make_segment(beach)
    alone = make_segment(lake)
    throw_away(beach, 3)
    throw_away(alone, 2)
    throw_away(forest, 1)
    answer = owner.client.get(f"{V1}/trash/")
    assert names(answer) == ["Forest", "Lake, 0.00-1.00 s", "Beach"]
    first, second, third = answer.json()["results"]
    assert (first["kind"], first["id"], first["went_along"]) == ("source_video", str(forest.pk), {})
    assert second["kind"] == "segment"
    assert third["went_along"] == {"segment": 2}
    assert first["purged_at"] > first["trashed_at"]
    assert names(owner.client.get(f"{V1}/trash/?kind=segment")) == ["Lake, 0.00-1.00 s"]


def test_pages_run_through_all_kinds_and_back(owner: Person) -> None:
    lake = make_source(owner.profile, "Lake")
    for number in range(7):
        throw_away(make_source(owner.profile, f"source {number}"), 2 * number)
        throw_away(make_segment(lake), 2 * number + 1)
    whole = owner.client.get(f"{V1}/trash/?page_size=100").json()
    assert (len(whole["results"]), whole["next"], whole["previous"]) == (14, None, None)
    wanted = [row["id"] for row in whole["results"]]
    seen: list[str] = []
    url: str | None = f"{V1}/trash/?page_size=4"
    last = ""
    while url:
        last = url
        page = owner.client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == wanted
    back: list[str] = []
    url = owner.client.get(last).json()["previous"]
    while url:
        page = owner.client.get(url).json()
        back = [row["id"] for row in page["results"]] + back
        url = page["previous"]
    assert back == wanted[:12]


@pytest.mark.parametrize("query", ["kind=profile", "kindd=segment", "cursor=x", "page_size=0", "q=x"])
def test_the_list_refuses_what_it_does_not_know(owner: Person, query: str) -> None:
    assert owner.client.get(f"{V1}/trash/?{query}").status_code == 400


def test_it_costs_the_same_for_any_number(owner: Person) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert owner.client.get(f"{V1}/trash/").status_code == 200
        return len(captured)

    lake = make_source(owner.profile, "Lake")
    throw_away(make_segment(lake))
    queries()  # the first call of a token notes when it was used
    one = queries()
    for number in range(4):
        source = make_source(owner.profile, f"{number}")
        make_segment(source)
        throw_away(source)
        throw_away(make_segment(lake))
    assert queries() == one


def test_restoring_and_deleting_for_good(owner: Person) -> None:
    source = make_source(owner.profile, "Beach")
    segment = make_segment(source)
    throw_away(source)
    base = f"{V1}/trash/source_video/{source.pk}/"
    along = owner.client.post(f"{V1}/trash/segment/{segment.pk}/restore/")
    assert (along.status_code, along.json()["error"]["code"]) == (409, "not_on_its_own")
    answer = owner.client.post(f"{base}restore/")
    assert (answer.status_code, answer.json()) == (
        200, {"kind": "source_video", "id": str(source.pk), "name": "Beach"}
    )  # fmt: skip
    for call in (owner.client.post(f"{base}restore/"), owner.client.delete(base)):
        assert call.status_code == 404
    throw_away(source)
    assert owner.client.delete(base).status_code == 204
    assert names(owner.client.get(f"{V1}/trash/")) == []
    with scope.activate(owner.profile.pk):
        assert not SourceVideo.objects.exists()
        assert not Segment.objects.exists()


def test_who_may_what(
    owner: Person, viewer: Person, stranger: Person, member: Callable[..., Person], reader: Any
) -> None:
    source = make_source(owner.profile, "Beach")
    throw_away(source)
    base = f"{V1}/trash/source_video/{source.pk}/"
    assert names(viewer.client.get(f"{V1}/trash/")) == ["Beach"]
    assert names(stranger.client.get(f"{V1}/trash/")) == []
    assert viewer.client.post(f"{base}restore/").status_code == 403
    assert reader.post(f"{base}restore/").status_code == 403
    editor = member("editor")
    assert editor.client.delete(base).status_code == 403
    random = f"{V1}/trash/source_video/{uuid4()}/"
    for method, tail in (("post", "restore/"), ("delete", "")):
        answers = [getattr(stranger.client, method)(url + tail) for url in (base, random)]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].content == answers[1].content
    assert editor.client.post(f"{base}restore/").status_code == 200
    owner.client.credentials()
    for method, url in (("get", f"{V1}/trash/"), ("post", f"{base}restore/"), ("delete", base)):
        assert getattr(owner.client, method)(url).status_code == 401


def test_bad_addresses_and_methods(owner: Person) -> None:
    assert owner.client.post(f"{V1}/trash/").status_code == 405
    assert owner.client.get(f"{V1}/trash/segment/{uuid4()}/").status_code == 405
    assert owner.client.post(f"{V1}/trash/nonsense/{uuid4()}/restore/").status_code == 404
    assert owner.client.post(f"{V1}/trash/segment/1/restore/").status_code == 404


def test_two_restores_at_once_are_one(in_scope: Profile, owner: Person) -> None:
    source = make_source(in_scope, "Beach")
    trash.throw_away(source)
    row: UUID = source.pk
    trash.restore(profile=in_scope, kind_name="source_video", row_id=row)
    with pytest.raises(Exception, match="Not found"):
        trash.restore(profile=in_scope, kind_name="source_video", row_id=row)
    trash.throw_away(source)
    with pytest.raises(Exception, match="Not found"):
        trash.throw_away(source)
