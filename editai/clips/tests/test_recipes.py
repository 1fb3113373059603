"""Which clip a project gives: orders of variants, and digests that tell equal from different."""

from typing import Any

import pytest

from editai.clips.models import ExportPreset
from editai.clips.recipes import MAX_VARIANTS, arranged, digest_of, plan_of
from editai.projects.models import Project, ProjectSegment
from editai.projects.tests.builders import make_project, make_segment, make_source
from editai.projects.timeline import timeline_of

pytestmark = pytest.mark.django_db


def order(project: Project, variant: int) -> tuple[list[int], float]:
    placed, zoom = arranged(timeline_of(project), variant)
    return [item.entry.position for item in placed], zoom


def digest(project: Project, variant: int = 1, preset: str = "tiktok", quality: str = "draft") -> str:
    placed = timeline_of(project)
    plan = plan_of(project, placed, ExportPreset.objects.get(pk=preset), quality, variant)
    return digest_of(plan, {item.source.pk: item.source for item in placed})


def test_variants_open_with_another_segment(project: Project) -> None:
    assert [order(project, n) for n in (1, 2, 3)] == [([0, 1, 2], 1.0), ([1, 0, 2], 1.0), ([2, 0, 1], 1.0)]
    assert [order(project, n) for n in (4, 5, 6)] == [([0, 2, 1], 1.0), ([1, 2, 0], 1.0), ([2, 1, 0], 1.0)]
    assert order(project, 7) == ([0, 1, 2], 1.04)


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_no_two_variants_are_the_same(in_scope: Any, count: int) -> None:
    source = make_source(in_scope)
    project = make_project(in_scope, *(make_segment(source, n * 0.5, n * 0.5 + 1) for n in range(count)))
    assert len({digest(project, n) for n in range(1, MAX_VARIANTS + 1)}) == MAX_VARIANTS


def test_the_same_segment_again_and_again(in_scope: Any) -> None:
    segment = make_segment(make_source(in_scope))
    project = make_project(in_scope, *[segment] * 30)
    ProjectSegment.objects.filter(project=project).update(zoom=10)
    plans = [plan_of(project, timeline_of(project), ExportPreset(pk="x"), "draft", n) for n in (1, 2, 3)]
    assert [round(plan["entries"][0]["crop"][2], 3) for plan in plans] == [10, 9.615, 9.246]


def test_entries_that_differ_in_what_nobody_hears(in_scope: Any) -> None:
    segment = make_segment(make_source(in_scope))
    project = make_project(in_scope, segment, segment)
    ProjectSegment.objects.filter(project=project).update(is_muted=True)
    ProjectSegment.objects.filter(project=project, position=1).update(volume=2, fade_in=1)
    assert len({digest(project, n) for n in range(1, MAX_VARIANTS + 1)}) == MAX_VARIANTS


def test_what_changes_the_digest(in_scope: Any, project: Project) -> None:
    before = digest(project)
    assert digest(project) == before
    assert digest(project, preset="instagram-reels") == before  # the same picture, for another network
    assert len({before, digest(project, quality="best"), digest(project, variant=2)}) == 3
    entries = ProjectSegment.objects.filter(project=project, position=1)
    seen = {before}
    for change in ({"zoom": 2.0}, {"crop_x": 0.1}, {"trim_end": 0.5}, {"fade_in": 1.0}, {"is_muted": True}):
        entries.update(**change)
        seen.add(digest(project))
    assert len(seen) == 6
    entries.update(zoom=1, crop_x=0.5, is_muted=False, trim_end=0, fade_in=0)
    assert digest(project) == before


def test_names_and_places_do_not(in_scope: Any, project: Project) -> None:
    before = digest(project)
    segments = [item.segment for item in timeline_of(project)]
    other = make_project(in_scope, *segments, name="Another")
    assert digest(other) == before
