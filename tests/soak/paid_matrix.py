"""Every fault of a metered provider with a kill at every step around a paid call: its bill, and what our books say.

A run is one job with one paid call. A worker process runs it and is killed where its cell says so; the reaper takes the
job back, other workers go on; then the sweeper ends what nobody ends any more, and at last a person has it tried again.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from conftest import make_person
from costs.books import proof, sweeper
from costs.models import Budget, LedgerEntry, ProfilePeriod, ServerBudget, ServerPeriod, UsageAttempt
from costs.money import shown
from costs.tests.conftest import price
from jobs import reaper
from jobs.models import Job, Status
from jobs.services import enqueue, job_retry
from profiles import scope
from profiles.models import Profile
from tests.soak import paid_job
from tests.soak.crew import Crew, Worker
from tests.stack import free_port, wait_until
from tests.stubs.meter import FAULTS, PRICES, Seen, StubMeter

PROVE = "prove the books"
NOBODY_LISTENS = "no connection"
ROWS = (*FAULTS, NOBODY_LISTENS)
KILLS = ("no kill", "begun", "reserved", "sent", "at server", "charged", "answered", "stored", "settling", "settled")
AT_SERVER = {"at server": "received", "charged": "done"}  # by the stub
EXACT = frozenset({"ok", "429 with Retry-After", "another model"})  # the answer comes, with figures
FREE = frozenset({"400 before any work", NOBODY_LISTENS})  # surely not charged, and not tried again for long
BEFORE_SENT = frozenset({"no kill", "begun", "reserved"})  # a second attempt may still call
SPENT, ESTIMATE = 60, 100  # credits; enough for the dearer model too
State = UsageAttempt.State


def cells(rows: Iterable[str], kills: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The pairs that there are: without an answer nothing is stored, without figures nothing is settled."""
    for row in rows:
        for kill in kills:
            if kill in AT_SERVER and row == NOBODY_LISTENS:
                continue
            if kill == "stored" and row not in EXACT | {"figures missing"}:
                continue
            if kill in {"settling", "settled"} and row not in EXACT:
                continue
            yield row, kill


@dataclass(eq=False)
class Run:
    fault: str
    kill: str
    number: int
    worker: Worker = field(default_factory=Worker)
    profile: Any = None
    job: Any = None
    was_unknown: bool = False

    @property
    def name(self) -> str:
        return f"{self.fault} × {self.kill} {self.number}"

    @property
    def loses_its_answer(self) -> bool:
        """Whether it is not known afterwards what the call cost."""
        if self.kill in BEFORE_SENT:
            return self.fault not in EXACT | FREE
        return self.kill != "settled"


