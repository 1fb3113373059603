"""Starts and watches one child process that touches media, with limits, and ends it in any case.

The child has its own process group, an empty environment and the limits of `jobs.sandbox`. On stop, on a
limit and on any exception the whole group is killed and reaped: no zombie, no orphan. The kernel's "die with
the parent" is bound to the thread that starts the child; everything here runs in the calling thread until the
child has ended, so that thread is always there. Never hand a running child to another thread.
"""

import logging
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

logger = logging.getLogger("jobs.ffmpeg")

OPEN_FILES = 256
TICK_SECONDS = 0.2
STDERR_KEPT = 256 * 1024
PIPE_BYTES = 1024 * 1024
# No progress for silence_seconds while the processor stands still is a stall. A child that computes without
# results (one tile picture from a long film) is given this many times as long.
BUSY_FACTOR = 10
IDLE_CPU_SHARE = 0.05

MESSAGES = {
    "ffmpeg_failed": "The media could not be processed.",
    "timed_out": "Processing took longer than allowed and was stopped.",
    "stalled": "Processing made no progress any more and was stopped.",
    "disk_full": "There is no space left to write the result.",
    "invalid_media": "The media is damaged or in a form that cannot be read.",
    "too_large": "The result or the memory it needs would be larger than allowed.",
}


@dataclass(frozen=True)
class Limits:
    """What one child may use: seconds, bytes, and pixels per decoded picture."""

    cpu_seconds: float = 3600
    address_space: int = 4 * 2**30
    file_size: int = 20 * 2**30
    wall_seconds: float = 7200
    silence_seconds: float = 60
    max_pixels: int = 40_000_000


@dataclass(frozen=True)
class Usage:
    """What a child used. `max_rss`: bytes, sampled; an upper bound for a child too short to be sampled."""

    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    max_rss: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.cpu_seconds + other.cpu_seconds,
            self.wall_seconds + other.wall_seconds,
            max(self.max_rss, other.max_rss),
        )


@dataclass(frozen=True)
class Result:
    """A child that ended well. `stderr` is the last part of what it wrote there; it may name server paths."""

    usage: Usage
    stderr: str


class FfmpegError(Exception):
    """A child that did not end well.

    `code` is a key of MESSAGES, `message` a plain sentence without server paths; `stderr_tail` is for logs
    and admins only, `usage` is what was spent in vain.
    """

    def __init__(self, code: str, stderr_tail: str = "", usage: Usage | None = None) -> None:
        self.code = code
        self.message = MESSAGES[code]
        self.stderr_tail = stderr_tail
        self.usage = usage or Usage()
        super().__init__(f"{code}: {self.message}")


class Stopped(Exception):
    """The caller asked to stop; the process group is dead. `usage` is what was spent."""

    def __init__(self, usage: Usage | None = None) -> None:
        self.usage = usage or Usage()
        super().__init__("stopped on request")


def run_limited(
    command: Sequence[str],
    *,
    limits: Limits,
    should_stop: Callable[[], bool] | None = None,
    on_stdout: Callable[[bytes], None] | None = None,
    cwd: Path | None = None,
) -> Result:
    """Run another program (absolute path first) under the same limits and the same supervision as ffmpeg.

    Bytes on its standard output count as progress. Raises FfmpegError, Stopped.
    """
    return supervise(list(command), limits, should_stop, on_stdout, cwd, None)


