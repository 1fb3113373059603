"""Every change of a job's status, each one conditional UPDATE on what must still be true.

`queued -> running -> succeeded | failed | cancelled | needs_attention`, `running -> queued` when it is
tried again. What a worker writes is fenced by the number of its attempt: once the lease is lost, its UPDATE
meets no row.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from jobs import registry
from jobs.leftovers import doom_leftovers
from jobs.models import Job, JobEvent, Status
from jobs.registry import JobKind
from profiles import scope
from profiles.models import Profile, StoredFile

log = logging.getLogger(__name__)

MAX_CRASHES = 20  # of workers, under one job, until we take it that the job kills them
_BACK_OFF_SECONDS = 10  # before the second attempt; doubles each time
_BACK_OFF_LIMIT = 600
_TRACEBACK_KEPT = 20_000
_WAITING = "Waiting for a worker"
Event = JobEvent.Kind
# an attempt may have ended with these: what it took is told to whoever keeps account
_ENDS = {
    Event.SUCCEEDED,
    Event.FAILED,
    Event.WILL_RETRY,
    Event.LOST,
    Event.RELEASED,
    Event.CANCELLED,
    Event.SUPERSEDED,
    Event.NEEDS_ATTENTION,
}


class LeaseLost(Exception):
    """This attempt does not hold the job any more: stop, and write nothing."""


@dataclass(frozen=True)
class ErrorData:
    """What went wrong, for a person; `again`: try again by itself while attempts are left."""

    code: str
    message: str
    retryable: bool = False
    next_step: str = ""
    again: bool = False
    outcome_unknown: bool = False

    def as_json(self) -> dict[str, Any]:
        names = ("code", "message", "retryable", "next_step")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Beat:
    """What one heartbeat carries to the row."""

    progress: int
    step: str
    eta_seconds: int | None
    cpu_seconds: float
    bytes_read: int
    bytes_written: int

    def columns(self) -> dict[str, Any]:
        return {**vars(self)}


def lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def _job(profile_id: UUID, job_id: UUID) -> "QuerySet[Job]":
    return Job.objects.filter(profile_id=profile_id, pk=job_id)


def _held(job: Job) -> "QuerySet[Job]":
    """The row, if `job.attempt` still holds it and its profile lives. No join: PostgreSQL checks conditions on the
    row itself anew after waiting for another transaction, but not those inside a sub-select on it."""
    return _job(job.profile_id, job.pk).filter(_profile_lives(), status=Status.RUNNING, attempt=job.attempt)


def _profile_lives() -> Exists:
    return Exists(Profile.objects.filter(pk=OuterRef("profile_id"), state=Profile.State.ACTIVE))


def record(job: Job, event: Event, **detail: Any) -> None:
    JobEvent.objects.create(
        profile_id=job.profile_id, job=job, event=event, attempt=job.attempt, detail=detail, at=timezone.now()
    )
    if event in _ENDS:
        transaction.on_commit(partial(book_cpu, job.profile_id, job.pk), robust=True)


def book_cpu(profile_id: UUID, job_id: UUID) -> None:
    """Tells what processor time came since this was last told. In a transaction of its own, after the one that ended
    the attempt: the account is a row for many jobs, and whoever ends several at once would hold it."""
    with scope.activate(profile_id), transaction.atomic():
        rows = _job(profile_id, job_id).select_for_update(no_key=True)
        job = rows.only("profile_id", "kind", "cpu_seconds", "cpu_seconds_booked").first()
        seconds = job.cpu_seconds - job.cpu_seconds_booked if job is not None else 0
        if job is not None and seconds > 0:
            _job(profile_id, job_id).update(cpu_seconds_booked=job.cpu_seconds)
            registry.tell_cpu(job, seconds)


def claim(kind: JobKind, profile_id: UUID, job_id: UUID, worker: str) -> Job | None:
    """Takes a waiting job for a new attempt. None when there is nothing to take: somebody else was faster, it was
    cancelled, it is not due, it is of another kind or profile, or the profile is being deleted."""
    now = timezone.now()
    with transaction.atomic():
        taken = (
            _job(profile_id, job_id)
            .filter(_profile_lives(), kind=kind.name, status=Status.QUEUED, run_at__lte=now)
            .update(
                status=Status.RUNNING,
                attempt=F("attempt") + 1,
                lease_expires_at=lease_end(),
                worker_name=worker,
                started_at=now,
                rung_at=None,
                progress=0,
                step=kind.label,
                eta_seconds=None,
            )
        )
        if not taken:
            return None
        job = _job(profile_id, job_id).select_related("profile", "created_by").get()
        record(job, Event.STARTED, worker=worker)
    return job


def heartbeat(job: Job, beat: Beat) -> bool:
    """Renews the lease and writes progress. True when a cancel was asked for. Raises LeaseLost."""
    if not _held(job).update(lease_expires_at=lease_end(), **beat.columns()):
        raise LeaseLost
    return _held(job).filter(cancel_requested_at__isnull=False).exists()


def finish(
    job: Job,
    beat: Beat,
    *,
    result: Mapping[str, Any],
    output: StoredFile | None,
    apply: Callable[[], Mapping[str, Any] | None] | None,
) -> bool:
    """Succeeded: the row, what `apply` writes and the end of left-over files, in one transaction.

    False when a cancel was asked for in the meantime (then nothing is written). Raises LeaseLost, and what
    `apply` raises; nothing is written then either.
    """
    with transaction.atomic():
        done = (
            _held(job)
            .filter(cancel_requested_at__isnull=True)
            .update(
                **{**beat.columns(), "progress": 100, "step": "Done", "eta_seconds": None},
                **_at_rest(Status.SUCCEEDED),
                output=output,
                result=dict(result),
            )
        )
        if not done:
            if _held(job).exists():
                return False
            raise LeaseLost
        more = apply() if apply else None
        if more:
            _job(job.profile_id, job.pk).update(result={**result, **more})
        doom_leftovers(job.profile_id, job.pk, keep_attempt=job.attempt)
        record(job, Event.SUCCEEDED)
    return True


def _at_rest(status: Status) -> dict[str, Any]:
    return {
        "status": status,
        "finished_at": timezone.now(),
        "lease_expires_at": None,
        "rung_at": None,
        "error": None,
        "traceback": "",
    }


def _cancelled() -> dict[str, Any]:
    return {**_at_rest(Status.CANCELLED), "step": "Cancelled", "eta_seconds": None}


def fail(job: Job, beat: Beat, error: ErrorData, traceback: str = "") -> Status:
    """The end of an attempt by an error: queued again when that is worth it, else failed (or needs_attention when
    nobody knows what it did outside). A cancel that was asked for wins. Raises LeaseLost."""
    with transaction.atomic():
        now_row = _held(job).select_for_update().first()
        if now_row is None:
            raise LeaseLost
        columns = {**beat.columns(), "eta_seconds": None}
        failures = now_row.failures + 1
        if error.outcome_unknown:
            status, event = Status.NEEDS_ATTENTION, Event.NEEDS_ATTENTION
        elif now_row.cancel_requested_at:
            return _end_cancelled(job, columns)
        elif error.again and failures < now_row.max_attempts:
            status, event = Status.QUEUED, Event.WILL_RETRY
        else:
            status, event = Status.FAILED, Event.FAILED
        if status == Status.QUEUED:
            wait = min(_BACK_OFF_LIMIT, _BACK_OFF_SECONDS * 2 ** (failures - 1))
            columns |= {**_queued(), "run_at": timezone.now() + timedelta(seconds=wait)}
            columns["step"] = "Waiting to be tried again"
        else:
            columns |= {**_at_rest(status), "error": error.as_json()}
        columns["traceback"] = traceback[-_TRACEBACK_KEPT:]
        if not _held(job).update(failures=failures, **columns):
            raise LeaseLost
        doom_leftovers(job.profile_id, job.pk)
        record(job, event, error=error.as_json())
    return status


def _queued() -> dict[str, Any]:
    return {
        "status": Status.QUEUED,
        "lease_expires_at": None,
        "rung_at": None,
        "progress": 0,
        "eta_seconds": None,
        "worker_name": "",
        "run_at": timezone.now(),
    }


def _end_cancelled(job: Job, columns: Mapping[str, Any]) -> Status:
    if not _held(job).update(**{**columns, **_cancelled()}):
        raise LeaseLost
    doom_leftovers(job.profile_id, job.pk)
    record(job, Event.CANCELLED)
    return Status.CANCELLED


def cancelled(job: Job, beat: Beat) -> None:
    """The worker's answer to a cancel: the attempt has stopped. Raises LeaseLost."""
    with transaction.atomic():
        _end_cancelled(job, {**beat.columns(), "eta_seconds": None})


