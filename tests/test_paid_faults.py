"""A few faults of a metered provider × a few kills of the worker, once each; `./test --soak` has all, three times.

And over real HTTP: what was paid is not paid again, and each try is a row of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from costs.books import attempts, charging, proof
from costs.books.retries import paid_with_retries
from costs.errors import AlreadyPaid
from costs.models import LedgerEntry, UsageAttempt
from costs.money import quantities
from costs.services import Call, Paid, paid_call
from costs.tests.conftest import call_for, price
from profiles.models import Profile
from tests.soak.crew import Crew, crew
from tests.soak.paid_matrix import matrix, run_all
from tests.stubs.meter import FAULTS, StubMeter
from tests.stubs.meter_client import speak

ROWS = ("ok", "429 with Retry-After", "drop after the charge")
KILLS = ("no kill", "charged", "settled")
TEXT = "twelve lett."


@pytest.fixture(scope="module")
def hands(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    with crew(tmp_path_factory.mktemp("workers"), 2, "tests.soak.paid_child") as made:
        yield made


@pytest.fixture
def stub() -> Iterator[StubMeter]:
    with StubMeter() as stub:
        yield stub


@pytest.mark.timeout(120)
@pytest.mark.django_db(transaction=True)
def test_some_faults_with_some_kills_are_in_the_books(hands: Crew, tmp_path: Path) -> None:
    with matrix(hands, tmp_path, ROWS, KILLS, 1) as made:
        print(run_all(made))


@pytest.mark.django_db(transaction=True)
def test_control_a_sweeper_that_gives_back_what_was_sent_is_found_out(
    hands: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "lose", attempts.release)
    with matrix(hands, tmp_path, ["ok"], ["charged"], 1) as made:
        made.crew.all(made.first, made.runs)
        made.go_on()
        made.check_before_time_passes()
        made.sweep(UsageAttempt.State.SENT)
        with pytest.raises(AssertionError, match="0 in the ledger, 600000 on the bill"):
            made.check_at_the_end()


def bought(stub: StubMeter, profile: Profile, call: Call) -> str:
    def once(paid: Paid) -> str:
        spoken = speak(stub.url, run="a", text=TEXT)
        paid.settle(spoken.used, model=spoken.model, request_id=spoken.request_id)
        return spoken.request_id

    return paid_with_retries(once, profile=profile, call=call, sleep=lambda seconds: None)


def ledger() -> list[int]:
    return list(LedgerEntry.objects.values_list("amount_micros", flat=True))


def test_what_was_paid_is_not_called_nor_charged_again(stub: StubMeter, in_scope: Profile) -> None:
    price()
    call = call_for(20)
    request_id = bought(stub, in_scope, call)
    for _ in range(3):
        with pytest.raises(AlreadyPaid) as caught:
            bought(stub, in_scope, call)
        assert caught.value.attempt.request_id == request_id
        charging.settle(caught.value.attempt, quantities({"credit": 12}), request_id="another")
    assert len(stub.seen) == 1
    assert ledger() == list(stub.bill.amounts.values()) == [120_000]
    assert UsageAttempt.objects.get().request_id == request_id
    assert proof.differences() == []


def test_each_try_is_a_row_of_its_own(stub: StubMeter, in_scope: Profile) -> None:
    price()
    busy = FAULTS["429 with Retry-After"]
    stub.script("a", busy, busy)
    request_id = bought(stub, in_scope, call_for(20))
    rows = UsageAttempt.objects.order_by("attempt_no").values_list("attempt_no", "state", "request_id")
    assert list(rows) == [(1, "released", ""), (2, "released", ""), (3, "settled", request_id)]
    assert [one.id for one in stub.seen] == ["r-1", "r-2", request_id]
    assert ledger() == list(stub.bill.amounts.values()) == [120_000]
    assert proof.differences() == []


def test_a_refused_reservation_calls_nobody(stub: StubMeter, in_scope: Profile) -> None:
    price()
    with paid_call(profile=in_scope, call=call_for(20)) as paid:
        attempts.release(paid.attempt, "The sweeper was faster.")
        with pytest.raises(RuntimeError, match="no longer open"):
            speak(stub.url, run="a", text=TEXT)
    assert stub.seen == []
