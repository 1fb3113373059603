"""Pictures of money, drawn on the server: no script, no style, so that the page keeps its policy."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from costs.money import day_of, shown
from costs.selectors import DEFAULT_DAYS, Range, overview
from profiles.models import Profile

WIDTH, HEIGHT = 900, 120  # of the drawing, in its own units
_GAP = 4


@dataclass(frozen=True)
class Bar:
    """A day. `words`: what somebody who points at it reads, or has read out."""

    x: float
    y: float
    width: float
    height: float
    words: str


@dataclass(frozen=True)
class Chart:
    """`total` and `month` in words; no bars when nothing was spent."""

    bars: list[Bar]
    total: str
    month: str
    width: int = WIDTH
    height: int = HEIGHT


def of_days(profile: Profile) -> Chart:
    """What each of the last thirty days cost."""
    today = day_of(timezone.now())
    wanted = Range(today - timedelta(days=DEFAULT_DAYS - 1), today)
    found = overview(profile, wanted, "day")
    spent = {row["key"]: row["amount_micros"] for row in found["results"]}
    return Chart(_bars(wanted, spent), shown(found["total"]["amount_micros"]), _month(found["month"]))


def _bars(wanted: Range, spent: dict[str, int]) -> list[Bar]:
    most = max(spent.values(), default=0)
    if most <= 0:
        return []
    step = WIDTH / DEFAULT_DAYS
    days = [wanted.start + timedelta(days=number) for number in range(DEFAULT_DAYS)]
    bars = []
    for number, day in enumerate(days):
        amount = spent.get(f"{day}", 0)
        height = max(1.0, round(HEIGHT * max(0, amount) / most, 1))
        words = f"{day}: {shown(amount)}"
        bars.append(Bar(round(number * step, 1), HEIGHT - height, step - _GAP, height, words))
    return bars


def _month(month: dict[str, Any]) -> str:
    text = f"{month['of']}: {shown(month['amount_micros'])} so far, probably {shown(month['forecast_micros'])} in all"
    return text if month["cap_micros"] is None else f"{text}, of a budget of {shown(month['cap_micros'])}"
