"""A real Celery worker process: works, dies by kill -9 and is replaced, is cancelled, stops in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from celery import Celery
from django.conf import settings as django_settings
from django.db import connection

from conftest import Person
from jobs import reaper, services, workers
from jobs.dispatch import dispatch
from jobs.models import Job, Status, Worker
from jobs.tests import kinds
from jobs.tests.conftest import events, fresh
from profiles import scope
from profiles.files import prefix_of
from profiles.models import StoredFile

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
REDIS_URL = f"{django_settings.REDIS_URL.rpartition('/')[0]}/7"  # a database of its own
Start = Callable[..., "subprocess.Popen[bytes]"]


def wait_for(check: Callable[[], Any], what: str, seconds: float = 25) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: it did not happen")


@pytest.fixture
def broker(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A broker for this test alone, in the test's process and in the worker's: a folder, or (`redis`) a database of
    the Redis that the tests have. The value is the worker's environment."""
    environment = _environment(tmp_path)
    app = Celery("tests", set_as_current=False)
    if getattr(request, "param", "folder") == "redis":
        if not django_settings.REDIS_URL:
            pytest.skip("there is no Redis here")
        environment["REDIS_URL"] = REDIS_URL
        app.conf.update(broker_url=REDIS_URL)
        redis.Redis.from_url(REDIS_URL).flushdb()
    else:
        folder = tmp_path / "data" / "broker"
        for name in ("messages", "control"):
            (folder / name).mkdir(parents=True)
        folders = {"data_folder_in": "messages", "data_folder_out": "messages", "control_folder": "control"}
        options = {name: str(folder / place) for name, place in folders.items()}
        app.conf.update(broker_url="filesystem://", broker_transport_options=options)
    monkeypatch.setattr("jobs.dispatch.current_app", app)
    return environment


def _environment(tmp_path: Path) -> dict[str, str]:
    """What makes another process work on the test's own database, with a folder as broker."""
    database = connection.settings_dict
    if connection.vendor != "postgresql":
        pytest.skip("two processes need a database that both can open")
    host, port, user = database["HOST"], database["PORT"], database["USER"]
    password = f":{database['PASSWORD']}" if database["PASSWORD"] else ""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS_URL", "PYTEST"))}
    return {
        **kept,
        "DATABASE_URL": f"postgres://{user}{password}@{host}:{port}/{database['NAME']}",
        "EDITAI_DATA_DIR": str(tmp_path / "data"),
        "EDITAI_SECRET_KEY": django_settings.SECRET_KEY,
        "EDITAI_ENCRYPTION_KEYS": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "EDITAI_SCRATCH_DIR": str(tmp_path / "scratch"),
        "EDITAI_JOB_LEASE_SECONDS": "4",
        "EDITAI_JOB_REAP_SECONDS": "1",
    }


@pytest.fixture
def start(broker: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []
    log = (tmp_path / "worker.log").open("wb")

    def run(name: str = "one", slots: int = 1) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "celery", "--app", "jobs.tests.worker_app", "worker"]
        command += ["--queues", kinds.QUEUE, "--hostname", f"{name}@here", "--concurrency", str(slots)]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat", "--prefetch-multiplier", "1"]
        process = subprocess.Popen(command, cwd=ROOT, env=broker, stdout=log, stderr=log, start_new_session=True)
        started.append(process)
        wait_for(lambda: Worker.objects.filter(name=f"{name}@here", pid=process.pid).exists(), "the worker came up")
        return process

    yield run
    for process in started:
        for child in _family(process.pid):
            child.kill()
        process.wait(10)
    log.close()


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return []


def enqueue(person: Person, kind: str, **params: Any) -> Job:
    with scope.activate(person.profile.pk):
        return services.enqueue(profile=person.profile, kind=kind, params=params, by=person.user)


def done(job: Job) -> Callable[[], bool]:
    return lambda: fresh(job).status in {"succeeded", "failed", "cancelled"}


def only_its_output_is_left(job: Job, tmp_path: Path) -> bool:
    """Files of killed attempts are doomed in the transaction that ends the job, and erased right after its commit."""
    with scope.activate(job.profile_id):
        files = StoredFile.objects.filter(job_id=job.pk)
        living = files.exclude(state=StoredFile.State.DOOMED)
        assert [(file.pk, file.attempt) for file in living] == [(fresh(job).output_id, fresh(job).attempt)]
        wait_for(lambda: files.count() == 1, "what was doomed is erased", 5)
        media = tmp_path / "data" / "media"  # the worker's
        objects = [str(path.relative_to(media)) for path in (media / prefix_of(job.profile_id)).rglob("*.*")]
        keys = set(StoredFile.objects.values_list("key", flat=True))
        assert set(objects) == keys
    return True


