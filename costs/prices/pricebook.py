"""What a call costs by the price book.

For each meter one rule counts: the profile's own before a global one; among those the exact name before the longest
beginning; then the highest tier that the prompt reaches; then the latest to have begun. A version at the end of a
model's name (-001) does not keep an exact rule from fitting.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from costs.models import PROMPT, ExchangeRate, Price, PriceOverride, PriceRule
from costs.money import CURRENCY, EXACT, Quantities, micros

STANDARD = "standard"
_VERSION = re.compile(r"-\d{3}\Z")


@dataclass(frozen=True)
class Line:
    """One meter of a charge, and how its amount comes about; decimals as text. `rate`: book currency for one unit of
    `currency`."""

    meter: str
    quantity: str
    amount_micros: int
    rule: str
    unit_price: str
    per_quantity: int
    currency: str
    rate: str
    certainty: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Priced:
    """`unpriced`: the meters for which there is no rule, or (then its currency is in `no_rate`) no exchange rate.
    `amount_micros` is that of the lines."""

    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    no_rate: tuple[str, ...] = ()

    @property
    def amount_micros(self) -> int:
        return sum(line.amount_micros for line in self.lines)


def priced(
    *,
    profile_id: UUID | None,
    provider: str,
    model: str,
    used: Quantities,
    at: datetime,
    service_tier: str = STANDARD,
    up: bool = False,
) -> Priced:
    """What `used` of `model` costs a profile at the moment `at`; None: by the common prices alone. `up`: rounded up,
    for a reservation."""
    rules = rules_for(profile_id, provider, at).filter_tier(service_tier)
    prompt = sum((used.get(meter, Decimal(0)) for meter in PROMPT), Decimal(0))
    rates = _Rates(at)
    lines, unpriced, no_rate = [], [], set[str]()
    for meter, quantity in sorted(used.items()):
        rule = rules.best(model, meter, prompt)
        rate = rates.of(rule.currency) if rule is not None else None
        if rule is None or rate is None:
            unpriced.append(meter)
            no_rate |= {rule.currency} if rule is not None else set()
        else:
            lines.append(_line(rule, meter, quantity, rate, up))
    return Priced(tuple(lines), tuple(unpriced), tuple(sorted(no_rate)))


def _line(rule: Price, meter: str, quantity: Decimal, rate: Decimal, up: bool) -> Line:
    amount = EXACT.divide(EXACT.multiply(quantity, rule.unit_price), Decimal(rule.per_quantity))
    return Line(
        meter=meter,
        quantity=f"{quantity.normalize():f}",
        amount_micros=micros(EXACT.multiply(amount, rate), up=up),
        rule=str(rule.pk),
        unit_price=f"{rule.unit_price.normalize():f}",
        per_quantity=rule.per_quantity,
        currency=rule.currency,
        rate=f"{rate.normalize():f}",
        certainty=rule.certainty,
    )


def in_force(rules: "QuerySet[Any]", at: datetime) -> "QuerySet[Any]":
    """Those that hold at the moment `at`."""
    return rules.filter(Q(valid_to=None) | Q(valid_to__gt=at), valid_from__lte=at)


def rules_for(profile_id: UUID | None, provider: str, at: datetime) -> "Rules":
    """The rules for a provider that hold at the moment `at`, the profile's own first."""
    own = PriceOverride.objects.filter(profile_id=profile_id, provider=provider)
    common = list(in_force(PriceRule.objects.filter(provider=provider), at))
    return Rules(list(in_force(own, at)) if profile_id else [], common)


class Rules:
    """Rules of one provider at one moment."""

    def __init__(self, own: Sequence[Price], common: Sequence[Price]) -> None:
        self.own, self.common = own, common

    def filter_tier(self, service_tier: str) -> "Rules":
        return Rules(*([rule for rule in rules if rule.service_tier == service_tier] for rules in self._both()))

    def best(self, model: str, meter: str, prompt: Decimal) -> Price | None:
        """The one that counts for a meter of a model and a prompt of so many tokens."""
        for rules in self._both():
            fitting = [rule for rule in rules if rule.meter == meter and rule.tier_min <= prompt and fits(rule, model)]
            if fitting:
                return max(fitting, key=lambda rule: (_nearness(rule, model), rule.tier_min, rule.valid_from))
        return None

    def _both(self) -> Iterable[Sequence[Price]]:
        return self.own, self.common


def fits(rule: Price, model: str) -> bool:
    """Whether a rule is about a model of this name."""
    if rule.match == Price.Match.PREFIX:
        return model.startswith(rule.model)
    return rule.model in {model, _VERSION.sub("", model)}


def _nearness(rule: Price, model: str) -> tuple[bool, bool, int]:
    return rule.match == Price.Match.EXACT, rule.model == model, len(rule.model)


def has_rate(currency: str, at: datetime) -> bool:
    """Whether amounts in a currency can be converted at the moment `at`."""
    return _Rates(at).of(currency) is not None


class _Rates:
    """Exchange rates at one moment, looked up when they are needed."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.known: dict[str, Decimal | None] = {CURRENCY: Decimal(1)}

    def of(self, currency: str) -> Decimal | None:
        if currency not in self.known:
            rates = ExchangeRate.objects.filter(currency=currency, valid_from__lte=self.at)
            self.known[currency] = rates.order_by("-valid_from").values_list("rate", flat=True).first()
        return self.known[currency]
