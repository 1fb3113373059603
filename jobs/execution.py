"""The body of every task: scope, claim, lease, work, fenced end."""

import errno
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction

from jobs import ffmpeg, registry, scratch, transitions
from jobs.dispatch import dispatch
from jobs.heartbeat import Heartbeat, StopReason
from jobs.leftovers import doom_leftovers
from jobs.models import Job
from jobs.registry import JobKind
from jobs.transitions import Beat, ErrorData, LeaseLost
from profiles import files, scope
from profiles.errors import DomainError
from profiles.logs import redact
from profiles.models import Membership, Profile, Role, StoredFile

log = logging.getLogger(__name__)

_MAKE_ROOM = "Make room on the server, then retry."


class Cancelled(Exception):
    """Somebody asked for the job to stop."""


class JobError(Exception):
    """Ends the attempt; becomes `job.error`. `message` is plain, without server paths or secrets.

    `retryable`: the same job may well succeed later; it is tried again by itself while attempts are left,
    unless `by_hand` says that something has to be done first.
    """

    def __init__(
        self, code: str, message: str, retryable: bool = False, next_step: str = "", *, by_hand: bool = False
    ) -> None:
        self.data = ErrorData(code, message, retryable, next_step, again=retryable and not by_hand)
        super().__init__(f"{code}: {message}")


class OutcomeUnknown(JobError):
    """Something outside may or may not have happened: a person has to look (`needs_attention`), no blind retry."""

    def __init__(self, code: str, message: str, next_step: str = "") -> None:
        super().__init__(code, message, retryable=True, next_step=next_step, by_hand=True)
        self.data = replace(self.data, outcome_unknown=True)


@dataclass(frozen=True)
class Outcome:
    """What a body returns. `apply` writes what the job was for; it runs in the fenced finish transaction, must be
    short, and may return more entries for the result. `output` is what `download/` gives."""

    result: Mapping[str, Any]
    apply: Callable[[], Mapping[str, Any] | None] | None = None
    output: StoredFile | None = None


