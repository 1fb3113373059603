"""A clip is stale when its project would give another one now, and not a moment longer."""

from collections.abc import Callable
from typing import Any

import pytest

from conftest import Person
from editai.clips.models import Clip
from editai.projects import services as projects
from editai.projects.models import Project, ProjectSegment
from jobs.models import Job
from profiles.models import Profile, StoredFile
from profiles.trash import purge, restore, throw_away
from segments.models import Segment
from segments.services import segment_delete, segment_update

pytestmark = pytest.mark.django_db


@pytest.fixture
def clip(project: Project, generate: Callable[..., Job], in_scope: Profile) -> Clip:
    """A clip that says it was rendered."""
    generate(project)
    found: Clip = Clip.objects.get()
    key = f"profiles/{in_scope.pk}/test/clip"
    found.file = StoredFile.objects.create(profile=in_scope, key=key, content_type="video/mp4", state="stored")
    found.state, found.rendered_hash = Clip.State.READY, found.recipe_hash
    found.save()
    return found


@pytest.fixture
def stale(clip: Clip) -> Callable[[], bool]:
    def look() -> bool:
        clip.refresh_from_db()
        return clip.is_stale

    return look


@pytest.fixture
def entries(project: Project) -> list[ProjectSegment]:
    return list(ProjectSegment.objects.filter(project=project).order_by("position").select_related("segment"))


def test_order(in_scope: Profile, project: Project, entries: list[ProjectSegment], stale: Callable[[], bool]) -> None:
    ids = [entry.segment_id for entry in entries]
    projects.entries_replace(profile=in_scope, project=project, segment_ids=ids)
    assert not stale()
    projects.entries_replace(profile=in_scope, project=project, segment_ids=ids[::-1])
    assert stale()
    projects.entries_replace(profile=in_scope, project=project, segment_ids=ids)
    assert not stale()
    projects.entries_replace(profile=in_scope, project=project, segment_ids=[])
    assert stale()


def test_settings_of_an_entry(
    in_scope: Profile, project: Project, entries: list[ProjectSegment], stale: Callable[[], bool]
) -> None:
    for change, back in (({"zoom": 2.0}, {"zoom": 1.0}), ({"trim_end": 0.5}, {"trim_end": 0.0})):
        projects.entry_update(profile=in_scope, project=project, entry_id=entries[1].pk, **change)
        assert stale()
        projects.entry_update(profile=in_scope, project=project, entry_id=entries[1].pk, **back)
        assert not stale()


def test_framing_and_names(in_scope: Profile, project: Project, stale: Callable[[], bool]) -> None:
    projects.project_update(profile=in_scope, project=project, name="Winter", description="…")
    assert not stale()
    projects.project_update(profile=in_scope, project=project, framing="pad")
    assert stale()
    projects.project_update(profile=in_scope, project=project, framing="fill")
    assert not stale()


def test_borders_of_a_segment(in_scope: Profile, entries: list[ProjectSegment], stale: Callable[[], bool]) -> None:
    segment = entries[0].segment
    segment_update(profile=in_scope, segment_id=segment.pk, changes={"notes": "nice"})
    assert not stale()
    segment_update(profile=in_scope, segment_id=segment.pk, changes={"end_time": 1.5})
    assert stale()
    segment_update(profile=in_scope, segment_id=segment.pk, changes={"end_time": 2.0})
    assert not stale()


def test_a_segment_in_the_trash_and_back(
    in_scope: Profile, entries: list[ProjectSegment], stale: Callable[[], bool]
) -> None:
    segment_delete(profile=in_scope, segment=entries[0].segment)
    assert stale()
    restore(profile=in_scope, kind_name="segment", row_id=entries[0].segment_id)
    assert not stale()


def test_a_source_in_the_trash_and_back(
    in_scope: Profile, entries: list[ProjectSegment], stale: Callable[[], bool]
) -> None:
    source = entries[0].segment.source
    throw_away(source)
    assert stale()
    restore(profile=in_scope, kind_name="source_video", row_id=source.pk)
    assert not stale()


def test_a_purged_segment_leaves_the_project(
    in_scope: Profile, project: Project, entries: list[ProjectSegment], stale: Callable[[], bool], owner: Person
) -> None:
    segment = entries[0].segment
    segment_delete(profile=in_scope, segment=segment)
    purge(profile=in_scope, kind_name="segment", row_id=segment.pk)
    assert not Segment.objects.filter(pk=segment.pk).exists()
    assert ProjectSegment.objects.filter(project=project).count() == 2
    assert stale()
    lineup = owner.client.get(f"/api/v1/projects/{project.pk}/segments/").json()
    assert [row["position"] for row in lineup["results"]] == [1, 2]


def test_only_clips_that_were_rendered_turn_stale(
    in_scope: Profile, project: Project, generate: Callable[..., Job], clip: Clip
) -> None:
    generate(project, variant_count=2)
    projects.project_update(profile=in_scope, project=project, framing="pad")
    assert list(Clip.objects.order_by("variant").values_list("is_stale", flat=True)) == [True, False]


def test_what_depends_on_a_segment_is_named(entries: list[ProjectSegment], in_scope: Profile, clip: Clip) -> None:
    from segments.dependants import dependants_of

    found = dependants_of(in_scope, [entries[0].segment_id], 10)
    assert [(item.kind, item.name, item.segment_id) for item in found] == [
        ("project", "Summer", entries[0].segment_id),
        ("clip", "Summer", entries[0].segment_id),
    ]


def test_it_costs_a_constant_number_of_queries(
    in_scope: Profile,
    project: Project,
    clip: Clip,
    generate: Callable[..., Job],
    django_assert_num_queries: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from editai.clips import users
    from editai.clips.staleness import refresh

    monkeypatch.setattr(users, "_users", {})  # what they ask is theirs
    generate(project, variant_count=10)
    Clip.objects.exclude(pk=clip.pk).update(
        file=clip.file, state=Clip.State.READY, rendered_hash="f" * 64, is_stale=False
    )
    with django_assert_num_queries(6):  # clips, entries, segments, sources, the lock before a question, one update
        refresh(project)
    assert Clip.objects.filter(is_stale=True).count() == 9
