"""How calls end that nobody ends any more, and what people and late figures say of them."""

from typing import Any

import pytest

from conftest import Person
from costs.books import attempts, charging, proof, sweeper
from costs.errors import NotCharged
from costs.models import CostDaily, LedgerEntry, PriceRule, ServerPeriod, UnitsDaily, UsageAttempt
from costs.services import cache_hit, paid_call
from costs.tests.conftest import buy, call_for
from costs.tests.doors import broken, day, pass_time, pay, the_attempt
from profiles.errors import Conflict
from profiles.models import Profile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
State = UsageAttempt.State


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