class Attempt:
    """What a body gets: the job, a private folder, and the ways to report, to ask whether to stop, and to store."""

    def __init__(self, job: Job, folder: Path) -> None:
        self.job, self.scratch = job, folder
        self.number: int = job.attempt
        self.profile: Profile = job.profile
        self.profile_id: UUID = job.profile_id
        self.params: dict[str, Any] = dict(job.params)
        self._started = time.monotonic()
        self._own_cpu = time.thread_time()
        self._lock = threading.Lock()
        self._state = Beat(0, job.step, None, job.cpu_seconds, job.bytes_read, job.bytes_written)
        self._heartbeat: Heartbeat | None = None
        self._counted: Exception | None = None

    def report(self, step: str | None = None, fraction: float | None = None) -> None:
        """Tells where the work stands: a step in words, the share of the whole that is done (0 to 1). Cheap: the next
        heartbeat carries it to the row. Progress never goes back within an attempt."""
        with self._lock:
            state = self._state
            if step is not None:
                state = replace(state, step=_storable(step)[:200])
            if fraction is not None:
                done = min(max(fraction, 0.0), 1.0)
                progress = max(state.progress, min(99, int(done * 100)))
                state = replace(state, progress=progress, eta_seconds=self._eta(done))
            self._state = state

    def _eta(self, done: float) -> int | None:
        elapsed = time.monotonic() - self._started
        if done < 0.01 or elapsed < 1:
            return None
        return round(elapsed * (1 - done) / done) or None  # 0 would say that it is done, which only the end knows

    def count(self, usage: ffmpeg.Usage | None = None, *, bytes_read: int = 0, bytes_written: int = 0) -> None:
        """Adds what a child process or a transfer cost to the job's account."""
        with self._lock:
            self._state = replace(
                self._state,
                cpu_seconds=self._state.cpu_seconds + (usage.cpu_seconds if usage else 0),
                bytes_read=self._state.bytes_read + bytes_read,
                bytes_written=self._state.bytes_written + bytes_written,
            )

    def state(self) -> Beat:
        with self._lock:
            return self._state

    def final_state(self) -> Beat:
        """`state`, with the processor time of this thread itself."""
        self.count(ffmpeg.Usage(cpu_seconds=time.thread_time() - self._own_cpu))
        self._own_cpu = time.thread_time()
        return self.state()

    def should_stop(self) -> bool:
        return self._heartbeat is not None and self._heartbeat.stop_reason is not None

    def check(self) -> None:
        """Raises Cancelled or LeaseLost when the work is to stop. Call it between steps and in long loops."""
        reason = self._heartbeat.stop_reason if self._heartbeat else None
        if reason is StopReason.CANCELLED:
            raise Cancelled
        if reason is StopReason.LEASE_LOST:
            raise LeaseLost

    def ffmpeg(
        self,
        args: Sequence[str],
        *,
        duration: float | None = None,
        step: str | None = None,
        span: tuple[float, float] | None = None,
        on_progress: Callable[[float], None] | None = None,
        **options: Any,
    ) -> ffmpeg.Result:
        """`jobs.ffmpeg.run` that stops with this attempt and is counted.

        With `duration` (seconds of the result) and `span` (where this run begins and ends within the whole
        job, 0 to 1) it reports progress. Raises FfmpegError, Cancelled, LeaseLost.
        """
        first, last = span or (0.0, 1.0)

        def progress(seconds: float) -> None:
            if span is not None and duration:
                self.report(fraction=first + (last - first) * min(1.0, seconds / duration))
            if on_progress is not None:
                on_progress(seconds)

        self.check()
        if step is not None:
            self.report(step, first if span is not None else None)
        with self.counted():
            result = ffmpeg.run(args, duration=duration, on_progress=progress, should_stop=self.should_stop, **options)
        self.count(result.usage)
        return result

    @contextmanager
    def counted(self) -> Iterator[None]:
        """For work by child processes: what failing or stopped ones cost is counted, and a stop becomes Cancelled or
        LeaseLost."""
        try:
            yield
        except Exception as error:
            usage = getattr(error, "usage", None)
            if isinstance(usage, ffmpeg.Usage) and error is not self._counted:
                self._counted = error  # it passes more than one of these blocks on its way up
                self.count(usage)
            if isinstance(error, ffmpeg.Stopped):
                self.check()
            raise

    def store(self, path: Path, area: str, suffix: str, *, sha256: str = "") -> StoredFile:
        """Moves a finished file into the store, tagged with this attempt; point a row to it in `Outcome.apply` or
        `commit`. What no row points to goes at the end of the job. Raises Cancelled, LeaseLost, StorageFull."""
        self.check()
        stored = files.store(
            profile=self.profile,
            path=path,
            area=area,
            suffix=suffix,
            sha256=sha256,
            job_id=self.job.pk,
            attempt=self.number,
        )
        self.count(bytes_written=stored.size)
        return stored

    @contextmanager
    def local(self, file: StoredFile) -> Iterator[Path]:
        """A local path to a stored file, for reading, while the block runs."""
        self.count(bytes_read=file.size)
        with files.local_path(file) as path:
            yield path

    def commit(self, write: Callable[[], Any]) -> Any:
        """Runs `write` in a transaction in which this attempt is proven to hold the job: for results that show before
        the job ends. Raises Cancelled, LeaseLost."""
        with transaction.atomic():
            if transitions.heartbeat(self.job, self.state()):
                raise Cancelled
            return write()

    def watched_by(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat


def execute(kind: JobKind, profile_id: object, job_id: object) -> None:
    """What a task message does: nothing at all unless a job of this kind waits under these ids."""
    try:
        profile, job_key = UUID(str(profile_id)), UUID(str(job_id))
    except ValueError:
        log.warning("A %s message without proper ids was ignored.", kind.task_name)
        return
    with scope.activate(profile):
        job = transitions.claim(kind, profile, job_key, worker_name())
        if job is None:
            log.info("Job %s does not wait here for %s: message ignored.", job_key, kind.task_name)
            return
        try:
            _attempt(kind, job)
        finally:
            dispatch(kind.queue)


def _attempt(kind: JobKind, job: Job) -> None:
    log.info("Job %s (%s) begins, attempt %d.", job.pk, kind.name, job.attempt)
    attempt = Attempt(job, scratch.folder_of(job.profile_id, job.pk, job.attempt))
    try:
        _run(kind, attempt)
    except Cancelled:
        _stopped(attempt)
    except LeaseLost:
        _lost(job)
    except Exception:
        log.exception("Job %s could not be ended; it is taken back when its lease runs out.", job.pk)
        raise
    except BaseException:
        transitions.release(job)  # this process is being stopped; another one goes on
        raise


def _run(kind: JobKind, attempt: Attempt) -> None:
    """Works, then ends the attempt well or by an error. Raises Cancelled and LeaseLost."""
    job = attempt.job
    try:
        heartbeat = Heartbeat(job, attempt.state)
        attempt.watched_by(heartbeat)
        with heartbeat, attempt.counted(), scratch.private_folder(attempt.scratch):
            _check_person(job)
            outcome = kind.run(attempt)
        attempt.check()
        done = transitions.finish(
            job, attempt.final_state(), result=outcome.result, output=outcome.output, apply=outcome.apply
        )
    except (Cancelled, LeaseLost):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is becomes the job's error
        _fail(attempt, error)
        return
    if not done:
        raise Cancelled
    log.info("Job %s succeeded.", job.pk)


def _stopped(attempt: Attempt) -> None:
    try:
        transitions.cancelled(attempt.job, attempt.final_state())
    except LeaseLost:
        _lost(attempt.job)
    else:
        log.info("Job %s was cancelled.", attempt.job.pk)


def _lost(job: Job) -> None:
    with transaction.atomic():
        doom_leftovers(job.profile_id, job.pk, only_attempt=job.attempt)
    log.warning("Attempt %d of job %s stopped: it does not hold the job any more.", job.attempt, job.pk)


def _fail(attempt: Attempt, error: Exception) -> None:
    data = describe(error)
    trace = _storable(redact("".join(traceback.format_exception(error))))
    status = transitions.fail(attempt.job, attempt.final_state(), data, trace)
    log.warning("Job %s: %s (%s) – now %s.", attempt.job.pk, data.code, data.message, status, exc_info=error)


def _storable(text: str) -> str:
    """`text` without what PostgreSQL cannot store."""
    return text.replace("\0", "\\0").encode("utf-8", "replace").decode()


def describe(error: Exception) -> ErrorData:
    """An exception as data for a person. Only errors made for people keep their words."""
    if isinstance(error, JobError):
        return error.data
    if isinstance(error, (DomainError, ffmpeg.FfmpegError, *registry.error_types())):
        known: Any = error
        if known.code == "disk_full":
            return ErrorData("disk_full", known.message, True, _MAKE_ROOM)
        may_pass = known.code in {"timed_out", "stalled", "ffmpeg_failed"}
        next_step = getattr(known, "next_step", "") or ("Retry." if may_pass else "")
        return ErrorData(str(known.code), str(known.message), bool(next_step), next_step)
    if _is_full_disk(error):
        return ErrorData("disk_full", "The disk is full.", True, _MAKE_ROOM)
    if isinstance(error, MemoryError):
        return ErrorData("out_of_memory", "There was not enough memory.", True, "Retry when the server is less busy.")
    if isinstance(error, OperationalError | InterfaceError):
        return ErrorData("database_unavailable", "The database did not answer.", True, "Retry.", again=True)
    return ErrorData("internal_error", "Something went wrong on our side.", True, "Retry; if it stays, ask the admin.")


def _is_full_disk(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return isinstance(error, OperationalError) and "disk is full" in str(error)


def _check_person(job: Job) -> None:
    """Whoever answers for the job must still be allowed to start it."""
    if job.created_by_id is None:
        return
    membership = Membership.objects.filter(
        user_id=job.created_by_id, user__is_active=True, profile_id=job.profile_id
    ).first()
    if membership is None or Role(membership.role).rank < Role.EDITOR.rank:
        raise JobError(
            "not_permitted",
            "The person who started this may not do so any more.",
            retryable=True,
            next_step="Somebody else may retry it.",
            by_hand=True,
        )


class _Process:
    """Which worker this process belongs to; set when it starts (`jobs.workers`)."""

    worker_name = ""


def worker_name() -> str:
    return _Process.worker_name


def name_worker(name: str) -> None:
    _Process.worker_name = name
