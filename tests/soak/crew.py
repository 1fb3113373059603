"""Workers of a test as real processes: each member of the crew forks one for each command (as `publish_child` does)."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from django.conf import settings
from django.db import connection, connections

ROOT = Path(__file__).parents[2]


@dataclass
class Worker:
    """One worker at work: killed from outside by `kill`, which waits until it is dead."""

    pid: int = 0
    status: int | None = None
    result: Any = None
    born: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def kill(self) -> None:
        assert self.born.wait(20), "no worker to kill"
        os.kill(self.pid, signal.SIGKILL)
        assert self.ended.wait(20), "a killed worker lives on"

    @property
    def was_killed(self) -> bool:
        return self.status == -signal.SIGKILL


class Member:
    """A process that forks workers, one at a time."""

    def __init__(self, environment: dict[str, str], log: Path, program: str) -> None:
        self._log = log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", program],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
        )  # fmt: skip
        self._say({"database": str(connection.settings_dict["NAME"])})

    def run(self, worker: Worker, command: dict[str, Any]) -> Worker:
        """Forks it, and waits for its end. RuntimeError when it ended badly, but for SIGKILL."""
        self._say(command)
        worker.pid = self._hear()["pid"]
        worker.born.set()
        heard = self._hear()
        worker.status, worker.result = heard["status"], heard["result"]
        worker.ended.set()
        if worker.status not in {0, -signal.SIGKILL}:
            raise RuntimeError(f"{command}: {worker.status}, see {self._log.name}")
        return worker

    def _say(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        heard: dict[str, Any] = json.loads(self._process.stdout.readline())
        return heard

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.stdout.close()
            self._log.close()


class Crew:
    """Some members, and who of them is free."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self._free: SimpleQueue[Member] = SimpleQueue()
        for member in members:
            self._free.put(member)
        self._threads = ThreadPoolExecutor(len(members))

    def start(self, command: dict[str, Any], worker: Worker | None = None) -> "Future[Worker]":
        """Has the next free member run it."""
        return self._threads.submit(self._run, worker or Worker(), command)

    def all(self, work: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
        """`work(item)` of each in a thread, as many at once as there are members; `work` may call `run`."""

        def alone(item: Any) -> Any:
            try:
                return work(item)
            finally:
                connections.close_all()  # this thread's

        with ThreadPoolExecutor(len(self.members)) as threads:
            return list(threads.map(alone, items))

    def run(self, command: dict[str, Any], worker: Worker | None = None) -> Worker:
        return self._run(worker or Worker(), command)

    def _run(self, worker: Worker, command: dict[str, Any]) -> Worker:
        member = self._free.get()
        try:
            return member.run(worker, command)
        finally:
            self._free.put(member)

    def close(self) -> None:
        self._threads.shutdown()
        for member in self.members:
            member.close()


@contextmanager
def crew(folder: Path, size: int, program: str = "tests.soak.publish_child") -> Iterator[Crew]:
    """A crew on the database and the stored files of this test process."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "DJANGO_SETTINGS_MODULE": "editai.settings",
        "EDITAI_ALLOW_PRIVATE_HOSTS": "1",
        "EDITAI_LOG_LEVEL": "warning",
        "EDITAI_DATA_DIR": str(settings.DATA_DIR),
    }
    made = Crew([Member(environment, folder / f"worker-{number}.log", program) for number in range(size)])
    try:
        yield made
    finally:
        made.close()
