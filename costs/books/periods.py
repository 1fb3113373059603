"""How much of each budget is spent and reserved: one row for each scope, changed by one UPDATE each, always in the
same order (the profile's before the server's, each from its day on), so that no two transactions wait for each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import F, Q

from costs.errors import BudgetExceeded
from costs.models import (
    ALL_PROVIDERS,
    Budget,
    LedgerEntry,
    Length,
    Period,
    ProfilePeriod,
    ServerBudget,
    ServerPeriod,
    UsageAttempt,
)
from costs.money import day_of, shown

Limits = dict[tuple[type[Period], str, str], "Budget | ServerBudget"]


@dataclass(frozen=True)
class Scope:
    """One of the periods that a call counts in."""

    model: type[Period]
    period: str
    provider: str
    of: str
    first_day: date

    @property
    def key(self) -> tuple[type[Period], str, str]:
        return self.model, self.period, self.provider

    def words(self) -> str:
        """The budget in words, as in "the brand's budget for the day 2026-11-28, gemini"."""
        whose = "the brand's budget" if self.model is ProfilePeriod else "the server's budget"
        which = "this job" if self.period == Length.JOB else f"the {self.period} {self.of}"
        return f"{whose} for {which}" + (f", {self.provider}" if self.provider else "")


def name_of(period: str, day: date) -> tuple[str, date]:
    """What the day or month of a day is called, and its first day."""
    return (f"{day:%Y-%m}", day.replace(day=1)) if period == Length.MONTH else (f"{day:%Y-%m-%d}", day)


def scopes_of(attempt: UsageAttempt) -> list[Scope]:
    """All periods that a call counts in, in the order in which they are changed."""
    day = day_of(attempt.occurred_at)
    models: tuple[type[Period], ...] = (ProfilePeriod, ServerPeriod)
    found = [
        Scope(model, period, provider, *name_of(period, day))
        for model in models
        for provider in (ALL_PROVIDERS, attempt.provider)
        for period in (Length.DAY, Length.MONTH)
    ]
    if attempt.job_id is not None:
        found.insert(0, Scope(ProfilePeriod, Length.JOB, ALL_PROVIDERS, str(attempt.job_id), day))
    return found


def limits_of(attempt: UsageAttempt) -> Limits:
    """The budgets that a call falls under."""
    providers = (ALL_PROVIDERS, attempt.provider)
    own = Budget.objects.filter(profile_id=attempt.profile_id, provider__in=providers)
    limits: Limits = {(ProfilePeriod, row.period, row.provider): row for row in own}
    server = ServerBudget.objects.filter(provider__in=providers)
    return limits | {(ServerPeriod, row.period, row.provider): row for row in server}


def ensure(attempt: UsageAttempt) -> None:
    """Makes the rows that are missing. Call it before the transaction that changes them: they may stay, empty."""
    scopes = scopes_of(attempt)
    for model, owner in ((ProfilePeriod, {"profile_id": attempt.profile_id}), (ServerPeriod, {})):
        wanted = [scope for scope in scopes if scope.model is model]
        names = {scope.of for scope in wanted}
        there = set(model.objects.filter(of__in=names, **owner).values_list("period", "provider", "of"))
        missing = [scope for scope in wanted if (scope.period, scope.provider, scope.of) not in there]
        rows: list[Any] = [
            model(period=one.period, provider=one.provider, of=one.of, first_day=one.first_day, **owner)
            for one in missing
        ]
        if rows:
            model.objects.bulk_create(rows, ignore_conflicts=True)


def _row(scope: Scope, attempt: UsageAttempt) -> Any:
    owner = {"profile_id": attempt.profile_id} if scope.model is ProfilePeriod else {}
    model: Any = scope.model
    return model.objects.filter(period=scope.period, provider=scope.provider, of=scope.of, **owner)


def reserve(attempt: UsageAttempt, limits: Limits) -> None:
    """Reserves what the call may cost in every period, in the caller's transaction. BudgetExceeded when a hard budget
    would be passed: then the transaction must be rolled back."""
    for scope in scopes_of(attempt):
        amount = reserved_in(scope, attempt)
        limit = limits.get(scope.key)
        if not _admit(_row(scope, attempt), amount, limit):
            assert limit is not None
            raise _exceeded(scope, limit, _row(scope, attempt).get(), amount)


def _admit(row: Any, amount: int, limit: Budget | ServerBudget | None) -> bool:
    """One conditional UPDATE: what is spent and reserved is looked at where it is changed."""
    if limit is not None and limit.is_hard:
        row = row.filter(Q(spent_micros__lte=limit.cap_micros - amount - F("reserved_micros")))
    return bool(row.update(reserved_micros=F("reserved_micros") + amount))


def _exceeded(scope: Scope, limit: Budget | ServerBudget, now: Period, amount: int) -> BudgetExceeded:
    enough = now.spent_micros + now.reserved_micros + amount
    left = max(0, limit.cap_micros - now.spent_micros - now.reserved_micros)
    waiting_helps = scope.period != Length.JOB and amount <= limit.cap_micros
    if scope.model is ServerPeriod:  # its figures are about other brands too
        return BudgetExceeded(
            f"This may cost {shown(amount)}, and {scope.words()} has no room for it.",
            details=[{"budget": "server", "period": scope.period, "provider": scope.provider, "of": scope.of}],
            next_step="Ask the operator of this server to raise it"
            + (", or wait until the period has ended; then retry." if waiting_helps else ", then retry."),
        )
    return BudgetExceeded(
        f"This may cost {shown(amount)}, but {scope.words()} has {shown(left)} left of {shown(limit.cap_micros)} "
        f"({shown(now.spent_micros)} spent, {shown(now.reserved_micros)} reserved).",
        details=[
            {
                "budget": "profile",
                "period": scope.period,
                "provider": scope.provider,
                "of": scope.of,
                "cap_micros": limit.cap_micros,
                "spent_micros": now.spent_micros,
                "reserved_micros": now.reserved_micros,
                "needed_micros": amount,
                "enough_micros": enough,
            }
        ],
        next_step=f"An owner can raise it to {shown(enough)} or more"
        + (", or wait until the period has ended; then retry." if waiting_helps else ", then retry."),
    )


def reserved_in(scope: Scope, attempt: UsageAttempt) -> int:
    """What a call has reserved in a period."""
    return attempt.server_reserved_micros if scope.model is ServerPeriod else attempt.reserved_micros


def give_back(attempt: UsageAttempt) -> None:
    """Takes the reservation of a call out of every period, in the caller's transaction."""
    for scope in scopes_of(attempt):
        _row(scope, attempt).update(reserved_micros=F("reserved_micros") - reserved_in(scope, attempt))


def spend(
    attempt: UsageAttempt, entry: LedgerEntry, *, calls: int, gives_back: bool
) -> Iterator[tuple[Scope, Period, int]]:
    """Books an entry in every period, and with `gives_back` takes the reservation of its call out of it, in the
    caller's transaction. May pass a cap: it is the truth. Gives each row as it is then, with what was added to it."""
    for scope in scopes_of(attempt):
        row = _row(scope, attempt)
        amount = entry.server_micros if scope.model is ServerPeriod else entry.amount_micros
        row.update(
            spent_micros=F("spent_micros") + amount,
            reserved_micros=F("reserved_micros") - (reserved_in(scope, attempt) if gives_back else 0),
            calls=F("calls") + calls,
        )
        yield scope, row.get(), amount
