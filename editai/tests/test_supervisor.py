"""The supervisor with real processes: what it prints, restarts, gives up on, and that it never leaves one behind."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from editai.supervisor import parse_procfile

ROOT = Path(__file__).resolve().parent.parent.parent
# A parent that will not end by itself, with a child in a session of its own: what a worker with ffmpeg looks like.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", sys.argv[1]], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""
POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
print("up", flush=True)
while True: time.sleep(0.05)
"""


class Supervised:
    def __init__(self, folder: Path, grace: float, **lines: str) -> None:
        self.folder = folder
        self.mark = str(random.randrange(10**8, 10**9))  # seconds to sleep, and the name of this test's processes
        text = "".join(f"{name}: {command}\n" for name, command in lines.items())
        (folder / "Procfile").write_text(text.replace("MARK", self.mark))
        code = (
            "import sys, editai.supervisor as s; s.LONGEST_PAUSE_SECONDS = 1; "
            f"s.guard.__defaults__ = ({grace},); sys.exit(s.main())"
        )
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, str(folder / "Procfile")], cwd=ROOT, stdout=log, stderr=log
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def keeper(self) -> psutil.Process:
        return psutil.Process(self.process.pid).children()[0]

    def work(self) -> list[psutil.Process]:
        """The living processes of the lines."""
        return [process for process in self.left() if process.pid != self.keeper.pid]

    def has_said(self, text: str, times: int) -> bool:
        return self.output.count(text) == times

    def works_without(self, pids: set[int]) -> bool:
        return not pids & {process.pid for process in self.work()}

    def left(self) -> list[psutil.Process]:
        """Every living process of this test but the guardian."""
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "status"]):
            line = " ".join(process.info["cmdline"] or [])
            ours = self.mark in line or str(self.folder) in line
            if ours and process.pid != self.process.pid and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def ended(self, seconds: float = 10) -> int:
        return self.process.wait(seconds)


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    started: list[Supervised] = []

    def start(grace: float = 1.5, **lines: str) -> Supervised:
        (tmp_path / "stubborn.py").write_text(STUBBORN)
        (tmp_path / "polite.py").write_text(POLITE)
        texts = {
            name: f"{sys.executable} {tmp_path / command}.py MARK" if command in {"stubborn", "polite"} else command
            for name, command in lines.items()
        }
        started.append(Supervised(tmp_path, grace, **texts))
        return started[-1]

    yield start
    for supervised in started:
        supervised.process.kill()
        supervised.process.wait()
        for process in supervised.left():
            process.kill()


def until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_procfile_is_read_line_by_line():
    assert parse_procfile("# all of it\n\nweb: serve --port 1:2\nbeat:  tick \n") == {
        "web": "serve --port 1:2",
        "beat": "tick",
    }


@pytest.mark.parametrize("text", ["web serve", "web:", ": serve", "a b: serve", "web: a\nweb: b"])
def test_procfile_with_a_broken_line_is_refused(text):
    with pytest.raises(ValueError, match="Procfile"):
        parse_procfile(text)


def test_output_carries_the_name_of_its_process(supervise):
    supervised = supervise(web='sh -c "echo one; echo two >&2; printf three; exec sleep MARK"', worker="polite")
    until(lambda: "two" in supervised.output and "worker | up" in supervised.output)
    assert "web    | one\n" in supervised.output
    assert "web    | two\n" in supervised.output
    supervised.process.send_signal(signal.SIGTERM)
    assert supervised.ended() == 0
    assert "web    | three\n" in supervised.output  # the last line of a process needs no newline


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stop_lets_everybody_say_goodbye(supervise, number):
    supervised = supervise(web="polite", worker="polite")
    until(lambda: supervised.output.count("up") == 2)
    supervised.process.send_signal(number)
    assert supervised.ended(5) == 0
    assert supervised.output.count("bye") == 2
    assert supervised.left() == []


def test_stop_kills_who_ignores_it_with_all_descendants(supervise):
    supervised = supervise(worker="stubborn", web="polite")
    until(lambda: supervised.output.count("up") == 2)
    assert len(supervised.work()) == 3
    supervised.process.terminate()
    assert supervised.ended(10) == 0
    assert "bye" in supervised.output
    assert supervised.left() == []


def test_killed_process_is_restarted_and_its_orphans_are_ended(supervise):
    supervised = supervise(worker="stubborn")
    for already in range(1, 4):
        until(partial(supervised.has_said, "| up", already))
        before = {process.pid for process in supervised.work()}
        assert len(before) == 2
        next(process for process in supervised.work() if "stubborn" in " ".join(process.cmdline())).kill()
        until(partial(supervised.works_without, before))
    until(lambda: supervised.output.count("| up") == 4)
    assert supervised.output.count("was killed by signal 9") == 3
    assert supervised.process.poll() is None


def test_gives_up_on_what_cannot_start(supervise):
    supervised = supervise(web='sh -c "echo no such database; exit 3"', worker="stubborn")
    assert supervised.ended(30) == 1
    assert supervised.output.count("no such database") == 5
    assert "web ended with status 3" in supervised.output
    assert "web failed 5 times right after its start" in supervised.output
    assert supervised.left() == []


def test_kill_of_the_guardian_leaves_nothing(supervise):
    supervised = supervise(worker="stubborn", web="polite")
    until(lambda: supervised.output.count("up") == 2)
    supervised.process.kill()
    until(lambda: supervised.left() == [])
    assert "bye" in supervised.output


def test_kill_of_the_keeper_leaves_nothing(supervise):
    supervised = supervise(worker="stubborn", web="polite")
    until(lambda: supervised.output.count("up") == 2)
    supervised.keeper.kill()
    assert supervised.ended(10) == 1
    assert re.search(r"killed by signal 9: everything was stopped", supervised.output)
    assert supervised.left() == []


def test_second_request_does_not_wait_for_the_grace(supervise):
    supervised = supervise(worker="stubborn", grace=60)
    until(lambda: "up" in supervised.output)
    for _ in range(10):
        supervised.process.terminate()
        time.sleep(1.2)
        if supervised.process.poll() is not None:
            break
    assert supervised.process.returncode == 0
    assert supervised.left() == []


def test_unread_output_is_no_reason_to_stop(supervise, tmp_path):
    (tmp_path / "Procfile").write_text("web: sh -c 'echo up; sleep 0.5; echo again; sleep 600'\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "editai.supervisor", str(tmp_path / "Procfile")], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"web | up\n"
    process.stdout.close()
    time.sleep(1)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(10) == 0
