"""Nothing that was sent is given back, and no answer is taken for free that does not say so."""

from datetime import datetime

import pytest

from costs.books import attempts, sweeper
from costs.errors import PaidCallUnknown
from costs.models import LedgerEntry, ProfilePeriod, UsageAttempt
from costs.services import paid_call
from costs.tests.conftest import buy, call_for
from profiles.models import Profile

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("cent")]
State = UsageAttempt.State


def reserved() -> int:
    return ProfilePeriod.objects.get(period="day", provider="").reserved_micros


def bought(profile: Profile, used: dict[str, int]) -> None:
    with paid_call(profile=profile, call=call_for()) as paid:
        buy()
        paid.settle(used)


def test_what_is_sent_while_the_sweeper_comes_keeps_its_reservation(
    in_scope: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = attempts.reserve(in_scope, call_for())

    def found(now: datetime) -> list[UsageAttempt]:
        rows = list(UsageAttempt.objects.all())
        attempts.mark_sent(attempt)  # right after it was found as reserved
        return rows

    monkeypatch.setattr(attempts, "overdue", found)
    assert sweeper.sweep() == 0
    assert (UsageAttempt.objects.get().state, reserved()) == (State.SENT, 1_000_000)


def test_an_answer_without_figures_leaves_it_unknown(in_scope: Profile) -> None:
    with pytest.raises(PaidCallUnknown) as caught:
        bought(in_scope, {})
    assert "without figures" in str(caught.value.__cause__)
    assert (UsageAttempt.objects.get().state, reserved()) == (State.UNKNOWN, 1_000_000)


def test_an_answer_that_says_nothing_was_used_costs_nothing(in_scope: Profile) -> None:
    bought(in_scope, {"credit": 0})
    assert (LedgerEntry.objects.get().amount_micros, UsageAttempt.objects.get().state) == (0, State.SETTLED)
