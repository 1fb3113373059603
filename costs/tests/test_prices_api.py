"""Prices over HTTP: the book as a profile sees it, and prices of its own."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import Person
from costs.errors import BudgetExceeded
from costs.models import PriceOverride, ServerBudget
from costs.tests.test_costs_api import API, PRICE, get
from profiles import scope

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
Spend = Callable[..., None]


def own_price(**more: Any) -> dict[str, Any]:
    return {**PRICE, **more}


def test_a_price_of_the_profile_s_own(owner: Person, stranger: Person, spend: Spend) -> None:
    answer = owner.client.post(f"{API}costs/prices/", own_price(), format="json")
    assert answer.status_code == 201, answer.content
    assert (answer.json()["is_own"], answer.json()["unit_price"]) == (True, "0.004")
    spend(owner, 100)
    spend(stranger, 100)
    assert get(owner, "costs/")["total"]["amount_micros"] == 400_000
    assert get(stranger, "costs/")["total"]["amount_micros"] == 1_000_000
    first = get(owner, "costs/prices/")["results"][0]
    assert (first["is_own"], first["id"]) == (True, answer.json()["id"])
    assert not any(row["is_own"] for row in get(stranger, "costs/prices/")["results"])


def test_a_new_own_price_ends_the_one_before(owner: Person) -> None:
    for amount in ("0.004", "0.003"):
        body = own_price(unit_price=amount)
        assert owner.client.post(f"{API}costs/prices/", body, format="json").status_code == 201
    with scope.activate(owner.profile.pk):
        old, new = PriceOverride.objects.order_by("id")
    assert old.valid_to == new.valid_from
    body = own_price(unit_price="0.003", valid_from=new.valid_from.isoformat())
    answer = owner.client.post(f"{API}costs/prices/", body, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_there")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"unit_price": "-1"}, "unit_price"),
        ({"unit_price": "cheap"}, "unit_price"),
        ({"meter": "sparks"}, "meter"),
        ({"model": ""}, "model"),
        ({"provider": "metre"}, "provider"),
        ({"unit_price": "1000"}, "unit_price"),
        ({"currency": "usd"}, "currency"),
        ({"currency": "XYZ"}, "currency"),
        ({"source_date": "9999-12-31"}, "source_date"),
        ({"valid_from": "0001-01-01T00:00:00Z"}, "valid_from"),
        ({"per_quantity": 0}, "per_quantity"),
        ({"valid_to": "2020-01-01T00:00:00Z"}, "valid_to"),
        ({"source": ""}, "source"),
        ({"origin": "seeded"}, "origin"),
    ],
)
def test_an_own_price_that_makes_no_sense(owner: Person, more: dict[str, Any], field: str) -> None:
    answer = owner.client.post(f"{API}costs/prices/", own_price(**more), format="json")
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["error"]["fields"]


def test_an_own_price_does_not_rewrite_the_past(owner: Person) -> None:
    assert owner.client.post(f"{API}costs/prices/", own_price(), format="json").status_code == 201
    body = own_price(unit_price="9", valid_from="2026-01-01T00:00:00Z")
    answer = owner.client.post(f"{API}costs/prices/", body, format="json")
    assert answer.status_code == 400
    assert "begins now, or later" in str(answer.json()["error"]["fields"]["valid_from"])


def test_an_own_price_ends_by_hand_and_leaves_what_is_planned(owner: Person, stranger: Person) -> None:
    url, soon = f"{API}costs/prices/", timezone.now() + timedelta(days=3)
    planned = owner.client.post(url, own_price(valid_from=soon.isoformat()), format="json").json()
    now = owner.client.post(url, own_price(unit_price="0.003"), format="json").json()
    assert datetime.fromisoformat(now["valid_to"]) == soon
    assert [row["id"] for row in get(owner, "costs/prices/")["results"][:2]] == [planned["id"], now["id"]]
    assert stranger.client.delete(f"{url}{now['id']}/").status_code == 404
    for entered in (planned, now):
        assert owner.client.delete(f"{url}{entered['id']}/").status_code == 204
        assert owner.client.delete(f"{url}{entered['id']}/").status_code == 404
    assert not any(row["is_own"] for row in get(owner, "costs/prices/")["results"])


def test_there_are_only_so_many_own_prices(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("costs.settings_services.MOST_OWN_PRICES", 1)
    assert owner.client.post(f"{API}costs/prices/", own_price(), format="json").status_code == 201
    answer = owner.client.post(f"{API}costs/prices/", own_price(model="m2"), format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_many_prices")


def test_a_brand_s_own_price_moves_no_budget_of_the_server(owner: Person, spend: Spend) -> None:
    ServerBudget.objects.create(period="day", cap_micros=1_000_000)
    answer = owner.client.post(f"{API}costs/prices/", own_price(unit_price="0"), format="json")
    assert answer.status_code == 201
    spend(owner, 60)
    with pytest.raises(BudgetExceeded, match="server's budget"):
        spend(owner, 60)
    assert get(owner, "costs/")["total"]["amount_micros"] == 0
