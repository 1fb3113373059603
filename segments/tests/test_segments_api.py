import math
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import Person
from profiles import scope
from profiles.models import Profile, StoredFile
from segments import dependants
from segments.models import Segment, SegmentLabel, SourceVideo
from segments.services import segment_update
from segments.tests.conftest import V1, fresh, stored

pytestmark = pytest.mark.django_db(transaction=True)

MakeSource = Callable[..., SourceVideo]
MakeSegment = Callable[..., Segment]


def create(person: Person, source: SourceVideo, /, **body: Any) -> Any:
    body = {"start_time": 1, "end_time": 2, **body}
    return person.client.post(f"{V1}/source-videos/{source.pk}/segments/", body, format="json")


def test_times_are_snapped_to_frames_and_answered(owner: Person, make_source: MakeSource) -> None:
    answer = create(
        owner,
        make_source(),
        start_time=1.01,
        end_time=2.03,
        keywords=["Mare", "plajă  mare"],
        tags=["B-roll"],
        notes="a\nb",
        is_favorite=True,
    )
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    assert (shown["start_time"], shown["end_time"]) == (1.0, 2.04)
    assert (shown["first_frame"], shown["end_frame"]) == (25, 51)
    assert shown["duration"] == pytest.approx(1.04)
    assert (shown["keywords"], shown["tags"]) == (["Mare", "plajă mare"], ["B-roll"])
    assert (shown["notes"], shown["is_favorite"], shown["revision"]) == ("a\nb", True, 1)
    assert shown["source_video_name"] == "Beach"
    assert shown["links"] == {"stream": None, "download": None}


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ({"end_time": 1}, "end_time"),
        ({"end_time": 0.5}, "end_time"),
        ({"start_time": -0.1}, "start_time"),
        ({"end_time": 10.5}, "end_time"),
        ({"start_time": 10, "end_time": 11}, "start_time"),
        ({"start_time": "soon"}, "start_time"),
        ({"start_time": None}, "start_time"),
        ({"start_time": 1e300}, "start_time"),
        ({"strat_time": 1}, "strat_time"),
        ({"keywords": ["x" * 101]}, "keywords[0]"),
        ({"keywords": ["x"] * 51}, "keywords"),
        ({"keywords": "sea"}, "keywords"),
        ({"keywords": [{"a": 1}]}, "keywords[0]"),
        ({"notes": "x" * 5001}, "notes"),
        ({"source": str(uuid4())}, "source"),
    ],
)
def test_what_makes_no_segment_is_named(
    owner: Person, make_source: MakeSource, times: dict[str, Any], field: str
) -> None:
    answer = create(owner, make_source(), **times)
    assert answer.status_code == 400
    named = [name.split("[")[0].split(".")[0] for name in answer.json()["error"]["fields"]]
    assert field.split("[")[0] in named
    with scope.activate(owner.profile.pk):
        assert not Segment.objects.exists()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999"])
def test_no_number_is_refused_in_json_and_in_forms(owner: Person, make_source: MakeSource, number: str) -> None:
    url = f"{V1}/source-videos/{make_source().pk}/segments/"
    body = f'{{"start_time": {number}, "end_time": 2}}'
    assert owner.client.post(url, body, content_type="application/json").status_code == 400
    assert owner.client.post(url, {"start_time": number, "end_time": "2"}, format="multipart").status_code == 400


def test_missing_times_are_named(owner: Person, make_source: MakeSource) -> None:
    answer = owner.client.post(f"{V1}/source-videos/{make_source().pk}/segments/", {}, format="json")
    assert sorted(answer.json()["error"]["fields"]) == ["end_time", "start_time"]


def test_the_last_frame_can_be_had_by_a_rounded_length(owner: Person, make_source: MakeSource) -> None:
    answer = create(owner, make_source(), start_time=9.9, end_time=10.01)
    assert (answer.status_code, answer.json()["end_time"]) == (201, 10.0)


def test_a_span_shorter_than_a_frame_is_one_frame(owner: Person, make_source: MakeSource) -> None:
    shown = create(owner, make_source(), start_time=1.0, end_time=1.001).json()
    assert shown["end_frame"] - shown["first_frame"] == 1


def test_marking_waits_for_the_probe_only(owner: Person, make_source: MakeSource) -> None:
    unprobed: dict[str, Any] = {"duration_seconds": None, "media": None, "frame_index": None}
    answer = create(owner, make_source(state="received", proxy=None, **unprobed))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "source_not_ready")
    assert create(owner, make_source(state="processing", proxy=None)).status_code == 201


