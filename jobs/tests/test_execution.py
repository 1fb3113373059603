"""The body of a task: scope, scratch, errors, files, heartbeat – happy, forged, cancelled, lost, full disk."""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import DatabaseError, connections
from django.utils import timezone

from conftest import Person
from jobs import execution, ffmpeg, leftovers, reaper, registry, scratch, services, transitions
from jobs.execution import Attempt, JobError, Outcome, OutcomeUnknown
from jobs.models import Job, Status
from jobs.tests import kinds
from jobs.tests.conftest import change, claim, events, execute, expire, fresh
from profiles import scope, storage
from profiles.errors import Conflict, StorageFull
from profiles.models import Membership, Role, StoredFile

pytestmark = pytest.mark.django_db(transaction=True)
Enqueue = Callable[..., Job]


def does(body: Callable[[Attempt], Any]) -> None:
    def run(attempt: Attempt) -> Outcome:
        outcome = body(attempt)
        return outcome if isinstance(outcome, Outcome) else Outcome({})

    kinds.Body.run = staticmethod(run)


def wait_for(check: Callable[[], Any], seconds: float = 10) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def stored(job: Job) -> list[StoredFile]:
    with scope.activate(job.profile_id):
        return list(StoredFile.objects.filter(job_id=job.pk))


def in_background(job: Job) -> threading.Thread:
    def run() -> None:
        try:
            execute(job)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_body_works_in_its_scope_and_private_folder(enqueue: Enqueue, owner: Person) -> None:
    seen: dict[str, Any] = {}

    def body(attempt: Attempt) -> Outcome:
        seen["scope"] = scope.require().profile_id
        seen["mode"] = attempt.scratch.stat().st_mode & 0o777
        seen["folder"] = attempt.scratch
        seen["params"] = attempt.params
        attempt.report("Half way", 0.5)
        file = kinds.store_text(attempt, "hello")
        return Outcome({"a": 1}, apply=lambda: {"b": 2}, output=file)

    does(body)
    job = execute(enqueue(params={"x": "y"}, by=owner.user))
    assert (job.status, job.progress, job.result) == (Status.SUCCEEDED, 100, {"a": 1, "b": 2})
    assert job.output is not None
    assert storage.backend().exists(job.output.key)
    assert seen["scope"] == owner.profile.pk
    assert seen["mode"] == 0o700
    assert seen["params"] == {"x": "y"}
    assert not seen["folder"].exists()
    assert not seen["folder"].parent.exists()
    assert job.bytes_written == 5
    assert job.cpu_seconds > 0
    assert events(job) == ["queued", "started", "succeeded"]


def test_a_second_message_does_nothing(enqueue: Enqueue) -> None:
    runs: list[int] = []
    does(lambda attempt: runs.append(attempt.number))
    job = enqueue()
    execute(job)
    execute(job)
    assert runs == [1]


