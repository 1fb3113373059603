"""Every fault of Postiz with a kill at every point: what each does to one publication, and how it ends.

A cell's run is a profile of its own with an organisation of its own at one stub Postiz. First a worker process hands
its publication over and is killed where the cell says so; then the periodic work goes on with the clock advanced, and
what it starts runs in further workers, until nothing is left to wait for; at last a person decides on what is shown to
be missing.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import time_machine
from django.utils import timezone

from conftest import make_person
from jobs import reaper
from jobs.models import Job, Status
from profiles import scope
from profiles.credentials import encrypt
from profiles.models import Credential, Profile, User
from profiles.services import profile_create
from publishing import changes, periodic
from publishing.actions import Action, is_proven_absent, possible
from publishing.channels import integrations
from publishing.delivery import handing_over
from publishing.models import Publication
from publishing.postiz.client import Postiz
from publishing.states import FINAL, State
from publishing.tests.delivering import due, fresh
from tests.soak.crew import Crew, Worker
from tests.soak.publish_child import CALL_SECONDS
from tests.stack import wait_until
from tests.stubs.postiz import Fault, StubPostiz, faults
from tests.stubs.postiz.models import Organisation, SeenRequest

Runs = Sequence["Run"]
SILENCE = 1.5 * CALL_SECONDS  # of a server that hangs


@dataclass(frozen=True)
class Strike:
    """A fault of POST /posts: how it is made, and whether the post is made nevertheless."""

    make: Callable[[], Fault] | None
    commits: bool


FAULTS: dict[str, Strike] = {
    "none": Strike(None, True),
    "drop before commit": Strike(faults.drop_before_commit, False),
    "drop after commit": Strike(faults.drop_after_commit, True),
    "500 before commit": Strike(faults.error_500_before, False),
    "500 after commit": Strike(faults.error_500_after, True),
    "late commit (20 s)": Strike(lambda: faults.late_commit(20), True),
    "hangs after commit": Strike(lambda: faults.hang(SILENCE), True),
    "hangs, then commits": Strike(lambda: faults.hang(SILENCE, commit="after"), True),
    "empty 401": Strike(faults.empty_401, False),
    "429": Strike(faults.rate_limited, False),
    "502 HTML": Strike(faults.html_502, False),
    "truncated JSON": Strike(faults.truncated_json, True),
    "201 []": Strike(faults.empty_list, True),
}
BY_ITSELF = ("claimed", "uploaded", "intended", "answered")
# by the stub; a fault that never comes to one of these moments strikes at the last one that it does come to
AT_SERVER = {"at server": ("before_commit", "received"), "committed": ("after_commit", "before_reply")}
KILLS = ("no kill", "claimed", "uploaded", "intended", "at server", "committed", "answered")
SENT = frozenset({"at server", "committed", "answered"})  # the server has got the request of the killed worker
_PAUSES = (6, 24, 176, 110, 130, 3400, 200, 600)  # seconds between two rounds of the periodic work
_ROUNDS = 30


def moment_of(kill: str, fault: Fault | None) -> str:
    """At which moment of the stub's the worker is killed."""
    if kill == "at server":
        return "received" if fault is not None and fault.proxy else "before_commit"
    if fault is None or not (fault.proxy or fault.commit in {"late", "after"}):
        return "after_commit"
    if fault.commit in {"late", "after"}:
        return "before_commit"
    return "received" if fault.drop else "before_reply"


@dataclass(eq=False)
class Run:
    """One run of one cell."""

    fault: str
    kill: str
    organisation: Organisation
    worker: Worker = field(default_factory=Worker)
    moment: str = ""
    profile: Any = None
    publication: Any = None
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.fault} × {self.kill}"


