"""Making room: giving up files that can be made again, and what lies in the trash.

Each row has a short transaction of its own, in which it is judged once more under its lock: so two processes at once
free a file once, one that is killed leaves nothing half done, and doing it again goes on from there.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from costs.storage.figures import Amount, amount, amounts, going, may_go, staying
from costs.storage.kinds import LABELS, TRASH, MadeAgain, StorageKind, freeable_kinds, in_trash, storage_kinds
from costs.storage.quota import stored_files, total_of
from profiles import trash
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, Invalid, NotFound
from profiles.files import doom
from profiles.models import Profile, StoredFile

log = logging.getLogger(__name__)

KEPT, TOO_NEW, NOT_YET = "kept", "too_new", "not_yet"
_NOT_YET = "They could not be freed just now. Ask once more."
_TRASH_KEPT = "Thrown away since then."


@dataclass(frozen=True)
class Stay:
    """What stays for one reason. `text`: the reason, in words."""

    reason: str
    text: str
    amount: Amount


@dataclass
class KindResult:
    """What goes (or went) of one kind, and what stays: together all that there was of it."""

    name: str
    label: str
    goes: Amount = field(default_factory=Amount)
    stays: list[Stay] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """`before`, `after`: all that is stored, in bytes; after a dry run, what would be. `is_complete`: False when time
    ran out first, and there is more that may go."""

    dry_run: bool
    is_complete: bool
    before: int
    after: int
    kinds: list[KindResult]


def free_up(
    *,
    profile: Profile,
    kinds: Collection[str] | None = None,
    older_than_days: int | None = None,
    dry_run: bool = True,
    seconds: float | None = None,
) -> Result:
    """Frees the files of these kinds (by default all that can be made again; the trash only when it is named) that were
    made, or thrown away, more than `older_than_days` days ago. With `dry_run` nothing changes.

    It begins nothing new after `seconds`. Invalid for a kind that there is not.
    """
    wanted = _named(kinds)
    before = None if older_than_days is None else timezone.now() - timedelta(days=older_than_days)
    clock = _Clock(seconds)
    total = total_of(stored_files(profile))
    results = []
    for kind in wanted:
        if kind is None:
            results.append(_trash(profile, before, dry_run, clock))
        else:
            results.append(_kind(kind, profile, before, dry_run, clock))
    freed = sum(one.goes.bytes for one in results)
    after = total - freed if dry_run else total_of(stored_files(profile))
    return Result(dry_run, not clock.ran_out, total, after, results)


class _Clock:
    def __init__(self, seconds: float | None) -> None:
        self.end = None if seconds is None else time.monotonic() + seconds
        self.ran_out = False

    def has_time(self) -> bool:
        self.ran_out = self.ran_out or (self.end is not None and time.monotonic() > self.end)
        return not self.ran_out


def _named(names: Collection[str] | None) -> list[StorageKind | None]:
    """The kinds of these names, None for the trash, in the order in which they are freed."""
    known = {kind.name: kind for kind in storage_kinds()}
    wanted = set(freeable_kinds() if names is None else names)
    unknown = wanted - {*known, TRASH}
    if unknown:
        raise Invalid(CHECK_FIELDS, fields={"kinds": [f"Choose from {', '.join([*known, TRASH])}."]})
    found: list[StorageKind | None] = [kind for name, kind in known.items() if name in wanted]
    return [*found, None] if TRASH in wanted else found


# --- what can be made again ----------------------------------------------------------------------------


def _kind(kind: StorageKind, profile: Profile, before: datetime | None, dry_run: bool, clock: _Clock) -> KindResult:
    result = KindResult(kind.name, kind.label)
    again = kind.again
    judged = Amount()
    if again is not None:
        result.goes = going(again, profile, before) if dry_run else _free(again, profile, before, clock)
        result.stays = _stays(again, profile, before, dry_run)
        judged = sum((stay.amount for stay in result.stays), result.goes)
    # as it is now: somebody else may be freeing, too
    there = amounts(profile).get(kind.name, Amount()) + (Amount() if dry_run else result.goes)
    rest = there - judged
    if rest.files:
        result.stays.append(Stay(KEPT, kind.kept, rest))
    return result


def _stays(again: MadeAgain, profile: Profile, before: datetime | None, dry_run: bool) -> list[Stay]:
    """What stays, of the rows as they are now."""
    found = [Stay(reason, again.reasons[reason], kept) for reason, kept in sorted(staying(again, profile).items())]
    may_go_now = going(again, profile, before)
    too_new = going(again, profile) - may_go_now
    if too_new.files:
        found.append(Stay(TOO_NEW, "Made since then.", too_new))
    if may_go_now.files and not dry_run:
        found.append(Stay(NOT_YET, _NOT_YET, may_go_now))
    return found


def _free(again: MadeAgain, profile: Profile, before: datetime | None, clock: _Clock) -> Amount:
    """Frees what may go, the oldest first."""
    ids = list(may_go(again, profile, before).order_by(f"{again.link}__created_at", "pk").values_list("pk", flat=True))
    freed = Amount()
    for row_id in ids:
        if not clock.has_time():
            break
        freed += _alone(row_id, partial(_give_up, again, profile, before))
    return freed


def _alone(row_id: UUID, work: Callable[[UUID], Amount]) -> Amount:
    """What `work` freed; one row that fails must not keep the others."""
    try:
        return work(row_id)
    except NotFound:
        return Amount()  # deleted meanwhile
    except Conflict:
        raise  # somebody says no, and why
    except Exception:  # the others have their turn, and this one the next
        log.exception("The files of %s could not be freed.", row_id)
    return Amount()


def _give_up(again: MadeAgain, profile: Profile, before: datetime | None, row_id: UUID) -> Amount:
    with transaction.atomic():
        again.lock(profile, row_id)
        row = may_go(again, profile, before).filter(pk=row_id).select_related(again.link).first()
        if row is None:
            return Amount()  # somebody was faster, or needs it by now
        file: StoredFile = getattr(row, again.link)
        if not again.give_up(row):
            return Amount()
        doom([file])
    return Amount(1, file.size)


# --- the trash -----------------------------------------------------------------------------------------


def _trash(profile: Profile, before: datetime | None, dry_run: bool, clock: _Clock) -> KindResult:
    """What lies there goes for good. What may not go (posts of it are still to come, say) stays."""
    result = KindResult(TRASH, LABELS[TRASH])
    if dry_run:
        result.goes = _in_trash(profile, before)
    else:
        result.goes, refused = _empty(profile, before, clock)
        result.stays = refused
        left = _in_trash(profile, before) - sum((stay.amount for stay in refused), Amount())
        if left.files:
            result.stays.append(Stay(NOT_YET, _NOT_YET, left))
    too_new = _in_trash(profile, None) - _in_trash(profile, before)
    if too_new.files:
        result.stays.append(Stay(TOO_NEW, _TRASH_KEPT, too_new))
    return result


def _empty(profile: Profile, before: datetime | None, clock: _Clock) -> tuple[Amount, list[Stay]]:
    """What went, and what may not go, by the code of the refusal."""
    gone, refused = Amount(), dict[str, Stay]()
    for kind, row_id in _thrown_away(profile, before):
        if not clock.has_time():
            break
        try:
            gone += _alone(row_id, partial(_purge, profile, kind))
        except Conflict as error:
            kept = amount(stored_files(profile).filter(in_trash(profile, trash_batch=row_id)))
            known = refused.get(error.code, Stay(error.code, error.message, Amount()))
            refused[error.code] = replace(known, amount=known.amount + kept)
    return gone, [stay for stay in refused.values() if stay.amount.files]


def _in_trash(profile: Profile, before: datetime | None) -> Amount:
    when = {"trashed_at__lt": before} if before else {}
    return amount(stored_files(profile).filter(in_trash(profile, **when)))


def _thrown_away(profile: Profile, before: datetime | None) -> Iterator[tuple[str, UUID]]:
    for kind in trash.kinds():
        rows = kind.model.objects.for_profile(profile).filter(trashed_at__isnull=False, trash_batch=F("id"))
        if before is not None:
            rows = rows.filter(trashed_at__lt=before)
        for row_id in list(rows.order_by("trashed_at", "pk").values_list("pk", flat=True)):
            yield kind.name, row_id


def _purge(profile: Profile, kind: str, row_id: UUID) -> Amount:
    with transaction.atomic():
        ids = list(stored_files(profile).filter(in_trash(profile, trash_batch=row_id)).values_list("pk", flat=True))
        trash.purge(profile=profile, kind_name=kind, row_id=row_id)
        doomed = StoredFile.objects.for_profile(profile).filter(pk__in=ids, state=StoredFile.State.DOOMED)
        return amount(doomed.order_by())
