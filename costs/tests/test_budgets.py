"""A budget is a promise: what could pass it is not begun, and people are told in time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone

from conftest import Person
from costs.books import alerts, attempts, periods, proof
from costs.errors import BudgetExceeded, NoPrice, ProviderStopped
from costs.models import Budget, LedgerEntry, ProfilePeriod, ProviderSwitch, ServerBudget, ServerPeriod, UsageAttempt
from costs.services import paid_call
from costs.tests.conftest import buy, call_for
from editai.notify.models import Notification
from jobs.execution import Attempt, Outcome, describe, execute
from jobs.models import Job
from jobs.tests import kinds
from profiles import scope
from profiles.models import Profile, User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
Spend = Callable[..., None]


def limit(profile: Profile, cap: float, period: str = "day", **more: Any) -> Budget:
    with scope.activate(profile.pk):
        return Budget.objects.create(profile=profile, period=period, cap_micros=round(cap * 1_000_000), **more)


def server_limit(cap: float, period: str = "day", **more: Any) -> ServerBudget:
    return ServerBudget.objects.create(period=period, cap_micros=round(cap * 1_000_000), **more)


def refused(person: Person, spend: Spend, credits: int, **more: Any) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as caught:
        spend(person, credits, **more)
    return caught.value


def test_what_could_pass_a_budget_is_refused_with_what_would_be_enough(owner: Person, spend: Spend) -> None:
    limit(owner.profile, 1.0)
    spend(owner, 60)
    error = refused(owner, spend, 50)
    assert error.details is not None
    assert error.details[0] | {"of": ""} == {
        "budget": "profile",
        "period": "day",
        "provider": "",
        "of": "",
        "cap_micros": 1_000_000,
        "spent_micros": 600_000,
        "reserved_micros": 0,
        "needed_micros": 500_000,
        "enough_micros": 1_100_000,
    }
    assert "the brand's budget for the day" in error.message
    assert "0.40 USD left of 1.00 USD" in error.message
    shown = describe(error).as_json()
    assert (shown["code"], shown["retryable"]) == ("budget_exceeded", True)
    assert "1.10 USD or more" in shown["next_step"]
    spend(owner, 40)  # to the last cent
    with scope.activate(owner.profile.pk):
        assert ProfilePeriod.objects.get(period="day", provider="").spent_micros == 1_000_000
        assert UsageAttempt.objects.count() == 2  # the refused one left no row
    assert proof.differences() == []


def test_a_blocked_job_says_which_budget_and_what_would_be_enough(
    owner: Person, in_scope: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body(attempt: Attempt) -> Outcome:
        with paid_call(profile=attempt.profile, call=call_for(100, job=attempt.job)):
            pytest.fail("it was begun")

    limit(owner.profile, 0.5)
    monkeypatch.setattr(kinds.Body, "run", staticmethod(body))
    job = Job.objects.create(profile=in_scope, kind="test_body", queue=kinds.QUEUE, priority=1, max_attempts=3)
    execute(kinds.known("test_body"), in_scope.pk, job.pk)
    job.refresh_from_db()
    assert (job.status, job.failures) == ("failed", 1)  # trying again by itself would not help
    assert job.error is not None
    assert (job.error["code"], job.error["retryable"]) == ("budget_exceeded", True)
    assert "the brand's budget for the day" in job.error["message"]
    assert "raise it to 1.00 USD or more" in job.error["next_step"]


def test_what_is_reserved_counts_as_spent(owner: Person, in_scope: Profile) -> None:
    limit(owner.profile, 1.0)
    attempts.reserve(in_scope, call_for(70, about="1"))
    with pytest.raises(BudgetExceeded):
        attempts.reserve(in_scope, call_for(31, about="2"))
    attempts.reserve(in_scope, call_for(30, about="2"))


@pytest.mark.parametrize("more", [{"period": "month"}, {"provider": "meter"}, {"period": "month", "provider": "meter"}])
def test_every_kind_of_budget_of_a_profile_holds(owner: Person, spend: Spend, more: dict[str, Any]) -> None:
    limit(owner.profile, 1.0, **more)
    spend(owner, 100)
    refused(owner, spend, 1)


@pytest.mark.parametrize("more", [{}, {"period": "month"}, {"provider": "meter"}])
def test_every_kind_of_budget_of_the_server_holds_and_tells_no_figures_of_others(
    owner: Person, stranger: Person, spend: Spend, more: dict[str, Any]
) -> None:
    server_limit(1.0, **more)
    spend(stranger, 90)
    error = refused(owner, spend, 20)
    assert "0.9" not in error.message + error.next_step + str(error.details)
    assert "operator" in error.next_step
    spend(owner, 10)


def test_a_budget_of_another_provider_or_profile_is_not_ours(owner: Person, stranger: Person, spend: Spend) -> None:
    limit(owner.profile, 0, provider="another")
    limit(stranger.profile, 0)
    spend(owner, 100)
    refused(stranger, spend, 1)
    spend(owner, 100)


def test_a_soft_budget_only_warns(owner: Person, spend: Spend) -> None:
    limit(owner.profile, 0.5, is_hard=False)
    spend(owner, 100)
    spend(owner, 100)
    with scope.activate(owner.profile.pk):
        assert LedgerEntry.objects.count() == 2


def test_a_job_has_a_budget_of_its_own(owner: Person, in_scope: Profile, spend: Spend) -> None:
    limit(owner.profile, 1.0, period="job")
    first, second = (
        Job.objects.create(profile=in_scope, kind="tts", queue="media", priority=1, max_attempts=3) for _ in range(2)
    )
    spend(owner, 90, job=first)
    error = refused(owner, spend, 20, job=first)
    assert "this job" in error.message
    assert "wait" not in error.next_step
    spend(owner, 90, job=second)
    spend(owner, 500)  # of no job


def test_the_truth_may_pass_a_budget_and_blocks_the_next(owner: Person, spend: Spend) -> None:
    limit(owner.profile, 1.0)
    spend(owner, 150, estimate=100)
    refused(owner, spend, 1)


def test_a_stopped_provider_is_not_called(owner: Person, in_scope: Profile) -> None:
    switch = ProviderSwitch.objects.create(provider="meter", reason="Their prices have gone mad.")
    with pytest.raises(ProviderStopped, match="gone mad"):
        attempts.reserve(in_scope, call_for())
    assert UsageAttempt.objects.count() == 0
    switch.is_stopped = False
    switch.save()
    attempts.reserve(in_scope, call_for())


def test_without_a_price_nothing_is_bought_under_a_hard_budget(owner: Person, in_scope: Profile) -> None:
    budget = limit(owner.profile, 5.0)
    with pytest.raises(NoPrice, match="char of m1"):
        attempts.reserve(in_scope, call_for(estimate={"char": 10}))
    budget.is_hard = False
    budget.save()
    with paid_call(profile=in_scope, call=call_for(estimate={"char": 10})) as paid:
        buy()
        paid.settle({"char": 9})
    entry = LedgerEntry.objects.get()
    assert (entry.is_unpriced, entry.amount_micros, entry.usage) == (True, 0, {"char": "9"})


def test_a_budget_set_in_the_middle_knows_what_was_spent_before(owner: Person, spend: Spend) -> None:
    spend(owner, 80)
    limit(owner.profile, 1.0)
    refused(owner, spend, 30)


def test_each_day_and_month_begins_anew(owner: Person, spend: Spend, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(owner.profile, 1.0)
    limit(owner.profile, 1.5, period="month")
    moments = [datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)]
    monkeypatch.setattr(timezone, "now", lambda: moments[0])
    spend(owner, 100)
    refused(owner, spend, 1)
    monkeypatch.setattr(timezone, "now", lambda: moments[1])
    spend(owner, 100)
    error = refused(owner, spend, 1)
    assert error.details is not None
    assert error.details[0]["of"] == "2026-12-01"
    assert proof.differences() == []


def test_a_call_over_midnight_belongs_to_the_day_in_which_it_was_reserved(
    in_scope: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
    with paid_call(profile=in_scope, call=call_for(100)) as paid:
        buy()
        monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 12, 1, 0, 0, 3, tzinfo=UTC))
        paid.settle({"credit": 50})
    rows = ProfilePeriod.objects.filter(provider="").order_by("period").values_list("of", "spent_micros")
    assert list(rows) == [("2026-11-30", 500_000), ("2026-11", 500_000)]
    assert not ProfilePeriod.objects.exclude(reserved_micros=0).exists()
    assert not ServerPeriod.objects.exclude(reserved_micros=0).exists()


# --- telling -------------------------------------------------------------------------------------------


def told(profile: Profile) -> list[str]:
    with scope.activate(profile.pk):
        return list(Notification.objects.order_by("id").values_list("title", flat=True))


def test_people_are_told_at_each_step_once(owner: Person, spend: Spend) -> None:
    limit(owner.profile, 1.0)
    day = f"{timezone.now():%Y-%m-%d}"
    for credits, titles in ((49, 0), (1, 1), (10, 1), (40, 2)):
        spend(owner, credits)
        assert len(told(owner.profile)) == titles
    assert told(owner.profile) == [f"{step} % of the brand's budget for the day {day} are spent" for step in (50, 100)]
    refused(owner, spend, 1)
    refused(owner, spend, 1)
    assert told(owner.profile)[2:] == [alerts.BLOCKED.label]


def test_a_raised_budget_warns_again(owner: Person, spend: Spend) -> None:
    budget = limit(owner.profile, 1.0)
    spend(owner, 85)
    with scope.activate(owner.profile.pk):
        budget.cap_micros = 1_700_000
        budget.save()
    spend(owner, 60)
    assert [title[:4] for title in told(owner.profile)] == ["80 %", "80 %"]


def test_of_the_server_s_budget_the_operators_are_told(
    owner: Person, stranger: Person, spend: Spend, caplog: pytest.LogCaptureFixture
) -> None:
    User.objects.filter(pk=stranger.user.pk).update(is_superuser=True)
    server_limit(1.0, is_hard=False)
    spend(owner, 90)
    spend(owner, 1)
    assert told(owner.profile) == []
    titles = told(stranger.profile)
    assert len(titles) == 1
    assert titles[0].startswith("80 % of the server's budget for the day")
    with scope.activate(stranger.profile.pk):
        assert "0.9" not in Notification.objects.get().text
    assert "80 % of the server's budget" in caplog.text


def test_telling_that_fails_undoes_nothing(
    owner: Person, spend: Spend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(**_: Any) -> None:
        raise RuntimeError("no")

    limit(owner.profile, 1.0)
    monkeypatch.setattr(alerts, "notify", fails)
    spend(owner, 90)
    refused(owner, spend, 90)
    assert caplog.text.count("was not told") == 2
    assert proof.differences() == []


def test_a_profile_that_is_being_deleted_is_told_nothing_and_still_booked(owner: Person, spend: Spend) -> None:
    limit(owner.profile, 1.0)
    Profile.objects.filter(pk=owner.profile.pk).update(state=Profile.State.DELETING)
    spend(owner, 90)
    assert told(owner.profile) == []
    assert proof.differences() == []


# --- the proof -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "column", "what"),
    [
        ("ProfilePeriod", "spent_micros", "Spent in a day"),
        ("ServerPeriod", "spent_micros", "Spent in a day, on the server"),
        ("ProfilePeriod", "reserved_micros", "Reserved"),
        ("ServerPeriod", "reserved_micros", "Reserved on the server"),
        ("CostDaily", "amount_micros", "The roll-up"),
        ("CostDaily", "calls", "The roll-up"),
    ],
)
def test_the_proof_finds_what_was_tampered_with(
    owner: Person, spend: Spend, model: str, column: str, what: str
) -> None:
    from costs import models

    spend(owner, 10)
    assert proof.differences() == []
    with scope.activate(owner.profile.pk):
        rows: Any = getattr(models, model)._default_manager
        row = rows.order_by("id").first()
        setattr(row, column, getattr(row, column) + 1)
        row.save()
    found = proof.differences()
    assert found[0].what.startswith(what)
    assert str(getattr(row, column)) in str(found[0])


def test_scopes_come_in_one_order(in_scope: Profile) -> None:
    attempt = attempts.reserve(in_scope, call_for())
    names = [(scope.model.__name__, scope.period, scope.provider) for scope in periods.scopes_of(attempt)]
    assert names == [
        (model, period, provider)
        for model in ("ProfilePeriod", "ServerPeriod")
        for provider in ("", "meter")
        for period in ("day", "month")
    ]