class Matrix:
    """The runs of all cells, and the stub that they talk to."""

    def __init__(self, stub: StubPostiz, crew: Crew, rows: Iterable[str], columns: Iterable[str], times: int) -> None:
        self.stub, self.crew = stub, crew
        self.rows, self.columns = list(rows), list(columns)
        self.runs = [
            Run(row, column, stub.add_organisation(f"{row} × {column} {number}"))
            for number in range(times)
            for row in self.rows
            for column in self.columns
        ]
        self._to_kill: dict[Organisation, Run] = {}
        self._lock = threading.Lock()
        for run in self.runs:
            self._script(run)
        for moment in ("received", "before_commit", "after_commit", "before_reply"):
            stub.on("POST /posts", moment, partial(self._strike, moment))

    def _script(self, run: Run) -> None:
        make = FAULTS[run.fault].make
        fault = make() if make else None
        if fault is not None:
            self.stub.faults.script("POST /posts", fault, match=lambda seen: seen.organisation is run.organisation)
        if run.kill in AT_SERVER:
            run.moment = moment_of(run.kill, fault)
            self._to_kill[run.organisation] = run

    def _strike(self, moment: str, seen: SeenRequest) -> None:
        """Kills the worker whose request has come to this moment, before it goes on."""
        with self._lock:
            run = self._to_kill.get(seen.organisation) if seen.organisation else None
            if run is None or run.moment != moment:
                return
            del self._to_kill[run.organisation]
        if moment == "received":
            time.sleep(0.05)  # the body follows its head at once
        run.worker.kill()

    def first(self, run: Run, command: dict[str, Any]) -> None:
        """The worker that is killed."""
        self.crew.run({**command, "kill_at": run.kill if run.kill in BY_ITSELF else ""}, run.worker)
        assert run.worker.was_killed is (run.kill != "no kill"), f"{run.name}: {run.worker.status}"

    def posts(self, run: Run) -> list[Any]:
        """What the stub has of it, as an organisation's list would show it."""
        return [post for post in self.stub.posts if post.organisation is run.organisation and not post.deleted]

    def live(self, run: Run) -> int:
        return sum(one.organisation is run.organisation for one in self.stub.ledger)

    def at_rest(self) -> bool:
        """Whether no request is under way any more."""
        return all(seen.ended for seen in self.stub.requests)

    def shown(self, title: str, cell: Callable[[Runs], str]) -> str:
        """The matrix as a text."""
        by_cell: dict[tuple[str, str], list[Run]] = {}
        for run in self.runs:
            by_cell.setdefault((run.fault, run.kill), []).append(run)
        table = [[row, *(cell(by_cell[row, column]) for column in self.columns)] for row in self.rows]
        lines = [["", *self.columns], *table]
        widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
        texts = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([f"\n{title}", *(text.rstrip() for text in texts)])