@pytest.mark.parametrize("case", ["other profile", "unknown", "no ids", "other task"])
def test_forged_messages_run_nothing_and_leave_one_line(
    enqueue: Enqueue, stranger: Person, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    runs: list[int] = []
    does(lambda attempt: runs.append(attempt.number))
    job = enqueue()
    kind, profile, key = {
        "other profile": ("test_body", stranger.profile.pk, job.pk),
        "unknown": ("test_body", job.profile_id, stranger.profile.pk),
        "no ids": ("test_body", {"$ne": 1}, "x\n[Profile B] forged"),
        "other task": ("test_urgent", job.profile_id, job.pk),
    }[case]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        execution.execute(kinds.known(kind), profile, key)
    assert runs == []
    assert len([record for record in caplog.records if record.name.startswith("jobs.")]) == 1
    assert "\n" not in caplog.records[0].getMessage()
    assert (fresh(job).status, fresh(job).attempt) == (Status.QUEUED, 0)


class NamedError(Exception):
    code, message = "not_a_video", "This is no video."


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number), "/srv/secret/path")


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (JobError("odd", "It was odd.", next_step="Try another."), "odd", False),
        (Conflict("Not ready yet.", code="not_ready"), "not_ready", False),
        (StorageFull("The disk is full."), "disk_full", True),
        (ffmpeg.FfmpegError("invalid_media", "/srv/secret: bad"), "invalid_media", False),
        (ffmpeg.FfmpegError("disk_full"), "disk_full", True),
        (os_error(errno.ENOSPC), "disk_full", True),
        (os_error(errno.EACCES), "internal_error", True),
        (MemoryError(), "out_of_memory", True),
        (NamedError(), "not_a_video", False),
        (RuntimeError("token=abc123 /srv/secret"), "internal_error", True),
        (ValueError("nul \x00 and \ud800"), "internal_error", True),
    ],
)
def test_errors_become_data(
    enqueue: Enqueue,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: Any,
    error: Exception,
    code: str,
    retryable: bool,
) -> None:
    caplog.set_level(logging.CRITICAL, "jobs.execution")  # pytest-xdist can't pass on a captured lone surrogate
    monkeypatch.setattr(registry, "_error_types", [])
    registry.register_error(NamedError)

    def body(attempt: Attempt) -> None:
        raise error

    does(body)
    job = execute(enqueue())
    assert job.status == Status.FAILED
    assert job.error is not None
    assert (job.error["code"], job.error["retryable"]) == (code, retryable)
    assert "/srv" not in str(job.error)
    assert "abc123" not in job.traceback
    assert type(error).__name__ in job.traceback
    assert not list(Path(settings.SCRATCH_DIR).rglob("*"))


def test_an_unknown_outcome_waits_for_a_person(enqueue: Enqueue, owner: Person) -> None:
    def body(attempt: Attempt) -> None:
        raise OutcomeUnknown("sent_or_not", "It may have been sent.", "Look.")

    does(body)
    job = execute(enqueue())
    assert job.status == Status.NEEDS_ATTENTION
    with scope.activate(job.profile_id):
        services.job_retry(profile=owner.profile, job=job)
    assert fresh(job).status == Status.QUEUED


def test_an_error_worth_it_is_tried_again_by_itself(enqueue: Enqueue) -> None:
    def body(attempt: Attempt) -> None:
        if attempt.number == 1:
            raise JobError("busy", "Busy.", retryable=True)

    does(body)
    job = execute(enqueue())
    assert (job.status, job.error) == (Status.QUEUED, None)
    change(job, run_at=timezone.now())
    assert execute(job).status == Status.SUCCEEDED
    assert events(job) == ["queued", "started", "will_retry", "started", "succeeded"]


def test_what_apply_raises_is_the_jobs_error(enqueue: Enqueue) -> None:
    def apply() -> None:
        raise JobError("gone", "The source is gone.")

    does(lambda attempt: Outcome({}, apply=apply, output=kinds.store_text(attempt, "x")))
    job = execute(enqueue())
    assert (job.status, job.error and job.error["code"]) == (Status.FAILED, "gone")
    assert stored(job) == []


def test_the_person_who_asked_must_still_be_an_editor(enqueue: Enqueue, owner: Person, viewer: Person) -> None:
    runs: list[int] = []
    does(lambda attempt: runs.append(1))
    job = execute(enqueue(by=viewer.user))
    assert job.error is not None
    assert job.error["code"] == "not_permitted"
    job = enqueue(by=owner.user)
    Membership.objects.filter(user=owner.user).update(role=Role.VIEWER)
    assert execute(job).status == Status.FAILED
    assert runs == []


def test_cancel_midway_kills_a_real_child(enqueue: Enqueue, owner: Person, settings: Any) -> None:
    settings.JOB_LEASE_SECONDS = 2
    job = enqueue("test_encode", params={"seconds": 20})
    thread = in_background(job)
    wait_for(lambda: fresh(job).step == "Encoding" and fresh(job).progress >= 1)
    assert children()
    with scope.activate(job.profile_id):
        services.job_cancel(profile=owner.profile, job=job, by=owner.user)
    assert fresh(job).cancel_requested_at is not None
    thread.join(5)
    assert not thread.is_alive()
    row = fresh(job)
    assert (row.status, row.error) == (Status.CANCELLED, None)
    assert row.cpu_seconds > 0
    assert children() == []
    assert stored(job) == []


