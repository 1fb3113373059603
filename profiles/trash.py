"""The trash: rows that were deleted by hand stay for TRASH_DAYS, with their links and files, and can come back.

Apps register what they keep there. `trash_batch` is the id of the row that was thrown away: rows that went along
with it (segments with their source) carry it too, and come back or vanish with it, never alone.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone

from profiles import scope
from profiles.errors import Conflict, NotFound
from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet, ProfileOwned

log = logging.getLogger(__name__)


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

    `companions(row)`: querysets of rows that go along when `row` goes. `purge(row)`: deletes the row for good with
    all that went along, its files doomed, inside the caller's transaction. `label(row)`: what people read. `rows()`:
    how to load rows for a list, when the label needs more than the row or the row is heavy. `on_trash` and
    `on_restore` run in the transaction of the deed; what they raise undoes it.
    """

    name: str
    model: type[Trashable]
    label: Callable[[Row], str]
    purge: Callable[[Row], None]
    companions: Callable[[Row], list[GuardedQuerySet]] = lambda row: []
    on_trash: Callable[[Row], None] = lambda row: None
    on_restore: Callable[[Row], None] = lambda row: None
    rows: Callable[[], GuardedQuerySet] | None = None


_kinds: dict[str, TrashKind] = {}


def register_trash(kind: TrashKind) -> None:
    _kinds[kind.name] = kind


def kinds() -> list[TrashKind]:
    return list(_kinds.values())


def kind_of(row: Row) -> TrashKind:
    return next(kind for kind in _kinds.values() if kind.model is type(row))


def throw_away(row: Row) -> None:
    """Puts `row` and what goes along with it into the trash; NotFound when it is there already."""
    kind, now = kind_of(row), timezone.now()
    with transaction.atomic():
        mine = kind.model.objects.for_profile(row.profile).filter(pk=row.pk, trashed_at=None)
        if not mine.update(trashed_at=now, trash_batch=row.pk):
            raise NotFound
        for companions in kind.companions(row):
            companions.filter(trashed_at=None).update(trashed_at=now, trash_batch=row.pk)
        row.trashed_at, row.trash_batch = now, row.pk
        kind.on_trash(row)


def thrown_away(profile: Profile, kind: TrashKind) -> GuardedQuerySet:
    """What was thrown away of this kind; not what only went along with something else."""
    rows = kind.rows() if kind.rows else kind.model.objects.all()
    found: GuardedQuerySet = rows.for_profile(profile).filter(trashed_at__isnull=False, trash_batch=F("id"))
    return found


def companions_of(profile: Profile, ids: Collection[UUID]) -> dict[UUID, Counter[str]]:
    """How many rows of which kind went along with each of the rows `ids`; one query for each kind."""
    counts: dict[UUID, Counter[str]] = {row_id: Counter() for row_id in ids}
    for kind in kinds():
        batches = (
            kind.model.objects.for_profile(profile)
            .filter(trash_batch__in=list(ids))
            .exclude(trash_batch=F("id"))
            .order_by()
            .values_list("trash_batch")
            .annotate(rows=models.Count("pk"))
        )
        for batch, rows in batches:
            counts[batch][kind.name] = rows
    return counts


def restore(*, profile: Profile, kind_name: str, row_id: UUID) -> Row:
    """Takes a row, and all that went along with it, out of the trash. NotFound when it is not there; Conflict when
    it went along with another row, or stands on one that is still there."""
    with transaction.atomic():
        kind, row = _find(profile, kind_name, row_id)
        for other in kinds():
            other.model.objects.for_profile(profile).filter(trash_batch=row.pk).update(
                trashed_at=None, trash_batch=None
            )
        row.trashed_at = row.trash_batch = None
        kind.on_restore(row)
    return row


def purge(*, profile: Profile, kind_name: str, row_id: UUID) -> None:
    """Deletes a row in the trash for good, with its files and all that went along. NotFound when it is not there."""
    with transaction.atomic():
        kind, row = _find(profile, kind_name, row_id)
        kind.purge(row)


def _find(profile: Profile, kind_name: str, row_id: UUID) -> tuple[TrashKind, Row]:
    """The row in the trash, locked."""
    kind = _kinds.get(kind_name)
    if kind is None:
        raise NotFound
    rows = kind.model.objects.for_profile(profile).filter(pk=row_id, trashed_at__isnull=False)
    row = rows.select_for_update(of=("self",)).first()
    if row is None:
        raise NotFound
    if row.trash_batch != row.pk:
        raise Conflict("This went to the trash along with something else: deal with that.", code="not_on_its_own")
    return kind, row


def empty_old() -> int:
    """Purges what has lain in the trash for longer than TRASH_DAYS. Returns how many rows were thrown away once."""
    before = timezone.now() - timedelta(days=settings.TRASH_DAYS)
    found: list[tuple[UUID, str, UUID]] = []
    with scope.all_profiles("empty the trash"):
        for kind in kinds():
            rows = kind.model.objects.filter(trashed_at__lt=before, trash_batch=F("id"))
            due = rows.filter(profile__state=Profile.State.ACTIVE).values_list("profile_id", "pk")
            found += [(profile_id, kind.name, pk) for profile_id, pk in due[:1000]]
    purged = 0
    for profile_id, kind_name, pk in found:
        with scope.activate(profile_id):
            profile = Profile.objects.filter(pk=profile_id).first()
            try:
                if profile is not None:
                    purge(profile=profile, kind_name=kind_name, row_id=pk)
                    purged += 1
            except NotFound:
                continue  # somebody was faster, or restored it
            except Exception:  # one row that cannot go must not keep all others
                log.exception("A %s stays in the trash.", kind_name)
    return purged