class EditAI:
    """The matrix with EditAI's own workers."""

    def __init__(self, matrix: Matrix, clock: time_machine.Traveller) -> None:
        self.matrix, self.clock = matrix, clock
        self.user: User = make_person("matrix").user
        for run in matrix.runs:
            self._prepare(run)

    def _prepare(self, run: Run) -> None:
        run.profile = profile_create(user=self.user, name=run.organisation.name[:60])
        with scope.activate(run.profile.pk):
            connect(run.profile, self.matrix.stub, run.organisation)
            run.publication = due(run.profile)

    # --- the killed worker ------------------------------------------------------------------------------

    def hand_over(self) -> None:
        self.matrix.crew.all(self._hand_over, self.matrix.runs)

    def _hand_over(self, run: Run) -> None:
        with scope.activate(run.profile.pk):
            job = handing_over.request_hand_over(run.profile, [run.publication], None)
        self.matrix.first(run, {"do": "jobs", "jobs": [message(job)], "now": timezone.now().isoformat()})

    # --- the periodic work ------------------------------------------------------------------------------

    def go_on(self) -> int:
        """Lets time pass until nothing is pending; how many rounds that took."""
        for number in range(_ROUNDS):
            if not self._pending():
                return number
            self.clock.shift(timedelta(seconds=_PAUSES[number % len(_PAUSES)]))
            self.matrix.stub.world.tick()
            self._round()
            assert self.matrix.stub.ledger.most() <= 1
        raise AssertionError(f"still pending after {_ROUNDS} rounds: {self._pending()}")

    def _round(self) -> None:
        """What beat has done, and the jobs that come of it."""
        reaper.reap()
        periodic.due_everywhere()
        self.work()
        periodic.sync_everywhere()
        self.work()

    def work(self) -> None:
        """All waiting jobs, in worker processes."""
        with scope.all_profiles("dispatch waiting jobs"):
            waiting = list(Job.objects.filter(status=Status.QUEUED, run_at__lte=timezone.now()))
        size = len(self.matrix.crew.members)
        shares = [[message(job) for job in waiting[first::size]] for first in range(min(size, len(waiting)))]
        now = timezone.now().isoformat()
        self.matrix.crew.all(self.matrix.crew.run, [{"do": "jobs", "jobs": share, "now": now} for share in shares])

    def _pending(self) -> list[tuple[str, str, Any]]:
        """The runs that something is still going to happen to by itself: name, state, error."""
        rows = self._rows()
        found = [(run.name, rows[run.publication.pk]) for run in self.matrix.runs]
        return [(name, str(row.state), row.error) for name, row in found if not is_settled(row)]

    def _rows(self) -> dict[Any, Publication]:
        with scope.all_profiles("ask about publications"):
            return {row.pk: row for row in Publication.objects.select_related("integration", "profile")}

    # --- how it ends ------------------------------------------------------------------------------------

    def check(self) -> None:
        """What is at Postiz is known to be, and what is not is known not to be; nothing in between, and one of each."""
        rows = self._rows()
        for run in self.matrix.runs:
            posts, row = self.matrix.posts(run), rows[run.publication.pk]
            assert len(posts) <= 1, f"{run.name}: {len(posts)} posts"
            assert self.matrix.live(run) == len(posts), f"{run.name}: {posts[0].state}"
            if posts:
                found = (row.state, row.external_post_id, bool(row.release_url), row.may_be_live)
                assert found == (State.PUBLISHED, posts[0].id, True, False), f"{run.name}: {found} {row.error}"
            else:
                assert row.state == State.UNCONFIRMED, f"{run.name}: {row.state} {row.error}"
                assert is_proven_absent(row), f"{run.name}: {row.error}"
                assert {Action.RECONCILE, Action.RESEND} <= set(possible(row)), run.name
            run.notes.append("published" if posts else "absent")

    def decide(self) -> int:
        """A person asks about what is missing, and has it sent again. How many were."""
        rows = self._rows()
        missing = [run for run in self.matrix.runs if rows[run.publication.pk].state == State.UNCONFIRMED]
        for run in missing:
            with scope.activate(run.profile.pk):
                row = fresh(run.publication)
                changes.publication_reconcile(profile=run.profile, publication=row, by=self.user)
        self.work()
        for run in missing:
            with scope.activate(run.profile.pk):
                row = fresh(run.publication)
                assert is_proven_absent(row), f"{run.name}: {row.state} {row.error}"
                changes.publication_resend(profile=run.profile, publication=row, by=self.user, understood=True)
        self.work()
        return len(missing)

    def replay(self) -> None:
        """Every message of every job comes once more, as brokers have it."""
        with scope.all_profiles("dispatch waiting jobs"):
            every = [message(job) for job in Job.objects.all()]
        self.matrix.crew.run({"do": "jobs", "jobs": every, "now": timezone.now().isoformat()})


def is_settled(row: Publication) -> bool:
    """Whether it came to an end, or to where only a person can go on."""
    return row.state in FINAL | {State.MISSED} or (row.state == State.UNCONFIRMED and is_proven_absent(row))


