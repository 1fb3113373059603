"""A fresh copy of the project and the processes that run from it, for tests of the commands."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from scripts.bootstrap import STAMP, stamp

ROOT = Path(__file__).resolve().parent.parent
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", "var", "node_modules", "__pycache__", ".*_cache", "*.sqlite3*", "*.egg-info"
)
NOT_INHERITED = ("EDITAI_", "AWS_", "DJANGO_", "DATABASE_URL", "REDIS_URL")


def fake_python(folder: Path, name: str, version: str, *, venv: bool = True) -> None:
    """A program that answers what ./run asks a Python before it trusts it."""
    new_enough = tuple(int(part) for part in version.split(".")) >= (3, 11)
    file = folder / name
    file.write_text(
        f"""#!/bin/sh
case "$2" in
    *ensurepip*) exit {0 if venv else 1} ;;
    *'< (3, 11)'*) exit {0 if new_enough else 1} ;;
    *) echo {version} ;;
esac
"""
    )
    file.chmod(0o755)


class Project:
    """A copy of the project and the processes that run from it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "var"
        self.port = free_port()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
        self.environment |= {"EDITAI_PORT": str(self.port), "EDITAI_MEDIA_SLOTS": "1", "EDITAI_WEB_WORKERS": "1"}

    def give_environment(self) -> None:
        """What the installation would make, but with the packages of the environment that runs this test."""
        venv = self.root / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        site = next(venv.glob("lib/python3*/site-packages"))
        (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
        (venv / STAMP).write_text(stamp(venv, self.root / "requirements.txt"))

    def run(self, *arguments: str, **switches: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", str(self.root / "run"), *arguments],
            env={**self.environment, **switches},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )

    def refused(self, *arguments: str, **switches: str) -> str:
        """What ./run says when it refuses: one line."""
        done = self.run(*arguments, **switches)
        assert done.returncode == 1, done
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr.strip()

    @contextlib.contextmanager
    def served(self, seconds: float = 60) -> Iterator["subprocess.Popen[bytes]"]:
        """./run, until it is healthy; whatever is left at the end is killed."""
        with (self.root / "log").open("ab") as log:
            process = subprocess.Popen([str(self.root / "run")], env=self.environment, cwd="/", stdout=log, stderr=log)
        try:
            until(self.is_healthy, seconds, self.log)
            yield process
        finally:
            for left in self.processes():
                left.kill()
            process.wait()

    def log(self) -> str:
        return (self.root / "log").read_text()

    def get(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def is_healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return self.get("/api/v1/health/") == 200
        return False

    def processes(self) -> list[psutil.Process]:
        """Everything alive that was started from here: they all carry the data folder in their environment."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("EDITAI_DATA_DIR") == str(self.data) and process.pid != os.getpid():
                    found.append(process)
        return found

    def process(self, *words: str) -> psutil.Process:
        """The first process with `words` in its command line: the parent of those that share it."""
        alike = [p for p in self.processes() if all(word in " ".join(p.cmdline()) for word in words)]
        pids = {process.pid for process in alike}
        return next(process for process in alike if process.ppid() not in pids)

    def has(self, *words: str) -> bool:
        try:
            self.process(*words)
        except (StopIteration, psutil.Error):
            return False
        return True


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() for process in processes)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], seconds: float = 20, why: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain; {why()}"
        time.sleep(0.1)
