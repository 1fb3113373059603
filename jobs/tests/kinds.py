"""Kinds of job for tests, on the queue `test`. A real worker loads them too (`jobs.tests.worker_app`)."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jobs import ffmpeg
from jobs.execution import Attempt, Outcome
from jobs.registry import JobKind, job_kind, kind_named
from profiles.models import StoredFile

QUEUE = "test"


class Body:
    """What the kind `test_body` does: each test sets its own."""

    run: Callable[[Attempt], Outcome] = staticmethod(lambda attempt: Outcome({}))


@job_kind("test_body", task_name="test_body_task", queue=QUEUE, label="Doing what the test says")
def run_body(attempt: Attempt) -> Outcome:
    return Body.run(attempt)


@job_kind("test_urgent", task_name="test_urgent_task", queue=QUEUE, priority=1)
def run_urgent(attempt: Attempt) -> Outcome:
    return Body.run(attempt)


@job_kind("test_outside", task_name="test_outside_task", queue=QUEUE, is_repeatable=False)
def run_outside(attempt: Attempt) -> Outcome:
    return Body.run(attempt)


@job_kind("test_slow", task_name="test_slow_task", queue=QUEUE, label="Being slow")
def run_slow(attempt: Attempt) -> Outcome:
    """Takes `seconds`, writes the attempt into a diary, stores one file."""
    seconds = float(attempt.params["seconds"])
    with Path(attempt.params["diary"]).open("a") as diary:
        diary.write(f"{attempt.number}\n")
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        attempt.check()
        attempt.report("Waiting", 1 - left / seconds)
        time.sleep(0.02)
    return Outcome({"seconds": seconds}, output=store_text(attempt, "done"))


@job_kind("test_encode", task_name="test_encode_task", queue=QUEUE, label="Encoding")
def run_encode(attempt: Attempt) -> Outcome:
    """Encodes `seconds` of noise in real time by a real ffmpeg."""
    seconds = float(attempt.params["seconds"])
    out = attempt.scratch / "out.mp4"
    source = ["-re", "-f", "lavfi", "-i", f"testsrc=size=160x120:rate=10:duration={seconds}"]
    at_once = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"]  # progress without a lookahead
    attempt.ffmpeg([*source, *at_once, ffmpeg.file_url(out)], duration=seconds, step="Encoding", span=(0.0, 0.9))
    return Outcome({"seconds": seconds}, output=attempt.store(out, "test", ".mp4"))


def store_text(attempt: Attempt, text: str) -> StoredFile:
    path = attempt.scratch / "text.bin"
    path.write_text(text)
    return attempt.store(path, "test", ".bin")


def known(name: str) -> JobKind:
    kind = kind_named(name)
    assert kind is not None
    return kind


def result(**values: Any) -> Callable[[Attempt], Outcome]:
    return lambda attempt: Outcome(values)
