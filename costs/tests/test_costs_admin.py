"""Money in the admin: looking, limits, prices from a table, and all brands for the operator alone."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import Person
from costs.books import attempts, charging
from costs.models import Budget, ExchangeRate, LedgerEntry, PriceRule, ProviderSwitch, ServerBudget, UsageAttempt
from costs.tests.conftest import call_for, price
from profiles import scope
from profiles.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
Spend = Callable[..., None]
HEAD = "provider,model,match,meter,unit_price,source,source_date"


def page(person: Person, *, superuser: bool = False) -> Client:
    if superuser:
        User.objects.filter(pk=person.user.pk).update(is_superuser=True, is_staff=True)
    client = Client()
    client.force_login(User.objects.get(pk=person.user.pk))
    return client


MODELS = (
    *("ledgerentry", "usageattempt", "costdaily", "unitsdaily", "computedaily", "profileperiod", "budget"),
    "priceoverride",
)
OPERATORS = ("pricerule", "exchangerate", "serverbudget", "serverperiod", "providerswitch")


@pytest.mark.parametrize("model", MODELS)
def test_the_books_of_a_brand_are_shown_to_it_alone(owner: Person, stranger: Person, spend: Spend, model: str) -> None:
    spend(stranger, 12345)
    spend(owner, 77)
    text = page(owner).get(reverse(f"admin:costs_{model}_changelist")).content.decode()
    assert "123.45" not in text
    if model in {"ledgerentry", "costdaily", "unitsdaily", "profileperiod"}:
        assert "0.77\N{NO-BREAK SPACE}USD" in text
    if model in {"ledgerentry", "usageattempt"}:
        with scope.activate(owner.profile.pk):
            row = (LedgerEntry if model == "ledgerentry" else UsageAttempt).objects.get()
        url = reverse(f"admin:costs_{model}_change", args=[row.pk])
        assert page(owner).get(url).status_code == 200
        assert page(owner).post(url, {"note": "x"}).status_code == 403


@pytest.mark.parametrize("model", OPERATORS)
def test_what_belongs_to_no_brand_is_the_operator_s(owner: Person, spend: Spend, model: str) -> None:
    spend(owner, 5)
    url = reverse(f"admin:costs_{model}_changelist")
    assert page(owner).get(url).status_code == 403
    assert page(owner, superuser=True).get(url).status_code == 200


def test_all_brands_are_shown_to_the_operator_who_is_noted(
    owner: Person, stranger: Person, spend: Spend, caplog: pytest.LogCaptureFixture
) -> None:
    spend(owner, 25)
    spend(stranger, 50)
    url = reverse("admin:costs_all_brands")
    assert page(owner).get(url).status_code == 403
    assert "costs of all profiles" not in caplog.text
    text = page(owner, superuser=True).get(url).content.decode()
    assert "olga (" in caplog.text
    assert "looked at the costs of all profiles" in caplog.text
    for words in (owner.profile.name.replace("'", "&#x27;"), "0.25 USD", "0.50 USD", "0.75 USD"):
        assert words in text
    assert "By brand" in page(owner).get(reverse("admin:costs_serverperiod_changelist")).content.decode()


def test_the_last_days_are_drawn(owner: Person, spend: Spend) -> None:
    url = reverse("admin:costs_costdaily_changelist")
    assert "Nothing was spent in the last 30 days." in page(owner).get(url).content.decode()
    spend(owner, 77)
    text = page(owner).get(url).content.decode()
    assert text.count("<rect ") == 30
    assert f"<title>{timezone.now():%Y-%m-%d}: 0.77 USD</title>" in text
    assert "0.77 USD so far, probably 0.77 USD in all." in text
    with scope.activate(owner.profile.pk):
        Budget.objects.create(profile=owner.profile, period="month", cap_micros=2_000_000)
    assert "of a budget of 2.00 USD" in page(owner).get(url).content.decode()


def test_nothing_spent_says_so(owner: Person) -> None:
    text = page(owner, superuser=True).get(reverse("admin:costs_all_brands")).content.decode()
    assert "Nothing has been spent yet." in text


def test_owners_set_a_budget(owner: Person, viewer: Person) -> None:
    url = reverse("admin:costs_budget_add")
    body = {"period": "day", "provider": "", "cap_micros": "1000000", "is_hard": "on"}
    assert page(viewer).post(f"/p/{owner.profile.slug}{url}", body).status_code == 403
    assert page(owner).post(url, body).status_code == 302
    with scope.activate(owner.profile.pk):
        assert Budget.objects.get().cap_micros == 1_000_000
    assert "1.00\N{NO-BREAK SPACE}USD" in page(owner).get(reverse("admin:costs_budget_changelist")).content.decode()


def test_a_budget_that_is_there_already_is_changed(owner: Person) -> None:
    url, client = reverse("admin:costs_budget_add"), page(owner)
    for cap in ("1000000", "2000000"):
        body = {"period": "month", "provider": "", "cap_micros": cap, "is_hard": "on"}
        assert client.post(url, body).status_code == 302
    with scope.activate(owner.profile.pk):
        row = Budget.objects.get()
    assert row.cap_micros == 2_000_000
    change = reverse("admin:costs_budget_change", args=[row.pk])
    assert client.post(change, {"cap_micros": "7"}).status_code == 302
    with scope.activate(owner.profile.pk):
        row.refresh_from_db()
    assert (row.cap_micros, row.is_hard, row.period) == (7, False, "month")


@pytest.mark.parametrize("more", [{"provider": "metre"}, {"cap_micros": str(10**16)}, {"cap_micros": "-1"}])
def test_a_limit_that_would_limit_nothing_is_refused(owner: Person, more: dict[str, str]) -> None:
    body = {"period": "month", "provider": "", "cap_micros": "1", "is_hard": "on", **more}
    client = page(owner, superuser=True)
    for model in ("budget", "serverbudget"):
        assert client.post(reverse(f"admin:costs_{model}_add"), body).status_code == 200
    switch = {"provider": "metre", "is_stopped": "on"}
    assert client.post(reverse("admin:costs_providerswitch_add"), switch).status_code == 200
    assert not ServerBudget.objects.exists()
    assert not ProviderSwitch.objects.exists()


def test_a_budget_of_jobs_is_for_all_providers(owner: Person) -> None:
    body = {"period": "job", "provider": "meter", "cap_micros": "5", "is_hard": "on"}
    answer = page(owner).post(reverse("admin:costs_budget_add"), body)
    assert "A job&#x27;s budget is for all providers together." in answer.content.decode()
    with scope.activate(owner.profile.pk):
        assert not Budget.objects.exists()


def test_a_list_that_is_asked_for_in_a_mad_way_is_a_400(owner: Person) -> None:
    client, calls = page(owner), reverse("admin:costs_usageattempt_changelist")
    assert client.get(reverse("admin:costs_costdaily_changelist"), {"day__year": "99999999999"}).status_code == 400
    assert client.post(calls, {"action": "price_anew", "_selected_action": "zzz"}).status_code == 400


def test_the_operator_limits_and_stops(owner: Person) -> None:
    client = page(owner, superuser=True)
    body = {"period": "month", "provider": "", "cap_micros": "5000000", "is_hard": "on"}
    assert client.post(reverse("admin:costs_serverbudget_add"), body).status_code == 302
    assert ServerBudget.objects.get().cap_micros == 5_000_000
    assert client.post(reverse("admin:costs_serverbudget_add"), {**body, "period": "job"}).status_code == 200
    switch = {"provider": "meter", "is_stopped": "on", "reason": "Too dear."}
    assert client.post(reverse("admin:costs_providerswitch_add"), switch).status_code == 302
    assert ProviderSwitch.objects.get().is_stopped
    rate = {"currency": "EUR", "rate": "1.1", "valid_from_0": "2026-11-01", "valid_from_1": "00:00:00", "source": "ECB"}
    assert client.post(reverse("admin:costs_exchangerate_add"), rate).status_code == 302
    change = reverse("admin:costs_exchangerate_change", args=[ExchangeRate.objects.get().pk])
    assert client.post(change, {**rate, "rate": "2"}).status_code == 403


# --- prices from a table -------------------------------------------------------------------------------


def table(*lines: str) -> str:
    return "\n".join([HEAD, *lines])


def test_a_table_is_looked_at_and_then_taken_over(owner: Person, spend: Spend, cent: PriceRule) -> None:
    spend(owner, 300)
    client, url = page(owner, superuser=True), reverse("admin:costs_pricerule_import")
    assert client.get(url).status_code == 200
    text = table("meter,,prefix,credit,0.02,their page,2026-11-28", "meter,m9,exact,char,1,their page,2026-11-28")
    shown = client.post(url, {"table": text, "preview": "1"}).content.decode()
    wanted = ("replaces", "0.01 USD per credits", "0.02 USD per credits", "3.00 USD → 6.00 USD", "new", "Take it over")
    assert [words for words in wanted if words not in shown] == []
    cent.refresh_from_db()
    assert cent.valid_to is None
    assert client.post(url, {"table": text, "apply": "1"}).status_code == 302
    cent = PriceRule.objects.get(pk=cent.pk)
    new = PriceRule.objects.get(provider="meter", meter="credit", valid_to=None)
    assert (cent.valid_to, new.unit_price, new.origin) == (new.valid_from, Decimal("0.02"), "entered")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("meter,,prefix,credit,cheap,page,2026-11-28", "Line 2: a number is expected"),
        ('meter,<script>,prefix,credit,"x,page', "Line 2"),
    ],
)
def test_a_broken_table_says_where_and_changes_nothing(owner: Person, line: str, words: str) -> None:
    before = PriceRule.objects.count()
    answer = page(owner, superuser=True).post(
        reverse("admin:costs_pricerule_import"), {"table": table(line), "apply": "1"}
    )
    assert words in answer.content.decode()
    assert PriceRule.objects.count() == before
    assert b"meter,<script>" not in answer.content


def test_a_refused_price_is_said_and_nothing_is_taken_over(owner: Person, cent: PriceRule) -> None:
    text = HEAD + ",valid_from\nmeter,,prefix,credit,0.02,page,2026-11-28,2026-03-01"
    url = reverse("admin:costs_pricerule_import")
    client = page(owner, superuser=True)
    assert "was in force stays" in client.post(url, {"table": text}).content.decode()
    assert "was in force stays" in client.post(url, {"table": text, "apply": "1"}).content.decode()


def test_the_table_comes_out_as_it_goes_in(owner: Person) -> None:
    client = page(owner, superuser=True)
    text = client.get(reverse("admin:costs_pricerule_export")).content.decode()
    shown = client.post(reverse("admin:costs_pricerule_import"), {"table": text}).content.decode()
    assert shown.count("<td>unchanged</td>") == PriceRule.objects.count()


@pytest.mark.parametrize("name", ["import", "export"])
def test_prices_are_the_operator_s(owner: Person, name: str) -> None:
    assert page(owner).get(reverse(f"admin:costs_pricerule_{name}")).status_code == 403


def test_what_had_no_price_is_priced_anew(owner: Person, viewer: Person) -> None:
    with scope.activate(owner.profile.pk):
        attempt = attempts.reserve(owner.profile, call_for(estimate={"char": 10}))
        attempts.mark_sent(attempt)
        charging.settle(attempt, {"char": Decimal(9)})
    price(meter="char", unit_price=Decimal("0.5"), valid_from=timezone.now() - timedelta(days=1))
    url, body = (
        reverse("admin:costs_usageattempt_changelist"),
        {"action": "price_anew", "_selected_action": str(attempt.pk)},
    )
    page(viewer).post(f"/p/{owner.profile.slug}{url}", body)
    with scope.activate(owner.profile.pk):
        assert LedgerEntry.objects.count() == 1
    answer: Any = page(owner).post(url, body, follow=True)
    assert "1 of 1 cost something else now." in answer.content.decode()
    with scope.activate(owner.profile.pk):
        assert sum(LedgerEntry.objects.values_list("amount_micros", flat=True)) == 4_500_000
