"""Money: whole micros (millionths) of the one currency in which the books are kept.

A charge is rounded half up, once for each of its lines; a reservation is rounded up. Days and months are those of UTC.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from costs.models import Meter

CURRENCY = "USD"
MICROS = 1_000_000
MOST = Decimal(10) ** 12  # of anything in one call; more is a garbled answer
MOST_MICROS = 10**12  # that one call can cost: a million of the book currency; more is a mistake of somebody
EXACT = Context(prec=60)

Quantities = Mapping[str, Decimal]


def micros(amount: Decimal, *, up: bool = False) -> int:
    """`amount` of the book currency in micros."""
    return int(EXACT.multiply(amount, Decimal(MICROS)).to_integral_value(ROUND_CEILING if up else ROUND_HALF_UP))


def shown(amount_micros: int) -> str:
    """For people: as in 12.34 USD; small amounts with all their digits."""
    amount = Decimal(amount_micros) / MICROS
    text = f"{amount:.2f}" if amount_micros % 10_000 == 0 else f"{amount:.6f}".rstrip("0")
    return f"{text} {CURRENCY}"


def quantities(usage: Mapping[Any, Any]) -> dict[str, Decimal]:
    """What was used by meter, without the zeros. ValueError for an unknown meter, and for what is no quantity: a
    provider's answer is not to be trusted."""
    found = {}
    for meter, value in usage.items():
        if meter not in Meter.values:
            raise ValueError(f"There is no meter {meter!r}.")
        if isinstance(value, bool):
            raise ValueError(f"{meter} is no quantity.")
        try:
            quantity = Decimal(str(value))
        except InvalidOperation:
            raise ValueError(f"{meter} is no quantity.") from None
        if not quantity.is_finite() or not 0 <= quantity <= MOST:
            raise ValueError(f"{meter} is no quantity.")
        if quantity:
            found[str(meter)] = quantity
    return found


def as_text(amounts: Quantities) -> dict[str, str]:
    """Quantities as JSON keeps them exactly."""
    return {meter: f"{quantity.normalize():f}" for meter, quantity in sorted(amounts.items())}


def day_of(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