class ProgressReader:
    """Reads ffmpeg's `-progress` blocks.

    ffmpeg repeats them while nothing moves, so only a changed block is a sign of life.
    """

    def __init__(
        self, reader: int, writer: int, duration: float | None, report: Callable[[float], None] | None
    ) -> None:
        self.reader, self.writer = reader, writer
        self._duration, self._report = duration, report
        self._rest = b""
        self._block: dict[str, str] = {}
        self._before: tuple[str | None, ...] = ()

    def feed(self, data: bytes) -> bool:
        """Take bytes; True when the work has moved on since the last block."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        moved = False
        for line in lines:
            name, _, value = line.decode("utf-8", "replace").partition("=")
            self._block[name.strip()] = value.strip()
            if name == "progress":
                signature = tuple(self._block.get(key) for key in ("frame", "out_time_us", "total_size"))
                moved = moved or signature != self._before
                self._before = signature
                self._tell(self._block.get("out_time_us", ""))
        return moved

    def _tell(self, microseconds: str) -> None:
        if self._report is None or not re.fullmatch(r"\d+", microseconds):
            return  # N/A or negative: nothing written yet
        seconds = int(microseconds) / 1e6
        self._report(seconds if self._duration is None else min(seconds, self._duration))


@dataclass
class _Clock:
    """Decides when a child has taken too long or stands still."""

    limits: Limits
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.quiet_since = self.idle_since = self.started
        self.idle_cpu = 0.0

    def alive(self) -> None:
        self.quiet_since = self.idle_since = time.monotonic()

    def verdict(self, cpu: float | None) -> str | None:
        """The error code when it is time to end the child, else None."""
        now = time.monotonic()
        silence = self.limits.silence_seconds
        if now - self.started > self.limits.wall_seconds:
            return "timed_out"
        if cpu is not None and cpu - self.idle_cpu > IDLE_CPU_SHARE * silence:
            self.idle_cpu, self.idle_since = cpu, now
        if now - self.idle_since > silence or now - self.quiet_since > silence * BUSY_FACTOR:
            return "stalled"
        return None


def supervise(
    command: list[str],
    limits: Limits,
    should_stop: Callable[[], bool] | None,
    on_stdout: Callable[[bytes], None] | None,
    cwd: Path | None,
    progress: ProgressReader | None,
) -> Result:
    """Start `command` in the sandbox and stay with it; see `run_limited`. Closes the fds of `progress`."""
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("sandbox.py"))]
    numbers = {
        "--parent": os.getpid(),
        "--cpu": max(1, round(limits.cpu_seconds)),
        "--address-space": limits.address_space,
        "--file-size": limits.file_size,
        "--open-files": OPEN_FILES,
    }
    for name, value in numbers.items():
        launcher += [name, str(value)]
    logger.debug("start %s", command)
    own_ends = [progress.writer] if progress else []
    try:
        process = subprocess.Popen(
            [*launcher, "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if on_stdout else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={},
            cwd=cwd,
            start_new_session=True,
            pass_fds=own_ends,
            bufsize=0,
            pipesize=PIPE_BYTES,
        )
    except BaseException:
        if progress:
            os.close(progress.reader)
        raise
    finally:
        for descriptor in own_ends:
            os.close(descriptor)
    child = _Child(process, limits, on_stdout, progress)
    try:
        verdict = child.watch(should_stop)
    finally:
        usage = child.end()
    if verdict == "stopped":
        raise Stopped(usage)
    code = verdict or _code_of(process.returncode, child.stderr, usage, limits)
    if code:
        logger.warning("child ended with %s (%s): %s", process.returncode, code, child.stderr[-2000:])
        raise FfmpegError(code, child.stderr, usage)
    return Result(usage, child.stderr)


class _Child:
    """One running process group, its pipes and its accounts."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        limits: Limits,
        on_stdout: Callable[[bytes], None] | None,
        progress: ProgressReader | None,
    ) -> None:
        self.process = process
        self.clock = _Clock(limits)
        self.peak = 0
        self._stderr = b""
        self._unlogged = b""
        self._on_stdout = on_stdout
        self._progress = progress
        self._selector = selectors.DefaultSelector()
        self._reads: dict[int, Callable[[bytes], None]] = {}
        if process.stdout and on_stdout:
            self._watch_pipe(process.stdout.fileno(), self._take_stdout)
        if process.stderr:
            self._watch_pipe(process.stderr.fileno(), self._take_stderr)
        if progress:
            self._watch_pipe(progress.reader, self._take_progress)

    @property
    def stderr(self) -> str:
        return self._stderr.decode("utf-8", "replace")

    def watch(self, should_stop: Callable[[], bool] | None) -> str | None:
        """Serve the pipes until the child ends (None) or has to be ended ("stopped" or an error code)."""
        next_look = 0.0
        while True:
            ended = self._has_ended()
            self._serve(0 if ended else (TICK_SECONDS if self._reads else TICK_SECONDS / 20))
            if ended:
                self._signal_group()  # whatever it left behind holds our pipes
                while self._reads:
                    self._serve(TICK_SECONDS)
                return None
            if time.monotonic() < next_look:
                continue
            next_look = time.monotonic() + TICK_SECONDS
            if should_stop is not None and should_stop():
                return "stopped"
            if verdict := self.clock.verdict(self._sample()):
                return verdict

    def end(self) -> Usage:
        """Kill what is left of the group, reap the child, close the pipes and give the account."""
        self._signal_group()
        _, status, spent = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        for descriptor in list(self._reads):
            self._forget(descriptor)
        self._selector.close()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe:
                pipe.close()
        if self._progress:
            os.close(self._progress.reader)
        if self._unlogged:
            logger.debug("%s", self._unlogged.decode("utf-8", "replace"))
        # ru_maxrss starts from the size of the process that forked, so a sample is better when there is one
        peak = self.peak or spent.ru_maxrss * 1024
        return Usage(spent.ru_utime + spent.ru_stime, time.monotonic() - self.clock.started, peak)

    def _watch_pipe(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        self._reads[descriptor] = take
        self._selector.register(descriptor, selectors.EVENT_READ)

    def _forget(self, descriptor: int) -> None:
        del self._reads[descriptor]
        self._selector.unregister(descriptor)

    def _serve(self, timeout: float) -> None:
        for key, _ in self._selector.select(timeout):
            data = os.read(key.fd, PIPE_BYTES)
            if data:
                self._reads[key.fd](data)
            else:
                self._forget(key.fd)

    def _take_stdout(self, data: bytes) -> None:
        self.clock.alive()
        if self._on_stdout:
            self._on_stdout(data)

    def _take_stderr(self, data: bytes) -> None:
        self._stderr = (self._stderr + data)[-STDERR_KEPT:]
        *lines, rest = (self._unlogged + data).split(b"\n")
        self._unlogged = rest[-STDERR_KEPT:]
        for line in lines:
            logger.debug("%s", line.decode("utf-8", "replace"))

    def _take_progress(self, data: bytes) -> None:
        if self._progress and self._progress.feed(data):
            self.clock.alive()

    def _has_ended(self) -> bool:
        """Has the leader ended? It stays a zombie until `end`, so its group id cannot be given to another."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _signal_group(self) -> None:
        with suppress(ProcessLookupError):  # nobody left but the zombie: that is the aim
            os.killpg(self.process.pid, signal.SIGKILL)

    def _sample(self) -> float | None:
        """Note the peak memory of the child; its CPU seconds so far, None when it is gone."""
        base = Path("/proc") / str(self.process.pid)
        try:
            status = (base / "status").read_text()
            fields = (base / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        if found := re.search(r"VmHWM:\s*(\d+) kB", status):
            self.peak = max(self.peak, int(found[1]) * 1024)
        return (int(fields[11]) + int(fields[12])) / _ticks_per_second()


@cache
def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


_ACCOUNT_MAY_LACK = 0.1  # seconds: the kernel counts for its limit by ticks, and for its account more exactly
_SIGNS = (
    ("disk_full", r"No space left on device|Disk quota exceeded"),
    ("too_large", r"File too large|Cannot allocate memory|MemoryError|std::bad_alloc"),
    (
        "invalid_media",
        r"Invalid data found when processing input|moov atom not found|Error opening input"
        r"|could not find codec parameters|Picture size \d+x\d+ is invalid|not on whitelist"
        r"|Could not find tag for codec|does not contain any stream|Stream map .* matches no streams",
    ),
)


def _code_of(returncode: int, stderr: str, usage: Usage, limits: Limits) -> str | None:
    """Name the failure of a child that ended by itself; None when it ended well."""
    if returncode == 0:
        return None
    if returncode == -signal.SIGXFSZ:
        return "too_large"
    # ffmpeg answers SIGXCPU with an orderly exit, so the account decides, not the signal
    if returncode == -signal.SIGXCPU or usage.cpu_seconds >= max(1, round(limits.cpu_seconds)) - _ACCOUNT_MAY_LACK:
        return "timed_out"
    for code, pattern in _SIGNS:
        if re.search(pattern, stderr, re.IGNORECASE):
            return code
    return "ffmpeg_failed"
