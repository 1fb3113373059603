"""One door: every paid call is reserved before it leaves, and ends in one of the ways that there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from conftest import Person
from costs.books import attempts, charging, proof, sweeper
from costs.books.retries import paid_with_retries
from costs.errors import AlreadyPaid, NotCharged, OutsideTheDoor, PaidCallUnknown
from costs.models import CostDaily, LedgerEntry, PriceRule, ProfilePeriod, ServerPeriod, UnitsDaily, UsageAttempt
from costs.services import Call, Paid, cache_hit, paid_call
from costs.tests.conftest import buy, call_for
from jobs.execution import Cancelled, JobError, describe
from jobs.models import Job, JobEvent
from jobs.transitions import LeaseLost
from profiles import scope
from profiles.errors import Conflict
from profiles.models import Profile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
State = UsageAttempt.State


@contextmanager
def broken(call: Call, profile: Profile, expected: type[BaseException] = PaidCallUnknown) -> Iterator[Paid]:
    """The door, around a block that raises."""
    with pytest.raises(expected), paid_call(profile=profile, call=call) as paid:
        yield paid


def the_attempt() -> UsageAttempt:
    return UsageAttempt.objects.get()


def day() -> ProfilePeriod:
    return ProfilePeriod.objects.get(period="day", provider="")


def a_job(profile: Profile) -> Job:
    return Job.objects.create(profile=profile, kind="tts", queue="media", priority=1, max_attempts=3)


def pass_time(hours: float) -> None:
    """As if everything had begun that much earlier."""
    for row in UsageAttempt.objects.all():
        row.expires_at -= timedelta(hours=hours)
        row.save(update_fields=["expires_at"])


def test_a_call_is_charged_by_what_it_used(in_scope: Profile) -> None:
    with paid_call(profile=in_scope, call=call_for(100)) as paid:
        assert (the_attempt().state, day().reserved_micros) == (State.RESERVED, 1_000_000)
        buy()
        assert the_attempt().state == State.SENT
        paid.settle({"credit": 60, "char": 0}, model="m1-turbo", request_id="r-1")
    attempt, entry = the_attempt(), LedgerEntry.objects.get()
    assert (attempt.state, attempt.model_billed, attempt.request_id) == (State.SETTLED, "m1-turbo", "r-1")
    assert (entry.kind, entry.amount_micros, entry.model, entry.usage) == (
        "charge",
        600_000,
        "m1-turbo",
        {"credit": "60"},
    )
    assert entry.lines[0]["unit_price"] == "0.01"
    assert (day().spent_micros, day().reserved_micros, day().calls) == (600_000, 0, 1)
    row = CostDaily.objects.get()
    assert (row.amount_micros, row.calls, row.unpriced_calls) == (600_000, 1, 0)
    assert UnitsDaily.objects.get().quantity == 60
    assert proof.differences() == []


def test_a_provider_works_inside_the_door_only(in_scope: Profile) -> None:
    with pytest.raises(OutsideTheDoor):
        buy()
    with pytest.raises(OutsideTheDoor), paid_call(profile=in_scope, call=call_for(provider="another")):
        buy()
    assert the_attempt().state == State.RELEASED


def test_one_reservation_is_for_one_call(in_scope: Profile) -> None:
    with broken(call_for(), in_scope, OutsideTheDoor):
        buy()
        buy()
    assert the_attempt().state == State.UNKNOWN


def test_what_was_not_sent_is_not_settled(in_scope: Profile) -> None:
    with broken(call_for(), in_scope, OutsideTheDoor) as paid:
        paid.settle({"credit": 1})
    assert the_attempt().state == State.RELEASED


def test_a_call_that_nobody_settled_is_unknown_and_a_mistake(in_scope: Profile) -> None:
    with broken(call_for(), in_scope, OutsideTheDoor):
        buy()
    assert (the_attempt().state, the_attempt().needs_reconciliation) == (State.UNKNOWN, True)


def test_a_door_that_was_not_used_gives_everything_back(in_scope: Profile) -> None:
    with paid_call(profile=in_scope, call=call_for()):
        pass
    assert (the_attempt().state, day().reserved_micros) == (State.RELEASED, 0)
    assert proof.differences() == []


def test_what_surely_cost_nothing_is_released(in_scope: Profile) -> None:
    with broken(call_for(), in_scope, NotCharged):
        buy(NotCharged("refused"))
    assert (the_attempt().state, day().reserved_micros, LedgerEntry.objects.count()) == (State.RELEASED, 0, 0)


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionResetError(), ValueError("garbage"), KeyboardInterrupt()])
def test_whatever_comes_after_sending_leaves_it_unknown_and_reserved(in_scope: Profile, error: BaseException) -> None:
    is_stop = isinstance(error, KeyboardInterrupt)
    with broken(call_for(), in_scope, KeyboardInterrupt if is_stop else PaidCallUnknown):
        buy(error)
    attempt = the_attempt()
    assert (attempt.state, attempt.needs_reconciliation) == (State.UNKNOWN, True)
    assert attempt.note in {
        "No answer came in time.",
        "The connection broke before the answer was there.",
        "The answer could not be made sense of.",
        "It ended before its answer was booked.",
    }
    assert (day().reserved_micros, day().spent_micros) == (1_000_000, 0)
    assert proof.differences() == []


@pytest.mark.parametrize(
    "usage", [{"credit": -1}, {"credit": "NaN"}, {"credit": 10**15}, {"sparks": 1}, {"credit": True}]
)
def test_figures_that_are_none_leave_it_unknown(in_scope: Profile, usage: dict[str, Any]) -> None:
    with broken(call_for(), in_scope) as paid:
        buy()
        paid.settle(usage)
    assert the_attempt().state == State.UNKNOWN


@pytest.mark.parametrize("error", [JobError("unusable", "The answer was of no use."), Cancelled(), LeaseLost()])
def test_what_ends_a_job_by_its_own_words_keeps_them(in_scope: Profile, error: Exception) -> None:
    with broken(call_for(), in_scope, type(error)):
        buy(error)
    assert the_attempt().state == State.UNKNOWN


def test_a_job_whose_call_is_unclear_needs_attention(in_scope: Profile) -> None:
    with broken(call_for(), in_scope) as paid:
        buy(TimeoutError())
    error = PaidCallUnknown(paid.attempt)
    data = describe(error)
    assert (data.code, data.outcome_unknown, data.again) == ("paid_call_unknown", True, False)


def test_an_error_after_the_charge_leaves_the_charge(in_scope: Profile) -> None:
    with broken(call_for(), in_scope, OSError) as paid:
        buy()
        paid.settle({"credit": 5})
        raise OSError("the disk is full")
    assert (the_attempt().state, LedgerEntry.objects.get().amount_micros) == (State.SETTLED, 50_000)


def test_a_database_that_fails_at_the_end_hides_no_error(in_scope: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> bool:
        raise DatabaseError("gone")

    with broken(call_for(), in_scope):
        buy()
        monkeypatch.setattr(attempts, "lose", fails)
        raise TimeoutError
    assert the_attempt().state == State.SENT  # the sweeper's


def test_a_call_without_an_estimate_is_refused(in_scope: Profile) -> None:
    for estimate in ({}, {"credit": 0}):
        with (
            pytest.raises(ValueError, match="without an estimate"),
            paid_call(profile=in_scope, call=call_for(estimate=estimate)),
        ):
            pass
    assert UsageAttempt.objects.count() == 0


# --- again ---------------------------------------------------------------------------------------------


def pay(profile: Profile, call: Call, used: int = 10) -> None:
    with paid_call(profile=profile, call=call) as paid:
        buy()
        paid.settle({"credit": used})


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


# --- what nobody ends ----------------------------------------------------------------------------------


def test_a_reservation_whose_process_died_is_given_back(in_scope: Profile) -> None:
    attempts.reserve(in_scope, call_for())
    assert sweeper.sweep() == 0
    pass_time(1)
    assert sweeper.sweep() == 1
    assert (the_attempt().state, day().reserved_micros) == (State.RELEASED, 0)


def test_what_was_sent_is_unknown_then_charged_as_reserved(in_scope: Profile) -> None:
    attempts.mark_sent(attempts.reserve(in_scope, call_for()))
    pass_time(1)
    assert sweeper.sweep() == 1
    assert (the_attempt().state, day().reserved_micros) == (State.UNKNOWN, 1_000_000)
    pass_time(22)
    assert sweeper.sweep() == 0
    pass_time(2)
    assert sweeper.sweep() == 1
    entry, attempt = LedgerEntry.objects.get(), the_attempt()
    assert (entry.amount_micros, entry.is_estimated) == (1_000_000, True)
    assert (attempt.state, attempt.needs_reconciliation) == (State.SETTLED, True)
    assert (day().reserved_micros, day().spent_micros) == (0, 1_000_000)
    assert CostDaily.objects.get().estimated_calls == 1
    assert sweeper.sweep() == 0
    assert proof.differences() == []


def test_figures_that_come_late_correct_the_estimate(in_scope: Profile) -> None:
    with paid_call(profile=in_scope, call=call_for(100)) as paid:
        buy()
        pass_time(1)
        sweeper.sweep()
        pass_time(48)
        sweeper.sweep()
        paid.settle({"credit": 40})
    assert list(LedgerEntry.objects.order_by("id").values_list("kind", "amount_micros")) == [
        ("charge", 1_000_000),
        ("refund", -600_000),
    ]
    assert (the_attempt().needs_reconciliation, day().spent_micros, day().calls) == (False, 400_000, 1)
    assert proof.differences() == []


def test_an_answer_after_the_call_was_given_up_is_charged_exactly(in_scope: Profile) -> None:
    with paid_call(profile=in_scope, call=call_for(100)) as paid:
        buy()
        pass_time(1)
        sweeper.sweep()
        assert the_attempt().state == State.UNKNOWN
        paid.settle({"credit": 40})
    assert (LedgerEntry.objects.get().amount_micros, the_attempt().state) == (400_000, State.SETTLED)
    assert not the_attempt().needs_reconciliation


@pytest.mark.parametrize(
    ("amount", "is_operator", "state", "entries"),
    [
        (0, True, "released", []),
        (250_000, True, "settled", [("charge", 250_000, 250_000)]),
        # what counts for the server is not a brand's to say
        (0, False, "settled", [("charge", 0, 1_000_000)]),
        (250_000, False, "settled", [("charge", 250_000, 1_000_000)]),
        (10**12, False, "settled", [("charge", 10**12, 1_000_000)]),
    ],
)
def test_a_person_ends_what_is_unknown(
    in_scope: Profile, owner: Person, amount: int, is_operator: bool, state: str, entries: list[Any]
) -> None:
    with broken(call_for(), in_scope):
        buy(TimeoutError())
    attempt, by = the_attempt(), owner.user.pk
    charging.reconcile(profile=in_scope, attempt=attempt, amount_micros=amount, by=by, is_operator=is_operator)
    assert (the_attempt().state, the_attempt().needs_reconciliation) == (state, False)
    assert list(LedgerEntry.objects.values_list("kind", "amount_micros", "server_micros")) == entries
    assert day().reserved_micros == 0
    assert proof.differences() == []


def test_a_person_corrects_a_charge_up_and_down(in_scope: Profile, owner: Person) -> None:
    pay(in_scope, call_for(), used=10)
    for amount in (150_000, 20_000, 20_000):
        charging.reconcile(
            profile=in_scope,
            attempt=the_attempt(),
            amount_micros=amount,
            by=owner.user.pk,
            is_operator=True,
            note="bill",
        )
    rows = LedgerEntry.objects.order_by("id").values_list("kind", "amount_micros", "booked_by")
    assert list(rows) == [
        ("charge", 100_000, None),
        ("adjustment", 50_000, owner.user.pk),
        ("refund", -130_000, owner.user.pk),
    ]
    assert (day().spent_micros, day().calls) == (20_000, 1)
    assert proof.differences() == []


def test_a_brand_s_word_on_a_charge_leaves_the_server_s_figure(in_scope: Profile, owner: Person) -> None:
    pay(in_scope, call_for(), used=10)
    for amount in (10**12, 0):
        charging.reconcile(
            profile=in_scope, attempt=the_attempt(), amount_micros=amount, by=owner.user.pk, is_operator=False
        )
        assert set(ServerPeriod.objects.values_list("spent_micros", flat=True)) == {100_000}
        assert day().spent_micros == amount
    assert proof.differences() == []


def charged_by_estimate() -> None:
    """The call that was just sent is given up, and charged as it was reserved."""
    for hours in (1, 48):
        pass_time(hours)
        sweeper.sweep()


def test_a_person_s_word_stays_whatever_comes_later(in_scope: Profile, owner: Person) -> None:
    by = owner.user.pk
    with paid_call(profile=in_scope, call=call_for(100)) as paid:
        buy()
        charged_by_estimate()
        charging.reconcile(profile=in_scope, attempt=the_attempt(), amount_micros=777, by=by, is_operator=True)
        paid.settle({"credit": 40})
    assert (day().spent_micros, the_attempt().usage) == (777, {"credit": "40"})
    assert charging.reprice(the_attempt(), by=by) is None


def test_late_figures_without_a_price_give_nothing_back(in_scope: Profile) -> None:
    with paid_call(profile=in_scope, call=call_for(100)) as paid:
        buy()
        charged_by_estimate()
        paid.settle({"char": 100})
    assert (day().spent_micros, the_attempt().needs_reconciliation) == (1_000_000, True)
    assert UnitsDaily.objects.get().quantity == 100


def test_figures_that_no_call_has_leave_it_unknown(in_scope: Profile) -> None:
    with broken(call_for(), in_scope) as paid:
        buy()
        paid.settle({"credit": 10**9})
    assert the_attempt().state == State.UNKNOWN


def test_what_could_cost_more_than_any_call_is_not_begun(in_scope: Profile) -> None:
    with pytest.raises(Conflict, match="more than any one call may"):
        attempts.reserve(in_scope, call_for(10**9))


@pytest.mark.parametrize("text", ["no\0thing", "half a \ud83d pair", "two\nlines"])
def test_odd_characters_of_a_provider_are_in_nobodys_way(in_scope: Profile, text: str) -> None:
    with broken(call_for(about="1"), in_scope, NotCharged):
        buy(NotCharged(text))
    assert the_attempt().state == State.RELEASED
    with paid_call(profile=in_scope, call=call_for(about="2")) as paid:
        buy()
        paid.settle({"credit": 1}, model=f"m1{text}", request_id=text)
    assert LedgerEntry.objects.get().amount_micros == 10_000


def test_a_call_under_way_is_not_reconciled(in_scope: Profile, owner: Person) -> None:
    attempts.mark_sent(attempts.reserve(in_scope, call_for()))
    with pytest.raises(Conflict, match="under way"):
        charging.reconcile(profile=in_scope, attempt=the_attempt(), amount_micros=1, by=owner.user.pk, is_operator=True)


def test_a_released_call_that_was_charged_after_all(in_scope: Profile, owner: Person) -> None:
    with broken(call_for(), in_scope, NotCharged):
        buy(NotCharged("refused"))
    charging.reconcile(profile=in_scope, attempt=the_attempt(), amount_micros=5, by=owner.user.pk, is_operator=True)
    assert (day().spent_micros, day().reserved_micros, the_attempt().state) == (5, 0, State.SETTLED)
    assert not attempts.release(the_attempt(), "late")
    assert not charging.charge_estimate(the_attempt())
    assert not attempts.lose(the_attempt(), "late")
    assert proof.differences() == []


def test_a_cache_hit_costs_nothing_and_is_counted(in_scope: Profile, cent: PriceRule) -> None:
    for _ in range(3):
        cache_hit(profile=in_scope, call=call_for(50))
    row = CostDaily.objects.get()
    assert (row.cache_hits, row.saved_micros, row.amount_micros, row.calls) == (3, 1_500_000, 0, 0)
    assert proof.differences() == []
