"""When the death of a pool process ends its worker, and when not."""

import signal
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from billiard.pool import CLOSE, RUN
from celery.worker import state

from jobs import pool as watched

PID = 77


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_SETTLE_SECONDS", 0)
    monkeypatch.setattr(watched, "_LOCK_SECONDS", 0.05)


def task(*, ready: bool) -> Any:
    return SimpleNamespace(worker_pids=lambda: [PID], ready=lambda: ready)


def ends(exitcode: int, *, tasks: tuple[Any, ...] = (), lock: Any = None, running: int = RUN, **process: Any) -> bool:
    """Does a worker end itself when such a process of its pool is found dead?"""
    flushed: list[Any] = []
    ended: list[bool] = []
    outqueue = SimpleNamespace(_wlock=lock or threading.Lock())
    pool = SimpleNamespace(
        process_flush_queues=flushed.append, _state=running, _cache=dict(enumerate(tasks)), _outqueue=outqueue
    )
    watched.watch(pool, end=lambda: ended.append(True))
    dead = SimpleNamespace(pid=PID, exitcode=exitcode, **process)
    pool.process_flush_queues(dead)
    assert flushed == [dead]
    return bool(ended)


def test_one_killed_while_idle_ends_the_worker() -> None:
    assert ends(-signal.SIGKILL)
    assert ends(-signal.SIGSEGV)
    assert ends(-signal.SIGKILL, tasks=(task(ready=True),))


def test_one_killed_over_a_task_does_not_as_long_as_results_can_be_written() -> None:
    lock = threading.Lock()
    assert not ends(-signal.SIGKILL, tasks=(task(ready=False),), lock=lock)
    assert not lock.locked()
    lock.acquire()  # for ever: by the dead
    assert ends(-signal.SIGKILL, tasks=(task(ready=False),), lock=lock)


@pytest.mark.parametrize("exitcode", [0, 1, 155])
def test_one_that_ended_by_itself_does_not(exitcode: int) -> None:
    assert not ends(exitcode)


def test_one_that_the_pool_ended_does_not() -> None:
    assert not ends(-signal.SIGTERM, _controlled_termination=True)
    assert not ends(-signal.SIGKILL, _job_terminated=True)


@pytest.mark.parametrize("asked", ["should_stop", "should_terminate"])
def test_nothing_ends_a_worker_that_stops(monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    assert not ends(-signal.SIGKILL, running=CLOSE)
    monkeypatch.setattr(state, asked, 0)
    assert not ends(-signal.SIGKILL)
