"""Charging calls, and correcting what was charged: each a transaction of its own, never inside another."""

from uuid import UUID

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from costs.books.attempts import State, copy, end, is_open, locked
from costs.books.bills import Bill, bill_of
from costs.books.ledger import Kind, book, count_units, now_priced
from costs.models import LedgerEntry, UsageAttempt
from costs.money import MOST_MICROS, Quantities, as_text, quantities
from costs.prices.pricebook import Priced
from editai.notify.text import one_line
from profiles.errors import Conflict
from profiles.models import Profile

_NO_LINES = Priced((), ())


def settle(attempt: UsageAttempt, used: Quantities, *, model: str = "", request_id: str = "") -> LedgerEntry:
    """Charges what was used, by the model that the provider says it used. The same attempt again charges nothing more;
    figures that come after it was charged by its estimate correct that. Returns the entry that charged it.

    ValueError for figures that come to more than any one call can cost.
    """
    with transaction.atomic(durable=True):
        row = locked(attempt)
        charge = row.entries.filter(kind=Kind.CHARGE).first()
        if charge is not None and row.usage is not None:
            return charge
        row.usage, row.request_id = as_text(used), one_line(request_id)[:200]
        row.model_billed = one_line(model)[:100] or row.model_requested
        bill = bill_of(row, used)
        if max(bill.own.amount_micros, bill.server_micros) > MOST_MICROS:
            raise ValueError("These figures come to more than any one call can cost.")
        if charge is None:
            charge = _charge(row, bill, used)
        else:
            _take_late_figures(row, charge, bill)
        copy(row, attempt)
    return charge


def _what_counts(row: UsageAttempt, bill: Bill) -> tuple[int, int]:
    """What is booked for a bill: for the profile, for the server. Of one that lacks a price at least what was reserved:
    money went, and too much is better than too little."""
    if not bill.own.unpriced:
        return bill.own.amount_micros, bill.server_micros
    return max(bill.own.amount_micros, row.reserved_micros), max(bill.server_micros, row.server_reserved_micros)


def _take_late_figures(row: UsageAttempt, charge: LedgerEntry, bill: Bill) -> None:
    """Corrects a charge by estimate; what a person has said of it since stays."""
    count_units(charge, bill.own, row.usage or {})
    if row.reconciled_at is None:
        note = "The provider's figures came late."
        _correct(row, *_what_counts(row, bill), key=f"figures:{row.pk}", note=note, bill=bill.own)
        row.needs_reconciliation = bool(bill.own.unpriced)
    row.save()


def _charge(row: UsageAttempt, bill: Bill, used: Quantities) -> LedgerEntry:
    own, server = _what_counts(row, bill)
    unpriced = bool(bill.own.unpriced)
    entry = book(
        row,
        Kind.CHARGE,
        own,
        server,
        key=f"charge:{row.pk}",
        bill=bill.own,
        used=as_text(used),
        is_unpriced=unpriced,
        is_estimated=own > bill.own.amount_micros,
        gives_back=is_open(row),
        note=f"No price for {', '.join(bill.own.unpriced)}."[:300] if unpriced else "",
    )
    row.is_unpriced = row.needs_reconciliation = unpriced
    _settled(row)
    return entry


def _settled(row: UsageAttempt) -> None:
    row.state, row.ended_at, row.sent_at = State.SETTLED, timezone.now(), row.sent_at or row.occurred_at
    row.save()


def charge_estimate(attempt: UsageAttempt) -> bool:
    """Charges what was reserved, because nothing better became known in time. False when it has ended meanwhile."""
    with transaction.atomic(durable=True):
        row = locked(attempt)
        if row.state != State.UNKNOWN:
            return False
        book(
            row,
            Kind.CHARGE,
            row.reserved_micros,
            row.server_reserved_micros,
            key=f"charge:{row.pk}",
            is_unpriced=row.is_unpriced,
            is_estimated=True,
            gives_back=True,
            note="Charged as reserved: the answer never came.",
        )
        _settled(row)
    return True


def reconcile(
    *, profile: Profile, attempt: UsageAttempt, amount_micros: int, by: UUID, is_operator: bool, note: str = ""
) -> UsageAttempt:
    """A person's word on what the provider really charged for a call: an unclear one ends with it, a charge that is
    there is corrected. What counts for the server only an operator's word changes. Conflict while the call is under
    way."""
    with transaction.atomic(durable=True):
        row = locked(attempt)
        if row.state in {State.RESERVED, State.SENT}:
            raise Conflict("This call is under way: wait until it has ended.", code="call_under_way")
        number = row.entries.count()
        if row.entries.filter(kind=Kind.CHARGE).exists():
            server = amount_micros if is_operator else _booked(row)[1]
            _correct(row, amount_micros, server, key=f"reconciled:{row.pk}:{number}", note=note, by=by)
        elif amount_micros == 0 and (is_operator or not is_open(row)):
            if is_open(row):
                end(row, State.RELEASED, note=note or "Not charged, says a person.")
        else:
            _charge_by_word(row, amount_micros, is_operator, by, note)
        row.note = note[:300] or row.note
        row.needs_reconciliation, row.reconciled_at = False, timezone.now()
        row.save()
    return row


def _charge_by_word(row: UsageAttempt, amount_micros: int, is_operator: bool, by: UUID, note: str) -> None:
    server = amount_micros if is_operator else row.server_reserved_micros
    book(row, Kind.CHARGE, amount_micros, server, key=f"charge:{row.pk}", gives_back=is_open(row), by=by, note=note)
    _settled(row)


def reprice(attempt: UsageAttempt, *, by: UUID) -> LedgerEntry | None:
    """Prices a call anew by the rules as they are now known for its moment, and books the difference. None when there
    is none, no figures to price, or a person has said what it cost."""
    with transaction.atomic(durable=True):
        row = locked(attempt)
        charge = row.entries.filter(kind=Kind.CHARGE).first()
        if row.usage is None or charge is None or row.reconciled_at is not None:
            return None
        bill = bill_of(row, quantities(row.usage))
        if bill.own.unpriced or max(bill.own.amount_micros, bill.server_micros) > MOST_MICROS:
            return None
        entry = _correct(
            row,
            bill.own.amount_micros,
            bill.server_micros,
            key=f"repriced:{row.pk}:{row.entries.count()}",
            note="Priced anew.",
            by=by,
            bill=bill.own,
        )
        if row.is_unpriced:
            now_priced(charge, bill.own)
        row.is_unpriced = row.needs_reconciliation = False
        row.save()
    return entry


def _booked(row: UsageAttempt) -> tuple[int, int]:
    """What is booked for a call so far: for its profile, for the server."""
    sums = row.entries.aggregate(own=Sum("amount_micros"), server=Sum("server_micros"))
    return sums["own"] or 0, sums["server"] or 0


def _correct(
    row: UsageAttempt,
    amount_micros: int,
    server_micros: int,
    *,
    key: str,
    note: str,
    by: UUID | None = None,
    bill: Priced = _NO_LINES,
) -> LedgerEntry | None:
    """Brings what is booked for a call to these amounts."""
    own, server = _booked(row)
    difference, of_server = amount_micros - own, server_micros - server
    if difference == of_server == 0:
        return None
    kind = Kind.REFUND if difference < 0 else Kind.ADJUSTMENT
    return book(row, kind, difference, of_server, key=key, by=by, note=note[:300], bill=bill)
