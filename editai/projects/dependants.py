"""Projects as users of segments: named before a segment goes, told when it changes, rid of it when it is purged."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q

from editai.projects.models import Project, ProjectSegment
from editai.projects.services import project_changed
from editai.projects.timeline import measure
from profiles.models import Profile
from segments.dependants import Dependant, SegmentUser, register_user_of_segments


def _find(profile: Profile, segment_ids: Collection[UUID], limit: int) -> list[Dependant]:
    entries = ProjectSegment.objects.for_profile(profile).filter(
        segment__in=list(segment_ids), project__trashed_at=None
    )
    pairs = entries.order_by("project", "segment").values_list("project", "project__name", "segment").distinct()
    return [Dependant("project", project, name, segment) for project, name, segment in pairs[:limit]]


def _users(profile: Profile, segment_ids: Collection[UUID]) -> list[Project]:
    """The projects with one of these segments, locked in one order for all."""
    entries = ProjectSegment.objects.for_profile(profile).filter(segment__in=list(segment_ids))
    projects = Project.objects.for_profile(profile).filter(pk__in=entries.values("project"))
    return list(projects.order_by("pk").select_for_update(of=("self",), no_key=True))


def _changed(profile: Profile, segment_ids: Collection[UUID]) -> None:
    _follow(profile, segment_ids, may_refuse=True)


def _restored(profile: Profile, segment_ids: Collection[UUID]) -> None:
    _follow(profile, segment_ids, may_refuse=False)


def _follow(profile: Profile, segment_ids: Collection[UUID], *, may_refuse: bool) -> None:
    projects = _users(profile, segment_ids)
    entries = ProjectSegment.objects.for_profile(profile).filter(segment__in=list(segment_ids))
    trimmed = list(entries.filter(Q(trim_start__gt=0) | Q(trim_end__gt=0)).select_related("segment"))
    measure(trimmed)
    ProjectSegment.objects.bulk_update(trimmed, ["trimmed_seconds"], batch_size=500)
    for project in projects:
        project_changed(project, may_refuse=may_refuse)


def _purged(profile: Profile, segment_ids: Collection[UUID]) -> None:
    projects = _users(profile, segment_ids)
    ProjectSegment.objects.for_profile(profile).filter(segment__in=list(segment_ids)).delete()
    for project in projects:
        project_changed(project, may_refuse=False)


def register() -> None:
    user = SegmentUser("projects", find=_find, changed=_changed, restored=_restored, purged=_purged)
    register_user_of_segments(user)