def test_labels_are_kept_once_by_their_folded_form(owner: Person, make_source: MakeSource) -> None:
    shown = create(owner, make_source(), keywords=["Mare!", "mare", " MĂRE ", "🎬", "🎬"]).json()
    assert shown["keywords"] == ["Mare!", "🎬"]


def test_patch_judges_merged_times(owner: Person, make_segment: MakeSegment) -> None:
    segment = make_segment(start_time=1, end_time=3)
    url = f"{V1}/segments/{segment.pk}/"
    assert owner.client.patch(url, {"start_time": 4}, format="json").json()["error"]["fields"].keys() == {"end_time"}
    assert owner.client.patch(url, {"end_time": 11}, format="json").status_code == 400
    shown = owner.client.patch(url, {"end_time": 4}, format="json").json()
    assert (shown["start_time"], shown["end_time"], shown["revision"]) == (1, 4, 2)
    assert owner.client.patch(url, {"first_frame": 1}, format="json").status_code == 400


def test_moved_borders_drop_the_file_and_tell_the_users(
    owner: Person, make_segment: MakeSegment, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    user = dependants.SegmentUser("test", find=lambda *_: [], changed=lambda profile, ids: told.append(list(ids)))
    monkeypatch.setitem(dependants._users, "test", user)
    segment = make_segment()
    with scope.activate(owner.profile.pk):
        file = stored(owner.profile, tmp_path)
        Segment.objects.filter(pk=segment.pk).update(extracted=file, extracted_revision=1)
    url = f"{V1}/segments/{segment.pk}/"
    same = owner.client.patch(url, {"start_time": 1.01, "notes": "x"}, format="json").json()
    assert (same["revision"], same["is_extracted"], told) == (1, True, [])
    moved = owner.client.patch(url, {"start_time": 1.5}, format="json").json()
    assert (moved["revision"], moved["is_extracted"], told) == (2, False, [[segment.pk]])
    with scope.activate(owner.profile.pk):
        assert not StoredFile.objects.filter(pk=file.pk).exists()


def test_a_change_upon_an_outdated_reading_is_refused(owner: Person, make_segment: MakeSegment) -> None:
    url = f"{V1}/segments/{make_segment().pk}/"
    assert owner.client.patch(url, {"start_time": 2, "revision": 1}, format="json").json()["revision"] == 2
    answer = owner.client.patch(url, {"start_time": 0, "revision": 1}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "changed_meanwhile")


def test_patch_replaces_labels_and_finds_them(owner: Person, make_segment: MakeSegment) -> None:
    segment = make_segment(keywords=["sea", "sand"], tags=["x"], notes="Quiet morning")
    url = f"{V1}/segments/{segment.pk}/"
    shown = owner.client.patch(url, {"keywords": ["sand", "sky"], "notes": ""}, format="json").json()
    assert (shown["keywords"], shown["tags"], shown["revision"]) == (["sand", "sky"], ["x"], 1)
    assert owner.client.patch(url, {"keywords": []}, format="json").json()["keywords"] == []
    assert owner.client.get(f"{V1}/segments/?q=sand").json()["results"] == []
    assert len(owner.client.get(f"{V1}/segments/?q=X").json()["results"]) == 1


def test_favorite_is_turned_over_or_set(owner: Person, make_segment: MakeSegment) -> None:
    url = f"{V1}/segments/{make_segment().pk}/favorite/"
    said = [
        owner.client.post(url, body, format="json").json()["is_favorite"] for body in ({}, {}, {"is_favorite": True})
    ]
    assert said == [True, False, True]
    assert owner.client.post(url).json()["is_favorite"] is False
    assert owner.client.post(url, {"is_favorite": "perhaps"}, format="json").status_code == 400
    assert owner.client.get(url).status_code == 405


def test_list_filters_and_orders(owner: Person, make_source: MakeSource, make_segment: MakeSegment) -> None:
    beach, forest = make_source(name="Beach"), make_source(name="Forest")
    sea = make_segment(beach, 4, 5, keywords=["Marea Neagră"], tags=["b-roll"], notes="Valuri înalte")
    tree = make_segment(forest, 1, 4, keywords=["tree"], is_favorite=True)

    def ids(query: str, path: str = "segments/") -> list[Any]:
        answer = owner.client.get(f"{V1}/{path}?{query}")
        assert answer.status_code == 200, answer.content
        return [row["id"] for row in answer.json()["results"]]

    both = [str(tree.pk), str(sea.pk)]
    assert ids("") == both
    assert ids("keyword=marea neagra") == ids("tag=B-Roll") == ids("q=VALURI marea") == [str(sea.pk)]
    assert ids("keyword=marea") == ids("q=valuri tree") == []
    assert ids("is_favorite=true") == ids("favorite=1") == ids("min_duration=2") == [str(tree.pk)]
    assert ids("is_favorite=false") == ids("max_duration=1") == [str(sea.pk)]
    assert ids(f"source_video={forest.pk}") == ids("", f"source-videos/{forest.pk}/segments/") == [str(tree.pk)]
    assert ids("ordering=start_time") == both
    assert ids("ordering=duration") == both[::-1]
    for query in (f"source_video={uuid4()}", f"source_video={uuid4()}&q=x"):
        assert owner.client.get(f"{V1}/segments/?{query}").status_code == 404
    for query in ("source_video=1", "is_favorite=x", "ordering=notes", "source__name=x", "keyword=" + "x" * 101):
        assert owner.client.get(f"{V1}/segments/?{query}").status_code == 400, query


def test_a_foreign_source_in_the_filter_is_like_none(owner: Person, stranger: Person, make_source: MakeSource) -> None:
    foreign = make_source(stranger.profile)
    answers = [owner.client.get(f"{V1}/segments/?source_video={pk}") for pk in (foreign.pk, uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize("path", ["segments/", "source-videos/{source}/segments/"])
def test_list_costs_the_same_for_any_number(
    owner: Person, make_source: MakeSource, make_segment: MakeSegment, path: str
) -> None:
    source = make_source()

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert owner.client.get(f"{V1}/" + path.format(source=source.pk)).status_code == 200
        return len(captured)

    make_segment(source, keywords=["a"])
    queries()  # the first call of a token notes when it was used
    one = queries()
    for number in range(5):
        make_segment(source, keywords=["a", f"b{number}"], tags=["c"])
    make_segment(keywords=["z"])
    assert queries() == one <= 7


def test_who_may_what(owner: Person, viewer: Person, stranger: Person, make_segment: MakeSegment) -> None:
    segment = make_segment()
    url = f"{V1}/segments/{segment.pk}/"
    calls: list[tuple[str, str, Any]] = [
        ("patch", "", {"notes": "x"}),
        ("post", "favorite/", {}),
        ("post", "extract/", {}),
        ("delete", "", None),
    ]
    assert viewer.client.get(url).status_code == 200
    for method, path, body in calls:
        assert getattr(viewer.client, method)(url + path, body, format="json").status_code == 403
        foreign, unknown = (
            getattr(stranger.client, method)(f"{V1}/segments/{pk}/{path}", body, format="json")
            for pk in (segment.pk, uuid4())
        )
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
    assert create(viewer, segment.source).status_code == 403
    assert create(stranger, segment.source).status_code == 404
    owner.client.credentials()
    for method, path, body in [("get", "", None), ("get", "stream/", None), *calls]:
        assert getattr(owner.client, method)(url + path, body, format="json").status_code == 401
    assert owner.client.get(f"{V1}/segments/").status_code == 401
    assert viewer.client.post(f"{V1}/segments/", {}, format="json").status_code in {403, 405}
    assert viewer.client.get(f"{V1}/segments/nope/").status_code == 404


def test_values_of_markup_come_back_as_they_are(owner: Person, make_source: MakeSource) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    shown = create(owner, make_source(), keywords=[hostile], notes=hostile).json()
    assert (shown["keywords"], shown["notes"]) == ([hostile], hostile)
    page = owner.client.get(f"{V1}/segments/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert hostile not in page.content.decode()


def test_two_changes_at_once_lose_nothing(owner: Person, in_scope: Profile, make_segment: MakeSegment) -> None:
    """A service works on the row as it is under the lock, not as a view read it before."""
    segment = make_segment(notes="a")
    segment_update(profile=in_scope, segment_id=segment.pk, changes={"start_time": 2.0})
    segment_update(profile=in_scope, segment_id=segment.pk, changes={"notes": "b"})
    row = fresh(segment)
    assert (row.start_time, row.notes, row.revision) == (2.0, "b", 2)
    assert math.isclose(row.duration, 1.0)


def test_positions_follow_the_order_given(in_scope: Profile, make_segment: MakeSegment) -> None:
    segment = make_segment(keywords=["c", "a", "b"])
    rows = SegmentLabel.objects.filter(segment=segment).values_list("text", "position")
    assert list(rows) == [("c", 0), ("a", 1), ("b", 2)]
