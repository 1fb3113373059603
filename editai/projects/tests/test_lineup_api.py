"""The order of a project's segments: replaced as a whole, or not at all."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import Person
from editai.projects.models import Project, ProjectSegment
from editai.projects.tests.builders import make_project, make_segment, make_source
from profiles.scope import activate
from segments.models import Segment, SourceVideo

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(in_scope: Any) -> SourceVideo:
    return make_source(in_scope)


@pytest.fixture
def segments(source: SourceVideo) -> list[Segment]:
    return [make_segment(source, start, start + 2) for start in (0, 2, 4)]


@pytest.fixture
def project(in_scope: Any) -> Project:
    return make_project(in_scope)


def url(project: Project, tail: str = "") -> str:
    return f"/api/v1/projects/{project.pk}/segments/{tail}"


def put(person: Person, project: Project, segments: list[Any]) -> Any:
    ids = [str(getattr(item, "pk", item)) for item in segments]
    return person.client.put(url(project), {"segment_ids": ids}, format="json")


def order(person: Person, project: Project) -> list[str]:
    found: list[str] = person.client.get(url(project)).json()["segment_ids"]
    return found


def test_order_is_the_order_of_the_list(owner: Person, project: Project, segments: list[Segment]) -> None:
    a, b, c = segments
    answer = put(owner, project, [c, a, b, a])
    assert answer.status_code == 200, answer.content
    assert answer.json()["segment_ids"] == [str(item.pk) for item in (c, a, b, a)]
    assert answer.json() == owner.client.get(url(project)).json()
    assert answer.json()["total_duration"] == pytest.approx(8)
    assert [row["position"] for row in answer.json()["results"]] == [0, 1, 2, 3]
    row = answer.json()["results"][0]
    assert (row["source_name"], row["start_time"], row["end_time"], row["duration"]) == ("Beach", 4, 6, 2)
    assert (row["is_missing"], row["problem"], row["crop_x"], row["zoom"]) == (False, "", 0.5, 1.0)
    assert put(owner, project, []).json()["segment_ids"] == []


def test_foreign_unknown_and_trashed_ids_change_nothing(
    owner: Person, stranger: Person, project: Project, segments: list[Segment]
) -> None:
    a, b, c = segments
    assert put(owner, project, [a, b]).status_code == 200
    with activate(stranger.profile.pk):
        foreign = make_segment(make_source(stranger.profile))
    Segment.objects.filter(pk=c.pk).update(trashed_at=c.created_at)
    answers = [put(owner, project, [b, bad, a]) for bad in (foreign, uuid4(), c)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    rich = {"entries": [{"segment_id": str(foreign.pk)}]}
    assert owner.client.put(url(project), rich, format="json").content == answers[0].content
    assert order(owner, project) == [str(a.pk), str(b.pk)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"segment_ids": None},
        {"segment_ids": "abc"},
        {"segment_ids": ["no-uuid"]},
        {"segment_ids": [], "entries": []},
        {"segments": []},
        {"segment_ids": [str(uuid4())] * 201},
        {"segment_ids": [str(uuid4())] * 501},
        {"entries": [{"segment_id": str(uuid4())}] * 201},
        {"entries": [{}]},
        {"entries": [{"segment_id": str(uuid4()), "zooom": 2}]},
        {"entries": [{"segment_id": str(uuid4()), "zoom": 0.5}]},
        {"entries": [{"segment_id": str(uuid4()), "crop_x": 1.1}]},
        {"entries": [{"segment_id": str(uuid4()), "volume": -1}]},
        {"entries": [{"segment_id": str(uuid4()), "trim_start": -0.1}]},
        {"entries": [{"segment_id": str(uuid4()), "fade_in": 61}]},
    ],
)
def test_bad_bodies(owner: Person, project: Project, segments: list[Segment], body: dict[str, Any]) -> None:
    assert put(owner, project, segments[:1]).status_code == 200
    answer = owner.client.put(url(project), body, format="json")
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"]["fields"]
    assert order(owner, project) == [str(segments[0].pk)]


def test_settings_follow_their_segment(owner: Person, project: Project, segments: list[Segment]) -> None:
    a, b, c = segments
    entries = [
        {"segment_id": str(a.pk), "zoom": 2, "crop_x": 0.1},
        {"segment_id": str(b.pk), "volume": 0.5, "is_muted": True},
        {"segment_id": str(a.pk), "zoom": 3, "fade_in": 0.5},
    ]
    first = owner.client.put(url(project), {"entries": entries}, format="json")
    assert first.status_code == 200, first.content
    second = put(owner, project, [b, c, a, a, a]).json()["results"]
    assert [row["zoom"] for row in second] == [1, 1, 2, 3, 1]
    assert (second[0]["is_muted"], second[0]["volume"]) == (True, 0.5)
    before = [row["id"] for row in first.json()["results"]]
    assert [second[2]["id"], second[0]["id"], second[3]["id"]] == before
    # entries say all that there is: what is left out is the default again
    third = owner.client.put(url(project), {"entries": [{"segment_id": str(a.pk)}]}, format="json").json()
    assert (third["results"][0]["zoom"], third["results"][0]["id"]) == (1, before[0])


def test_patch_of_an_entry(owner: Person, project: Project, segments: list[Segment]) -> None:
    entry = put(owner, project, segments).json()["results"][1]
    answer = owner.client.patch(url(project, f"{entry['id']}/"), {"trim_start": 0.51, "zoom": 1.5}, format="json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["zoom"] == 1.5
    # snapped to the frame grid: 15.3 frames are 15
    assert answer.json()["start_time"] == pytest.approx(2.5)
    assert answer.json()["duration"] == pytest.approx(1.5)
    too_much = owner.client.patch(url(project, f"{entry['id']}/"), {"trim_end": 1.5}, format="json")
    assert too_much.status_code == 400
    assert "trim_end" in too_much.json()["error"]["fields"]
    assert owner.client.patch(url(project, f"{uuid4()}/"), {"zoom": 2}, format="json").status_code == 404
    segments[1].refresh_from_db()
    assert segments[1].start_time == pytest.approx(2)


def test_entry_of_another_project(owner: Person, in_scope: Any, project: Project, segments: list[Segment]) -> None:
    entry = put(owner, project, segments).json()["results"][0]
    other = make_project(in_scope)
    assert owner.client.patch(url(other, f"{entry['id']}/"), {"zoom": 2}, format="json").status_code == 404


def test_missing_segments_are_shown(owner: Person, project: Project, segments: list[Segment]) -> None:
    put(owner, project, segments)
    Segment.objects.filter(pk=segments[1].pk).update(trashed_at=segments[1].created_at)
    rows = owner.client.get(url(project)).json()
    assert [row["is_missing"] for row in rows["results"]] == [False, True, False]
    assert rows["results"][1]["problem"] == "segment_missing"
    assert rows["total_duration"] == pytest.approx(4)


def test_limits_that_are_exceeded(owner: Person, in_scope: Any) -> None:
    long = make_segment(make_source(in_scope, "Long", 100), 0, 100)
    project = make_project(in_scope, long)
    found = owner.client.get(url(project)).json()["exceeded_limits"]
    assert {row["preset"] for row in found} == {"facebook-reels", "instagram-story"}
    assert {row["limit"] for row in found} == {"max_seconds"}


def test_queries_stay_constant(owner: Person, in_scope: Any, project: Project) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as found:
            assert owner.client.get(url(project)).status_code == 200
        return len(found)

    put(owner, project, [make_segment(make_source(in_scope))])
    few = count()
    put(owner, project, [make_segment(make_source(in_scope, f"Source {n}")) for n in range(12)])
    assert count() == few <= 9
    ProjectSegment.objects.filter(project=project).update(trim_start=0.5)
    assert count() == few + 1


def test_two_hundred_entries(owner: Person, project: Project, segments: list[Segment]) -> None:
    assert put(owner, project, [segments[n % 3] for n in range(200)]).status_code == 200
    assert len(order(owner, project)) == 200


def total(person: Person, project: Project) -> float:
    """Of the project itself; the list and the lineup must say the same."""
    found: float = person.client.get(f"/api/v1/projects/{project.pk}/").json()["total_duration"]
    listed = person.client.get("/api/v1/projects/").json()["results"][0]["total_duration"]
    assert found == listed == person.client.get(url(project)).json()["total_duration"]
    return found


def test_the_total_of_a_project_is_that_of_its_lineup(owner: Person, project: Project, segments: list[Segment]) -> None:
    a, b, _ = segments
    entries = [
        {"segment_id": str(a.pk), "trim_start": 0.4901, "trim_end": 0.49},
        {"segment_id": str(b.pk)},
        {"segment_id": str(b.pk), "trim_end": 0.018},
    ]
    assert owner.client.put(url(project), {"entries": entries}, format="json").status_code == 200
    snapped = total(owner, project)
    assert snapped == pytest.approx(round(snapped * 30) / 30, abs=1e-6)

    entry = owner.client.get(url(project)).json()["results"][1]["id"]
    assert owner.client.patch(url(project, f"{entry}/"), {"trim_start": 0.51}, format="json").status_code == 200
    assert total(owner, project) < snapped
    put(owner, project, [b, a, b, a])  # entries keep their trim
    total(owner, project)
    owner.client.post(f"/api/v1/projects/{project.pk}/duplicate/", {}, format="json")
    assert len({row["total_duration"] for row in owner.client.get("/api/v1/projects/").json()["results"]}) == 1


def test_the_total_follows_moved_borders_and_the_trash(
    owner: Person, project: Project, segments: list[Segment]
) -> None:
    a, b, _ = segments
    entries = [{"segment_id": str(a.pk), "trim_start": 0.51}, {"segment_id": str(b.pk), "trim_end": 0.3}]
    owner.client.put(url(project), {"entries": entries}, format="json")
    before = total(owner, project)
    moved = owner.client.patch(f"/api/v1/segments/{a.pk}/", {"end_time": 1.31}, format="json")
    assert moved.status_code == 200, moved.content
    after = total(owner, project)
    assert after < before
    assert owner.client.delete(f"/api/v1/segments/{a.pk}/").status_code == 204
    assert total(owner, project) < after
    SourceVideo.objects.update(state=SourceVideo.State.PROCESSING)
    total(owner, project)


@pytest.mark.parametrize("trim", [{"trim_start": 1}, {"trim_start": 0.99}, {"trim_start": 0.5, "trim_end": 0.5}])
def test_trimming_must_leave_a_frame(owner: Person, project: Project, source: SourceVideo, trim: Any) -> None:
    segment = make_segment(source, 2, 3)
    put(owner, project, [segment])
    entry = owner.client.get(url(project)).json()["results"][0]["id"]
    answers = [
        owner.client.patch(url(project, f"{entry}/"), trim, format="json"),
        owner.client.put(url(project), {"entries": [{"segment_id": str(segment.pk), **trim}]}, format="json"),
    ]
    for answer in answers:
        assert answer.status_code == 400, answer.content
        assert answer.json()["error"]["code"] == "trimmed_away"
    row = owner.client.get(url(project)).json()["results"][0]
    assert (row["trim_start"], row["trim_end"], row["problem"]) == (0, 0, "")
    fits = owner.client.patch(url(project, f"{entry}/"), {"trim_start": 0.96}, format="json")
    assert fits.status_code == 200
    assert fits.json()["duration"] == pytest.approx(1 / 30)
