"""Clips, and what uses them, as users of segments through their projects: named before a segment goes. That they turn
stale follows from the project, which is told as well."""

from collections.abc import Collection
from uuid import UUID

from editai.clips import users
from editai.clips.models import Clip
from profiles.models import Profile
from segments.dependants import Dependant, SegmentUser, register_user_of_segments


def _clips(profile: Profile, segment_ids: Collection[UUID], limit: int) -> list[tuple[UUID, str, UUID]]:
    """(clip, its name, segment), newest first."""
    clips = Clip.objects.for_profile(profile).filter(trashed_at=None, project__entries__segment__in=list(segment_ids))
    rows = clips.order_by("-created_at", "-pk").values_list("pk", "name", "project__entries__segment").distinct()
    return list(rows[:limit])


def _find(profile: Profile, segment_ids: Collection[UUID], limit: int) -> list[Dependant]:
    clips = _clips(profile, segment_ids, limit)
    segment_of = {clip: segment for clip, _, segment in reversed(clips)}
    using = users.dependants_of(profile, list(segment_of), limit)
    return [
        *(Dependant("clip", clip, name, segment) for clip, name, segment in clips),
        *(Dependant(found.kind, found.id, found.name, segment_of[found.clip_id]) for found in using),
    ]


def register() -> None:
    register_user_of_segments(SegmentUser("clips", find=_find))
