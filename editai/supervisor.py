"""Runs every line of the Procfile until it is told to stop, and leaves no process behind.

Two processes: the *guardian* (the one that was started) only watches the *keeper*, which starts and restarts the
lines. Each line is a session of its own and dies with the keeper; orphans of any depth become children of the keeper
(or, should that be killed, of the guardian), which ends them. So neither SIGTERM nor `kill -9` of any single process
leaves an ffmpeg running. The keeper has one thread: a process that dies with its parent dies, on Linux, with the
parent's *thread*.
"""

import argparse
import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 10.0
SHORT_LIFE_SECONDS = 10.0  # a process that ends by itself before this has failed to start
GIVE_UP_AFTER = 5  # failed starts in a row
LONGEST_PAUSE_SECONDS = 10.0
LONGEST_LINE = 64 * 1024
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")


def die_with_parent(number: int, parent: int) -> None:
    """Has the kernel send signal `number` to this process when `parent`, which started it, ends."""
    _prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def parse_procfile(text: str) -> dict[str, str]:
    """The commands of a Procfile by name, in order; raises ValueError for a line that is not `name: command`."""
    commands: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, command = line.partition(":")
        if not colon or not name.strip().isidentifier() or not command.strip() or name.strip() in commands:
            raise ValueError(f"Procfile: not a line of its own `name: command`: {line!r}")
        commands[name.strip()] = command.strip()
    return commands


@dataclass
class Line:
    """One line of the Procfile and the process that runs it now."""

    name: str
    command: str
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    failures: int = 0


@dataclass
class Pipe:
    """What a process prints."""

    name: str
    file: IO[bytes]
    rest: bytes = b""  # what came after the last newline


