"""The states of a call that costs money, each change one transaction of its own, never inside another.

`reserved -> sent -> settled | released | unknown`, `reserved -> released`, `unknown -> settled | released`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from costs.books import periods
from costs.books.alerts import tell_blocked
from costs.books.ledger import Kind, book
from costs.errors import AlreadyPaid, BudgetExceeded, NoPrice, OutsideTheDoor, PaidCallUnknown, ProviderStopped
from costs.models import LedgerEntry, ProviderSwitch, UsageAttempt
from costs.money import Quantities, as_text, quantities
from costs.prices.pricebook import STANDARD, Priced, priced
from jobs.models import Job, JobEvent
from profiles.errors import Conflict
from profiles.models import Profile

State = UsageAttempt.State
_OPEN = frozenset({State.RESERVED, State.SENT, State.UNKNOWN})
_MARGIN = timedelta(minutes=5)  # between the time-out of a call and the moment when we stop waiting for its end


@dataclass(frozen=True)
class Call:
    """What is to be bought.

    `about`: a digest of the input, so that the same thing is not bought twice for one `job` and `step`; `repeat` counts
    the times that it is wanted again on purpose (an answer was of no use). `estimate`: the most that it may use, by
    meter (`costs.models.Meter`). `timeout_seconds`: how long the answer is waited for. `may_resend`: one call whose
    outcome is unknown does not keep the next one back; else a person has to decide.
    """

    provider: str
    model: str
    operation: str
    about: str
    estimate: Mapping[Any, Any]
    job: Job | None = None
    step: str = ""
    project_id: UUID | None = None
    service_tier: str = STANDARD
    timeout_seconds: float = 120.0
    may_resend: bool = False
    repeat: int = 0
    key: str = field(init=False)

    def __post_init__(self) -> None:
        parts = (self.job.pk if self.job else "", self.step, self.provider, self.operation, self.about, self.repeat)
        object.__setattr__(self, "key", hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest())


def reserve(profile: Profile, call: Call) -> UsageAttempt:
    """A new attempt at `call`, with what it may cost reserved in every budget.

    Raises BudgetExceeded, NoPrice, ProviderStopped; AlreadyPaid when this was bought before; PaidCallUnknown when it
    may have been.
    """
    now = timezone.now()
    estimate = quantities(call.estimate)
    if not estimate:
        raise ValueError("A call without an estimate would pass every budget.")
    bill = priced(
        profile_id=profile.pk,
        provider=call.provider,
        model=call.model,
        used=estimate,
        at=now,
        service_tier=call.service_tier,
        up=True,
    )
    attempt = UsageAttempt(
        profile_id=profile.pk,
        call_key=call.key,
        provider=call.provider,
        model_requested=call.model,
        service_tier=call.service_tier,
        operation=call.operation,
        job_id=call.job.pk if call.job else None,
        job_kind=call.job.kind if call.job else "",
        project_id=call.project_id,
        estimate=as_text(estimate),
        reserved_micros=bill.amount_micros,
        is_unpriced=bool(bill.unpriced),
        occurred_at=now,
        expires_at=now + timedelta(seconds=call.timeout_seconds) + _MARGIN,
    )
    periods.ensure(attempt)
    try:
        with transaction.atomic(durable=True):
            _admit(attempt, call, bill)
    except BudgetExceeded as error:
        with transaction.atomic():
            tell_blocked(attempt, error)
        raise
    return attempt


def _admit(attempt: UsageAttempt, call: Call, bill: Priced) -> None:
    stopped = ProviderSwitch.objects.filter(provider=call.provider, is_stopped=True).first()
    if stopped is not None:
        raise ProviderStopped(
            f"Calls to {call.provider} are stopped on this server. {stopped.reason}".strip(),
            next_step="Ask the operator of this server, then retry.",
        )
    attempt.attempt_no = _look_back(attempt, call) + 1
    limits = periods.limits_of(attempt)
    if bill.unpriced and any(limit.is_hard for limit in limits.values()):
        raise NoPrice(
            f"There is no price for {', '.join(bill.unpriced)} of {call.model} ({call.provider}), and a budget that "
            "must not be passed.",
            next_step="An operator enters the price, or an owner one of your own; or make the budget only warn.",
        )
    try:
        with transaction.atomic():
            attempt.save(force_insert=True)
    except IntegrityError:
        raise Conflict("The very same is being bought by somebody else right now.", code="busy") from None
    periods.reserve(attempt, limits)


def _look_back(attempt: UsageAttempt, call: Call) -> int:
    """How many attempts there were for the same thing; raises when one of them forbids another."""
    before = list(
        UsageAttempt.objects.filter(profile_id=attempt.profile_id, call_key=call.key)
        .order_by("attempt_no")
        .select_for_update()
    )
    for row in before:
        if row.state == State.RESERVED:  # its worker has died, or lost the job to this one: it cannot be sent any more
            _end(row, State.RELEASED, note="Another attempt took its place before it was sent.")
    sent = [row for row in before if row.state in {State.SENT, State.UNKNOWN, State.SETTLED}]
    if sent and not _person_said_again(call, sent[-1]):
        answered = [row for row in sent if row.usage is not None]
        if answered:
            raise AlreadyPaid(answered[-1])
        if not call.may_resend or len(sent) > 1:
            raise PaidCallUnknown(sent[-1])
    return len(before)


def _person_said_again(call: Call, last: UsageAttempt) -> bool:
    """Whether somebody has retried the job since: that is the word to call, and pay, once more."""
    if call.job is None:
        return False
    retried = JobEvent.objects.filter(job=call.job, event=JobEvent.Kind.RETRIED)
    return retried.filter(at__gt=last.occurred_at).exists()


def mark_sent(attempt: UsageAttempt) -> None:
    """The last step before the call leaves. OutsideTheDoor when the reservation is not there any more, or was used."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        rows = UsageAttempt.objects.filter(profile_id=attempt.profile_id, pk=attempt.pk, state=State.RESERVED)
        if not rows.update(state=State.SENT, sent_at=now):
            raise OutsideTheDoor("This reservation is no longer open: one call, one reservation.")
    attempt.state, attempt.sent_at = State.SENT, now


