"""Rules in the admin: superusers only, values that fit, and what was edited stays."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from conftest import Person
from publishing.models import NetworkRule
from publishing.rules import facts as network_facts

pytestmark = pytest.mark.django_db
LIST = "admin:publishing_networkrule_changelist"
ADD = "admin:publishing_networkrule_add"


@pytest.fixture
def browser(owner: Person) -> Client:
    owner.user.is_superuser = True
    owner.user.save()
    client = Client()
    client.force_login(owner.user)
    return client


def page_of(rule: NetworkRule) -> str:
    return reverse("admin:publishing_networkrule_change", args=[rule.pk])


def form_of(rule: NetworkRule, **changes: Any) -> dict[str, Any]:
    names = ("network", "rule", "source", "certainty", "note")
    values = {name: getattr(rule, name) for name in names}
    return {**values, "value": "90", "checked_on": "2026-11-20", **changes}


def test_a_superuser_lists_and_edits_and_the_edit_survives_the_next_seed(browser: Client) -> None:
    answer = browser.get(reverse(LIST), {"network__exact": "facebook"})
    assert answer.status_code == 200
    assert "1 GB" in answer.content.decode()
    rule = NetworkRule.objects.get(network="facebook", rule="max_seconds")
    assert browser.get(page_of(rule)).status_code == 200
    changed = form_of(rule, value="600", source="Seen in the app", certainty="sure", is_advice="on")
    assert browser.post(page_of(rule), changed).status_code == 302
    network_facts.seed(using="default")
    rule.refresh_from_db()
    assert (rule.value, rule.source, rule.certainty) == (600, "Seen in the app", "sure")
    assert (rule.is_advice, rule.is_edited, str(rule.checked_on)) == (True, True, "2026-11-20")


@pytest.mark.parametrize(
    ("name", "value"), [("max_seconds", '"90"'), ("max_seconds", "-1"), ("max_seconds", "[1]"), ("max_seconds", "nine")]
)
def test_a_value_that_does_not_fit_is_refused(browser: Client, name: str, value: str) -> None:
    rule = NetworkRule.objects.get(network="facebook", rule=name)
    answer = browser.post(page_of(rule), form_of(rule, value=value))
    assert answer.status_code == 200
    assert "errorlist" in answer.content.decode()
    rule.refresh_from_db()
    assert (rule.value, rule.is_edited) == (90, False)


def test_a_network_that_we_do_not_know_gets_rules(browser: Client) -> None:
    rule = NetworkRule(network="vimeo", rule="faststart", source="A page", certainty="likely")
    assert browser.post(reverse(ADD), form_of(rule, value="false")).status_code == 302
    assert NetworkRule.objects.get(network="vimeo").value is False
    twice = browser.post(reverse(ADD), form_of(rule, value="true"))
    assert twice.status_code == 200
    rule.rule = "max_moons"
    assert browser.post(reverse(ADD), form_of(rule)).status_code == 200


def test_others_do_not_even_look(owner: Person) -> None:
    client = Client()
    client.force_login(owner.user)
    rule = NetworkRule.objects.all()[0]
    for page in (reverse(LIST), reverse(ADD), page_of(rule)):
        assert client.get(page).status_code in {302, 403}
    assert "networkrule" not in client.get(reverse("admin:index")).content.decode()
