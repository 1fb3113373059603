"""Ends a worker whose pool was broken by the death of one of its processes; the supervisor starts it again.

With a folder as broker the processes of a pool share two pipes, each with a lock: an idle process waits for work with
the lock of the one held, and writes results under the lock of the other. `kill -9` leaves a lock held for ever: new
processes are forked, and none of them can take a task. (With Redis each process has pipes of its own.)
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from billiard.pool import RUN
from celery import bootsteps
from celery.worker import state

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.5  # until what the dead process wrote last has been read
_LOCK_SECONDS = 5.0  # much longer than any process writes


class WatchPool(bootsteps.StartStopStep):
    """A step of the worker's start, right after its pool's."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        pool = getattr(parent.pool, "_pool", None)
        if getattr(pool, "_inqueue", None) is not None:
            watch(pool)


def watch(pool: Any, end: "Callable[[], None] | None" = None) -> None:
    """Calls `end` (which kills this process) when a process of `pool` died such that the pool may be stuck."""
    flush = pool.process_flush_queues  # the pool calls it for every process that it found dead

    def bury(process: Any) -> None:
        flush(process)
        if _was_killed(process) and not _is_stopping(pool) and _is_broken(pool, process.pid):
            log.error("Pool process %d was killed, which may block the others: the worker ends itself.", process.pid)
            (end or _end)()

    pool.process_flush_queues = bury


def _end() -> None:
    # Not an orderly stop: that would wait for the pool. The reaper takes back what runs.
    os.kill(os.getpid(), signal.SIGKILL)


def _was_killed(process: Any) -> bool:
    """By a signal, and not by the pool itself (which ends processes beyond a time limit that way)."""
    by_pool = getattr(process, "_controlled_termination", False) or getattr(process, "_job_terminated", False)
    return (process.exitcode or 0) < 0 and not by_pool


def _is_stopping(pool: Any) -> bool:
    asked = (state.should_stop, state.should_terminate)  # None or False; an exit status, 0 too, once asked
    return pool._state != RUN or any(status is not None and status is not False for status in asked)


def _is_broken(pool: Any, pid: int) -> bool:
    """A process that died over a task did not hold the lock of the tasks; it may have held that of the results."""
    time.sleep(_SETTLE_SECONDS)
    busy = any(pid in task.worker_pids() and not task.ready() for task in list(pool._cache.values()))
    if not busy:
        return True
    results = pool._outqueue._wlock
    if not results.acquire(True, _LOCK_SECONDS):
        return True
    results.release()
    return False
