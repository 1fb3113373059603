"""Which price counts, and how it is rounded."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from conftest import Person
from costs.books import charging
from costs.models import ExchangeRate, LedgerEntry, PriceOverride, UsageAttempt
from costs.money import quantities, shown
from costs.prices.pricebook import priced
from costs.services import paid_call
from costs.tests.conftest import LONG_AGO, buy, call_for, price
from profiles import scope
from profiles.models import Profile

pytestmark = pytest.mark.django_db
MIDNIGHT = datetime(2027, 1, 1, tzinfo=UTC)
BEFORE = MIDNIGHT - timedelta(microseconds=1)


def override(profile: Profile, **fields: Any) -> PriceOverride:
    values: dict[str, Any] = {
        "profile": profile,
        "provider": "meter",
        "model": "",
        "match": "prefix",
        "meter": "credit",
        "unit_price": Decimal("0.002"),
        "valid_from": LONG_AGO,
        "source": "our contract",
        "source_date": LONG_AGO.date(),
    }
    return PriceOverride.objects.create(**{**values, **fields})


def cost(model: str = "m1", at: datetime = BEFORE, up: bool = False, tier: str = "standard", **used: Any) -> Any:
    """Micros, or the meters without a price."""
    active = scope.current()
    owner = active.profile_id if active and active.profile_id else uuid4()
    with scope.activate(owner):
        found = priced(
            profile_id=owner,
            provider="meter",
            model=model,
            used=quantities(used),
            at=at,
            service_tier=tier,
            up=up,
        )
    return found.unpriced or found.amount_micros


def test_a_price_that_changes_at_midnight() -> None:
    price(valid_to=MIDNIGHT)
    price(unit_price=Decimal("0.02"), valid_from=MIDNIGHT)
    assert (cost(at=BEFORE, credit=1), cost(at=MIDNIGHT, credit=1)) == (10_000, 20_000)
    assert cost(at=LONG_AGO - timedelta(seconds=1), credit=1) == ("credit",)


def test_the_profile_s_own_price_counts_for_it_alone(owner: Person, stranger: Person) -> None:
    price(model="m1", match="exact")
    with scope.activate(owner.profile.pk):
        override(owner.profile)
        assert cost(credit=1) == 2_000  # a wide one of its own before an exact one of all
    with scope.activate(stranger.profile.pk):
        assert cost(credit=1) == 10_000


def test_the_nearest_name_counts() -> None:
    price(unit_price=Decimal(1))
    price(model="m", unit_price=Decimal(2))
    price(model="m1-", unit_price=Decimal(3))
    price(model="m1-pro", match="exact", unit_price=Decimal(4))
    price(model="m1-pro-002", match="exact", unit_price=Decimal(5))
    names = ("x", "m9", "m1-lite", "m1-pro", "m1-pro-001", "m1-pro-002", "m1-pro-x")
    assert [cost(model=name, credit=1) // 1_000_000 for name in names] == [1, 2, 3, 4, 4, 5, 3]


def test_the_highest_tier_that_the_prompt_reaches_counts() -> None:
    for meter in ("tok_in_text", "tok_cached", "tok_out"):
        price(meter=meter, unit_price=Decimal(1))
        price(meter=meter, unit_price=Decimal(3), tier_min=100)
    assert cost(tok_in_text=99, tok_out=500) == 599_000_000
    assert cost(tok_in_text=60, tok_cached=40, tok_out=1) == 303_000_000  # cached tokens are part of the prompt


def test_a_service_tier_has_its_own_prices() -> None:
    price()
    price(service_tier="batch", unit_price=Decimal("0.005"))
    assert (cost(credit=1, tier="batch"), cost(credit=1, tier="priority")) == (5_000, ("credit",))


def test_another_currency_is_converted_at_the_rate_of_the_day() -> None:
    price(currency="EUR", unit_price=Decimal(1))
    assert cost(credit=1) == ("credit",)
    for day, rate in ((1, "1.10"), (10, "1.25")):
        ExchangeRate.objects.create(
            currency="EUR", rate=Decimal(rate), valid_from=datetime(2026, 11, day, tzinfo=UTC), source="ECB"
        )
    assert cost(at=datetime(2026, 11, 9, tzinfo=UTC), credit=1) == 1_100_000
    assert cost(at=datetime(2026, 11, 10, tzinfo=UTC), credit=1) == 1_250_000


@pytest.mark.parametrize(
    ("credits", "half_up", "up"), [("1", 0, 1), ("2", 1, 1), ("3", 1, 2), ("1000000", 400_000, 400_000)]
)
def test_each_line_is_rounded_half_up_and_a_reservation_up(credits: str, half_up: int, up: int) -> None:
    price(unit_price=Decimal("0.0000004"))
    assert (cost(credit=credits), cost(credit=credits, up=True)) == (half_up, up)


def test_halves_go_up() -> None:
    price(unit_price=Decimal("0.0000005"))
    assert (cost(credit=1), cost(credit=3)) == (1, 2)


def test_lines_say_how_the_amount_comes_about() -> None:
    rule = price(unit_price=Decimal("0.30"), per_quantity=1_000_000, meter="tok_in_text")
    with scope.activate(uuid4()):
        found = priced(
            profile_id=uuid4(), provider="meter", model="m1", used=quantities({"tok_in_text": 6120}), at=BEFORE
        )
    assert found.lines[0].as_json() == {
        "meter": "tok_in_text",
        "quantity": "6120",
        "amount_micros": 1836,
        "rule": str(rule.pk),
        "unit_price": "0.3",
        "per_quantity": 1_000_000,
        "currency": "USD",
        "rate": "1",
        "certainty": "likely",
    }


def test_amounts_for_people() -> None:
    assert [shown(micros) for micros in (0, 12_340_000, 1_836, -500_000)] == [
        "0.00 USD",
        "12.34 USD",
        "0.001836 USD",
        "-0.50 USD",
    ]


# --- the provider's own word ---------------------------------------------------------------------------


def settled(profile: Profile, used: dict[str, Any], answered: str, **call: Any) -> tuple[UsageAttempt, LedgerEntry]:
    with paid_call(profile=profile, call=call_for(**call)) as paid:
        buy()
        entry = paid.settle(used, model=answered)
    return UsageAttempt.objects.get(pk=paid.attempt.pk), entry


def test_the_model_that_answered_is_the_one_that_is_priced(in_scope: Profile) -> None:
    price(model="old", match="exact")
    price(model="new", match="exact", unit_price=Decimal("0.03"))
    attempt, entry = settled(in_scope, {"credit": 10}, "new", model="old")
    assert (attempt.model_requested, attempt.model_billed, entry.model) == ("old", "new", "new")
    assert (attempt.reserved_micros, entry.amount_micros) == (1_000_000, 300_000)


def test_a_call_rerouted_to_a_model_without_a_price_counts_as_reserved_and_is_flagged(in_scope: Profile) -> None:
    price(model="old", match="exact")
    attempt, entry = settled(in_scope, {"credit": 10}, "brand-new", model="old")
    assert (entry.amount_micros, entry.is_unpriced, entry.is_estimated) == (1_000_000, True, True)
    assert (attempt.is_unpriced, attempt.needs_reconciliation) == (True, True)


def test_what_had_no_price_is_priced_anew_by_an_adjustment(in_scope: Profile, owner: Person) -> None:
    attempt, entry = settled(in_scope, {"credit": 10}, "m1")
    assert (entry.amount_micros, entry.is_unpriced) == (0, True)
    assert charging.reprice(attempt, by=owner.user.pk) is None  # there is none yet
    price()
    found = charging.reprice(attempt, by=owner.user.pk)
    assert found is not None
    assert (found.kind, found.amount_micros, found.booked_by) == ("adjustment", 100_000, owner.user.pk)
    assert found.lines[0]["amount_micros"] == 100_000
    assert charging.reprice(attempt, by=owner.user.pk) is None
    assert not UsageAttempt.objects.get().needs_reconciliation
