"""One thread an attempt: renews the lease, carries progress to the row, and hears whether to stop.

It has a database connection of its own and works in the attempt's scope. When the database does not answer
for as long as the lease lasts, the attempt counts as lost by itself: somebody else may have it by then.
"""

import logging
import threading
import time
from collections.abc import Callable
from enum import Enum

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from jobs import transitions
from jobs.models import Job
from jobs.transitions import Beat, LeaseLost
from profiles import scope

log = logging.getLogger(__name__)

_LONGEST_INTERVAL = 3.0


class StopReason(Enum):
    CANCELLED = "a cancel was asked for"
    LEASE_LOST = "the lease was lost"


class Heartbeat:
    """Beats while the `with` block runs. `stop_reason` is None as long as the attempt may go on."""

    def __init__(self, job: Job, beat: Callable[[], Beat]) -> None:
        self._job, self._beat = job, beat
        self._lease = float(settings.JOB_LEASE_SECONDS)
        self._interval = min(_LONGEST_INTERVAL, self._lease / 10)
        self._ended = threading.Event()
        self._renewed_at = time.monotonic()
        self._thread = threading.Thread(target=scope.bound(self._run), name=f"heartbeat-{job.pk}", daemon=True)
        self._reason: StopReason | None = None

    def __enter__(self) -> "Heartbeat":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def stop_reason(self) -> StopReason | None:
        if self._reason is None and time.monotonic() - self._renewed_at > self._lease:
            self._reason = StopReason.LEASE_LOST  # also when this process itself stood still for that long
        return self._reason

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._interval) and self._reason is not StopReason.LEASE_LOST:
                self._beat_once()
        finally:
            connection.close()

    def _beat_once(self) -> None:
        asked_at = time.monotonic()
        try:
            close_old_connections()
            asked_to_stop = transitions.heartbeat(self._job, self._beat())
        except LeaseLost:
            self._reason = StopReason.LEASE_LOST
            log.warning("Attempt %d of job %s has lost its lease.", self._job.attempt, self._job.pk)
        except (DatabaseError, InterfaceError):
            log.exception("A heartbeat of job %s did not reach the database.", self._job.pk)
        else:
            self._renewed_at = asked_at
            if asked_to_stop:
                self._reason = StopReason.CANCELLED
