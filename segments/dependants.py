"""Who uses segments: upper floors register themselves, so that nothing here imports upward.

register_user_of_segments(SegmentUser("projects", find=..., changed=..., purged=...))
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from profiles.models import Profile


@dataclass(frozen=True)
class Dependant:
    """Something that depends on a segment, for a person to read."""

    kind: str  # project, clip, …
    id: UUID
    name: str
    segment_id: UUID


def _nothing(profile: Profile, segment_ids: Collection[UUID]) -> None:
    """For users that do not mind."""


@dataclass(frozen=True)
class SegmentUser:
    """What an upper floor does with segments. All run inside the profile's scope, all but the first inside the
    transaction that changes the segments, and all may be called with many ids.

    `find(profile, segment_ids, limit)`: what depends on any of them, at most `limit` entries. `changed`: their
    borders moved, or they went to the trash: what was made from them is stale; it may raise Conflict, which undoes
    the change. `restored`: they came back from the trash, which nobody may refuse. `purged`: they are about to be
    deleted for good: delete the rows that point to them (or raise Conflict to keep them).
    """

    name: str
    find: Callable[[Profile, Collection[UUID], int], Sequence[Dependant]]
    changed: Callable[[Profile, Collection[UUID]], None] = _nothing
    restored: Callable[[Profile, Collection[UUID]], None] = _nothing
    purged: Callable[[Profile, Collection[UUID]], None] = _nothing


_users: dict[str, SegmentUser] = {}


def register_user_of_segments(user: SegmentUser) -> None:
    """Called from an upper app's `ready()`; a second registration under the same name replaces the first."""
    _users[user.name] = user


def dependants_of(profile: Profile, segment_ids: Collection[UUID], limit: int) -> list[Dependant]:
    """What depends on these segments, by user, at most `limit` entries of each."""
    if not segment_ids:
        return []
    return [found for user in _users.values() for found in user.find(profile, segment_ids, limit)]


def tell_changed(profile: Profile, segment_ids: Collection[UUID]) -> None:
    if segment_ids:
        for user in _users.values():
            user.changed(profile, segment_ids)


def tell_restored(profile: Profile, segment_ids: Collection[UUID]) -> None:
    if segment_ids:
        for user in _users.values():
            user.restored(profile, segment_ids)


def tell_purged(profile: Profile, segment_ids: Collection[UUID]) -> None:
    if segment_ids:
        for user in _users.values():
            user.purged(profile, segment_ids)
