"""The kinds of stored files. Each app registers its own when the program starts, so that nothing here imports upward.

register_storage_kind(StorageKind("proxies", "Light copies", SourceVideo, ("proxy", "poster"), kept="…", again=…))
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q

from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet, ProfileOwned

TRASH = "trash"
OTHER = "other"
LABELS = {TRASH: "Trash", OTHER: "Other"}

Row = Any


@dataclass(frozen=True)
class MadeAgain:
    """How files of a kind are given up that can be made again.

    `link`: the foreign key to such a file. `rows(profile)`: the rows outside the trash that hold one, annotated with
    `stays`: a key of `reasons` for those whose file must stay, "" for the others. `reasons`: why, in words.
    `lock(profile, row_id)`: locks the row, and before it what the order of locks names before it (project, job,
    clip), until the transaction ends; NotFound when it is gone. `rows` is read again under this lock, so whoever begins
    to need a file must hold it as well. `give_up(row)`: takes the link off the row, in that transaction, and says
    whether it did: False when a closer look showed that the file must stay.
    """

    link: str
    rows: Callable[[Profile], GuardedQuerySet]
    reasons: Mapping[str, str]
    lock: Callable[[Profile, UUID], None]
    give_up: Callable[[Row], bool]


@dataclass(frozen=True)
class StorageKind:
    """Files that rows of `model` point to by the foreign keys `links`.

    `kept`: why the files stay that are never freed, in words. `trash`: the way from a row to the row that lies in the
    trash ("" is the row itself, "clip__" its clip); None: it never does.
    """

    name: str
    label: str
    model: type[ProfileOwned]
    links: Sequence[str]
    kept: str
    trash: str | None = ""
    again: MadeAgain | None = None

    def holds(self, profile: Profile, **rows: Any) -> Q:
        """The condition on stored files: some row of this kind (further narrowed by `rows`) points to it."""
        held: GuardedQuerySet = self.model.objects.for_profile(profile).filter(**rows).order_by()
        condition = Q()
        for link in self.links:
            condition |= Q(pk__in=held.filter(**{f"{link}__isnull": False}).values(link))
        return condition


_kinds: dict[str, StorageKind] = {}


def register_storage_kind(kind: StorageKind) -> None:
    """Called from an app's `ready()`; a second registration under the same name replaces the first."""
    _kinds[kind.name] = kind


def storage_kinds() -> list[StorageKind]:
    """All of them, from the footage upwards."""
    return list(_kinds.values())


def freeable_kinds() -> list[str]:
    """Names of the kinds that can be made again."""
    return [kind.name for kind in _kinds.values() if kind.again is not None]


def in_trash(profile: Profile, **when: Any) -> Q:
    """The condition on stored files: a row in the trash holds it. `when` narrows by its `trashed_at` or `trash_batch`:
    `in_trash(profile, trashed_at__lt=…)`."""
    narrowed = when or {"trashed_at__isnull": False}
    condition = Q(pk__in=[])
    for kind in _kinds.values():
        if kind.trash is not None:
            condition |= kind.holds(profile, **{f"{kind.trash}{name}": value for name, value in narrowed.items()})
    return condition
