"""What a Celery worker process does beside its tasks: it shows that it is there, and watches over the others.

A thread in the worker's main process writes its row (presence, from which health and free slots are read), runs the
reaper (so that neither a dead beat nor a full queue keeps it from running) and sweeps scratch. Pool processes die
with their parent. Connected when `jobs.tasks` is loaded; web processes never send these signals.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
from celery import current_app, signals
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection, connections
from django.utils import timezone

from jobs import pool, reaper, scratch
from jobs.dispatch import PRESENCE_SECONDS, dispatch
from jobs.execution import name_worker
from jobs.models import Worker

log = logging.getLogger(__name__)

_SWEEP_SECONDS = 60.0
_PARENT_CHECK_SECONDS = 0.5


class Presence:
    """The thread that keeps a worker's row alive. `start` may be called again (Celery does, on reconnecting)."""

    def __init__(self, name: str, queues: list[str], slots: int) -> None:
        self.name, self.queues, self.slots = name, queues, slots
        self._started_at = timezone.now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._due: dict[str, float] = {}

    def start(self) -> None:
        if not self._thread.is_alive():
            self._thread.start()

    def retire(self) -> None:
        """Takes no more jobs; those that run are finished."""
        self.slots = 0
        self._guarded(self._show)

    def end(self) -> None:
        self._ended.set()
        self._thread.join(timeout=10)
        self._guarded(lambda: Worker.objects.filter(name=self.name, pid=os.getpid()).delete())

    def _run(self) -> None:
        self._guarded(self._arrive)
        while not self._ended.wait(min(PRESENCE_SECONDS, settings.JOB_REAP_SECONDS) / 2):
            self._every(PRESENCE_SECONDS, self._show)
            self._every(settings.JOB_REAP_SECONDS, reaper.reap)
            self._every(_SWEEP_SECONDS, scratch.sweep)
            # Closed in between: a pool process that is forked now must not inherit an open connection.
            connection.close()

    def _every(self, seconds: float, work: Callable[[], object]) -> None:
        now = time.monotonic()
        if now >= self._due.get(work.__qualname__, 0.0):
            self._due[work.__qualname__] = now + seconds
            self._guarded(work)

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            close_old_connections()
            work()
        except (DatabaseError, InterfaceError, OSError):
            log.exception("Worker %s could not %s; it tries again.", self.name, work.__qualname__)
            connection.close()
        except Exception:
            log.exception("A defect in %s of worker %s; the worker goes on.", work.__qualname__, self.name)
            connection.close()

    def _arrive(self) -> None:
        """Takes over from a predecessor of the same name that died on this host, then asks for work."""
        before = Worker.objects.filter(name=self.name).first()
        if before is not None and before.host == socket.gethostname() and not _is_running(before):
            lost = reaper.take_over_from(before)
            if lost:
                log.warning("Took %d jobs back from the dead worker %s.", lost, self.name)
        self._show()
        scratch.sweep()
        dispatch()

    def _show(self) -> None:
        Worker.objects.update_or_create(
            name=self.name,
            defaults={
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "queues": self.queues,
                "slots": self.slots,
                "started_at": self._started_at,
                "seen_at": timezone.now(),
            },
        )


def _is_running(worker: Worker) -> bool:
    """Is the process of that row still there? A pid that was given to a younger process does not count."""
    if worker.pid == os.getpid():
        return False
    try:
        born = psutil.Process(worker.pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return born <= worker.started_at.timestamp()


class _Here:
    """The presence of this process, if it is a worker."""

    presence: Presence | None = None


def _name_process(sender: str, instance: Any, **_: Any) -> None:
    """Before the pool is forked: every process of this worker knows its name."""
    name_worker(sender)


def _arrive(sender: Any, **_: Any) -> None:
    """The worker takes messages now. `sender` is Celery's consumer."""
    if _Here.presence is None:
        controller = sender.controller
        queues = sorted(controller.app.amqp.queues.consume_from)
        _Here.presence = Presence(sender.hostname, queues, controller.concurrency or 1)
    _Here.presence.start()


def _retire(**_: Any) -> None:
    if _Here.presence is not None:
        _Here.presence.retire()


def _leave(**_: Any) -> None:
    if _Here.presence is not None:
        _Here.presence.end()
        _Here.presence = None


def _start_pool_process(**_: Any) -> None:
    connections.close_all()
    die_with_parent()


def die_with_parent() -> None:
    """Kills this process as soon as its parent is gone, and ffmpeg dies with it.

    A thread looks for it: the kernel's own "die with the parent" means the thread that forked, and Celery forks
    replacements in a thread that ends earlier than the worker.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_SECONDS)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def connect() -> None:
    """Connects all of this to Celery's signals. Harmless to repeat."""
    pairs = (
        (signals.celeryd_after_setup, _name_process),
        (signals.worker_ready, _arrive),
        (signals.worker_shutting_down, _retire),
        (signals.worker_shutdown, _leave),
        (signals.worker_process_init, _start_pool_process),
    )
    for event, receiver in pairs:
        event.connect(receiver, weak=False, dispatch_uid=f"jobs.{receiver.__name__}")
    current_app.steps["worker"].add(pool.WatchPool)