class Keeper:
    """Starts, restarts and stops the lines; `run` returns the exit status."""

    def __init__(self, commands: dict[str, str], grace_seconds: float = GRACE_SECONDS) -> None:
        self.lines = [Line(name, command) for name, command in commands.items()]
        self.grace_seconds = grace_seconds
        self.selector = selectors.DefaultSelector()
        self.width = max(len(line.name) for line in self.lines)
        self.stop_asked_at: list[float] = []

    def run(self) -> int:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        for number in STOP_SIGNALS:
            signal.signal(number, self._ask_to_stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        status = 0
        try:
            while not self.stop_asked_at:
                for line in self.lines:
                    if line.process is None and time.monotonic() >= line.start_at:
                        self._start(line)
                self._pump(0.2)
                self._end_orphans()
                if failed := [line for line in self._bury() if line.failures >= GIVE_UP_AFTER]:
                    name = failed[0].name
                    self.say(f"{name} failed {GIVE_UP_AFTER} times right after its start; its lines above say why.")
                    status = 1
                    break
        finally:
            self._stop()
        return status

    def say(self, text: str, name: str = "run") -> None:
        try:
            sys.stdout.buffer.write(f"{name:<{self.width}} | {text}\n".encode())
            sys.stdout.buffer.flush()
        except OSError:  # nobody reads any more (`./run | head`, a closed terminal): go on, in silence
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for the rest of this process

    def _ask_to_stop(self, *_: object) -> None:
        self.stop_asked_at.append(time.monotonic())

    def _hurried(self) -> bool:
        """Asked a second time by a person; a process manager may well send the same signal to every process at once."""
        return len(self.stop_asked_at) > 1 and self.stop_asked_at[-1] - self.stop_asked_at[0] > 1

    def _start(self, line: Line) -> None:
        parent = os.getpid()
        line.process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {line.command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGKILL, parent),
        )
        line.started = time.monotonic()
        assert line.process.stdout is not None
        os.set_blocking(line.process.stdout.fileno(), False)
        self.selector.register(line.process.stdout, selectors.EVENT_READ, Pipe(line.name, line.process.stdout))

    def _pump(self, seconds: float) -> None:
        """Passes on what the processes print, whole lines only; waits up to `seconds` for it."""
        for key, _ in self.selector.select(seconds):
            pipe: Pipe = key.data
            data = os.read(key.fd, LONGEST_LINE)
            *whole, pipe.rest = (pipe.rest + data).split(b"\n")
            if pipe.rest and (not data or len(pipe.rest) > LONGEST_LINE):
                whole, pipe.rest = [*whole, pipe.rest], b""
            for text in whole:
                self.say(text.decode(errors="replace").rstrip("\r"), pipe.name)
            if not data:
                self.selector.unregister(pipe.file)
                pipe.file.close()

    def _bury(self) -> list[Line]:
        """Takes note of every process that ended, adopted ones too; gives the lines that did."""
        ended: list[Line] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            for line in self.lines:
                if line.process is not None and line.process.pid == pid:
                    line.process.returncode = os.waitstatus_to_exitcode(status)
                    self._ended(line, line.process.returncode)
                    ended.append(line)

    def _ended(self, line: Line, code: int) -> None:
        assert line.process is not None
        _kill_group(line.process.pid)  # what it started and left: the next one starts from nothing
        line.process = None
        if self.stop_asked_at:
            return
        # A kill from outside (an operator, the kernel short of memory) says nothing about the program: always restart.
        lived = time.monotonic() - line.started
        failed = lived < SHORT_LIFE_SECONDS and code != -signal.SIGKILL
        line.failures = line.failures + 1 if failed else 0
        pause = min(0.5 * 2 ** max(line.failures - 1, 0), LONGEST_PAUSE_SECONDS)
        line.start_at = time.monotonic() + pause
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        if line.failures < GIVE_UP_AFTER:
            self.say(f"{line.name} {how} after {lived:.0f} s; starting it again in {pause:.1f} s")

    def _end_orphans(self) -> None:
        """Ends what the death of its parent has made a child of this process: nobody waits for it any more."""
        known = {line.process.pid for line in self.lines if line.process is not None}
        for pid in _children() - known:
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still its own

    def _stop(self) -> None:
        """TERM to every line; after the grace, or a second request, KILL to every descendant there is."""
        self.stop_asked_at = self.stop_asked_at or [time.monotonic()]
        deadline = time.monotonic() + self.grace_seconds
        for line in self.lines:
            if line.process is not None:
                os.kill(line.process.pid, signal.SIGTERM)
        while any(line.process for line in self.lines) and time.monotonic() < deadline and not self._hurried():
            self._pump(0.1)
            self._bury()
        kill_descendants()
        while self.selector.get_map() and self.selector.select(0):
            self._pump(0)


def _children() -> set[int]:
    """The direct children of this process, from the one file where Linux lists them."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # empty already
        os.killpg(group, signal.SIGKILL)


def kill_descendants() -> None:
    """KILL to every descendant of this process until there is none; orphans come up as children (subreaper)."""
    while descendants := psutil.Process().children(recursive=True):
        for process in descendants:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    break
            except ChildProcessError:
                return
        time.sleep(0.02)


def guard(commands: dict[str, str], grace_seconds: float = GRACE_SECONDS) -> int:
    """Runs a keeper in a child process, passes signals on to it, and clears up after it; gives its exit status."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    guardian = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # until both have their handlers
    keeper = os.fork()
    if keeper == 0:
        os.setsid()  # Ctrl-C reaches the guardian only, which passes it on once
        die_with_parent(signal.SIGTERM, guardian)
        os._exit(Keeper(commands, grace_seconds).run())
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: os.kill(keeper, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    pid = status = 0
    while pid != keeper:
        pid, status = os.waitpid(-1, 0)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # the keeper is gone; what is left goes now
    kill_descendants()
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        print(f"run: the process that keeps all others was killed by signal {-code}: everything was stopped.")
        return 1
    return code


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs every line of a Procfile; see the head of this file.")
    parser.add_argument("procfile", type=Path)
    return guard(parse_procfile(parser.parse_args().procfile.read_text()))


if __name__ == "__main__":
    sys.exit(main())