def release(job: Job) -> None:
    """Gives a job back because the worker stops: queued at once, at no cost to the job."""
    with transaction.atomic():
        if _held(job).filter(cancel_requested_at__isnull=True).update(**_queued(), step=_WAITING):
            record(job, Event.RELEASED)


def take_back(job: Job, kind: JobKind | None, *, dead_worker: str = "") -> Status | None:
    """What the reaper does with a job whose lease has run out, or whose worker (named) is known to be dead: queued at
    once, or ended. None when it is not lost after all. `job` is the row as read before; the scope is its
    profile's.
    """
    now = timezone.now()
    rows = _job(job.profile_id, job.pk).filter(status=Status.RUNNING, attempt=job.attempt)
    rows = rows.filter(worker_name=dead_worker) if dead_worker else rows.filter(lease_expires_at__lt=now)
    with transaction.atomic():
        current = rows.select_for_update().first()
        if current is None:
            return None
        profile_lives = Profile.objects.filter(pk=job.profile_id, state=Profile.State.ACTIVE).exists()
        error: ErrorData | None = None
        if kind is not None and not kind.is_repeatable:
            error = ErrorData(
                "outcome_unknown",
                "The worker died in the middle: nobody can tell whether this took effect.",
                retryable=True,
                next_step="Look whether it did. If not, retry.",
            )
            status, event = Status.NEEDS_ATTENTION, Event.NEEDS_ATTENTION
        elif current.cancel_requested_at or not profile_lives:
            status, event = Status.CANCELLED, Event.CANCELLED
        elif current.crashes + 1 > MAX_CRASHES:
            error = ErrorData(
                "worker_lost",
                f"The worker died {MAX_CRASHES + 1} times under this job.",
                retryable=True,
                next_step="Look into the server's log and memory, then retry.",
            )
            status, event = Status.FAILED, Event.FAILED
        else:
            status, event = Status.QUEUED, Event.LOST
        if status == Status.QUEUED:
            columns = {**_queued(), "step": _WAITING}
        else:
            columns = {**_at_rest(status), "error": error.as_json() if error else None, "eta_seconds": None}
            columns |= _cancelled() if status == Status.CANCELLED else {}
        if not rows.update(crashes=F("crashes") + 1, **columns):
            return None
        if status != Status.QUEUED:
            doom_leftovers(job.profile_id, job.pk)
        detail = {"worker": current.worker_name, "progress": current.progress, "step": current.step}
        record(current, event, **detail, **({"error": error.as_json()} if error else {}))
    log.warning("Job %s lost its worker %s at %d %%: %s.", job.pk, current.worker_name, current.progress, status)
    return status


