"""The trash: rows that were deleted by hand stay for TRASH_DAYS, with their links and files, and can come back.

Apps register what they keep there. Rows that go along with another one (segments with their source) carry the same
`trash_batch`, and come back with it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from profiles import scope
from profiles.errors import NotFound
from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet, ProfileOwned, new_id


class Trashable(ProfileOwned):
    """A tenant row that goes to the trash instead of away. Reading code says `.alive()`."""

    trashed_at = models.DateTimeField(null=True, blank=True, editable=False)
    trash_batch = models.UUIDField(null=True, editable=False)

    class Meta(ProfileOwned.Meta):
        abstract = True


def alive(queryset: GuardedQuerySet) -> GuardedQuerySet:
    """The rows of `queryset` that are not in the trash."""
    return queryset.filter(trashed_at=None)


Row = Any


@dataclass(frozen=True)
class TrashKind:
    """What an app keeps in the trash.

    `dependants(row)`: querysets of rows that go along when `row` goes. `purge(row)`: deletes the row for good, its
    files doomed, inside the caller's transaction. `name(row)`: what people read.
    """

    name: str
    model: type[Trashable]
    label: Callable[[Row], str]
    purge: Callable[[Row], None]
    companions: Callable[[Row], list[GuardedQuerySet]] = lambda row: []
    on_trash: Callable[[Row], None] = lambda row: None
    on_restore: Callable[[Row], None] = lambda row: None


_kinds: dict[str, TrashKind] = {}


def register_trash(kind: TrashKind) -> None:
    _kinds[kind.name] = kind


def kinds() -> list[TrashKind]:
    return list(_kinds.values())


def kind_of(row: Row) -> TrashKind:
    return next(kind for kind in _kinds.values() if kind.model is type(row))


def throw_away(row: Row) -> None:
    """Puts `row` and what goes along with it into the trash; NotFound when it is there already."""
    kind, now, batch = kind_of(row), timezone.now(), new_id()
    with transaction.atomic():
        mine = kind.model.objects.for_profile(row.profile).filter(pk=row.pk, trashed_at=None)
        if not mine.update(trashed_at=now, trash_batch=batch):
            raise NotFound
        for companions in kind.companions(row):
            companions.filter(trashed_at=None).update(trashed_at=now, trash_batch=batch)
        row.trashed_at, row.trash_batch = now, batch
        kind.on_trash(row)


def restore(*, profile: Profile, kind_name: str, row_id: UUID) -> Row:
    """Takes a row, and all that went along with it, out of the trash."""
    with transaction.atomic():
        kind, row = _find(profile, kind_name, row_id)
        for other in kinds():
            other.model.objects.for_profile(profile).filter(trash_batch=row.trash_batch).update(
                trashed_at=None, trash_batch=None
            )
        row.trashed_at = row.trash_batch = None
        kind.on_restore(row)
    return row


def purge(*, profile: Profile, kind_name: str, row_id: UUID) -> None:
    """Deletes a row in the trash for good, with its files."""
    with transaction.atomic():
        kind, row = _find(profile, kind_name, row_id)
        kind.purge(row)


def _find(profile: Profile, kind_name: str, row_id: UUID) -> tuple[TrashKind, Row]:
    kind = _kinds.get(kind_name)
    if kind is None:
        raise NotFound
    row = (
        kind.model.objects.select_for_update(of=("self",))
        .for_profile(profile)
        .filter(Q(pk=row_id) & Q(trashed_at__isnull=False))
        .first()
    )
    if row is None:
        raise NotFound
    return kind, row


def empty_old() -> int:
    """Purges what has lain in the trash for longer than TRASH_DAYS. Returns how many rows were asked for."""
    before = timezone.now() - timedelta(days=settings.TRASH_DAYS)
    found: list[tuple[UUID, str, UUID]] = []
    with scope.all_profiles("empty the trash"):
        for kind in kinds():
            rows = kind.model.objects.filter(trashed_at__lt=before).values_list("profile_id", "pk")
            found += [(profile_id, kind.name, pk) for profile_id, pk in rows[:1000]]
    for profile_id, kind_name, pk in found:
        with scope.activate(profile_id):
            profile = Profile.objects.get(pk=profile_id)
            try:
                purge(profile=profile, kind_name=kind_name, row_id=pk)
            except NotFound:
                continue  # it went along with another row just now
    return len(found)
