"""Telling people about budgets: at 50, 80 and 100 % of one, and when one has refused a call. Each once a period.

Of the server's budgets the operators are told, in their own default profiles, and only how much of it is spent: no
brand learns what all of them spend.
"""

import logging
from uuid import UUID

from django.db import transaction

from costs.books.periods import Scope
from costs.errors import BudgetExceeded
from costs.models import Budget, Length, Period, ProfilePeriod, ServerBudget, UsageAttempt
from costs.money import shown
from editai.notify.events import Event, register_event
from editai.notify.services import notify
from profiles.models import Profile, User
from profiles.scope import activate

log = logging.getLogger(__name__)

STEPS = (50, 80, 100)  # percent
WARNING = Event("budget_warning", "Much of a budget is spent")
BLOCKED = Event("budget_blocked", "A budget has stopped a paid call")
SERVER_WARNING = Event("server_budget_warning", "Much of a budget of the server is spent", owners_only=True)


def register() -> None:
    register_event(WARNING)
    register_event(BLOCKED)
    register_event(SERVER_WARNING)


def warn(profile_id: UUID, scope: Scope, row: Period, amount_micros: int, limit: Budget | ServerBudget | None) -> None:
    """Tells, in the caller's transaction, when the `amount_micros` that was just added to `row` took it past a step."""
    if limit is None or not limit.cap_micros or scope.period == Length.JOB or amount_micros <= 0:
        return
    before = row.spent_micros - amount_micros
    passed = [step for step in STEPS if before * 100 < step * limit.cap_micros <= row.spent_micros * 100]
    if not passed:
        return
    # a budget that was raised warns again
    once = f"{scope.period}:{scope.of}:{scope.provider}:{limit.cap_micros}:{passed[-1]}"
    title = f"{passed[-1]} % of {scope.words()} are spent"
    words = "Calls that could pass it are refused." if limit.is_hard else "It only warns: nothing is refused."
    payload = {"period": scope.period, "of": scope.of, "provider": scope.provider, "percent": passed[-1]}
    if scope.model is ProfilePeriod:
        figures = (
            f"{shown(row.spent_micros)} of {shown(limit.cap_micros)} are spent, {shown(row.reserved_micros)} reserved."
        )
        _tell(profile_id, WARNING, once, title, f"{figures}\n{words}", payload)
    else:
        log.warning("%s.", title)
        for operator in User.objects.filter(is_superuser=True, is_active=True).order_by("pk"):
            _tell(operator.default_profile_id, SERVER_WARNING, once, title, words, payload)


def tell_blocked(attempt: UsageAttempt, error: BudgetExceeded) -> None:
    """Tells, in a transaction of its own, that a call was refused."""
    blocked = (error.details or [{}])[0]
    _tell(
        attempt.profile_id,
        BLOCKED,
        f"{blocked.get('period')}:{blocked.get('of')}:{blocked.get('provider')}:{blocked.get('cap_micros', '')}",
        BLOCKED.label,
        f"{error.message}\n{error.next_step}",
        {**blocked, "job": str(attempt.job_id) if attempt.job_id else None},
    )


def _tell(profile_id: UUID, event: Event, once: str, title: str, text: str, payload: dict[str, object]) -> None:
    """Telling must never undo what is told: an error goes into the log."""
    try:
        with activate(profile_id), transaction.atomic():
            _notify(profile_id, event, once, title, text, payload)
    except Exception:  # the books and the refusal stand
        log.exception("Profile %s was not told: %s", profile_id, title)


def _notify(profile_id: UUID, event: Event, once: str, title: str, text: str, payload: dict[str, object]) -> None:
    profile = Profile.objects.filter(pk=profile_id, state=Profile.State.ACTIVE).first()
    if profile is not None:  # the books outlive it
        notify(
            profile=profile,
            event=event.name,
            once_key=f"{event.name}:{once}",
            title=title,
            text=text,
            link=f"/p/{profile.slug}/admin/costs/{'serverbudget' if event is SERVER_WARNING else 'budget'}/",
            payload=payload,
        )
