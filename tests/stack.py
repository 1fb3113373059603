"""A real EditAI installation: its processes, supervised as `./run` does, in folders of its own.

`Installation` holds what its machines share (database, broker, store, keys); `Machine` is one supervisor with a
Procfile and a data folder of its own. `Api` is a script's view of it.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests
from cryptography.fernet import Fernet

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(eq=False)
class Api:
    """The HTTP API with one person's token, in one profile."""

    url: str
    token: str
    profile_id: str = ""

    def __post_init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {self.token}"
        if self.profile_id:
            self.session.headers["X-Profile-Id"] = self.profile_id

    def call(self, method: str, path: str, *, expect: int = 200, **options: Any) -> Any:
        """The parsed answer; AssertionError with the body when the status is not `expect`."""
        answer = self.session.request(method, f"{self.url}/api/v1/{path}", timeout=120, **options)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def get(self, path: str, **options: Any) -> Any:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, *, expect: int = 201, **options: Any) -> Any:
        return self.call("POST", path, expect=expect, json=body, **options)

    def download(self, path: str, to: Path, **options: Any) -> Path:
        """Streams `path` into the file `to`."""
        with self.session.get(f"{self.url}/api/v1/{path}", stream=True, timeout=120, **options) as answer:
            assert answer.status_code == 200, answer.text[:500]
            with to.open("wb") as file:
                for chunk in answer.iter_content(2**18):
                    file.write(chunk)
        return to

    def wait_for_job(self, job: Mapping[str, Any], seconds: float = 180, *, end: str = "succeeded") -> Any:
        """The job once it has ended; AssertionError unless as `end`."""
        shown = wait_until(lambda: self._ended(job["id"]), seconds, f"job {job['kind']} {job['id']} to end")
        assert shown["status"] == end, shown
        return shown

    def _ended(self, job_id: str) -> Any:
        shown = self.get(f"jobs/{job_id}/")
        return shown if shown["status"] not in {"queued", "running"} else None


def wait_until(condition: Callable[[], Any], seconds: float, what: str, pause: float = 0.2) -> Any:
    """The first true value of `condition()`; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(pause)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


@dataclass
class Machine:
    """One machine of an installation: a data folder, a Procfile, and the processes under it."""

    name: str
    folder: Path
    env: dict[str, str]
    procfile: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log = (self.folder / "stack.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "editai.supervisor", str(self.procfile)],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
            self.log.close()

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def said(self) -> str:
        return (self.folder / "stack.log").read_text(errors="replace")

    def processes(self, *words: str) -> list[psutil.Process]:
        """Its living processes, the supervisor's excluded, whose command line contains all `words`."""
        assert self.process is not None
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = " ".join(process.cmdline())
            except psutil.NoSuchProcess:
                continue
            if all(word in line for word in words) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def ffmpegs(self) -> list[psutil.Process]:
        return self.processes("ffmpeg", "-nostdin")

    def scratch(self) -> list[Path]:
        """Files and folders of attempts in its scratch space."""
        return list((self.folder / "scratch").glob("*/*/*"))


@dataclass
class Installation:
    """All machines of one EditAI. Embedded unless `shared` names a database, a broker or a store."""

    folder: Path
    shared: dict[str, str] = field(default_factory=dict)
    switches: dict[str, str] = field(default_factory=dict)
    machines: list[Machine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def machine(self, name: str, procfile: Path = ROOT / "Procfile") -> Machine:
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True)
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG", "TMPDIR") if key in os.environ}
        env = {
            **inherited,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "editai.settings",
            "EDITAI_DATA_DIR": str(folder),
            "EDITAI_PORT": str(self.port),
            "EDITAI_MEDIA_SLOTS": "1",
            "EDITAI_WEB_WORKERS": "1",
            **self.shared,
            **self.switches,
        }
        made = Machine(name, folder, env, procfile)
        self.machines.append(made)
        return made

    def start(self) -> None:
        """Prepares the database on the first machine, starts all, and waits until health is well."""
        self.machines[0].manage("prepare")
        for machine in self.machines:
            machine.start()
        wait_until(self.is_healthy, START_SECONDS, f"health of {self.url}: {self.machines[0].folder}")

    def is_healthy(self) -> bool:
        for machine in self.machines:
            assert machine.process is not None
            assert machine.process.poll() is None, f"{machine.name} ended at its start:\n{machine.said()[-3000:]}"
        try:
            answer = requests.get(f"{self.url}/api/v1/health/", timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            return False
        return answer.status_code == 200 and answer.json()["status"] == "ok"

    def person(self, name: str) -> Api:
        login = json.loads(self.machines[0].manage("create_user", name, "--json"))
        return Api(self.url, login["token"], login["profile_id"])

    def stop(self) -> None:
        for machine in reversed(self.machines):
            machine.stop()


@contextmanager
def embedded(folder: Path, **switches: str) -> Iterator[Installation]:
    """The embedded default: SQLite, the filesystem broker, local files."""
    installation = Installation(folder, switches=switches)
    installation.machine("machine")
    with running(installation):
        yield installation


@contextmanager
def running(installation: Installation) -> Iterator[Installation]:
    try:
        installation.start()
        yield installation
    finally:
        installation.stop()


def production_keys() -> dict[str, str]:
    """What the machines of a production installation must have in common."""
    return {"EDITAI_SECRET_KEY": secrets.token_urlsafe(50), "EDITAI_ENCRYPTION_KEYS": Fernet.generate_key().decode()}