class Matrix:
    def __init__(self, stub: StubMeter, crew: Crew, folder: Path, runs: Sequence[Run]) -> None:
        self.stub, self.crew, self.folder, self.runs = stub, crew, folder, runs
        self._nowhere = f"http://127.0.0.1:{free_port()}"
        self._to_kill = {run.name: run for run in runs if run.kill in AT_SERVER}
        self._lock = threading.Lock()
        stub.moments = self._strike
        price(model="m1", match="exact", unit_price=Decimal(PRICES["m1"]) / 10**6)
        price(model="m2", match="exact", unit_price=Decimal(PRICES["m2"]) / 10**6)
        ServerBudget.objects.create(period="day", cap_micros=10**12)
        self.user = make_person("matrix").user
        brands = [self._brand(number) for number in range(max(run.number for run in runs) + 1)]
        for run in runs:
            run.profile = brands[run.number]
            self.stub.script(run.name, FAULTS.get(run.fault))

    def _brand(self, number: int) -> Profile:
        profile = make_person(f"brand-{number}").profile
        with scope.activate(profile.pk):
            Budget.objects.create(profile=profile, period="day", cap_micros=10**12)
        return profile

    def _strike(self, moment: str, seen: Seen) -> None:
        """Kills the worker whose request has come to this moment, before the stub goes on."""
        with self._lock:
            run = self._to_kill.get(seen.run)
            if run is None or self._moment_of(run) != moment:
                return
            del self._to_kill[seen.run]
        run.worker.kill()

    def _moment_of(self, run: Run) -> str:
        """A client that waits for a silent server has given up before that charges it."""
        fault = FAULTS[run.fault]
        return "received" if fault is not None and fault.silence == "before" else AT_SERVER[run.kill]

    # --- what happens -----------------------------------------------------------------------------------

    def first(self, run: Run) -> None:
        """The worker that is killed."""
        params = {
            "url": self._nowhere if run.fault == NOBODY_LISTENS else self.stub.url,
            "run": run.name,
            "text": "x" * SPENT,
            "estimate": ESTIMATE,
            "folder": str(self.folder),
        }
        with scope.activate(run.profile.pk), transaction.atomic():
            run.job = enqueue(profile=run.profile, kind=paid_job.KIND, params=params)
        kill_at = "" if run.kill in AT_SERVER or run.kill == "no kill" else run.kill
        self.crew.run({"do": "paid", "jobs": [message(run.job)], "kill_at": kill_at}, run.worker)
        assert run.worker.was_killed is (run.kill != "no kill"), f"{run.name}: {run.worker.status}"

    def go_on(self) -> None:
        """The leases of the dead run out, the reaper takes their jobs back, and other workers run what waits."""
        wait_until(self.stub.at_rest, 20, "the stub to be at rest", 0.05)
        for job in self._jobs(status=Status.RUNNING):
            with scope.activate(job.profile_id):
                Job.objects.filter(pk=job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        reaper.reap()
        waiting = self._jobs(status=Status.QUEUED)
        size = len(self.crew.members)
        shares = [[message(job) for job in waiting[at::size]] for at in range(min(size, len(waiting)))]
        self.crew.all(self.crew.run, [{"do": "paid", "jobs": share} for share in shares])
        wait_until(self.stub.at_rest, 20, "the stub to be at rest", 0.05)
        assert self._jobs(status__in=[Status.QUEUED, Status.RUNNING]) == []

    def _jobs(self, **how: Any) -> list[Job]:
        with scope.all_profiles("reap lost jobs"):
            return list(Job.objects.filter(**how))

    def sweep(self, *states: State) -> int:
        """Time passes until the open calls (those in some states) are overdue, and the sweeper comes."""
        with scope.all_profiles(PROVE):
            open_ones = list(UsageAttempt.objects.filter(ended_at=None, state__in=states or list(State)))
        for attempt in open_ones:
            with scope.activate(attempt.profile_id):
                past = timezone.now() - timedelta(seconds=1)
                UsageAttempt.objects.filter(pk=attempt.pk).update(expires_at=past)
        moved = sum(iter(sweeper.sweep, 0))
        assert proof.differences() == []
        return moved

    def decide(self) -> int:
        """A person has everything tried again that waits for a word. How many that were."""
        waiting = self._jobs(status=Status.NEEDS_ATTENTION)
        for job in waiting:
            with scope.activate(job.profile_id):
                job_retry(profile=job.profile, job=job, by=None)
        return len(waiting)

    # --- how it ends ------------------------------------------------------------------------------------

    def attempts_of(self, run: Run) -> list[UsageAttempt]:
        with scope.activate(run.profile.pk):
            return list(UsageAttempt.objects.filter(job_id=run.job.pk).order_by("attempt_no"))

    def ledger_of(self, run: Run) -> int:
        with scope.activate(run.profile.pk):
            entries = LedgerEntry.objects.filter(job_id=run.job.pk)
            return int(entries.aggregate(sum=Sum("amount_micros"))["sum"] or 0)

    def status_of(self, run: Run) -> str:
        with scope.activate(run.profile.pk):
            return str(Job.objects.get(pk=run.job.pk).status)

    def check_before_time_passes(self) -> None:
        """What is not known is reserved and waits for a person; nothing was called twice but what surely was free."""
        for run in self.runs:
            attempts, wanted = self.attempts_of(run), self.stub.billed(run.name)
            states = Counter(str(one.state) for one in attempts)
            held = sum(one.reserved_micros for one in attempts if one.state in {State.SENT, State.UNKNOWN})
            assert self.ledger_of(run) + held >= wanted, f"{run.name}: {states}"
            calls = len(self.stub.of_run(run.name))
            assert calls <= 1 + (run.fault == "429 with Retry-After"), f"{run.name}: {calls} calls, {states}"
            assert calls <= len(attempts) - (run.kill == "reserved"), f"{run.name}: {calls} calls, {states}"
            assert states[State.RESERVED] == 0, f"{run.name}: {states}"
            if run.loses_its_answer:
                assert self.status_of(run) == Status.NEEDS_ATTENTION, f"{run.name}: {self.status_of(run)}"
                assert states[State.SENT] + states[State.UNKNOWN] == 1, f"{run.name}: {states}"
                # one that is killed is the sweeper's
                assert states[State.UNKNOWN] == (run.kill in BEFORE_SENT), f"{run.name}: {states}"
            else:
                ends = Status.FAILED if run.fault in FREE else Status.SUCCEEDED
                assert self.status_of(run) == ends, f"{run.name}: {self.status_of(run)}"
                assert states[State.SETTLED] == (run.fault in EXACT), f"{run.name}: {states}"
                assert self.ledger_of(run) == wanted, f"{run.name}: {self.ledger_of(run)}, not {wanted}"

    def check_unknown(self) -> None:
        """The sweeper's first round: what was sent and not answered is unknown."""
        for run in self.runs:
            states = [one.state for one in self.attempts_of(run) if one.ended_at is None]
            run.was_unknown = states == [State.UNKNOWN]
            assert run.was_unknown is run.loses_its_answer, f"{run.name}: {states}"

    def check_at_the_end(self) -> None:
        """Nothing is open any more, and no run is in the books with less than what the provider wants for it."""
        for run in self.runs:
            assert all(one.ended_at is not None for one in self.attempts_of(run)), run.name
            ours, theirs = self.ledger_of(run), self.stub.billed(run.name)
            assert ours >= theirs, f"{run.name}: {ours} in the ledger, {theirs} on the bill"
        with scope.all_profiles(PROVE):
            assert not ProfilePeriod.objects.exclude(reserved_micros=0).exists()
            assert not ServerPeriod.objects.exclude(reserved_micros=0).exists()
        assert proof.differences() == []

    def ledger(self) -> int:
        return sum(self.ledger_of(run) for run in self.runs)


def message(job: Job) -> tuple[str, str, str]:
    return job.kind, str(job.profile_id), str(job.pk)


@contextmanager
def matrix(hands: Crew, folder: Path, rows: Iterable[str], kills: Iterable[str], times: int) -> Iterator[Matrix]:
    pairs = list(cells(list(rows), list(kills)))
    runs = [Run(row, kill, number) for number in range(times) for row, kill in pairs]
    with StubMeter() as stub:
        yield Matrix(stub, hands, folder, runs)


def run_all(made: Matrix) -> str:
    """The whole of it: a line with the counts. AssertionError where a promise is broken."""
    made.crew.all(made.first, made.runs)
    made.go_on()
    made.check_before_time_passes()
    made.sweep(State.SENT)
    made.check_unknown()
    while made.sweep():
        pass
    made.check_at_the_end()
    bill, ledger = made.stub.bill.total(), made.ledger()
    exact = sum(made.ledger_of(run) == made.stub.billed(run.name) for run in made.runs if not run.was_unknown)
    unknown = sum(run.was_unknown for run in made.runs)
    assert exact + unknown == len(made.runs)
    assert bill == sum(made.stub.billed(run.name) for run in made.runs)
    calls = len(made.stub.seen)
    told = made.decide()
    assert told == unknown
    assert len(made.stub.seen) == calls  # nothing is called before a worker has the word
    made.go_on()
    while made.sweep():
        pass
    made.check_at_the_end()
    return (
        f"\n{len(made.runs)} runs, {calls} calls, bill {shown(bill)}, ledger {shown(ledger)}, exact {exact}, "
        f"unknown {unknown}, never less. A person had {told} tried again: {len(made.stub.seen)} calls, "
        f"bill {shown(made.stub.bill.total())}, ledger {shown(made.ledger())}"
    )
