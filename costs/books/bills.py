"""What a call costs its profile, and what counts for the server: the same, unless the profile has its own prices."""

from dataclasses import dataclass
from functools import partial

from costs.models import UsageAttempt
from costs.money import Quantities
from costs.prices.pricebook import Priced, priced


@dataclass(frozen=True)
class Bill:
    """`server_micros`: by the common prices, so that no profile decides what counts against the operator's budgets;
    where those lack one, at least what the profile's own give."""

    own: Priced
    server_micros: int


def bill_of(call: UsageAttempt, used: Quantities, *, up: bool = False) -> Bill:
    """What `used` costs by the model that was billed (or else asked for), at the moment of the call. `up`: rounded up,
    for a reservation."""
    ask = partial(
        priced,
        provider=call.provider,
        model=call.model_billed or call.model_requested,
        used=used,
        at=call.occurred_at,
        service_tier=call.service_tier,
        up=up,
    )
    own, common = ask(profile_id=call.profile_id), ask(profile_id=None)
    if common.unpriced:
        return Bill(own, max(common.amount_micros, own.amount_micros))
    return Bill(own, common.amount_micros)
