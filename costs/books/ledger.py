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
    server_micros: int,
    *,
    key: str,
    bill: Priced = _NOTHING,
    used: Mapping[str, str] | None = None,
    is_unpriced: bool = False,
    is_estimated: bool = False,
    gives_back: bool = False,
    by: UUID | None = None,
    note: str = "",
) -> LedgerEntry:
    """Writes an entry about a call, in the caller's transaction, with the attempt locked. `gives_back`: what the call
    has reserved is free from now on. IntegrityError when an entry with this key is there already."""
    is_charge = kind is Kind.CHARGE
    entry: LedgerEntry = LedgerEntry.objects.create(
        profile_id=attempt.profile_id,
        key=key,
        kind=kind,
        attempt=attempt,
        amount_micros=amount_micros,
        server_micros=server_micros,
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
        count_units(entry, bill, used)
    limits = periods.limits_of(attempt)
    for scope, row, added in periods.spend(attempt, entry, calls=int(is_charge), gives_back=gives_back):
        warn(attempt.profile_id, scope, row, added, limits.get(scope.key))  # one that fails undoes nothing
    return entry


def _roll_up(entry: LedgerEntry, *, calls: int) -> None:
    _roll_up_more(
        entry,
        amount_micros=entry.amount_micros,
        calls=calls,
        unpriced_calls=calls * entry.is_unpriced,
        estimated_calls=calls * entry.is_estimated,
    )


def _roll_up_more(entry: LedgerEntry, **more: int) -> None:
    key = {
        "day": entry.day,
        "provider": entry.provider,
        "model": entry.model,
        "operation": entry.operation,
        "project_id": entry.project_id or NOBODY,
    }
    add_to_day(entry.profile_id, key, **more)


def add_to_day(profile_id: UUID, key: Mapping[str, Any], **more: int) -> None:
    """Adds to a row of the roll-up, in the caller's transaction."""
    add(CostDaily, {"profile_id": profile_id, **key}, more)


def count_units(entry: LedgerEntry, bill: Priced, used: Mapping[str, str]) -> None:
    """Adds what a charge used to the units of its day, in the caller's transaction."""
    amounts = {line.meter: line.amount_micros for line in bill.lines}
    for meter, quantity in sorted(used.items()):
        add(UnitsDaily, _units_key(entry, meter), {"quantity": quantity, "amount_micros": amounts.get(meter, 0)})


def _units_key(entry: LedgerEntry, meter: str) -> dict[str, Any]:
    return {
        "profile_id": entry.profile_id,
        "day": entry.day,
        "provider": entry.provider,
        "model": entry.model,
        "meter": meter,
    }


def now_priced(charge: LedgerEntry, bill: Priced) -> None:
    """Takes a charge out of those that had no price, in the caller's transaction; its units say what they cost."""
    _roll_up_more(charge, unpriced_calls=-1)
    had_one = {line["meter"] for line in charge.lines}
    for line in bill.lines:
        if line.meter not in had_one:
            add(UnitsDaily, _units_key(charge, line.meter), {"amount_micros": line.amount_micros})


def add(model: Any, key: Mapping[str, Any], more: Mapping[str, Any]) -> None:
    """Adds to the row with this key, which is made when it is missing; others may do the same at that moment."""
    increments = {name: F(name) + value for name, value in more.items()}
    if not model.objects.filter(**key).update(**increments):
        model.objects.bulk_create([model(**key)], ignore_conflicts=True)
        model.objects.filter(**key).update(**increments)
