"""kill -9 at every stage: each job still ends well, with one output, and nothing is left running or lying about."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from segments.tests import footage
from tests import stack
from tests.flow import make_project, upload
from tests.production import own_database
from tests.stack import ROOT, Api, Installation, Machine, free_port, production_keys, running, wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]
MOMENTS = (3, 10, 20, 30, 40, 50, 60, 70, 80, 90)  # percent
POINTS = ("before-claim", "while-storing", "before-finish")
STUCK_SECONDS = 120
SLOTS = 2
IDLE_ROUNDS = 3  # which of the idle processes holds the lock is chance
QUICK = {"EDITAI_JOB_LEASE_SECONDS": "6", "EDITAI_JOB_REAP_SECONDS": "2"}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("footage") / "footage.mp4"
    footage.make_clip(path, seconds=20, size=(1280, 720), fps=30, audio=True)
    return path


@pytest.fixture(scope="module")
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The embedded default, whose media worker can be made to wait at a point."""
    folder = tmp_path_factory.mktemp("killable")
    procfile = folder / "Procfile"
    lines = (ROOT / "Procfile").read_text()
    procfile.write_text(lines.replace("media: python -m celery", "media: python -m tests.soak.paused_worker"))
    installation = Installation(folder, switches={**QUICK, "EDITAI_MEDIA_SLOTS": str(SLOTS)})
    installation.machine("machine", procfile)
    with running(installation):
        yield installation


class Studio:
    """A project of one source, and ever new recipes of it."""

    def __init__(self, api: Api, video: Path) -> None:
        self.api = api
        source = upload(api, video)
        self.project, _ = make_project(api, source, [(0, 6), (7, 13), (14, 19)])
        self.entry = api.get(f"projects/{self.project['id']}/segments/")["results"][0]["id"]
        self.takes = 0

    def render(self) -> dict[str, Any]:
        """A job for a recipe that was never rendered."""
        self.takes += 1
        self.api.call(
            "PATCH",
            f"projects/{self.project['id']}/segments/{self.entry}/",
            json={"zoom": 1 + self.takes / 100},
        )
        job: dict[str, Any] = self.api.post(
            f"projects/{self.project['id']}/generate/", {"quality": "standard"}, expect=202
        )
        return job


@pytest.fixture(scope="module")
def studio(killable: Installation, video: Path) -> Studio:
    return Studio(killable.person("olga"), video)


def kill_worker(machine: Machine) -> None:
    """SIGKILL to the media worker and its pool children, as the kernel's OOM killer or a power switch would."""
    found = machine.processes("--queues media")
    assert found, "no media worker to kill"
    for process in found:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue


def pool_processes(machine: Machine) -> list[psutil.Process]:
    """The processes of the media worker's pool, without the worker's main one."""
    found = machine.processes("--queues media")
    mains = {process.pid for process in found}
    return [process for process in found if process.ppid() in mains]


def at_percent(api: Api, job: dict[str, Any], percent: int) -> Callable[[], Any]:
    def reached() -> Any:
        shown = api.get(f"jobs/{job['id']}/")
        assert shown["status"] in {"queued", "running"}, f"too late for {percent} %: {shown['status']}"
        return shown if shown["status"] == "running" and shown["progress"] >= percent else None

    return reached


def check_end(installation: Installation, api: Api, job: dict[str, Any]) -> None:
    """Succeeded, one clip that streams, one stored video of it, no ffmpeg, no scratch."""
    machine = installation.machines[0]
    ended = api.wait_for_job(job, STUCK_SECONDS)
    (made,) = ended["result"]["clips"]
    assert api.get(f"clips/{made['id']}/")["state"] == "ready"
    wait_until(lambda: not machine.ffmpegs(), 10, "ffmpeg to be gone")
    wait_until(lambda: not machine.scratch(), 60, "scratch to be empty")
    counted = machine.manage("shell", "-v0", "-c", COUNT_FILES.format(job=job["id"]))
    assert counted.strip().splitlines()[-1] == "1 video, 0 unfinished", counted


COUNT_FILES = """
from profiles import scope
from profiles.models import StoredFile
with scope.all_profiles("sweep stored files"):
    mine = StoredFile.objects.filter(job_id="{job}")
    videos = mine.filter(content_type="video/mp4", state="stored").count()
    print(f"{{videos}} video, {{mine.exclude(state='stored').count()}} unfinished")
"""


