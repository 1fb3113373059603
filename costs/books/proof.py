"""The proof that the books agree: the ledger is added up in every way in which something else claims to know the sum,
and the open calls in every way in which something claims to know what is reserved."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, Q, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, TruncMonth

from costs.books.periods import reserved_in, scopes_of
from costs.models import NOBODY, CostDaily, LedgerEntry, Length, ProfilePeriod, ServerPeriod, UsageAttempt
from profiles import scope

Key = tuple[Any, ...]
Sums = dict[Key, tuple[int, int]]
_OPEN = (UsageAttempt.State.RESERVED, UsageAttempt.State.SENT, UsageAttempt.State.UNKNOWN)


@dataclass(frozen=True)
class Difference:
    """`what` claims to know a sum; `key` names its first row that differs; both figures are (micros, charges), or
    micros alone where something is reserved."""

    what: str
    key: Key
    by_the_books: Any
    claimed: Any

    def __str__(self) -> str:
        names = ", ".join(str(part) for part in self.key)
        return f"{self.what} of {names}: {self.by_the_books} by the books, {self.claimed} claimed"


def differences() -> list[Difference]:
    """The first row that differs in each kind of sum; an empty list when all agree. Over all profiles, those that have
    been erased too. Reads a few rows a day and model, after one pass over the ledger for each kind."""
    with scope.all_profiles("prove the books"), _one_moment():
        checks = [*_spent(), *_reserved()]
        return [found for found in (_first(*check) for check in checks) if found is not None]


@contextmanager
def _one_moment() -> Iterator[None]:
    """All reads see the books as they were at one moment, whatever is booked meanwhile."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            yield
    else:  # Django's own transactions keep all writers out on SQLite: this one only reads
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


def _first(what: str, books: dict[Key, Any], claims: dict[Key, Any], nothing: Any) -> Difference | None:
    for key in sorted(books.keys() | claims.keys(), key=lambda key: tuple(map(str, key))):
        ours, theirs = books.get(key, nothing), claims.get(key, nothing)
        if ours != theirs:
            return Difference(what, key, ours, theirs)
    return None


def _spent() -> Iterator[tuple[str, Sums, Sums, Any]]:
    ledger = LedgerEntry.objects.annotate(month=TruncMonth("day"), project=Coalesce("project_id", Value(NOBODY)))
    rows = ("profile_id", "day", "provider", "model", "operation")
    yield "The roll-up", _books(ledger, *rows, "project"), _roll_up(*rows, "project_id"), (0, 0)
    for period, column in ((Length.DAY, "day"), (Length.MONTH, "month")):
        for more in ((), ("provider",)):
            name = f"Spent in a {period}{' at a provider' if more else ''}"
            yield name, _books(ledger, "profile_id", column, *more), _periods(period, more, "profile_id"), (0, 0)
            server = _books(ledger, column, *more, amount="server_micros")
            yield f"{name}, on the server", server, _periods(period, more), (0, 0)
    jobs = ledger.exclude(job_id=None)
    by_job = {(profile, str(job)): sums for (profile, job), sums in _books(jobs, "profile_id", "job_id").items()}
    claimed = _claims(ProfilePeriod.objects.filter(period=Length.JOB), "profile_id", "of")
    yield "Spent in a job", by_job, claimed, (0, 0)


def _books(ledger: "QuerySet[Any]", *by: str, amount: str = "amount_micros") -> Sums:
    charges = Count("id", filter=Q(kind=LedgerEntry.Kind.CHARGE))
    return _sums(ledger, by, Sum(amount), charges)


def _roll_up(*by: str) -> Sums:
    return _sums(CostDaily.objects.all(), by, Sum("amount_micros"), Sum("calls"))


def _periods(period: Length, more: tuple[str, ...], *owner: str) -> Sums:
    model: Any = ProfilePeriod if owner else ServerPeriod
    rows = model.objects.filter(period=period)
    rows = rows.exclude(provider="") if more else rows.filter(provider="")
    return _claims(rows, *owner, "first_day", *more)


def _claims(rows: "QuerySet[Any]", *by: str) -> Sums:
    return _sums(rows, by, Sum("spent_micros"), Sum("calls"))


def _sums(rows: "QuerySet[Any]", by: Key, amount: Any, calls: Any) -> Sums:
    found = rows.order_by().values(*by).annotate(total_=amount, calls_=calls).values_list(*by, "total_", "calls_")
    return {tuple(row[:-2]): (row[-2], row[-1]) for row in found.iterator(chunk_size=2000)}


def _reserved() -> Iterator[tuple[str, Any, Any, Any]]:
    own: Counter[Key] = Counter()
    server: Counter[Key] = Counter()
    for attempt in UsageAttempt.objects.filter(state__in=_OPEN):
        for one in scopes_of(attempt):
            key = (one.period, one.provider, one.of)
            if one.model is ProfilePeriod:
                own[(attempt.profile_id, *key)] += reserved_in(one, attempt)
            else:
                server[key] += reserved_in(one, attempt)
    for what, books, model, owner in (
        ("Reserved", own, ProfilePeriod, ("profile_id",)),
        ("Reserved on the server", server, ServerPeriod, ()),
    ):
        rows: Any = model._default_manager.exclude(reserved_micros=0)
        names = (*owner, "period", "provider", "of")
        claims = {tuple(row[:-1]): row[-1] for row in rows.values_list(*names, "reserved_micros")}
        yield what, {key: amount for key, amount in books.items() if amount}, claims, 0