def end_now(job: Job, event: Event) -> bool:
    """Cancels a job without waiting for its worker, which loses its lease. False when it ended already."""
    rows = _job(job.profile_id, job.pk).filter(status__in=[Status.QUEUED, Status.RUNNING])
    with transaction.atomic():
        if not rows.update(**_cancelled()):
            return False
        doom_leftovers(job.profile_id, job.pk)
        record(job, event)
    return True


def cancel(job: Job, by: Any = None) -> Status:
    """A waiting job is cancelled at once; a running one is asked to stop. Returns the status it has afterwards."""
    who = {"by": str(by.pk)} if by is not None else {}
    now = timezone.now()
    rows = _job(job.profile_id, job.pk)
    with transaction.atomic():
        waiting = rows.filter(status=Status.QUEUED)
        if waiting.update(**_cancelled(), cancel_requested_at=now):
            doom_leftovers(job.profile_id, job.pk)
            record(job, Event.CANCELLED, **who)
        elif rows.filter(status=Status.RUNNING, cancel_requested_at=None).update(cancel_requested_at=now):
            record(job, Event.CANCEL_REQUESTED, **who)
    return Status(rows.values_list("status", flat=True).get())


def requeue(job: Job, by: Any = None) -> bool:
    """A person's word that a job at rest be done again: counters start anew, the old error stays in the history.
    False when it is not at rest in a way that can be repeated."""
    repeatable = [Status.FAILED, Status.CANCELLED, Status.NEEDS_ATTENTION]
    with transaction.atomic():
        row = _job(job.profile_id, job.pk).filter(status__in=repeatable).select_for_update().first()
        if row is None:
            return False
        columns = {**_queued(), "step": "", "failures": 0, "crashes": 0, "error": None, "traceback": ""}
        columns |= {"finished_at": None, "cancel_requested_at": None}
        if by is not None:
            columns["created_by"] = by  # who answers for it from now on
        changed = _job(job.profile_id, job.pk).filter(status=row.status).update(**columns)
        if changed:
            who = {"by": str(by.pk)} if by is not None else {}
            record(row, Event.RETRIED, before=row.status, error=row.error, **who)
    return bool(changed)
