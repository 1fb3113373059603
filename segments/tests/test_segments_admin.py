import re
from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conftest import Person
from profiles.errors import Conflict
from profiles.models import Profile
from segments import dependants
from segments.models import Segment, SourceVideo
from segments.tests.conftest import fresh

pytestmark = pytest.mark.django_db(transaction=True)

MakeSource = Callable[..., SourceVideo]
MakeSegment = Callable[..., Segment]
PAGES = ("sourcevideo", "segment", "segmentlabel")


def browser(person: Person) -> Client:
    client = Client()
    client.force_login(person.user)
    return client


@pytest.mark.parametrize("page", PAGES)
def test_lists_show_the_own_brand_at_constant_cost(
    owner: Person, stranger: Person, make_source: MakeSource, make_segment: MakeSegment, page: str
) -> None:
    client = browser(owner)
    make_segment(make_source(stranger.profile, name="Foreign"), keywords=["foreign"])

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(f"/admin/segments/{page}/")
        assert answer.status_code == 200
        assert "oreign" not in answer.content.decode()
        return len(captured)

    make_segment(make_source(), keywords=["sea", "sand"])
    queries()
    one = queries()
    for _ in range(3):
        make_segment(make_source(), keywords=["sea", "sand"], tags=["x"])
    assert queries() == one <= 14
    assert client.get(f"/admin/segments/{page}/?q=sea").status_code == 200


def test_the_poster_comes_by_a_link_that_works(owner: Person, make_source: MakeSource) -> None:
    source = make_source(name="<script>alert(1)</script>")
    client = browser(owner)
    for url in ("/admin/segments/sourcevideo/", f"/admin/segments/sourcevideo/{source.pk}/change/"):
        page = client.get(url).content.decode()
        assert "<script>alert(1)" not in page
        (address,) = re.findall(r'<img src="([^"]*variant=poster[^"]*)"', page)
        address = address.replace("&amp;", "&")
        picture = Client().get(address)
        assert (picture.status_code, picture["Content-Type"]) == (200, "image/jpeg")
        picture.close()


def test_changes_go_through_the_services(owner: Person, make_source: MakeSource, make_segment: MakeSegment) -> None:
    client = browser(owner)
    source = make_source()
    answer = client.post(f"/admin/segments/sourcevideo/{source.pk}/change/", {"name": "Crăciun", "description": ""})
    assert answer.status_code == 302
    assert (fresh(source).name, fresh(source).search_text) == ("Crăciun", "craciun | beach mp4")
    segment = make_segment(source, 1, 3)
    url = f"/admin/segments/segment/{segment.pk}/change/"
    labels = {f"labels-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL", "MIN_NUM", "MAX_NUM")}
    good = {"start_time": "1.01", "end_time": "4", "notes": "x", **labels}
    assert client.post(url, good).status_code == 302
    row = fresh(segment)
    assert (row.start_time, row.end_time, row.notes, row.revision) == (1.0, 4.0, "x", 2)
    bad = client.post(url, {**good, "end_time": "0.5"})
    assert bad.status_code == 200
    assert "The end must come after the start." in bad.content.decode()
    assert fresh(segment).end_time == 4.0


def test_deleting_is_throwing_away(owner: Person, stranger: Person, make_segment: MakeSegment) -> None:
    client = browser(owner)
    segment, foreign = make_segment(), make_segment()
    body: dict[str, Any] = {"action": "move_to_trash", "_selected_action": [str(segment.source_id)]}
    assert client.post("/admin/segments/sourcevideo/", body).status_code == 302
    assert fresh(segment).trashed_at is not None
    body["_selected_action"] = [str(foreign.source_id)]
    assert browser(stranger).post("/admin/segments/sourcevideo/", body).status_code in {200, 302}
    assert fresh(foreign).trashed_at is None
    assert client.get(f"/admin/segments/sourcevideo/{segment.source_id}/change/").status_code == 302
    for page in PAGES:
        assert client.get(f"/admin/segments/{page}/add/").status_code == 403


def test_what_somebody_still_uses_stays_and_is_named(
    owner: Person, make_segment: MakeSegment, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = make_segment(), make_segment()

    def changed(profile: Profile, ids: Collection[UUID]) -> None:
        if kept.pk in ids:
            raise Conflict("It is in use.")

    user = dependants.SegmentUser("test", find=lambda *_: [], changed=changed)
    monkeypatch.setitem(dependants._users, "test", user)
    body = {"action": "move_to_trash", "_selected_action": [str(kept.source_id), str(gone.source_id)]}
    page = browser(owner).post("/admin/segments/sourcevideo/", body, follow=True).content.decode()
    assert ("It is in use." in page, "1 moved to the trash." in page) == (True, True)
    assert (fresh(kept).trashed_at is None, fresh(gone).trashed_at is None) == (True, False)


def test_viewers_only_look(viewer: Person, make_source: MakeSource) -> None:
    client = browser(viewer)
    source = make_source()
    url = f"/admin/segments/sourcevideo/{source.pk}/change/"
    assert client.get(url).status_code == 200
    assert client.post(url, {"name": "x"}).status_code == 403
    assert fresh(source).name == "Beach"