def children() -> list[int]:
    return [child.pid for child in psutil.Process().children(recursive=True) if "ffmpeg" in " ".join(child.cmdline())]


def test_a_lost_lease_kills_the_child_and_nothing_is_written(enqueue: Enqueue, settings: Any) -> None:
    settings.JOB_LEASE_SECONDS = 2
    job = enqueue("test_encode", params={"seconds": 20})
    thread = in_background(job)
    wait_for(lambda: fresh(job).progress >= 1)
    change(job, attempt=5, worker_name="another")
    thread.join(5)
    assert not thread.is_alive()
    assert children() == []
    row = fresh(job)
    assert (row.status, row.attempt, row.worker_name) == (Status.RUNNING, 5, "another")


def test_files_of_an_attempt_that_lost_its_lease_go(enqueue: Enqueue) -> None:
    def body(attempt: Attempt) -> Outcome:
        file = kinds.store_text(attempt, "first")
        if attempt.number == 1:
            expire(attempt.job)
            assert reaper.reap() == 1
            execute(attempt.job)  # another worker is faster
        return Outcome({"by": attempt.number}, output=file)

    does(body)
    job = execute(enqueue())
    assert (job.status, job.result) == (Status.SUCCEEDED, {"by": 2})
    assert [(file.attempt, file.state) for file in stored(job)] == [(2, "stored")]
    assert len(list(storage.keys(f"profiles/{job.profile_id}/"))) == 1


def test_files_of_a_killed_attempt_go_when_the_next_one_ends(enqueue: Enqueue) -> None:
    job = enqueue()
    dead = claim(job)
    assert dead is not None
    with scope.activate(job.profile_id):
        attempt = Attempt(dead, scratch.folder_of(job.profile_id, job.pk, 1))
        attempt.scratch.mkdir(parents=True)
        kinds.store_text(attempt, "orphan")  # … and here the power went
    expire(job)
    reaper.reap()
    does(lambda attempt: Outcome({}, output=kinds.store_text(attempt, "good")))
    assert execute(job).status == Status.SUCCEEDED
    assert [file.attempt for file in stored(job)] == [2]


def test_files_that_a_row_points_to_stay_when_the_job_fails(enqueue: Enqueue, owner: Person) -> None:
    other = enqueue("test_urgent")

    def body(attempt: Attempt) -> None:
        kept, lost = kinds.store_text(attempt, "kept"), kinds.store_text(attempt, "lost")
        attempt.commit(lambda: Job.objects.filter(pk=other.pk).update(output=kept))
        assert lost.state == StoredFile.State.STORED
        raise JobError("late", "Failed after all.")

    does(body)
    job = execute(enqueue())
    [kept] = stored(job)
    assert fresh(other).output == kept


def test_commit_is_fenced(enqueue: Enqueue) -> None:
    written: list[int] = []

    def body(attempt: Attempt) -> None:
        change(attempt.job, attempt=9)
        attempt.commit(lambda: written.append(1))

    does(body)
    execute(enqueue())
    assert written == []


