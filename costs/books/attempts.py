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
from django.db.models import QuerySet
from django.utils import timezone

from costs.books import periods
from costs.books.alerts import tell_blocked
from costs.books.bills import bill_of
from costs.errors import AlreadyPaid, BudgetExceeded, NoPrice, OutsideTheDoor, PaidCallUnknown, ProviderStopped
from costs.models import ProviderSwitch, UsageAttempt
from costs.money import MOST_MICROS, as_text, quantities, shown
from costs.prices.pricebook import STANDARD, Priced
from editai.notify.text import one_line
from jobs.models import Job, JobEvent
from profiles.errors import Conflict
from profiles.models import Profile
from profiles.scope import OutOfScope

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
        what = (self.provider, self.model, self.service_tier, self.operation, self.about)
        parts = (self.job.pk if self.job else "", self.step, self.repeat, *what)
        object.__setattr__(self, "key", hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest())


def reserve(profile: Profile, call: Call) -> UsageAttempt:
    """A new attempt at `call`, with what it may cost reserved in every budget.

    Raises BudgetExceeded, NoPrice, ProviderStopped; AlreadyPaid when this was bought before; PaidCallUnknown when it
    may have been.
    """
    if call.job is not None and call.job.profile_id != profile.pk:
        raise OutOfScope("A job of another profile cannot be what this is bought for.")
    now = timezone.now()
    estimate = quantities(call.estimate)
    if not estimate:
        raise ValueError("A call without an estimate would pass every budget.")
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
        occurred_at=now,
        expires_at=now + timedelta(seconds=call.timeout_seconds) + _MARGIN,
    )
    bill = bill_of(attempt, estimate, up=True)
    if max(bill.own.amount_micros, bill.server_micros) > MOST_MICROS:
        raise Conflict(
            f"This could cost {shown(bill.own.amount_micros)}, more than any one call may: look at its price, or ask "
            "for less.",
            code="too_dear",
        )
    attempt.reserved_micros, attempt.server_reserved_micros = bill.own.amount_micros, bill.server_micros
    attempt.is_unpriced = bool(bill.own.unpriced)
    periods.ensure(attempt)
    _displace(profile, call)
    try:
        with transaction.atomic(durable=True):
            _admit(profile, attempt, call, bill.own)
    except BudgetExceeded as error:
        tell_blocked(attempt, error)
        raise
    return attempt


def _admit(profile: Profile, attempt: UsageAttempt, call: Call, bill: Priced) -> None:
    stopped = ProviderSwitch.objects.filter(provider=call.provider, is_stopped=True).first()
    if stopped is not None:
        raise ProviderStopped(
            f"Calls to {call.provider} are stopped on this server. {stopped.reason}".strip(),
            next_step="Ask the operator of this server, then retry.",
        )
    attempt.attempt_no = _look_back(profile, call) + 1
    limits = periods.limits_of(attempt)
    if bill.unpriced and any(limit.is_hard for limit in limits.values()):
        raise _no_price(call, bill)
    try:
        with transaction.atomic():
            attempt.save(force_insert=True)
    except IntegrityError:
        raise _busy() from None
    periods.reserve(attempt, limits)


def _no_price(call: Call, bill: Priced) -> NoPrice:
    if bill.no_rate:
        return NoPrice(
            f"{call.model} ({call.provider}) is priced in {', '.join(bill.no_rate)}. There is no exchange rate for it, "
            "and a budget that must not be passed.",
            next_step="An operator enters the rate; or make the budget only warn.",
        )
    return NoPrice(
        f"There is no price for {', '.join(bill.unpriced)} of {call.model} ({call.provider}), and a budget that must "
        "not be passed.",
        next_step="An operator enters the price, or an owner one of your own; or make the budget only warn.",
    )


def _displace(profile: Profile, call: Call) -> None:
    """Ends reservations of the same thing that were not sent: their worker has died, or lost the job to this one. In a
    transaction for each, because they may belong to another day. Without a job nobody knows that of one whose time is
    not over: it keeps this one back."""
    for row in _earlier(profile, call).filter(state=State.RESERVED):
        if call.job is None and row.expires_at > timezone.now():
            raise _busy()
        _release(row, "Another attempt took its place before it was sent.", from_states=frozenset({State.RESERVED}))


def _earlier(profile: Profile, call: Call) -> "QuerySet[UsageAttempt]":
    rows: QuerySet[UsageAttempt] = UsageAttempt.objects.filter(profile_id=profile.pk, call_key=call.key)
    return rows.order_by("attempt_no")


