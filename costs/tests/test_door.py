"""One door: every paid call is reserved before it leaves, and ends in one of the ways that there are."""

from typing import Any

import pytest
from django.db import DatabaseError

from costs.books import attempts, proof
from costs.errors import NotCharged, OutsideTheDoor, PaidCallUnknown
from costs.models import CostDaily, LedgerEntry, UnitsDaily, UsageAttempt
from costs.services import paid_call
from costs.tests.conftest import buy, call_for
from costs.tests.doors import broken, day, the_attempt
from jobs.execution import Cancelled, JobError, describe
from jobs.transitions import LeaseLost
from profiles.models import Profile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
State = UsageAttempt.State


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