def test_a_database_that_does_not_answer_for_a_lease_means_lost(
    enqueue: Enqueue, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.JOB_LEASE_SECONDS = 1

    def fail(*_: Any) -> bool:
        raise DatabaseError("down")

    stopped: list[float] = []

    def body(attempt: Attempt) -> None:
        monkeypatch.setattr(transitions, "heartbeat", fail)
        started = time.monotonic()
        while not attempt.should_stop() and time.monotonic() - started < 5:
            time.sleep(0.02)
        stopped.append(time.monotonic() - started)

    does(body)
    job = execute(enqueue())
    assert 0.8 < stopped[0] < 2
    assert job.status == Status.RUNNING  # the reaper's business now


def test_the_heartbeat_carries_reports_to_the_row(enqueue: Enqueue, settings: Any) -> None:
    settings.JOB_LEASE_SECONDS = 2
    rows: list[Job] = []

    def body(attempt: Attempt) -> None:
        attempt.report("Counting", 0.25)
        attempt.report(fraction=0.1)  # never back
        attempt.report("nul \x00")
        attempt.count(bytes_read=7)
        time.sleep(0.5)
        rows.append(fresh(attempt.job))

    does(body)
    execute(enqueue())
    assert (rows[0].progress, rows[0].step, rows[0].bytes_read) == (25, "nul \\0", 7)


def test_a_stopping_process_gives_its_job_back(enqueue: Enqueue) -> None:
    def body(attempt: Attempt) -> None:
        raise SystemExit(0)

    does(body)
    job = enqueue()
    with pytest.raises(SystemExit):
        execute(job)
    row = fresh(job)
    assert (row.status, row.crashes, row.failures) == (Status.QUEUED, 0, 0)
    assert events(job)[-1] == "released"


def test_a_full_scratch_disk_is_the_jobs_error(enqueue: Enqueue, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: Any, **__: Any) -> None:
        raise os_error(errno.ENOSPC)

    monkeypatch.setattr(Path, "mkdir", no_room)
    job = execute(enqueue())
    assert job.error is not None
    assert job.error["code"] == "disk_full"


def test_the_sweep_leaves_running_attempts_alone(enqueue: Enqueue, settings: Any) -> None:
    running, dead = claim(enqueue()), enqueue()
    assert running is not None
    keep = scratch.folder_of(running.profile_id, running.pk, 1)
    goes = [
        scratch.folder_of(running.profile_id, running.pk, 0),
        scratch.folder_of(dead.profile_id, dead.pk, 1),
        settings.SCRATCH_DIR / "odd" / "folder" / "x",
    ]
    for folder in (keep, *goes):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    assert scratch.sweep() == 3
    assert (keep / "file").exists()
    assert not any(folder.exists() for folder in goes)


def test_a_claim_clears_the_scratch_of_earlier_attempts(enqueue: Enqueue) -> None:
    job = enqueue()
    old = scratch.folder_of(job.profile_id, job.pk, 0)
    old.mkdir(parents=True)
    does(lambda attempt: Outcome({"left": old.exists()}))
    assert execute(job).result == {"left": False}


def test_files_of_an_attempt_that_died_too_late_are_swept(enqueue: Enqueue) -> None:
    does(lambda attempt: Outcome({}, output=kinds.store_text(attempt, "good")))
    job = execute(enqueue())
    with scope.activate(job.profile_id):
        zombie = Attempt(job, scratch.folder_of(job.profile_id, job.pk, 1))
        zombie.number = 7
        zombie.scratch.mkdir(parents=True)
        kinds.store_text(zombie, "late")
        assert leftovers.sweep_leftovers() == 0  # young: it may be about to be linked
        StoredFile.objects.update(created_at=timezone.now() - leftovers._SWEEP_FROM * 2)
        assert leftovers.sweep_leftovers() == 1
    assert [file.attempt for file in stored(job)] == [1]


def test_deleting_a_job_takes_its_file_unless_another_row_uses_it(enqueue: Enqueue, owner: Person) -> None:
    does(lambda attempt: Outcome({}, output=kinds.store_text(attempt, "x")))
    own, shared, user = execute(enqueue()), execute(enqueue()), enqueue("test_urgent")
    change(user, output=shared.output)
    with scope.activate(owner.profile.pk):
        services.job_delete(profile=owner.profile, job=own)
        services.job_delete(profile=owner.profile, job=shared)
        with pytest.raises(Conflict):
            services.job_delete(profile=owner.profile, job=user)
    assert stored(own) == []
    assert [file.pk for file in stored(shared)] == [fresh(user).output_id]


def test_a_running_job_never_has_nothing_left_to_do(enqueue: Enqueue, tmp_path: Path) -> None:
    attempt = Attempt(enqueue(), tmp_path)
    attempt._started -= 10
    attempt.report(fraction=0.5)
    assert attempt.state().eta_seconds == 10
    attempt.report(fraction=1.0)
    assert attempt.state().eta_seconds is None
