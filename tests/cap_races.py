"""Many connections that spend on the same budgets at once, and what must be true afterwards.

Four brands with hard budgets of each kind, and one over the whole server. Calls differ in what they may and do cost;
some are refused by the provider, some are settled by three processes at the same moment.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import F, Sum

from conftest import make_person
from costs.books import charging, periods, proof
from costs.errors import BudgetExceeded, NotCharged
from costs.models import Budget, CostDaily, LedgerEntry, ProfilePeriod, ServerBudget, ServerPeriod, UsageAttempt
from costs.money import quantities, shown
from costs.services import Paid, paid_call, paid_function
from costs.tests.conftest import call_for, price
from jobs.models import Job
from profiles import scope
from profiles.models import Profile
from tests.racing import race

CENT = 10_000  # micros, for a credit
MEAN = 35 * CENT  # of what a call of the load uses, roughly
PROVE = "prove the books"
State = UsageAttempt.State


@paid_function("meter")
def pretend() -> None:
    """A call that leaves and comes back."""


@dataclass
class Load:
    """So many connections, each with so many calls."""

    connections: int
    calls: int
    profiles: list[Profile] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    caps: dict[tuple[Any, str, str], int] = field(default_factory=dict)  # (profile or None, period, provider)
    most: Counter[Any] = field(default_factory=Counter)  # ever spent and reserved in a capped period
    looks: int = 0

    @property
    def expected(self) -> int:
        """What all would cost together if nothing were refused."""
        return self.connections * self.calls * MEAN

    def prepare(self) -> None:
        price()
        self.profiles = [make_person(f"brand-{number}").profile for number in range(4)]
        share = self.expected // 4
        for number, (period, provider, cap) in enumerate(
            [("day", "", share // 4), ("month", "", share // 4), ("day", "meter", share // 4), ("month", "", share * 9)]
        ):
            self._limit(self.profiles[number], period, provider, cap)
        self._limit(self.profiles[2], "job", "", share // 5 // (self.connections // 4))
        self._limit(self.profiles[0], "month", "meter", share // 5, is_hard=False)  # only warns
        server = share  # what the last brand runs into
        ServerBudget.objects.create(period="day", provider="", cap_micros=server)
        self.caps[None, "day", ""] = server
        for number in range(self.connections):
            profile = self.profiles[number % 4]
            with scope.activate(profile.pk):
                self.jobs.append(
                    Job.objects.create(profile=profile, kind="tts", queue="media", priority=1, max_attempts=3)
                )

    def _limit(self, profile: Profile, period: str, provider: str, cap: int, *, is_hard: bool = True) -> None:
        with scope.activate(profile.pk):
            Budget.objects.create(profile=profile, period=period, provider=provider, cap_micros=cap, is_hard=is_hard)
        if is_hard:
            self.caps[profile.pk, period, provider] = cap

    # --- spending ---------------------------------------------------------------------------------------

    def spend(self, number: int) -> Counter[str]:
        """All calls of one connection: how they ended."""
        chance, ends = random.Random(number), Counter[str]()
        profile = self.profiles[number % 4]
        with scope.activate(profile.pk):
            for call in range(self.calls):
                ends[self._one(number, profile, call, chance)] += 1
        return ends

    def _one(self, number: int, profile: Profile, call: int, chance: random.Random) -> str:
        most = chance.randint(20, 80)
        used = chance.randint(most // 3, most)
        wanted = call_for(
            most, about=f"{number} {call}", model=f"m{call % 2}", job=self.jobs[number], operation=f"o{call % 3}"
        )
        is_refused, is_settled_thrice = call % 5 == 3, call % 5 == 0  # a first call always finds room
        try:
            with paid_call(profile=profile, call=wanted) as paid:
                pretend()
                if is_refused:
                    raise NotCharged("refused")
                if is_settled_thrice:
                    _settle_thrice(paid, used)
                paid.settle({"credit": used})
        except BudgetExceeded as error:
            whose = {detail["budget"] for detail in error.details or []}
            return "denied by the server's" if whose == {"server"} else "denied by the brand's"
        except NotCharged:
            return "released"
        return "settled thrice" if is_settled_thrice else "settled"

    # --- looking ----------------------------------------------------------------------------------------

    def look(self) -> None:
        """Notes the most that was ever spent and reserved in each capped period."""
        with scope.all_profiles(PROVE):
            rows = [(row.profile_id, row) for row in ProfilePeriod.objects.all()]
            rows += [(None, row) for row in ServerPeriod.objects.all()]
        self.looks += 1
        for owner, row in rows:
            cap = self.caps.get((owner, row.period, row.provider))
            taken = row.spent_micros + row.reserved_micros
            assert cap is None or taken <= cap, f"{row}: {taken} of {cap}"
            if cap is not None:
                key = (owner, row.period, row.provider)
                self.most[key] = max(self.most[key], taken)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Looks again and again while the block runs; raises what it saw afterwards."""
        over, seen = threading.Event(), list[Exception]()

        def watch() -> None:
            try:
                while not over.wait(0.03):
                    self.look()
            except Exception as error:
                seen.append(error)
            finally:
                connections.close_all()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(30)
        assert seen == []


