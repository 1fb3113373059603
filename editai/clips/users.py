"""Who uses clips: upper floors register themselves, so that nothing here imports upward.

register_user_of_clips(ClipUser("publishing", find=..., before_change=..., purged=...))

A clip that somebody is still going to use must not change behind their back: before it does, its users are asked, and
may refuse. Whoever begins to use a clip (schedules a post of it) locks it in that transaction (`services.lock_clip`)
and looks at it then: the same lock is held here while users are asked, so that neither misses the other.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from profiles.models import Profile

Needs = Sequence[Iterable[Any]]
"""Ids of clips: lists, or querysets of one column."""


class Why(StrEnum):
    """What is about to happen to a clip."""

    RENDER = "render"  # its file is replaced, or a render is queued that will replace it
    TRASH = "trash"  # it goes to the trash, alone or with its project
    STALE = "stale"  # what it was made from changes: its file is out of date from then on
    COVER = "cover"  # its cover is set, replaced or removed


@dataclass(frozen=True)
class Dependant:
    """Something that depends on a clip, for a person to read."""

    kind: str  # post, …
    id: UUID
    name: str
    clip_id: UUID


def _nothing(profile: Profile, clip_ids: Collection[UUID], limit: int) -> Sequence[Dependant]:
    return ()


def _needs_none(profile: Profile) -> Needs:
    """For users that can do without a file."""
    return ()


def _agree(profile: Profile, clip_ids: Collection[UUID], why: str) -> None:
    """For users that do not mind."""


def _let_go(profile: Profile, clip_ids: Collection[UUID]) -> None:
    """For users that hold nothing."""


@dataclass(frozen=True)
class ClipUser:
    """What an upper floor does with clips. All run inside the profile's scope, `before_change` and `purged` inside the
    transaction that changes the clips, and all may be called with many ids.

    `find(profile, clip_ids, limit)`: what depends on any of them, at most `limit` entries.

    `before_change(profile, clip_ids, why)`: asked with the project and the clips locked, before the transaction of the
    change ends; rows may show the change already. `why` is a value of `Why`. It may raise Conflict: that undoes the
    whole change, whatever else it held, and reaches the caller as 409 with its `details`. It neither waits nor calls
    anybody: no HTTP inside a transaction.

    `purged(profile, clip_ids)`: they are about to be deleted for good: delete or clear the rows that point to them. It
    is also called by the hourly emptying of the trash; a Conflict keeps the clip in the trash until the next time.

    `needs(profile)`: the clips whose file may not be freed to make room, although it could be rendered again. Asked
    with the clip locked before its file goes, and without for figures.

    Not asked, because it must not be refused: what comes back from the trash (no post was to come when it went there),
    the deletion of segments for good (their projects' clips are stale since they went to the trash), and the last step
    of a render, as far as it looks at the project's other clips. The end of an ingest changes no clip.
    """

    name: str
    find: Callable[[Profile, Collection[UUID], int], Sequence[Dependant]] = _nothing
    before_change: Callable[[Profile, Collection[UUID], str], None] = _agree
    purged: Callable[[Profile, Collection[UUID]], None] = _let_go
    needs: Callable[[Profile], Needs] = _needs_none


_users: dict[str, ClipUser] = {}


def register_user_of_clips(user: ClipUser) -> None:
    """Called from an upper app's `ready()`; a second registration under the same name replaces the first."""
    _users[user.name] = user


def dependants_of(profile: Profile, clip_ids: Collection[UUID], limit: int) -> list[Dependant]:
    """What depends on these clips, by user, at most `limit` entries of each."""
    if not clip_ids:
        return []
    return [found for user in _users.values() for found in user.find(profile, clip_ids, limit)]


def ask_before_change(profile: Profile, clip_ids: Collection[UUID], why: Why) -> None:
    """Call it inside the transaction, with project and clips locked. Raises Conflict when a user refuses."""
    if clip_ids:
        for user in _users.values():
            user.before_change(profile, clip_ids, why)


def needs_of(profile: Profile) -> Needs:
    """The clips whose file somebody needs."""
    return [clip_ids for user in _users.values() for clip_ids in user.needs(profile)]


def tell_purged(profile: Profile, clip_ids: Collection[UUID]) -> None:
    """Call it inside the transaction, before the rows are deleted."""
    if clip_ids:
        for user in _users.values():
            user.purged(profile, clip_ids)
