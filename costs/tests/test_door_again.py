"""The same thing is not bought twice, unless the policy or a person says so."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from conftest import Person
from costs.books import attempts, charging, proof, sweeper
from costs.books.retries import paid_with_retries
from costs.errors import AlreadyPaid, NotCharged, OutsideTheDoor, PaidCallUnknown
from costs.models import LedgerEntry, ProfilePeriod, UsageAttempt
from costs.services import Paid
from costs.tests.conftest import buy, call_for
from costs.tests.doors import a_job, broken, day, pass_time, pay, the_attempt
from jobs.models import JobEvent
from profiles import scope
from profiles.errors import Conflict
from profiles.models import Profile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
State = UsageAttempt.State


def test_the_same_is_not_bought_twice(in_scope: Profile) -> None:
    call = call_for(job=a_job(in_scope))
    pay(in_scope, call)
    with pytest.raises(AlreadyPaid) as caught:
        pay(in_scope, call)
    assert caught.value.attempt.state == State.SETTLED
    assert (LedgerEntry.objects.count(), UsageAttempt.objects.count()) == (1, 1)


def test_settling_an_attempt_again_charges_nothing_more(in_scope: Profile) -> None:
    pay(in_scope, call_for())
    attempt, entry = the_attempt(), LedgerEntry.objects.get()
    assert charging.settle(attempt, {}).pk == entry.pk
    assert (LedgerEntry.objects.count(), day().spent_micros, day().calls) == (1, 100_000, 1)
    assert proof.differences() == []


def test_another_step_input_repetition_or_job_is_another_call(in_scope: Profile, owner: Person) -> None:
    job = a_job(in_scope)
    others: list[dict[str, Any]] = [{}, {"step": "2"}, {"about": "another text"}, {"repeat": 1}, {"operation": "music"}]
    for more in others:
        pay(in_scope, call_for(job=job, **more))
    pay(in_scope, call_for(job=a_job(in_scope)))
    assert LedgerEntry.objects.count() == 6


def test_what_may_have_been_bought_waits_for_a_person(in_scope: Profile) -> None:
    job = a_job(in_scope)
    call = call_for(job=job)
    with broken(call, in_scope):
        buy(TimeoutError())
    with pytest.raises(PaidCallUnknown) as caught:
        pay(in_scope, call)
    assert caught.value.data.outcome_unknown
    assert "may have been charged" in caught.value.data.message
    JobEvent.objects.create(profile=in_scope, job=job, event=JobEvent.Kind.RETRIED, at=timezone.now())
    pay(in_scope, call)
    assert list(UsageAttempt.objects.order_by("attempt_no").values_list("attempt_no", "state")) == [
        (1, State.UNKNOWN),
        (2, State.SETTLED),
    ]


def test_a_retry_by_a_person_buys_nothing_again_that_was_answered(in_scope: Profile) -> None:
    job = a_job(in_scope)
    pay(in_scope, call_for(job=job))
    JobEvent.objects.create(profile=in_scope, job=job, event=JobEvent.Kind.RETRIED, at=timezone.now())
    with pytest.raises(AlreadyPaid):
        pay(in_scope, call_for(job=job))
    assert LedgerEntry.objects.count() == 1


def test_the_policy_may_allow_one_more(in_scope: Profile) -> None:
    call = call_for(may_resend=True)
    for _ in range(2):
        with broken(call, in_scope, TimeoutError):
            buy(TimeoutError())
    with pytest.raises(PaidCallUnknown):
        pay(in_scope, call)
    assert UsageAttempt.objects.count() == 2


def test_a_reservation_of_a_dead_worker_gives_way_and_can_never_be_sent(in_scope: Profile) -> None:
    call = call_for(job=a_job(in_scope))
    old = attempts.reserve(in_scope, call)
    pay(in_scope, call)
    with pytest.raises(OutsideTheDoor):
        attempts.mark_sent(old)
    assert list(UsageAttempt.objects.order_by("attempt_no").values_list("state", flat=True)) == ["released", "settled"]
    assert (day().reserved_micros, day().spent_micros) == (0, 100_000)


def test_without_a_job_a_living_reservation_keeps_the_next_one_back(in_scope: Profile) -> None:
    first = attempts.reserve(in_scope, call_for())
    with pytest.raises(Conflict, match="somebody else"):
        attempts.reserve(in_scope, call_for())
    attempts.mark_sent(first)
    charging.settle(first, {"credit": Decimal(1)})
    attempts.reserve(in_scope, call_for(about="another"))
    pass_time(1)
    attempts.reserve(in_scope, call_for(about="another"))
    rows = UsageAttempt.objects.order_by("id").values_list("state", flat=True)
    assert list(rows) == ["settled", "released", "reserved"]


def test_without_a_job_what_is_charged_or_told_opens_the_door_again(in_scope: Profile, owner: Person) -> None:
    for _ in range(2):
        with broken(call_for(), in_scope):
            buy(TimeoutError())
        with pytest.raises(PaidCallUnknown):
            attempts.reserve(in_scope, call_for())
        pass_time(48)
        sweeper.sweep()  # charged as reserved
    with broken(call_for(), in_scope):
        buy(TimeoutError())
    last = UsageAttempt.objects.get(state="unknown")
    charging.reconcile(profile=in_scope, attempt=last, amount_micros=0, by=owner.user.pk, is_operator=False)
    pay(in_scope, call_for())
    assert proof.differences() == []


def test_a_job_of_another_brand_is_nobodys_reason(in_scope: Profile, stranger: Person) -> None:
    with scope.activate(stranger.profile.pk):
        job = a_job(stranger.profile)
    with pytest.raises(scope.OutOfScope):
        attempts.reserve(in_scope, call_for(job=job))


def test_a_dead_reservation_of_yesterday_gives_way_today(in_scope: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    call = call_for(job=a_job(in_scope))
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
    attempts.reserve(in_scope, call)
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 12, 1, 0, 0, 5, tzinfo=UTC))
    pay(in_scope, call)
    rows = ProfilePeriod.objects.filter(period="day", provider="").order_by("of")
    assert list(rows.values_list("of", "spent_micros", "reserved_micros")) == [
        ("2026-11-30", 0, 0),
        ("2026-12-01", 100_000, 0),
    ]


def test_two_at_the_same_moment_are_one(in_scope: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    call = call_for()
    attempts.reserve(in_scope, call)
    monkeypatch.setattr(attempts, "_displace", lambda profile, call: None)  # both looked before either wrote
    monkeypatch.setattr(attempts, "_look_back", lambda profile, call: 0)
    with pytest.raises(Conflict, match="somebody else"):
        attempts.reserve(in_scope, call)
    assert (UsageAttempt.objects.count(), day().reserved_micros) == (1, 1_000_000)


def test_c13_the_same_call_of_another_brand_is_bought_by_it(owner: Person, stranger: Person) -> None:
    for person in (owner, stranger):
        with scope.activate(person.profile.pk):
            pay(person.profile, call_for())
            with pytest.raises(AlreadyPaid):
                pay(person.profile, call_for())
            assert LedgerEntry.objects.get().amount_micros == 100_000


def test_retries_are_one_row_each(in_scope: Profile) -> None:
    answers: list[Any] = [NotCharged("busy", may_pass=True), NotCharged("busy", may_pass=True, retry_after=7.0), None]
    waits: list[float] = []

    def once(paid: Paid) -> str:
        buy(answers.pop(0))
        paid.settle({"credit": 3})
        return "spoken"

    assert paid_with_retries(once, profile=in_scope, call=call_for(), sleep=waits.append) == "spoken"
    assert 0 <= waits[0] <= 2
    assert waits[1] == 7.0
    rows = UsageAttempt.objects.order_by("attempt_no").values_list("attempt_no", "state")
    assert list(rows) == [(1, "released"), (2, "released"), (3, "settled")]
    assert LedgerEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (NotCharged("no"), 1),
        (NotCharged("busy", may_pass=True, retry_after=121), 1),
        (NotCharged("busy", may_pass=True, retry_after=0), 3),
        (TimeoutError(), 1),
    ],
)
def test_what_is_not_tried_again(in_scope: Profile, error: Exception, tries: int) -> None:
    with pytest.raises((NotCharged, PaidCallUnknown)):
        paid_with_retries(lambda paid: buy(error), profile=in_scope, call=call_for(), sleep=lambda seconds: None)
    assert UsageAttempt.objects.count() == tries