def _settle_thrice(paid: Paid, used: int) -> None:
    """Three at the same moment, each with a connection of its own: one entry."""
    attempt = paid.attempt

    def settle(number: int) -> Any:
        with scope.activate(attempt.profile_id):
            mine = UsageAttempt.objects.get(pk=attempt.pk)
            return charging.settle(mine, quantities({"credit": used})).pk

    found = race(settle, 3)
    assert len(set(found)) == 1, found
    assert not isinstance(found[0], Exception), found


def run(connections_: int, calls: int) -> str:
    """The whole of it; a line with the numbers. AssertionError where a promise is broken."""
    load = Load(connections_, calls)
    load.prepare()
    with load.watched():
        outcomes = race(load.spend, connections_)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert failed == [], failed  # deadlocks and locked databases among them
    ends = sum((outcome for outcome in outcomes if isinstance(outcome, Counter)), Counter[str]())
    load.look()
    return _check(load, ends)


def _check(load: Load, ends: Counter[str]) -> str:
    charged = ends["settled"] + ends["settled thrice"]
    admitted = charged + ends["released"]
    denied = ends["denied by the brand's"] + ends["denied by the server's"]
    assert admitted + denied == load.connections * load.calls
    assert min(admitted, ends["denied by the brand's"], ends["denied by the server's"], ends["settled thrice"]) > 0, (
        ends
    )
    with scope.all_profiles(PROVE):
        states = Counter(UsageAttempt.objects.values_list("state", flat=True))
        # a denied one leaves no row
        assert states == Counter({State.SETTLED.value: charged, State.RELEASED.value: ends["released"]})
        entries = LedgerEntry.objects.count()
        ledger = LedgerEntry.objects.aggregate(sum=Sum("amount_micros"))["sum"]
        rolled_up = CostDaily.objects.aggregate(sum=Sum("amount_micros"))["sum"]
        spent = ServerPeriod.objects.filter(period="day", provider="").aggregate(sum=Sum("spent_micros"))["sum"]
        open_now = [*ProfilePeriod.objects.exclude(reserved_micros=0), *ServerPeriod.objects.exclude(reserved_micros=0)]
    assert entries == charged
    assert ledger == rolled_up == spent
    assert open_now == []
    assert proof.differences() == []
    cap = load.caps[None, "day", ""]
    assert 0 < spent <= cap
    own = ends["denied by the brand's"]
    return (
        f"\n{connection.vendor}: {load.connections} connections × {load.calls} calls: {admitted} admitted "
        f"({ends['released']} released, {ends['settled thrice']} settled three times at once), {denied} denied "
        f"({own} by a brand's budget), spent {shown(spent)} of {shown(cap)}; ledger = roll-up = spent, reserved 0; "
        f"most ever spent and reserved {shown(load.most[None, 'day', ''])}, in {load.looks} looks; no deadlock"
    )


def overspend(connections_: int, patch: pytest.MonkeyPatch) -> str:
    """The control: the same door, but what is left is looked at before it is written, as it is done naively."""
    looked = threading.Barrier(connections_)

    def check_then_write(row: Any, amount: int, limit: Any) -> bool:
        if limit is not None and limit.is_hard:
            now = row.get()
            looked.wait(30)
            if now.spent_micros + now.reserved_micros + amount > limit.cap_micros:
                return False
        return bool(row.update(reserved_micros=F("reserved_micros") + amount))

    patch.setattr(periods, "_admit", check_then_write)
    price()
    profile = make_person("brand").profile
    cap = 100 * CENT
    with scope.activate(profile.pk):
        Budget.objects.create(profile=profile, period="day", cap_micros=cap)

    def spend(number: int) -> None:
        with scope.activate(profile.pk), paid_call(profile=profile, call=call_for(100, about=str(number))) as paid:
            pretend()
            paid.settle({"credit": 100})

    outcomes = race(spend, connections_)
    assert outcomes == [None] * connections_, outcomes
    with scope.activate(profile.pk):
        spent = ProfilePeriod.objects.get(period="day", provider="").spent_micros
    assert spent > cap
    assert proof.differences() == []  # the books are right: it is the cap that was passed
    return f"\nWithout the guard, {connections_} connections spend {shown(spent)} of {shown(cap)}"