def settle(attempt: UsageAttempt, used: Quantities, *, model: str = "", request_id: str = "") -> LedgerEntry:
    """Charges what was used, by the model that the provider says it used. The same attempt again charges nothing more;
    figures that come after it was charged by its estimate correct that. Returns the entry that charged it."""
    with transaction.atomic(durable=True):
        row = _locked(attempt)
        charge = row.entries.filter(kind=Kind.CHARGE).first()
        if charge is not None and row.usage is not None:
            return charge
        row.usage, row.request_id = as_text(used), request_id[:200]
        row.model_billed = model[:100] or row.model_requested
        bill = _bill(row, used)
        if charge is not None:
            _correct(row, bill.amount_micros, key=f"figures:{row.pk}", note="The provider's figures came late.")
            row.needs_reconciliation = bool(bill.unpriced)
            row.save()
            return charge
        entry = _charge(row, bill, used)
        _copy(row, attempt)
    return entry


def _bill(row: UsageAttempt, used: Quantities) -> Priced:
    return priced(
        profile_id=row.profile_id,
        provider=row.provider,
        model=row.model_billed or row.model_requested,
        used=used,
        at=row.occurred_at,
        service_tier=row.service_tier,
    )


def _charge(row: UsageAttempt, bill: Priced, used: Quantities) -> LedgerEntry:
    amount = bill.amount_micros
    by_estimate = bool(bill.unpriced) and row.reserved_micros > amount  # money went; what was reserved for it counts
    entry = book(
        row,
        Kind.CHARGE,
        max(amount, row.reserved_micros) if by_estimate else amount,
        key=f"charge:{row.pk}",
        bill=bill,
        used=as_text(used),
        is_unpriced=bool(bill.unpriced),
        is_estimated=by_estimate,
        reserved=_open_reservation(row),
        note=f"No price for {', '.join(bill.unpriced)}."[:300] if bill.unpriced else "",
    )
    row.state, row.ended_at = State.SETTLED, timezone.now()
    row.is_unpriced = bool(bill.unpriced)
    row.needs_reconciliation = bool(bill.unpriced)
    row.save()
    return entry


def _open_reservation(row: UsageAttempt) -> int:
    return row.reserved_micros if _open(row) else 0


def release(attempt: UsageAttempt, why: str) -> bool:
    """The call cost nothing: its reservation is given back. False when it has ended already."""
    return _release(attempt, why, from_states=_OPEN)


def release_unsent(attempt: UsageAttempt) -> bool:
    """Gives back what was reserved for a call that was never sent. False when it was sent meanwhile, or has ended."""
    return _release(attempt, "It was never sent.", from_states=frozenset({State.RESERVED}))


def _release(attempt: UsageAttempt, why: str, *, from_states: frozenset[State]) -> bool:
    with transaction.atomic(durable=True):
        row = _locked(attempt)
        if row.state not in from_states:
            return False
        _end(row, State.RELEASED, note=why)
        _copy(row, attempt)
    return True