def test_a_worker_works_is_killed_and_replaced_is_cancelled_and_leaves(
    start: Start, owner: Person, tmp_path: Path
) -> None:
    """One worker's life, in one test because a start costs seconds."""
    waiting = enqueue(owner, "test_slow", seconds=0.1, diary=str(tmp_path / "first"))
    assert fresh(waiting).rung_at is None  # nobody is there yet
    worker = start()
    wait_for(done(waiting), "the worker asked for work when it came")
    assert fresh(waiting).status == Status.SUCCEEDED
    assert fresh(waiting).worker_name == "one@here"

    killed = enqueue(owner, "test_encode", seconds=4)
    wait_for(lambda: fresh(killed).progress >= 20, "it got somewhere")
    family = _family(worker.pid)
    assert any("ffmpeg" in process.name() for process in family)
    worker.kill()
    worker.wait(5)
    _, alive = psutil.wait_procs(family, timeout=3)
    assert alive == []
    assert list((tmp_path / "scratch").glob("*/*/*"))
    second = start()
    assert not list((tmp_path / "scratch").glob(f"*/{killed.pk}/1"))
    wait_for(lambda: fresh(killed).attempt == 2, "it was taken over at once", 3)
    wait_for(done(killed), "it ended")
    row = fresh(killed)
    assert (row.status, row.attempt, row.crashes) == (Status.SUCCEEDED, 2, 1)
    assert events(killed) == ["queued", "started", "lost", "started", "succeeded"]
    assert only_its_output_is_left(killed, tmp_path)

    endless = enqueue(owner, "test_encode", seconds=60)
    wait_for(lambda: fresh(endless).progress >= 1, "it runs")
    with scope.activate(owner.profile.pk):
        services.job_cancel(profile=owner.profile, job=endless, by=owner.user)
    wait_for(done(endless), "the cancel was heard", 5)
    assert fresh(endless).status == Status.CANCELLED
    assert not any("ffmpeg" in process.name() for process in _family(second.pid))
    assert not list((tmp_path / "scratch").glob("*"))

    second.send_signal(signal.SIGTERM)
    assert second.wait(15) == 0
    assert not Worker.objects.filter(name="one@here").exists()
    assert dispatch() == 0


@pytest.mark.parametrize("broker", ["folder", "redis"], indirect=True)
def test_idle_pool_processes_killed_block_nothing(
    broker: dict[str, str], start: Start, owner: Person, tmp_path: Path
) -> None:
    """Through a folder the worker ends itself (a supervisor starts it again); with Redis it works on."""
    worker = start(slots=2)
    for process in psutil.Process(worker.pid).children():
        process.kill()
    if "REDIS_URL" in broker:
        time.sleep(2)
        assert worker.poll() is None
    else:
        assert worker.wait(10) == -signal.SIGKILL
        start(slots=2)
    job = enqueue(owner, "test_slow", seconds=0.1, diary=str(tmp_path / "diary"))
    wait_for(done(job), "it ended")
    assert fresh(job).status == Status.SUCCEEDED


@pytest.mark.soak
def test_a_killed_pool_process_costs_its_job_one_attempt(start: Start, owner: Person, tmp_path: Path) -> None:
    worker = start()
    diary = tmp_path / "diary"
    job = enqueue(owner, "test_slow", seconds=2, diary=str(diary))
    wait_for(diary.exists, "it began")
    [pool] = psutil.Process(worker.pid).children()
    pool.kill()
    wait_for(done(job), "the lease ran out and another process took it")
    assert fresh(job).status == Status.SUCCEEDED
    assert diary.read_text().split() == ["1", "2"]
    assert only_its_output_is_left(job, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("broker", ["redis"], indirect=True)
def test_a_flushed_redis_delays_and_loses_nothing(start: Start, owner: Person, tmp_path: Path) -> None:
    worker = start()
    worker.send_signal(signal.SIGSTOP)  # so that the message is still in Redis when Redis forgets it
    job = enqueue(owner, "test_slow", seconds=0.1, diary=str(tmp_path / "diary"))
    wait_for(lambda: fresh(job).rung_at is not None, "it was rung")
    redis.Redis.from_url(REDIS_URL).flushdb()
    worker.send_signal(signal.SIGCONT)
    wait_for(done(job), "it was rung again", 45)
    assert fresh(job).status == Status.SUCCEEDED


@pytest.mark.soak
@pytest.mark.parametrize("broker", ["folder", "redis"], indirect=True)
@pytest.mark.parametrize("percent", [1, 10, 30, 50, 70, 90, 97])
def test_kill_at_many_moments(start: Start, owner: Person, tmp_path: Path, percent: int) -> None:
    worker = start()
    job = enqueue(owner, "test_slow", seconds=3, diary=str(tmp_path / "diary"))
    wait_for(lambda: fresh(job).progress >= percent or fresh(job).status == "succeeded", "progress")
    worker.kill()
    worker.wait(5)
    start()
    wait_for(done(job), "it ended")
    assert fresh(job).status == Status.SUCCEEDED
    assert only_its_output_is_left(job, tmp_path)


def test_a_predecessor_that_lives_keeps_its_jobs(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def take_over_from(worker: Worker) -> int:
        taken.append(worker.name)
        return 1

    monkeypatch.setattr(reaper, "take_over_from", take_over_from)
    presence = workers.Presence("same", [kinds.QUEUE], 1)
    presence._show()
    Worker.objects.filter(name="same").update(pid=os.getppid())
    presence._arrive()
    assert taken == []
    Worker.objects.filter(name="same").update(pid=2**22 - 1)
    presence._arrive()
    assert taken == ["same"]
    presence.retire()
    assert Worker.objects.get(name="same").slots == 0
