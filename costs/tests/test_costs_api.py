"""Money over HTTP: what was spent, the ledger, calls, budgets, prices, usage."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from conftest import Person
from costs import csv_export, providers
from costs.books import attempts, charging
from costs.csv_export import safe
from costs.models import LedgerEntry, UsageAttempt
from costs.providers import Balance, Provider
from costs.services import cache_hit
from costs.tests.conftest import call_for, price
from editai.projects.models import Project
from jobs.models import Job
from profiles import scope, time_zones
from publishing.models import PublishingSettings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
Spend = Callable[..., None]
API = "/api/v1/"


def get(person: Person, path: str, **query: Any) -> Any:
    answer = person.client.get(API + path, query)
    assert answer.status_code == 200, answer.content
    return answer.json()


PRICE = {
    "provider": "meter",
    "model": "m1",
    "meter": "credit",
    "unit_price": "0.004",
    "source": "our plan",
    "source_date": "2026-11-28",
}


def put_budget(person: Person, **body: Any) -> Any:
    return person.client.put(f"{API}costs/budget/", body, format="json")


# --- what was spent ------------------------------------------------------------------------------------


def test_nothing_spent_yet(owner: Person) -> None:
    answer = get(owner, "costs/")
    assert (answer["results"], answer["currency"], answer["by"], answer["shown_in"]) == ([], "USD", "day", "UTC")
    assert answer["total"]["amount_micros"] == answer["today"]["amount_micros"] == 0
    assert answer["month"]["cap_micros"] is None
    assert (answer["start"], answer["end"]) == (
        f"{timezone.now() - timedelta(days=29):%Y-%m-%d}",
        f"{timezone.now():%Y-%m-%d}",
    )


def test_what_was_spent_by_each_thing(owner: Person, stranger: Person, spend: Spend) -> None:
    with scope.activate(owner.profile.pk):
        project = Project.objects.create(profile=owner.profile, name="Bread")
        job = Job.objects.create(profile=owner.profile, kind="render", queue="media", priority=1, max_attempts=1)
    price(provider="other")
    spend(owner, 30, project_id=project.pk)
    spend(owner, 20, operation="music", job=job)
    spend(owner, 5, model="m2")
    spend(stranger, 1000)

    def rows(by: str) -> dict[Any, int]:
        return {row["key"]: row["amount_micros"] for row in get(owner, "costs/", by=by)["results"]}

    assert rows("day") == {f"{timezone.now():%Y-%m-%d}": 550_000}
    assert rows("provider") == {"meter": 550_000}
    assert rows("model") == {"m1": 500_000, "m2": 50_000}
    assert rows("operation") == {"speech": 350_000, "music": 200_000}
    assert rows("project") == {str(project.pk): 300_000, None: 250_000}
    assert rows("job") == {str(job.pk): 200_000}
    labels = {row["key"]: row["label"] for row in get(owner, "costs/", by="project")["results"]}
    assert labels == {str(project.pk): "Bread", None: None}
    assert get(owner, "costs/", by="job")["results"][0]["label"] == "Rendering clips"
    only = get(owner, "costs/", project=project.pk, provider="meter")
    assert (only["total"]["amount_micros"], only["total"]["calls"]) == (300_000, 1)
    assert get(owner, "costs/", provider="other")["total"]["calls"] == 0
    assert get(owner, "costs/")["month"]["amount_micros"] == 550_000


def test_a_range_of_days_and_a_forecast(owner: Person, spend: Spend, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in (1, 5, 9):
        monkeypatch.setattr(timezone, "now", lambda day=day: datetime(2026, 11, day, 12, tzinfo=UTC))
        spend(owner, 70)
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 10, 12, tzinfo=UTC))
    answer = get(owner, "costs/", start="2026-11-05", end="2026-11-09")
    assert [row["key"] for row in answer["results"]] == ["2026-11-05", "2026-11-09"]
    assert answer["total"]["amount_micros"] == 1_400_000
    # 0.70 on two of the days from the 3rd to the 9th; twenty days are left
    assert answer["month"]["forecast_micros"] == 2_100_000 + 20 * 200_000
    assert answer["today"]["amount_micros"] == 0


def test_days_are_of_utc_and_shown_in_the_zone_of_the_profile(owner: Person, spend: Spend) -> None:
    spend(owner, 1)
    with scope.activate(owner.profile.pk):
        PublishingSettings.objects.create(profile=owner.profile, time_zone="Asia/Tokyo")
        assert time_zones.time_zone_of(owner.profile) == ZoneInfo("Asia/Tokyo")
    answer = get(owner, "costs/")
    assert answer["shown_in"] == "Asia/Tokyo"
    assert answer["results"][0]["begins_at"] == f"{timezone.now():%Y-%m-%d}T09:00:00+09:00"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"by": "month"}, "by"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-11-02", "end": "2026-11-01"}, "end"),
        ({"start": "2020-01-01", "end": "2026-11-01"}, "end"),
        ({"end": "2026-13-01"}, "end"),
        ({"by": "job", "provider": "meter"}, "provider"),
        ({"project": "x"}, "project"),
        ({"since": "2026-11-01"}, "since"),
    ],
)
def test_a_query_that_makes_no_sense(owner: Person, query: dict[str, str], field: str) -> None:
    answer = owner.client.get(f"{API}costs/", query)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [field])


@pytest.mark.parametrize(
    "query", [{"start": "9999-12-31"}, {"end": "0001-01-01"}, {"start": "2000-01-01", "end": "2000-01-01"}]
)
def test_the_ends_of_the_calendar(owner: Person, query: dict[str, str]) -> None:
    assert get(owner, "costs/", **query)["results"] == []


def test_unpriced_calls_are_said_and_never_zero(owner: Person) -> None:
    with scope.activate(owner.profile.pk):
        attempt = attempts.reserve(owner.profile, call_for(estimate={"char": 10}))
        attempts.mark_sent(attempt)
        charging.settle(attempt, {"char": Decimal(9)})
    assert get(owner, "costs/")["total"]["unpriced_calls"] == 1
    entry = get(owner, "costs/entries/")["results"][0]
    assert (entry["amount_micros"], entry["is_unpriced"], entry["usage"]) == (None, True, {"char": "9"})
    assert get(owner, "costs/entries/", is_unpriced="true")["results"][0]["id"] == entry["id"]
    assert get(owner, "costs/entries/", is_unpriced="false")["results"] == []


def test_more_rows_than_are_shown(owner: Person, spend: Spend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("costs.selectors.MOST_ROWS", 2)
    for number in range(3):
        spend(owner, 10 + number, model=f"m{number}")
    answer = get(owner, "costs/", by="model")
    assert ([row["key"] for row in answer["results"]], answer["is_cut"]) == (["m2", "m1"], True)
    assert answer["total"]["calls"] == 3
    assert not get(owner, "costs/")["is_cut"]


# --- the ledger and the calls --------------------------------------------------------------------------


def test_the_ledger_is_listed_and_filtered(owner: Person, spend: Spend) -> None:
    for number in range(3):
        spend(owner, 1, operation="speech" if number else "music")
    page = get(owner, "costs/entries/", page_size=2)
    assert (len(page["results"]), page["next"] is None) == (2, False)
    entry = get(owner, "costs/entries/", operation="music")["results"][0]
    assert (entry["kind"], entry["amount_micros"], entry["currency"]) == ("charge", 10_000, "USD")
    assert get(owner, "costs/entries/", call=entry["call"])["results"] == [entry]
    assert get(owner, "costs/entries/", job=uuid4(), kind="charge")["results"] == []
    assert owner.client.get(f"{API}costs/entries/", {"kind": "gift"}).status_code == 400


def operator(person: Person) -> dict[str, Any]:
    return {"by": person.user.pk, "is_operator": True}


def table(person: Person, **query: str) -> Any:
    return person.client.get(f"{API}costs/entries/", {"format": "csv", **query})


def test_c22_the_table_is_safe_for_spreadsheets(owner: Person, spend: Spend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "_AT_ONCE", 2)
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'plain, "quoted"']
    for name in names:
        spend(owner, 3, operation=name)
    with scope.activate(owner.profile.pk):
        first = UsageAttempt.objects.order_by("id")[0]
        charging.reconcile(
            profile=owner.profile,
            attempt=first,
            amount_micros=0,
            by=owner.user.pk,
            is_operator=True,
            note="=HYPERLINK()",
        )
    answer = table(owner)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))
    assert len(rows) == 8
    assert {row["operation"] for row in rows} == {f"'{name}" for name in names[:-1]} | {names[-1]}
    assert sorted({row["amount"] for row in rows}) == ["-0.030000", "0.030000"]
    assert {row["note"] for row in rows} == {"", "'=HYPERLINK()"}
    refunds = table(owner, kind="refund").getvalue().decode()
    assert len(list(csv.reader(io.StringIO(refunds, newline="")))) == 2
    refused = table(owner, colour="red")
    assert (refused.status_code, refused["Content-Type"], list(refused.json())) == (400, "application/json", ["error"])
    by_header = owner.client.get(f"{API}costs/entries/", headers={"Accept": "text/csv"})
    assert by_header.getvalue() == table(owner).getvalue()
    texts = ("a=b", "", "＝1", "\N{ZERO WIDTH SPACE}=1", " =1")
    assert [safe(text)[:1] == "'" for text in texts] == [False, False, True, True, True]


def test_a_table_that_was_cut_says_so(owner: Person, spend: Spend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_export, "_AT_ONCE", 2)
    monkeypatch.setattr(csv_export, "MOST_ENTRIES", 2)
    for _ in range(3):
        spend(owner, 1)
    lines = table(owner).getvalue().decode().splitlines()
    assert (len(lines), "Narrow it down" in lines[-1]) == (4, True)


def unclear(person: Person) -> UsageAttempt:
    with scope.activate(person.profile.pk):
        attempt = attempts.reserve(person.profile, call_for())
        attempts.mark_sent(attempt)
        attempts.lose(attempt, "No answer.")
    return attempt


def test_an_unclear_call_is_seen_and_ended(owner: Person, spend: Spend) -> None:
    spend(owner, 5)
    attempt = unclear(owner)
    found = get(owner, "costs/calls/", needs_reconciliation="true")["results"]
    assert [(row["id"], row["state"], row["booked_micros"]) for row in found] == [(str(attempt.pk), "unknown", None)]
    assert get(owner, "costs/")["today"]["reserved_micros"] == 1_000_000
    url = f"{API}costs/calls/{attempt.pk}/reconcile/"
    assert owner.client.post(url, {"amount_micros": -1}, format="json").status_code == 400
    answer = owner.client.post(url, {"amount_micros": 420_000, "note": "their history"}, format="json")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["state"], answer.json()["booked_micros"]) == ("settled", 420_000)
    assert get(owner, "costs/calls/", needs_reconciliation="true", state="settled")["results"] == []
    assert get(owner, f"costs/calls/{attempt.pk}/")["note"] == "their history"
    with scope.activate(owner.profile.pk):
        assert LedgerEntry.objects.get(attempt=attempt).booked_by == owner.user.pk


def test_a_call_under_way_is_a_conflict(owner: Person) -> None:
    with scope.activate(owner.profile.pk):
        attempt = attempts.reserve(owner.profile, call_for())
    answer = owner.client.post(f"{API}costs/calls/{attempt.pk}/reconcile/", {"amount_micros": 1}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "call_under_way")


# --- budgets -------------------------------------------------------------------------------------------


def test_a_budget_is_set_changed_and_removed(owner: Person, spend: Spend) -> None:
    spend(owner, 40)
    rows = put_budget(owner, period="month", cap_micros=1_000_000).json()["results"]
    assert [(row["period"], row["provider"], row["cap_micros"], row["is_hard"]) for row in rows] == [
        ("month", None, 1_000_000, True)
    ]
    assert (rows[0]["amount_micros"], rows[0]["remaining_micros"], rows[0]["of"]) == (
        400_000,
        600_000,
        f"{timezone.now():%Y-%m}",
    )
    put_budget(owner, period="day", provider="meter", cap_micros=0)
    put_budget(owner, period="job", cap_micros=5, is_hard=False)
    put_budget(owner, period="month", cap_micros=2_000_000)
    rows = get(owner, "costs/budget/")["results"]
    assert {(row["period"], row["provider"], row["cap_micros"]) for row in rows} == {
        ("day", "meter", 0),
        ("job", None, 5),
        ("month", None, 2_000_000),
    }
    assert get(owner, "costs/")["month"]["remaining_micros"] == 1_600_000
    assert len(put_budget(owner, period="month", cap_micros=None).json()["results"]) == 2
    assert len(put_budget(owner, period="month", cap_micros=None).json()["results"]) == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"period": "week", "cap_micros": 1}, "period"),
        ({"period": "day"}, "cap_micros"),
        ({"period": "day", "cap_micros": -1}, "cap_micros"),
        ({"period": "day", "cap_micros": 10**16}, "cap_micros"),
        ({"period": "day", "cap_micros": 1.5}, "cap_micros"),
        ({"period": "day", "cap_micros": True}, "cap_micros"),
        ({"period": "day", "cap_micros": 1, "provider": "metre"}, "provider"),
        ({"period": "job", "cap_micros": 1, "provider": "meter"}, "provider"),
        ({"period": "day", "cap_micros": 1, "cap": 1}, "cap"),
        ({"period": "day", "cap_micros": 1, "profile": "x"}, "profile"),
    ],
)
def test_a_budget_that_makes_no_sense(owner: Person, body: dict[str, Any], field: str) -> None:
    answer = put_budget(owner, **body)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["fields"]
    if body.get("provider") == "metre":
        assert "meter" in str(answer.json()["error"]["fields"])


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_owners_change_money(owner: Person, member: Callable[..., Person], role: str) -> None:
    person, attempt = member(role), unclear(owner)
    assert get(person, "costs/budget/")["results"] == []
    assert get(person, "costs/")["total"]["calls"] == 0
    assert put_budget(person, period="day", cap_micros=1).status_code == 403
    assert person.client.post(f"{API}costs/prices/", PRICE, format="json").status_code == 403
    url = f"{API}costs/calls/{attempt.pk}/reconcile/"
    assert person.client.post(url, {"amount_micros": 1}, format="json").status_code == 403


def test_a_limited_token_of_an_owner_changes_no_budget(owner: Person, member: Callable[..., Person]) -> None:
    person = member("owner", ceiling="publish")
    assert put_budget(person, period="day", cap_micros=1).status_code == 403


# --- usage ---------------------------------------------------------------------------------------------


def test_what_was_used(owner: Person, stranger: Person, spend: Spend, monkeypatch: pytest.MonkeyPatch) -> None:
    spend(owner, 30)
    spend(owner, 12)
    spend(stranger, 99)
    with scope.activate(owner.profile.pk):
        cache_hit(profile=owner.profile, call=call_for(40))
    asked: list[Any] = []

    def ask(profile: Any) -> Balance | None:
        asked.append(profile.pk)
        return None if profile == stranger.profile else Balance(12_000, 100_000, "credits")

    def broken(profile: Any) -> Balance | None:
        raise TimeoutError

    known = {"meter": Provider("meter", "The Meter", ask), "dead": Provider("dead", "The Dead", broken)}
    monkeypatch.setattr(providers, "_providers", {**known, "mute": Provider("mute", "The Mute")})
    answer = get(owner, "usage/")
    assert answer["units"] == [
        {
            "provider": "meter",
            "model": "m1",
            "meter": "credit",
            "unit": "credits",
            "quantity": "42.000000",
            "amount_micros": 420_000,
        }
    ]
    assert answer["savings"] == [{"provider": "meter", "operation": "speech", "cache_hits": 1, "saved_micros": 400_000}]
    states = [(row["label"], row["state"], row["balance"] and row["balance"]["left"]) for row in answer["balances"]]
    assert states == [("The Dead", "trouble", None), ("The Meter", "ok", 12_000)]
    get(owner, "usage/", provider="meter")
    assert asked == [owner.profile.pk]  # kept for some minutes, for each profile
    assert get(stranger, "usage/")["balances"][1]["state"] == "none"
    assert get(owner, "usage/", start="2026-01-01", end="2026-01-02")["units"] == []
    assert get(owner, "costs/", by="provider")["results"][0]["label"] == "The Meter"


@pytest.mark.parametrize("path", ["costs/", "usage/", "costs/entries/", "costs/calls/", "costs/budget/"])
def test_other_methods_and_nobody(owner: Person, path: str) -> None:
    assert owner.client.delete(API + path).status_code == 405
    assert APIClient().get(API + path).status_code == 401
