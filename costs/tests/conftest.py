"""A provider that costs money, without a network: what counts here is the door that it stands behind. And scratch of
its own for the jobs that tests run here and now."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from conftest import Person
from costs.models import PriceRule
from costs.services import Call, paid_call, paid_function
from profiles import scope

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@paid_function("meter")
def buy(answer: Any = None) -> Any:
    """One paid call: gives the answer, or raises it."""
    if isinstance(answer, BaseException):
        raise answer
    return answer


def price(**fields: Any) -> PriceRule:
    """A global price: 0.01 for a credit of any model of the provider `meter`, unless told otherwise."""
    values: dict[str, Any] = {
        "provider": "meter",
        "model": "",
        "match": "prefix",
        "meter": "credit",
        "unit_price": Decimal("0.01"),
        "valid_from": LONG_AGO,
        "source": "a test",
        "source_date": LONG_AGO.date(),
    }
    return PriceRule.objects.create(**{**values, **fields})


def call_for(credits: int = 100, **fields: Any) -> Call:
    """A call that may take up to so many credits, a cent each."""
    values: dict[str, Any] = {"provider": "meter", "model": "m1", "operation": "speech", "about": "a text"}
    return Call(**{**values, "estimate": {"credit": credits}, **fields})


@pytest.fixture
def cent(db: None) -> PriceRule:
    return price()


@pytest.fixture
def spend(cent: PriceRule) -> Callable[..., None]:
    """`spend(person, 30)`: buys 30 credits, 0.30 of the book currency, for the brand of `person`."""

    def run(person: Person, credits: int, *, estimate: int | None = None, **fields: Any) -> None:
        with scope.activate(person.profile.pk):
            wanted = call_for(estimate or credits, about=str(uuid4()), **fields)
            with paid_call(profile=person.profile, call=wanted) as paid:
                buy()
                paid.settle({"credit": credits})

    return run


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    settings.SCRATCH_DIR = tmp_path / "attempts"
    settings.SCRATCH_DIR.mkdir(mode=0o700)
