"""What owners set: budgets, and prices of their own."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from costs.errors import BudgetExceeded
from costs.models import Budget, Length, Price, PriceOverride
from costs.money import day_of, shown
from costs.prices.pricebook import has_rate
from costs.prices.tables import JUST_NOW, end, plan_against
from costs.selectors import budgets, own_prices
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, DomainError, Invalid, NotFound
from profiles.models import Profile

MOST_OWN_PRICES = 500  # that hold or are planned


def budget_set(
    *, profile: Profile, period: str, provider: str, cap_micros: int | None, is_hard: bool = True
) -> Budget | None:
    """Sets a budget, or removes it when `cap_micros` is None. It counts from the next call on; what is reserved stays
    reserved."""
    with transaction.atomic():
        if cap_micros is None:
            Budget.objects.for_profile(profile).filter(period=period, provider=provider).delete()
            return None
        row: Budget = Budget.objects.update_or_create(
            profile=profile,
            period=period,
            provider=provider,
            defaults={"cap_micros": cap_micros, "is_hard": is_hard},
        )[0]
    return row


def would_block(profile: Profile, costs: Sequence[int]) -> DomainError | None:
    """What would stop jobs that cost so much each, as the profile's budgets for all providers stand now. Those of
    single providers and of the server are asked when a call is made."""
    for row in budgets(profile):
        of_a_job = row["period"] == Length.JOB
        needed = max(costs) if of_a_job else sum(costs)
        left = row["cap_micros"] if of_a_job else row["remaining_micros"]
        if row["is_hard"] and row["provider"] is None and needed > left:
            which = "a job" if of_a_job else f"the {row['period']} {row['of']}"
            enough = needed + (0 if of_a_job else row["amount_micros"] + row["reserved_micros"])
            return BudgetExceeded(
                f"This may cost {shown(needed)}, but the brand's budget for {which} has {shown(left)} left.",
                details=[{**row, "needed_micros": needed, "enough_micros": enough}],
                next_step=f"An owner can raise it to {shown(enough)} or more.",
            )
    return None


def own_price_set(*, profile: Profile, values: Mapping[str, Any]) -> PriceOverride:
    """Adds a price of the profile's own; the one before it ends when it begins, and it ends itself where one that is
    planned begins. Invalid for one that begins in the past, or in a currency without an exchange rate; Conflict when it
    is in the book already, or somebody else was faster."""
    now = timezone.now()
    price = PriceOverride(profile=profile, **{"valid_from": now, **values})
    if faults := _faults(price, now):
        raise Invalid(CHECK_FIELDS, fields=faults)
    try:
        with transaction.atomic():
            own = own_prices(profile, now)
            if own.count() >= MOST_OWN_PRICES:
                raise Conflict(f"At most {MOST_OWN_PRICES} prices of your own: end some first.", code="too_many_prices")
            change = plan_against(list(own), [price], now)[0]
            if change.what == "unchanged":
                raise Conflict("This price is in the book already.", code="already_there")
            if change.what == "refused":
                raise Invalid(CHECK_FIELDS, fields={"valid_from": [change.why]})
            for rule in change.replaced:
                end(rule, price.valid_from)
            price.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict("Somebody has just entered another price for the same. Look again.", code="busy") from error
    return price


def _faults(price: PriceOverride, now: datetime) -> dict[str, list[str]]:
    """What is wrong with a price, by its field."""
    wrong = {
        "model": (not price.model and price.match == Price.Match.EXACT, "Name the model, or let match be prefix."),
        "valid_from": (price.valid_from < now - JUST_NOW, "A price of your own begins now, or later."),
        "valid_to": (
            price.valid_to is not None and price.valid_to <= price.valid_from,
            "This lies before valid_from.",
        ),
        "source_date": (price.source_date > day_of(now) + timedelta(days=1), "This day is still to come."),
        "currency": (not has_rate(price.currency, now), "There is no exchange rate for it: an operator enters one."),
    }
    return {name: [text] for name, (is_wrong, text) in wrong.items() if is_wrong}


def own_price_end(*, profile: Profile, price: PriceOverride) -> None:
    """Lets a price of the profile's own end now; one that has not begun never will. NotFound when it has ended."""
    now = timezone.now()
    with transaction.atomic():
        row = own_prices(profile, now).filter(pk=price.pk).first()
        if row is None:
            raise NotFound
        end(row, now)