def lose(attempt: UsageAttempt, why: str) -> bool:
    """It was sent, and nobody knows whether it was charged: the reservation stays. False when it is not `sent`."""
    with transaction.atomic(durable=True):
        row = _locked(attempt)
        if row.state != State.SENT:
            return False
        row.state, row.note, row.needs_reconciliation = State.UNKNOWN, why[:300], True
        row.expires_at = (row.sent_at or row.occurred_at) + timedelta(hours=settings.UNKNOWN_CHARGE_HOURS)
        row.save()
        _copy(row, attempt)
    return True


def charge_estimate(attempt: UsageAttempt) -> bool:
    """Charges what was reserved, because nothing better became known in time. False when it has ended meanwhile."""
    with transaction.atomic(durable=True):
        row = _locked(attempt)
        if row.state != State.UNKNOWN:
            return False
        book(
            row,
            Kind.CHARGE,
            row.reserved_micros,
            key=f"charge:{row.pk}",
            is_unpriced=row.is_unpriced,
            is_estimated=True,
            reserved=_open_reservation(row),
            note="Charged as reserved: the answer never came.",
        )
        row.state, row.ended_at = State.SETTLED, timezone.now()
        row.save()
    return True


def reconcile(*, profile: Profile, attempt: UsageAttempt, amount_micros: int, by: UUID, note: str = "") -> UsageAttempt:
    """A person's word on what the provider really charged for a call: an unclear one ends with it, a charge that is
    there is corrected. Conflict while the call is under way."""
    with transaction.atomic(durable=True):
        row = _locked(attempt)
        if row.state in {State.RESERVED, State.SENT}:
            raise Conflict("This call is under way: wait until it has ended.", code="call_under_way")
        number = row.entries.count()
        if row.entries.filter(kind=Kind.CHARGE).exists():
            _correct(row, amount_micros, key=f"reconciled:{row.pk}:{number}", note=note, by=by)
        elif amount_micros == 0:
            if _open(row):
                _end(row, State.RELEASED, note=note or "Not charged, says a person.")
        else:
            book(
                row,
                Kind.CHARGE,
                amount_micros,
                key=f"charge:{row.pk}",
                reserved=_open_reservation(row),
                by=by,
                note=note,
            )
            row.state, row.ended_at, row.sent_at = State.SETTLED, timezone.now(), row.sent_at or row.occurred_at
        row.needs_reconciliation, row.reconciled_at = False, timezone.now()
        row.save()
    return row


def reprice(attempt: UsageAttempt, *, by: UUID) -> LedgerEntry | None:
    """Prices a call anew by the rules as they are now known for its moment, and books the difference. None when there
    is none, or no figures to price."""
    with transaction.atomic(durable=True):
        row = _locked(attempt)
        if row.usage is None or not row.entries.filter(kind=Kind.CHARGE).exists():
            return None
        bill = _bill(row, quantities(row.usage))
        if bill.unpriced:
            return None
        entry = _correct(
            row,
            bill.amount_micros,
            key=f"repriced:{row.pk}:{row.entries.count()}",
            note="Priced anew.",
            by=by,
            bill=bill,
        )
        row.is_unpriced = row.needs_reconciliation = False
        row.save()
    return entry


def _correct(
    row: UsageAttempt, amount_micros: int, *, key: str, note: str, by: UUID | None = None, bill: Priced | None = None
) -> LedgerEntry | None:
    """Brings what is booked for a call to `amount_micros`."""
    difference = amount_micros - sum(row.entries.values_list("amount_micros", flat=True))
    if difference == 0:
        return None
    more: dict[str, Any] = {"bill": bill} if bill is not None else {}
    kind = Kind.REFUND if difference < 0 else Kind.ADJUSTMENT
    return book(row, kind, difference, key=key, by=by, note=note[:300], **more)


def _open(row: UsageAttempt) -> bool:
    return row.state in _OPEN


def _end(row: UsageAttempt, state: State, *, note: str) -> None:
    """Ends an open attempt that cost nothing, in the caller's transaction."""
    periods.give_back(row)
    row.state, row.ended_at, row.note, row.needs_reconciliation = state, timezone.now(), note[:300], False
    row.save()


def _locked(attempt: UsageAttempt) -> UsageAttempt:
    row: UsageAttempt = UsageAttempt.objects.select_for_update().get(profile_id=attempt.profile_id, pk=attempt.pk)
    return row


def _copy(row: UsageAttempt, attempt: UsageAttempt) -> None:
    """What was written, into the object that the caller holds."""
    for one in UsageAttempt._meta.concrete_fields:
        setattr(attempt, one.attname, getattr(row, one.attname))


def overdue(now: datetime) -> Any:
    """Open attempts whose time is over, the oldest first; in an all-profiles scope those of all."""
    return UsageAttempt.objects.filter(state__in=_OPEN, expires_at__lt=now).order_by("expires_at", "id")
