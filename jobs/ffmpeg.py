"""The only place that starts ffmpeg.

`run` takes an argument list and gives ffmpeg limits, nice and an empty environment, its own process group,
`-nostdin`, and a progress pipe of its own, so that standard output stays free for raw samples. `jobs.child`
watches it from the calling thread and ends it in any case; read there about threads.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

from jobs.child import (
    MESSAGES,
    FfmpegError,
    Limits,
    ProgressReader,
    Result,
    Stopped,
    Usage,
    run_limited,
    supervise,
)

__all__ = [
    "FORMATS",
    "MESSAGES",
    "FfmpegError",
    "Limits",
    "Result",
    "Stopped",
    "Usage",
    "executable",
    "file_url",
    "guard_inputs",
    "input_args",
    "run",
    "run_limited",
]

# Demuxers that open nothing but the file they are given. Playlists (hls, dash, concat), SVG and subtitle
# readers are absent on purpose: they follow references or run other parsers on text.
FORMATS = ("mov", "matroska", "webm", "avi", "mpegts", "mp3", "wav", "flac", "ogg", "aac")
PROTOCOLS = ("file", "pipe")


@cache
def executable() -> str:
    """Path of the ffmpeg program that the imageio-ffmpeg wheel carries."""
    from imageio_ffmpeg import get_ffmpeg_exe

    return str(get_ffmpeg_exe())


def file_url(path: Path) -> str:
    """`file:` and the absolute path: never taken for an option, a protocol or a filter."""
    return f"file:{Path(path).absolute()}"


def input_args(path: Path, *, formats: Iterable[str] = FORMATS) -> list[str]:
    """Arguments that open `path` as an input and nothing else; options such as -ss go before them.

    `formats` are the demuxers allowed; widen it only for files this program wrote itself.
    """
    whitelists = ["-protocol_whitelist", ",".join(PROTOCOLS), "-format_whitelist", ",".join(formats)]
    return [*whitelists, "-i", file_url(path)]


def guard_inputs(args: Sequence[str], max_pixels: int) -> list[str]:
    """Refuse (ValueError) any input without whitelists and put the pixel limit before each.

    Generated sources (`-f lavfi`) need no whitelist but may not name a file (`movie`).
    """
    guarded: list[str] = []
    start = 0
    for position, word in enumerate(args):
        if word != "-i" or position == start - 1:
            guarded.append(word)
            continue
        options = args[start:position]
        if "lavfi" in options:
            if re.search(r"\ba?movie\b", args[position + 1]):
                raise ValueError("a generated source may not read files")
        elif "-protocol_whitelist" not in options or "-format_whitelist" not in options:
            raise ValueError("every input goes through input_args()")
        guarded += ["-max_pixels", str(max_pixels), word]
        start = position + 2
    return guarded


def run(
    args: Sequence[str],
    *,
    limits: Limits | None = None,
    duration: float | None = None,
    on_progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_stdout: Callable[[bytes], None] | None = None,
    cwd: Path | None = None,
) -> Result:
    """Run ffmpeg with `args` (inputs by `input_args`, outputs as `file_url`) until it ends.

    `duration`: expected length of the result in seconds, caps what `on_progress(seconds_done)` is told.
    `should_stop` is asked about five times a second; what it or any callback raises is passed on after the
    kill. `on_stdout` gets the raw bytes of `pipe:1`. `-v info` in `args` wins over the default `-v error`.
    Raises FfmpegError, Stopped.
    """
    limits = limits or Limits()
    reader, writer = os.pipe()
    try:
        command = [executable(), "-nostdin", "-hide_banner", "-v", "error", "-nostats", "-y"]
        command += ["-progress", f"pipe:{writer}"]
        command += guard_inputs([str(word) for word in args], limits.max_pixels)
        progress = ProgressReader(reader, writer, duration, on_progress)
    except BaseException:
        os.close(reader)
        os.close(writer)
        raise
    return supervise(command, limits, should_stop, on_stdout, cwd, progress)
