"""What a table of prices would do, for the person who is about to take it over: the price before and after, and what
the last thirty days would have cost with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from costs.models import Price, UnitsDaily
from costs.money import CURRENCY, EXACT, day_of, micros, shown
from costs.prices.pricebook import STANDARD
from costs.prices.tables import Change
from profiles import scope

_DAYS = 30


@dataclass(frozen=True)
class Effect:
    """`before` and `after` in words; `lately`: what all profiles were charged for this meter of this model in the last
    thirty days, and what it would have been; empty when nothing was used, and for a price of a tier or in another
    currency, whose share nobody knows."""

    change: Change
    before: str
    after: str
    lately: str


def effects(changes: Iterable[Change]) -> list[Effect]:
    """The changes of a plan with what they would do."""
    used = _used()
    return [
        Effect(
            change, ", ".join(rule.in_words for rule in change.replaced), change.price.in_words, _lately(change, used)
        )
        for change in changes
    ]


def _used() -> list[dict[str, Any]]:
    since = day_of(timezone.now()) - timedelta(days=_DAYS)
    with scope.all_profiles("show all costs to the operator"):
        rows = UnitsDaily.objects.filter(day__gte=since).order_by().values("provider", "model", "meter")
        return list(rows.annotate(units=Sum("quantity"), amount=Sum("amount_micros")))


def _lately(change: Change, used: list[dict[str, Any]]) -> str:
    price = change.price
    is_plain = price.currency == CURRENCY and price.service_tier == STANDARD and price.tier_min == 0
    if change.what not in {"new", "replaces"} or not is_plain:
        return ""
    fitting = [
        row
        for row in used
        if (row["provider"], row["meter"]) == (price.provider, price.meter)
        and (row["model"].startswith(price.model) if price.match == Price.Match.PREFIX else row["model"] == price.model)
    ]
    units = sum((row["units"] for row in fitting), Decimal(0))
    if not units:
        return ""
    after = EXACT.divide(EXACT.multiply(units, price.unit_price), Decimal(price.per_quantity))
    return f"{shown(sum(row['amount'] for row in fitting))} → {shown(micros(after))}"