def connect(profile: Profile, stub: StubPostiz, organisation: Organisation) -> None:
    """An organisation of the stub's becomes the profile's, and its channels are listed."""
    Credential.objects.create(
        profile=profile,
        kind="postiz",
        ciphertext=encrypt(organisation.key),
        last4=organisation.key[-4:],
        settings={"url": f"{stub.url}/api/public/v1"},
        ok=True,
    )
    assert integrations.refresh(profile)


def message(job: Job) -> tuple[str, str, str]:
    return job.kind, str(job.profile_id), str(job.pk)


@contextmanager
def matrix(hands: Crew, rows: Iterable[str], columns: Iterable[str], times: int) -> Iterator[Matrix]:
    with StubPostiz(organisations=0) as stub:
        yield Matrix(stub, hands, rows, columns, times)


def run_editai(made: Matrix) -> str:
    """The whole of it for EditAI: the text of the matrix. AssertionError where a promise is broken."""
    shortened = Postiz.pause
    Postiz.pause = lambda self, attempt: None  # type: ignore[method-assign]
    try:
        with time_machine.travel(timezone.now(), tick=True) as clock:
            return _run_editai(EditAI(made, clock))
    finally:
        Postiz.pause = shortened  # type: ignore[method-assign]


def _run_editai(editai: EditAI) -> str:
    made = editai.matrix
    editai.hand_over()
    wait_until(made.at_rest, 20, "the stub to be at rest")
    editai.go_on()
    editai.check()
    resent = [editai.decide()]
    while resent[-1]:
        editai.go_on()
        editai.check()
        resent.append(editai.decide())
    editai.replay()
    ledger = made.stub.settle()
    assert [made.live(run) for run in made.runs] == [1] * len(made.runs)
    text = made.shown("EditAI: what the periodic work alone made of it, then what a person's resend did", _cell)
    attempts = len(made.stub.of_route("POST /posts"))
    return (
        f"{text}\n{len(made.runs)} runs, {attempts} calls of POST /posts, {len(ledger)} publications, "
        f"most of one clip on one channel: {ledger.most()}; resent by a person: {resent[:-1]}"
    )


def _cell(runs: Runs) -> str:
    """`3 published`, or `3 absent → resent`, or `2 published, 1 absent → resent`."""
    counted = Counter(_history(run.notes) for run in runs)
    return ", ".join(f"{count} {text}" for text, count in counted.most_common())


def _history(notes: list[str]) -> str:
    absent = notes.count("absent")
    return notes[-1] if not absent else f"absent → resent{f' {absent}×' if absent > 1 else ''}"


# --- for comparison -------------------------------------------------------------------------------------


def doubles(run: Run) -> bool:
    """Whether a client that sends again after every error and every restart must post this twice."""
    strike = FAULTS[run.fault]
    if run.kill in SENT:
        return strike.commits
    return strike.commits and strike.make is not None


def run_naive(made: Matrix) -> str:
    """The same with a naive client. AssertionError unless it posts twice exactly where it must."""
    made.crew.all(partial(_naive, made), made.runs)
    ledger = made.stub.settle()
    for run in made.runs:
        assert made.live(run) == 1 + doubles(run), f"{run.name}: {made.live(run)}"
    text = made.shown("A naive client: publications of one clip on one channel", partial(_counts, made))
    twice = sum(made.live(run) > 1 for run in made.runs)
    return f"{text}\n{len(made.runs)} runs, {len(ledger)} publications, {twice} clips twice; most: {ledger.most()}"


def _naive(made: Matrix, run: Run) -> None:
    command = {
        "do": "naive",
        "url": f"{made.stub.url}/api/public/v1",
        "key": run.organisation.key,
        "channel": run.organisation.integration("instagram").id,
        "clip": f"\0\0\0\x18ftypmp42\0\0\0\0mp42isom{run.organisation.id}",
    }
    made.first(run, command)
    if run.worker.was_killed:
        made.crew.run({**command, "kill_at": ""})


def _counts(made: Matrix, runs: Runs) -> str:
    return " ".join(str(made.live(run)) for run in runs)
