"""The owner's money: a budget, a price of her own, a call that was charged, and one whose outcome nobody knows."""

from datetime import date
from decimal import Decimal
from typing import Any

from django.utils import timezone

from costs.books.attempts import Call, lose, mark_sent, reserve
from costs.books.charging import settle
from costs.models import Budget, ComputeDaily, PriceOverride
from costs.money import quantities
from profiles.models import Profile


def costs_rows(profile: Profile) -> dict[str, Any]:
    """Rows by name."""
    Budget.objects.create(profile=profile, period="day", cap_micros=50_000_000)
    price = _own_price(profile, "m1")
    ComputeDaily.objects.create(profile=profile, day=timezone.now().date(), job_kind="render", cpu_seconds=3)
    _charge(profile, "first")
    attempt = reserve(profile, _call("second"))
    mark_sent(attempt)
    lose(attempt, "No answer came.")
    return {"paid_call": attempt, "own_price": price}


def grow(profile: Profile, number: int) -> None:
    """One more of everything that lists show."""
    _charge(profile, f"grown {number}")
    _own_price(profile, f"n{number}")
    Budget.objects.create(profile=profile, period="month", provider=f"p{number}", cap_micros=1)
    ComputeDaily.objects.create(profile=profile, day=date(2026, 1, 1 + number), job_kind="render", cpu_seconds=3)


def _call(about: str) -> Call:
    return Call("isolation", "m1", "speech", about=about, estimate={"credit": 10})


def _charge(profile: Profile, about: str) -> None:
    attempt = reserve(profile, _call(about))
    mark_sent(attempt)
    settle(attempt, quantities({"credit": 5}))


def _own_price(profile: Profile, model: str) -> PriceOverride:
    price: PriceOverride = PriceOverride.objects.create(
        profile=profile,
        provider="isolation",
        model=model,
        meter="credit",
        unit_price=Decimal("0.01"),
        valid_from=timezone.now(),
        source="a contract",
        source_date=date(2026, 11, 28),
    )
    return price