@pytest.mark.parametrize("percent", MOMENTS)
def test_a_worker_killed_at_a_percent(killable: Installation, studio: Studio, percent: int) -> None:
    job = studio.render()
    seen = wait_until(at_percent(studio.api, job, percent), 60, f"{percent} %", pause=0.02)
    kill_worker(killable.machines[0])
    print(f"killed the worker at {seen['progress']} % ({seen['step']})")
    wait_until(lambda: not killable.machines[0].ffmpegs(), 3, "ffmpeg to die with its worker")
    check_end(killable, studio.api, job)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_a_point(killable: Installation, studio: Studio, point: str) -> None:
    machine = killable.machines[0]
    folder = machine.folder / "pause"
    folder.mkdir(exist_ok=True)
    (folder / point).touch()
    job = studio.render()
    wait_until((folder / f"{point}.reached").exists, 90, point)
    shown = studio.api.get(f"jobs/{job['id']}/")
    kill_worker(machine)
    (folder / point).unlink()
    print(f"killed the worker at {point}: {shown['status']}, {shown['progress']} % ({shown['step']})")
    check_end(killable, studio.api, job)


@pytest.mark.parametrize("how_many", [1, SLOTS], ids=["one", "all"])
def test_idle_pool_processes_killed(killable: Installation, studio: Studio, how_many: int) -> None:
    """An idle one waits for work with a lock held, that of the tasks: its death may block the others for ever."""
    machine = killable.machines[0]
    for _ in range(IDLE_ROUNDS):
        idle = wait_until(lambda: _full_pool(machine), 30, "the pool to be complete")
        for process in idle[:how_many]:
            process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        job = studio.render()
        studio.api.wait_for_job(job, 60)
        print(f"the render had ended {time.monotonic() - killed:.1f} s after kill -9 of {how_many} idle")
        check_end(killable, studio.api, job)


def _full_pool(machine: Machine) -> list[psutil.Process]:
    found = pool_processes(machine)
    return found if len(found) == SLOTS else []


def test_the_web_process_killed_under_a_render(killable: Installation, studio: Studio) -> None:
    job = studio.render()
    wait_until(at_percent(studio.api, job, 20), 60, "20 %")
    for process in killable.machines[0].processes("gunicorn"):
        process.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    wait_until(killable.is_healthy, STUCK_SECONDS, "the web to come back")
    print(f"the web was back {time.monotonic() - killed:.1f} s after kill -9")
    check_end(killable, studio.api, job)


def test_the_supervisor_killed_leaves_nothing(video: Path, tmp_path: Path) -> None:
    with stack.embedded(tmp_path) as installation:
        (machine,) = installation.machines
        api = installation.person("olga")
        job = Studio(api, video).render()
        wait_until(at_percent(api, job, 20), 60, "20 %")
        assert machine.process is not None
        everybody = psutil.Process(machine.process.pid).children(recursive=True)
        assert machine.ffmpegs()
        machine.process.kill()
        machine.process.wait()
        wait_until(lambda: not any(map(_lives, everybody)), 15, "everything to end with the supervisor")
        machine.start()
        wait_until(installation.is_healthy, STUCK_SECONDS, "the next start")
        api.wait_for_job(job, STUCK_SECONDS)


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@pytest.fixture
def redis_process(tmp_path: Path) -> Iterator["RedisProcess"]:
    server = RedisProcess(tmp_path)
    server.start()
    yield server
    server.stop()


class RedisProcess:
    """A Redis of the test's own, to be flushed and killed."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--bind", "127.0.0.1", "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
        )
        client = redis.Redis(port=self.port)
        wait_until(lambda: _pings(client), 20, "Redis to answer")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_redis_flushed_and_restarted_with_jobs_waiting(
    redis_process: RedisProcess, video: Path, tmp_path: Path
) -> None:
    with own_database() as database:
        shared = {"DATABASE_URL": database, "REDIS_URL": redis_process.url, **production_keys()}
        installation = Installation(tmp_path, shared, QUICK)
        installation.machine("machine")
        with running(installation):
            api = installation.person("olga")
            studios = [Studio(api, video) for _ in range(2)]
            jobs = [studio.render() for studio in studios]
            redis.Redis(port=redis_process.port).flushall()
            redis_process.stop()
            during = api.session.get(f"{installation.url}/api/v1/jobs/", timeout=30)
            assert during.status_code in {200, 503}, during.text
            time.sleep(5)
            redis_process.start()
            restarted = time.monotonic()
            for job in jobs:
                api.wait_for_job(job, STUCK_SECONDS)
            print(f"all jobs had ended {time.monotonic() - restarted:.1f} s after Redis came back empty")
