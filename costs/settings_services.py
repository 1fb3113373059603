"""What owners set: budgets, and prices of their own."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from costs.errors import BudgetExceeded
from costs.models import Budget, Length, Price, PriceOverride
from costs.money import shown
from costs.prices.tables import end, plan_against
from costs.selectors import budgets
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, DomainError, Invalid
from profiles.models import Profile


def budget_set(*, profile: Profile, period: str, provider: str, cap_micros: int | None, is_hard: bool = True) -> None:
    """Sets a budget, or removes it when `cap_micros` is None. It counts from the next call on; what is reserved stays
    reserved."""
    with transaction.atomic():
        if cap_micros is None:
            Budget.objects.for_profile(profile).filter(period=period, provider=provider).delete()
        else:
            Budget.objects.update_or_create(
                profile=profile,
                period=period,
                provider=provider,
                defaults={"cap_micros": cap_micros, "is_hard": is_hard},
            )


def would_block(profile: Profile, cost_micros: int) -> DomainError | None:
    """What would stop a job that costs so much, as the profile's budgets for all providers stand now. Those of single
    providers and of the server are asked when a call is made."""
    for row in budgets(profile):
        left = row["cap_micros"] if row["period"] == Length.JOB else row["remaining_micros"]
        if row["is_hard"] and row["provider"] is None and cost_micros > left:
            which = "a job" if row["period"] == Length.JOB else f"the {row['period']} {row['of']}"
            spent = row["amount_micros"] + row["reserved_micros"]
            enough = cost_micros + (0 if row["period"] == Length.JOB else spent)
            return BudgetExceeded(
                f"This may cost {shown(cost_micros)}, but the brand's budget for {which} has {shown(left)} left.",
                details=[{**row, "needed_micros": cost_micros, "enough_micros": enough}],
                next_step=f"An owner can raise it to {shown(enough)} or more.",
            )
    return None


def own_price_set(*, profile: Profile, values: Mapping[str, Any]) -> PriceOverride:
    """Adds a price of the profile's own; the one before it ends when it begins. Invalid when it would change what was
    in force, Conflict when somebody else was faster."""
    now = timezone.now()
    price = PriceOverride(profile=profile, **{"valid_from": now, **values})
    if price.match == Price.Match.EXACT and not price.model:
        raise Invalid(CHECK_FIELDS, fields={"model": ["Name the model, or let match be prefix."]})
    if price.valid_to is not None and price.valid_to <= price.valid_from:
        raise Invalid(CHECK_FIELDS, fields={"valid_to": ["This lies before valid_from."]})
    book = PriceOverride.objects.for_profile(profile).filter(provider=price.provider, meter=price.meter)
    try:
        with transaction.atomic():
            change = plan_against(list(book), [price], now)[0]
            if change.what == "refused":
                raise Invalid(CHECK_FIELDS, fields={"valid_from": [change.why]})
            if change.what == "unchanged":
                raise Conflict("This price is in the book already.", code="already_there")
            for rule in change.replaced:
                end(rule, price.valid_from)
            price.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict("Somebody has just entered another price for the same. Look again.", code="busy") from error
    return price