def _look_back(profile: Profile, call: Call) -> int:
    """How many attempts there were for the same thing; raises when one of them forbids another."""
    before = list(_earlier(profile, call).select_for_update())
    if any(row.state == State.RESERVED for row in before):
        raise _busy()
    answered = [row for row in before if row.state == State.SETTLED and row.usage is not None]
    if answered:
        raise AlreadyPaid(answered[-1])
    unclear = [row for row in before if row.state in {State.SENT, State.UNKNOWN, State.SETTLED}]
    if unclear and not (call.may_resend and len(unclear) == 1) and not _person_said_again(call, unclear[-1]):
        raise PaidCallUnknown(unclear[-1])
    return len(before)


def _person_said_again(call: Call, last: UsageAttempt) -> bool:
    """Whether somebody has said since what became of the last call, or has retried the job: that is the word to call,
    and pay, once more. Without a job, that it was charged in the end counts as well."""
    if last.reconciled_at is not None:
        return True
    if call.job is None:
        return last.state == State.SETTLED
    retried = JobEvent.objects.filter(job=call.job, event=JobEvent.Kind.RETRIED)
    return retried.filter(at__gt=last.occurred_at).exists()


def _busy() -> Conflict:
    return Conflict("The very same is being bought by somebody else right now.", code="busy")


def mark_sent(attempt: UsageAttempt) -> None:
    """The last step before the call leaves. OutsideTheDoor when the reservation is not there any more, or was used."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        rows = UsageAttempt.objects.filter(profile_id=attempt.profile_id, pk=attempt.pk, state=State.RESERVED)
        expires_at = now + (attempt.expires_at - attempt.occurred_at)
        if not rows.update(state=State.SENT, sent_at=now, expires_at=expires_at):
            raise OutsideTheDoor("This reservation is no longer open: one call, one reservation.")
    attempt.state, attempt.sent_at, attempt.expires_at = State.SENT, now, expires_at


def release(attempt: UsageAttempt, why: str) -> bool:
    """The call cost nothing: its reservation is given back. False when it has ended already."""
    return _release(attempt, why, from_states=_OPEN)


def release_unsent(attempt: UsageAttempt) -> bool:
    """Gives back what was reserved for a call that was never sent. False when it was sent meanwhile, or has ended."""
    return _release(attempt, "It was never sent.", from_states=frozenset({State.RESERVED}))


def _release(attempt: UsageAttempt, why: str, *, from_states: frozenset[State]) -> bool:
    with transaction.atomic(durable=True):
        row = locked(attempt)
        if row.state not in from_states:
            return False
        end(row, State.RELEASED, note=why)
        copy(row, attempt)
    return True


def lose(attempt: UsageAttempt, why: str) -> bool:
    """It was sent, and nobody knows whether it was charged: the reservation stays. False when it is not `sent`."""
    with transaction.atomic(durable=True):
        row = locked(attempt)
        if row.state != State.SENT:
            return False
        row.state, row.note, row.needs_reconciliation = State.UNKNOWN, one_line(why)[:300], True
        row.expires_at = (row.sent_at or row.occurred_at) + timedelta(hours=settings.UNKNOWN_CHARGE_HOURS)
        row.save()
        copy(row, attempt)
    return True


def is_open(row: UsageAttempt) -> bool:
    return row.state in _OPEN


def end(row: UsageAttempt, state: State, *, note: str) -> None:
    """Ends an open attempt that cost nothing, in the caller's transaction."""
    periods.give_back(row)
    row.state, row.ended_at, row.note, row.needs_reconciliation = state, timezone.now(), one_line(note)[:300], False
    row.save()


def locked(attempt: UsageAttempt) -> UsageAttempt:
    row: UsageAttempt = UsageAttempt.objects.select_for_update().get(profile_id=attempt.profile_id, pk=attempt.pk)
    return row


def copy(row: UsageAttempt, attempt: UsageAttempt) -> None:
    """What was written, into the object that the caller holds."""
    for one in UsageAttempt._meta.concrete_fields:
        setattr(attempt, one.attname, getattr(row, one.attname))


def overdue(now: datetime) -> Any:
    """Open attempts whose time is over, the oldest first; in an all-profiles scope those of all."""
    return UsageAttempt.objects.filter(state__in=_OPEN, expires_at__lt=now).order_by("expires_at", "id")
