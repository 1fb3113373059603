"""What was spent and used. Reads the roll-up and the periods, never the ledger: the time it takes grows with the days
that are looked at, and not with the calls that were made in them."""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils import timezone

from costs.books.periods import name_of
from costs.models import (
    ALL_PROVIDERS,
    NOBODY,
    Budget,
    ComputeDaily,
    CostDaily,
    LedgerEntry,
    Length,
    Meter,
    Price,
    PriceOverride,
    PriceRule,
    ProfilePeriod,
    UnitsDaily,
    UsageAttempt,
)
from costs.money import day_of
from costs.names import names_of
from costs.providers import balances, label_of
from jobs import registry
from jobs.models import Job
from profiles.models import Profile
from profiles.time_zones import time_zone_of

MOST_ROWS = 100  # of a list that is ordered by amount
MOST_DAYS = 400
DEFAULT_DAYS = 30
_SUMS = ("amount_micros", "calls", "unpriced_calls", "estimated_calls", "cache_hits", "saved_micros")
_BY = {"day": "day", "provider": "provider", "model": "model", "operation": "operation", "project": "project_id"}
BY_JOB = "job"
GROUPINGS = (*_BY, BY_JOB)
_MEAN_OF_DAYS = 7


@dataclass(frozen=True)
class Range:
    """The UTC days from `start` to `end`, both included, and what they are narrowed down to."""

    start: date
    end: date
    provider: str = ""
    project: UUID | None = None


def overview(profile: Profile, wanted: Range, by: str) -> dict[str, Any]:
    """What `GET costs/` shows: a constant number of queries."""
    today = day_of(timezone.now())
    zone = time_zone_of(profile)
    results, is_cut = _jobs(profile, wanted) if by == BY_JOB else _grouped(profile, wanted, by, zone)
    spent = _month_and_day(profile, today)
    month = spent[Length.MONTH]
    return {
        "start": wanted.start,
        "end": wanted.end,
        "by": by,
        "shown_in": str(zone),
        "results": results,
        "is_cut": is_cut,
        "total": _totals(_rows(profile, wanted)),
        "today": spent[Length.DAY],
        "month": {**month, "forecast_micros": _forecast(profile, today, month["amount_micros"])},
    }


def _rows(profile: Profile, wanted: Range) -> "QuerySet[Any]":
    rows = CostDaily.objects.for_profile(profile).filter(day__range=(wanted.start, wanted.end))
    if wanted.provider:
        rows = rows.filter(provider=wanted.provider)
    return rows.filter(project_id=wanted.project) if wanted.project else rows


def _totals(rows: "QuerySet[Any]") -> dict[str, int]:
    found = rows.aggregate(**{f"{name}_": Sum(name) for name in _SUMS})
    return {name: found[f"{name}_"] or 0 for name in _SUMS}


def _grouped(profile: Profile, wanted: Range, by: str, zone: tzinfo) -> tuple[list[dict[str, Any]], bool]:
    column = _BY[by]
    sums = {f"{name}_": Sum(name) for name in _SUMS}
    rows = _rows(profile, wanted).order_by().values(column).annotate(**sums)
    rows = rows.order_by(column) if by == "day" else rows.order_by("-amount_micros_", column)[: MOST_ROWS + 1]
    found = list(rows)
    is_cut = by != "day" and len(found) > MOST_ROWS
    found = found[:MOST_ROWS] if is_cut else found
    labels = _labels(profile, by, [row[column] for row in found])
    return [
        {
            "key": None if row[column] == NOBODY else str(row[column]),
            "label": labels.get(row[column]),
            "begins_at": _begins(row[column], zone) if by == "day" else None,
            **{name: row[f"{name}_"] for name in _SUMS},
        }
        for row in found
    ], is_cut


def _labels(profile: Profile, by: str, keys: Sequence[Any]) -> Mapping[Any, str]:
    if by == "project":
        return names_of("project", profile, [key for key in keys if key != NOBODY])
    return {key: label_of(key) for key in keys} if by == "provider" else {}


def _begins(day: date, zone: tzinfo) -> datetime:
    """When a UTC day begins, on the clock of the profile's zone."""
    return datetime.combine(day, time(), UTC).astimezone(zone)


def _jobs(profile: Profile, wanted: Range) -> tuple[list[dict[str, Any]], bool]:
    """The jobs that cost most, by the period that each has; the range is that of their first calls. What is said of
    the roll-up alone (unpriced calls, savings) is not known of a job."""
    periods = ProfilePeriod.objects.for_profile(profile).filter(
        period=Length.JOB, first_day__range=(wanted.start, wanted.end)
    )
    rows = list(periods.order_by("-spent_micros", "id")[: MOST_ROWS + 1])
    ids = [UUID(row.of) for row in rows[:MOST_ROWS]]
    kinds = dict(Job.objects.for_profile(profile).filter(pk__in=ids).values_list("pk", "kind"))
    return [
        {
            "key": row.of,
            "label": _title(kinds.get(UUID(row.of))),
            "begins_at": None,
            "amount_micros": row.spent_micros,
            "calls": row.calls,
        }
        for row in rows[:MOST_ROWS]
    ], len(rows) > MOST_ROWS


def _title(kind_name: str | None) -> str | None:
    kind = registry.kind_named(kind_name) if kind_name else None
    return kind.label if kind else kind_name


