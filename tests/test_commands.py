"""./run as a person types it: in a fresh copy of the project, in a folder with a space in its name."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from scripts.bootstrap import STAMP
from tests.project_copy import NOT_COPIED, ROOT, Project, all_gone, fake_python, free_port, until


@pytest.fixture
def bare(tmp_path: Path) -> Project:
    """A fresh copy, nothing installed."""
    root = tmp_path / "a fresh clone"
    shutil.copytree(ROOT, root, ignore=NOT_COPIED)
    return Project(root)


@pytest.fixture
def project(bare: Project) -> Project:
    """A fresh copy with its packages installed, never started."""
    bare.give_environment()
    return bare


# --- before anything is installed ------------------------------------------------------------------------


def test_help_and_unknown_commands_install_nothing(bare):
    assert "./run demo [VIDEO]" in bare.run("--help").stdout
    assert "see ./run --help" in bare.refused("serve")
    assert not (bare.root / ".venv").exists()


@pytest.mark.parametrize(
    ("pythons", "says"),
    [
        ([], "EditAI needs Python 3.11 or newer: type 'sudo apt install python3 python3-venv'"),
        ([("python3", "3.9", True)], "EditAI needs Python 3.11 or newer (found only 3.9)"),
        ([("python3", "3.12", False)], "type 'sudo apt install python3.12-venv'"),
        ([("python3.13", "3.13", False), ("python3", "3.10", True)], "type 'sudo apt install python3.13-venv'"),
    ],
)
def test_missing_python_is_one_line(bare, tmp_path, pythons, says):
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, version, venv in pythons:
        fake_python(programs, name, version, venv=venv)
    assert says in bare.refused(PATH=str(programs))
    assert not (bare.root / ".venv").exists()


def test_newest_usable_python_is_taken(bare, tmp_path):
    programs = tmp_path / "bin"
    programs.mkdir()
    fake_python(programs, "python3.14", "3.14", venv=False)
    (programs / "python3.13").write_text("#!/bin/sh\nexit 127\n")  # what a version manager leaves
    (programs / "python3.13").chmod(0o755)
    fake_python(programs, "python3.12", "3.12")
    fake_python(programs, "python3", "3.11")
    script = f"source '{bare.root}/scripts/bootstrap.sh'; find_python"
    done = subprocess.run(
        ["/bin/bash", "-c", script], env={"PATH": str(programs)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "python3.12\n"


# --- the installation --------------------------------------------------------------------------------------


class Installer:
    """The shared bootstrap on an environment of its own, with requirements that ask for nothing."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.venv = project.root / "venv"
        self.requirements = project.root / "few.txt"
        self.requirements.write_text("# nothing yet\n")

    def __call__(self) -> subprocess.CompletedProcess[str]:
        root = self.project.root
        return subprocess.run(
            [
                "/bin/bash",
                "-c",
                'set -eu; root=$1; source "$root/scripts/bootstrap.sh"; bootstrap venv few.txt',
                "-",
                root,
            ],
            env={**self.project.environment, "EDITAI_PYTHON": sys.executable, "PIP_NO_INDEX": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def made(self) -> int:
        """Changes when the environment is made anew."""
        return (self.venv / "pyvenv.cfg").stat().st_mtime_ns


@pytest.fixture
def install(bare: Project) -> Installer:
    return Installer(bare)


def test_installs_once_and_again_only_for_other_pins(install):
    first = install()
    assert first.returncode == 0, first.stderr
    assert "Installing what few.txt names" in first.stderr
    made = install.made
    again = install()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")

    install.requirements.write_text("# other pins\n")
    held = os.open(install.venv, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)  # as a running server does
        refused = install()
    finally:
        os.close(held)
    assert refused.returncode == 1
    assert refused.stderr == "EditAI is running from venv and other packages are to be installed: stop it first.\n"
    assert install.made == made
    assert install().returncode == 0
    assert install.made != made


def test_unfinished_installation_is_repeated(install):
    install.requirements.write_text("django\n")  # no version, no hash: pip refuses
    failed = install()
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("pip could not install the packages")
    assert not (install.venv / STAMP).exists()  # written last
    install.requirements.write_text("# nothing\n")
    done = install()
    assert done.returncode == 0
    assert "Installing" in done.stderr


def test_pins_of_run_and_test_agree():
    def pins(name: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        pin = ""
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith((" ", "#")):
                pin = line.rstrip(" \\")
                found[pin] = []
            elif "--hash=" in line:
                found[pin].append(line.strip(" \\"))
        return found

    lean, full = pins("requirements.txt"), pins("requirements-dev.txt")
    names = {pin.split("==")[0] for pin in lean}
    assert len(lean) > 30
    assert all(lean.values()), "a pin without hashes"
    shared = {pin: hashes for pin, hashes in full.items() if pin.split("==")[0] in names}
    assert {pin.split(" ")[0]: hashes for pin, hashes in shared.items()} == {
        pin.split(" ")[0]: hashes for pin, hashes in lean.items()
    }


# --- what stops a start --------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "80 80"])
def test_port_that_is_none(project, port):
    assert project.refused(EDITAI_PORT=port).startswith("EDITAI_PORT must be a number from 1 to 65535")


def test_busy_port(project):
    with socket.create_server(("127.0.0.1", project.port)):
        said = project.refused()
    assert said.startswith(f"Port {project.port} is in use already: choose another one, as in EDITAI_PORT=")
    assert not list(project.data.glob("*.sqlite3"))  # before anything was made


def test_address_of_another_machine(project):
    assert "EDITAI_BIND" in project.refused(EDITAI_BIND="192.0.2.1")


def test_data_folder_that_cannot_be(project):
    (project.root / "file").touch()
    assert "EDITAI_DATA_DIR names another one" in project.refused(EDITAI_DATA_DIR=str(project.root / "file" / "data"))


def test_no_room(project):
    starter = project.root / "scripts" / "start.py"
    starter.write_text(starter.read_text().replace("NEEDED_BYTES = 256 * 2**20", "NEEDED_BYTES = 2**60"))
    assert "Not enough room in" in project.refused()


def test_demo_of_a_missing_file(project):
    assert project.refused("demo", "no such.mp4") == "There is no file /no such.mp4."


def test_wrong_switch_is_one_line(project):
    assert "EDITAI_PUBLIC_URL" in project.refused(EDITAI_PUBLIC_URL="nonsense")


# --- serving -------------------------------------------------------------------------------------------------


@pytest.mark.embedded
def test_manage_prints_only_what_the_command_prints(project):
    done = project.run("manage", "create_user", "rosa", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout).keys() == {"username", "password", "token", "profile_id"}
    assert json.loads((project.data / "first-login.json").read_text())["username"] == "admin"
    assert project.data.stat().st_mode & 0o777 == 0o700


@pytest.mark.embedded
def test_start_stop_and_start_again(project):
    with project.served() as running:
        login = (project.data / "first-login.json").read_text()
        project.get("/api/v1/health/?sig=opensesame")
        until(lambda: "sig=[redacted]" in project.log())
        assert "opensesame" not in project.log()
        said = project.refused(EDITAI_PORT=str(free_port()))
        assert said.startswith(f"EditAI is running already on {project.data} (process {running.pid})")
        names = ("web", "media", "default", "beat")
        until(lambda: all(f"{name:<7} | " in project.log() for name in names), why=project.log)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0
        assert project.processes() == []
    started, crowded = time.monotonic(), os.getloadavg()[0] > 2 * (os.cpu_count() or 1)
    with project.served():
        assert time.monotonic() - started < 10 or crowded  # on a machine that others use, the clock proves nothing
        assert (project.data / "first-login.json").read_text() == login


@pytest.mark.embedded
def test_whatever_is_killed_comes_back_and_nothing_is_left(project):
    with project.served() as running:
        for words in (
            ("gunicorn",),
            ("celery", "media"),
            ("celery", "publish"),
            ("celery", "default"),
            ("celery", "beat"),
        ):
            until(partial(project.has, *words), why=project.log)
            victim = project.process(*words)
            family = [victim, *victim.children(recursive=True)]
            victim.kill()
            until(partial(all_gone, family), why=project.log)
            until(partial(project.has, *words), why=project.log)
        until(project.is_healthy, 30, project.log)
        running.kill()
        until(lambda: project.processes() == [], why=project.log)


DEMO = """
import sys, time
from django.core.management.base import BaseCommand

class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("video", nargs="?")

    def handle(self, *args, **options):
        print("drives", options["video"], flush=True)
        if "slow" in options["video"]:
            time.sleep(600)
        sys.exit(3)
"""


@pytest.mark.embedded
def test_demo_is_driven_against_a_running_server_and_all_is_stopped(project):
    (project.root / "editai" / "management" / "commands" / "demo.py").write_text(DEMO)
    for name in ("quick.mp4", "slow.mp4"):
        (project.root / name).touch()
    done = project.run("demo", str(project.root / "quick.mp4"))
    assert done.returncode == 3, done
    assert done.stdout.splitlines()[-1] == f"drives {project.root / 'quick.mp4'}"
    assert done.stderr.splitlines()[-1] == f"What the server said meanwhile: {project.data / 'demo.log'}"
    assert project.processes() == []
    log = (project.data / "demo.log").read_text()
    assert '"GET /api/v1/health/ HTTP/1.1" 200' in log

    for number, status in ((signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        with (project.root / "log").open("wb") as output:
            command = [str(project.root / "run"), "demo", "slow.mp4"]
            running = subprocess.Popen(command, env=project.environment, cwd=project.root, stdout=output, stderr=output)
        until(lambda: "drives" in project.log(), 60, project.log)
        running.send_signal(number)
        assert running.wait(20) == status
        until(lambda: project.processes() == [], why=project.log)
