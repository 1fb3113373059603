"""Entries of the ledger, and all that follows from one: the roll-up and the periods, in the same transaction."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import F

from costs.books import periods
from costs.books.alerts import warn
from costs.models import NOBODY, CostDaily, LedgerEntry, UnitsDaily, UsageAttempt
from costs.money import CURRENCY, day_of
from costs.prices.pricebook import Priced

Kind = LedgerEntry.Kind
_NOTHING = Priced((), ())


def book(
    attempt: UsageAttempt,
    kind: LedgerEntry.Kind,
    amount_micros: int,
    *,
    key: str,
    bill: Priced = _NOTHING,
    used: Mapping[str, str] | None = None,
    is_unpriced: bool = False,
    is_estimated: bool = False,
    reserved: int = 0,
    by: UUID | None = None,
    note: str = "",
) -> LedgerEntry:
    """Writes an entry about a call, in the caller's transaction, with the attempt locked. `reserved`: what the call
    had reserved and does no longer. IntegrityError when an entry with this key is there already."""
    is_charge = kind is Kind.CHARGE
    entry: LedgerEntry = LedgerEntry.objects.create(
        profile_id=attempt.profile_id,
        key=key,
        kind=kind,
        attempt=attempt,
        amount_micros=amount_micros,
        currency=CURRENCY,
        provider=attempt.provider,
        model=attempt.model_billed or attempt.model_requested,
        operation=attempt.operation,
        job_id=attempt.job_id,
        project_id=attempt.project_id,
        usage=dict(used or {}),
        lines=[line.as_json() for line in bill.lines],
        is_unpriced=is_unpriced,
        is_estimated=is_estimated,
        occurred_at=attempt.occurred_at,
        day=day_of(attempt.occurred_at),
        booked_by=by,
        note=note,
    )
    _roll_up(entry, calls=int(is_charge))
    if used:
        _count_units(entry, bill, used)
    limits = periods.limits_of(attempt)
    for scope, row in periods.spend(attempt, amount_micros, calls=int(is_charge), reserved=reserved):
        warn(attempt.profile_id, scope, row, amount_micros, limits.get(scope.key))
    return entry


def _roll_up(entry: LedgerEntry, *, calls: int) -> None:
    add_to_day(
        entry.profile_id,
        {
            "day": entry.day,
            "provider": entry.provider,
            "model": entry.model,
            "operation": entry.operation,
            "project_id": entry.project_id or NOBODY,
        },
        amount_micros=entry.amount_micros,
        calls=calls,
        unpriced_calls=calls * entry.is_unpriced,
        estimated_calls=calls * entry.is_estimated,
    )


def add_to_day(profile_id: UUID, key: Mapping[str, Any], **more: int) -> None:
    """Adds to a row of the roll-up, in the caller's transaction."""
    add(CostDaily, {"profile_id": profile_id, **key}, more)


def _count_units(entry: LedgerEntry, bill: Priced, used: Mapping[str, str]) -> None:
    amounts = {line.meter: line.amount_micros for line in bill.lines}
    for meter, quantity in sorted(used.items()):
        key = {"profile_id": entry.profile_id, "day": entry.day, "provider": entry.provider, "model": entry.model}
        add(UnitsDaily, {**key, "meter": meter}, {"quantity": quantity, "amount_micros": amounts.get(meter, 0)})


def add(model: Any, key: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    """Adds to the row with this key, which is made when it is missing; others may do the same at that moment."""
    increments = {name: F(name) + value for name, value in more.items()}
    if not model.objects.filter(**key).update(**increments):
        model.objects.bulk_create([model(**key)], ignore_conflicts=True)
        model.objects.filter(**key).update(**increments)