def _month_and_day(profile: Profile, today: date) -> dict[str, dict[str, Any]]:
    """Today and the month so far against their budgets."""
    names = {length: name_of(length, today)[0] for length in (Length.DAY, Length.MONTH)}
    wanted = Q(period=Length.DAY, of=names[Length.DAY]) | Q(period=Length.MONTH, of=names[Length.MONTH])
    periods = ProfilePeriod.objects.for_profile(profile).filter(wanted, provider=ALL_PROVIDERS)
    rows = {row.period: row for row in periods}
    limits = {row.period: row for row in Budget.objects.for_profile(profile).filter(provider=ALL_PROVIDERS)}
    return {length: {"of": name, **standing(rows.get(length), limits.get(length))} for length, name in names.items()}


def standing(row: ProfilePeriod | None, limit: Budget | None) -> dict[str, Any]:
    """How a budget stands in a period."""
    spent, reserved = (row.spent_micros, row.reserved_micros) if row else (0, 0)
    return {
        "amount_micros": spent,
        "reserved_micros": reserved,
        "calls": row.calls if row else 0,
        "cap_micros": limit.cap_micros if limit else None,
        "is_hard": limit.is_hard if limit else None,
        "remaining_micros": max(0, limit.cap_micros - spent - reserved) if limit else None,
    }


def _forecast(profile: Profile, today: date, month_so_far: int) -> int:
    """What the month will have cost if each day that is left costs what one of the last seven whole days did."""
    week = Range(today - timedelta(days=_MEAN_OF_DAYS), today - timedelta(days=1))
    mean = _totals(_rows(profile, week))["amount_micros"] / _MEAN_OF_DAYS
    left = calendar.monthrange(today.year, today.month)[1] - today.day
    return month_so_far + round(mean * left)


def budgets(profile: Profile) -> list[dict[str, Any]]:
    """The profile's budgets, and how each stands now; those of a job have no standing of their own."""
    today = day_of(timezone.now())
    rows = list(Budget.objects.for_profile(profile))
    names = {name_of(length, today)[0] for length in (Length.DAY, Length.MONTH)}
    periods = ProfilePeriod.objects.for_profile(profile).filter(of__in=names).exclude(period=Length.JOB)
    found = {(row.period, row.provider): row for row in periods}
    return [
        {
            "period": row.period,
            "provider": row.provider or None,
            "of": None if row.period == Length.JOB else name_of(row.period, today)[0],
            **standing(found.get((row.period, row.provider)), row),
        }
        for row in rows
    ]


def usage(profile: Profile, wanted: Range) -> dict[str, Any]:
    """What was used, by provider, model and meter; what our own store saved; processor time; what is left outside."""
    days = {"day__range": (wanted.start, wanted.end)}
    units = UnitsDaily.objects.for_profile(profile).filter(**days)
    savings = CostDaily.objects.for_profile(profile).filter(**days, cache_hits__gt=0)
    if wanted.provider:
        units, savings = units.filter(provider=wanted.provider), savings.filter(provider=wanted.provider)
    compute = ComputeDaily.objects.for_profile(profile).filter(**days)
    return {
        "start": wanted.start,
        "end": wanted.end,
        "units": [
            {**row, "unit": Meter(row["meter"]).label}
            for row in _summed(units, ("provider", "model", "meter"), ("quantity", "amount_micros"))
        ],
        "savings": _summed(savings, ("provider", "operation"), ("cache_hits", "saved_micros")),
        "compute": [
            {**row, "title": _title(row["job_kind"])}
            for row in _summed(compute, ("job_kind",), ("attempts", "cpu_seconds"))
        ],
        "balances": balances(profile),
    }


def _summed(rows: "QuerySet[Any]", by: tuple[str, ...], sums: tuple[str, ...]) -> list[dict[str, Any]]:
    totals = {f"{name}_": Sum(name) for name in sums}
    found = rows.order_by().values(*by).annotate(**totals).order_by(*by)
    return [{**{name: row[name] for name in by}, **{name: row[f"{name}_"] for name in sums}} for row in found]


def calls_of(profile: Profile) -> "QuerySet[UsageAttempt]":
    """The profile's paid calls with what is booked for each."""
    booked = LedgerEntry.objects.filter(profile_id=OuterRef("profile_id"), attempt=OuterRef("pk")).order_by()
    total = booked.values("attempt").annotate(total_=Sum("amount_micros")).values("total_")
    rows: QuerySet[UsageAttempt] = UsageAttempt.objects.for_profile(profile).annotate(booked_micros=Subquery(total))
    return rows


def prices_for(profile: Profile, at: datetime) -> list[Price]:
    """The prices that hold for the profile at a moment or are planned then, its own first."""
    return [*own_prices(profile, at), *_not_over(PriceRule.objects.all(), at)]


def own_prices(profile: Profile, at: datetime) -> "QuerySet[PriceOverride]":
    """The profile's own prices that hold at a moment or are planned then."""
    return _not_over(PriceOverride.objects.for_profile(profile), at)


def _not_over(rules: "QuerySet[Any]", at: datetime) -> "QuerySet[Any]":
    return rules.filter(Q(valid_to=None) | Q(valid_to__gt=at)).exclude(valid_to=F("valid_from"))
