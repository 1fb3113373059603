"""What is in an uploaded file? The answer comes from a child process that may die without harm.

Order of defence: size and first bytes here, then PyAV in `jobs.sandbox` with a forced demuxer (playlists
are never even tried), then plausibility of what it said. A file is accepted when its first picture decodes
and the times of all its frames are known.

Cut-off files: an MP4, MOV, WebM, MKV or AVI whose own structure speaks of more bytes than there are is
refused as `truncated`. Fragmented MP4, live WebM and transport streams promise no length and are made to
survive a sudden end: they are accepted with what can be read.
"""

import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs import ffmpeg
from segments.media_info import AudioStream, FrameIndex, MediaInfo, VideoStream
from segments.sniff import SNIFF_BYTES, sniff

# PyAV needs 150 MB of address space to start; what is left bounds the memory of a hostile file below 500 MB.
PROBE_LIMITS = ffmpeg.Limits(
    cpu_seconds=60, address_space=600 * 2**20, file_size=0, wall_seconds=120, silence_seconds=120
)
COUNT_LIMITS = ffmpeg.Limits(cpu_seconds=1200, address_space=2 * 2**30, file_size=0, wall_seconds=1800)
MAX_SECONDS = 24 * 3600
MAX_ANSWER_BYTES = 16 * 2**20
MAX_FRAME_RATE = 1000
DEFAULT_FRAME_RATE = Fraction(25)

MESSAGES = {
    "zero_length": "The file is empty.",
    "not_a_video": "This is not a video file in a known form (MP4, MOV, MKV, WebM, AVI or TS).",
    "truncated": "The file is cut off: its end is missing. Upload it again.",
    "damaged": "The file begins like a video but is damaged.",
    "no_video_stream": "The file has sound but no video.",
    "attached_picture_only": "This is a sound file with a cover picture, not a video.",
    "no_frames": "The video has no pictures in it.",
    "undecodable": "The pictures of this video cannot be decoded.",
    "unsupported_format": "The video uses a codec that is not supported.",
    "bad_dimensions": "The picture is too small: at least 16 × 16 pixels are needed.",
    "too_many_pixels": "The picture is too large: at most 40 million pixels are allowed.",
    "too_long": "The video is too long: it must be shorter than 24 hours.",
    "too_many_frames": "The video has too many frames: fewer than a million are allowed.",
    "too_many_streams": "The file has too many streams: at most 64 are allowed.",
    "too_complex": "Reading this file needs more time or memory than is allowed.",
}


class MediaError(Exception):
    """The file is not accepted. `code` is a key of MESSAGES, `message` a plain sentence, `usage` what it cost."""

    def __init__(self, code: str, usage: ffmpeg.Usage | None = None) -> None:
        self.code = code
        self.message = MESSAGES[code]
        self.usage = usage or ffmpeg.Usage()
        super().__init__(f"{code}: {self.message}")


def probe(
    path: Path,
    *,
    limits: ffmpeg.Limits = PROBE_LIMITS,
    should_stop: Callable[[], bool] | None = None,
    on_usage: Callable[[ffmpeg.Usage], None] | None = None,
) -> MediaInfo:
    """Examine a local file. Costs about 0.1 s plus 7 µs per frame of CPU, and one read of the file.

    `on_usage` is told what each finished child cost; errors carry what it was not told, so nothing is counted
    twice. Raises MediaError, ffmpeg.Stopped.
    """
    size = path.stat().st_size
    if size == 0:
        raise MediaError("zero_length")
    with path.open("rb") as file:
        family = sniff(file.read(SNIFF_BYTES))
    if family is None:
        raise MediaError("not_a_video")
    answer, usage = _ask_child(path, family, limits, should_stop)
    if on_usage:
        on_usage(usage)
        usage = ffmpeg.Usage()  # told: errors carry only what nobody was told
    try:
        facts, times, keys = _parse(answer)
        if "error" in facts:
            code = str(facts["error"])
            raise MediaError(code if code in MESSAGES else "damaged", usage)
        frames = _index(facts, times, keys)
    except (ValueError, KeyError, TypeError, IndexError, ZeroDivisionError, OverflowError) as error:
        raise MediaError("damaged", usage) from error
    if frames is None:
        frames = _count_by_decoding(path, facts, should_stop, on_usage)
    return _media_info(facts, frames, size, usage)


def _ask_child(
    path: Path, family: str, limits: ffmpeg.Limits, should_stop: Callable[[], bool] | None
) -> tuple[bytes, ffmpeg.Usage]:
    answer = bytearray()

    def take(data: bytes) -> None:
        answer.extend(data)
        if len(answer) > MAX_ANSWER_BYTES:
            raise MediaError("too_complex")

    script = Path(__file__).with_name("probe_child.py")
    command = [sys.executable, "-I", str(script), family, str(path.absolute())]
    try:
        result = ffmpeg.run_limited(command, limits=limits, should_stop=should_stop, on_stdout=take)
    except ffmpeg.FfmpegError as error:
        # it answers every refusal in words: silence means that it ran into a limit or crashed on the file
        limited = error.code in {"timed_out", "stalled", "too_large"}
        raise MediaError("too_complex" if limited else "damaged", error.usage) from error
    return bytes(answer), result.usage


def _parse(answer: bytes) -> tuple[dict[str, Any], NDArray[np.int64], NDArray[np.bool_]]:
    """Split the child's answer. It read hostile bytes, so nothing in it is believed: ValueError if odd."""
    line, _, blob = answer.partition(b"\n")
    facts = json.loads(line)
    if not isinstance(facts, dict) or len(blob) % 9:
        raise ValueError("unexpected answer")
    count = len(blob) // 9
    times = np.frombuffer(blob, np.int64, count)
    return facts, times, np.frombuffer(blob, np.uint8, count, offset=8 * count).astype(np.bool_)


def _index(facts: dict[str, Any], times: NDArray[np.int64], keys: NDArray[np.bool_]) -> FrameIndex | None:
    """The frame index, or None when packets and pictures do not match one to one at the beginning."""
    shown = [int(tick) for tick in facts["shown"]]
    if facts["guessed"] or not shown or shown != sorted(set(shown)):
        return None
    order = np.argsort(times, kind="stable")
    times, keys = times[order], keys[order]
    if np.any(np.diff(times) == 0):
        return None
    start = int(np.searchsorted(times, shown[0]))  # packets before the first picture show nothing
    if list(times[start : start + len(shown)]) != shown:
        return None
    return _frame_index(facts, times[start:], keys[start:], int(facts["last_duration"]))


def _frame_index(
    facts: dict[str, Any], times: NDArray[np.int64], keys: NDArray[np.bool_], last_duration: int
) -> FrameIndex:
    base = Fraction(*facts["video"]["time_base"])
    if last_duration <= 0:
        rate = Fraction(*facts["video"]["rate"]) or DEFAULT_FRAME_RATE
        last_duration = int(np.median(np.diff(times))) if len(times) > 1 else round(1 / rate / base)
    end = int(times[-1]) + max(1, last_duration)
    zero = round(Fraction(int(facts["start_us"]), 1_000_000) / base)
    return FrameIndex(times, keys, base, min(zero, int(times[0])), end)


def _count_by_decoding(
    path: Path,
    facts: dict[str, Any],
    should_stop: Callable[[], bool] | None,
    on_usage: Callable[[ffmpeg.Usage], None] | None,
) -> FrameIndex:
    """Times of the frames as ffmpeg itself shows them, by decoding everything.

    For the rare files whose packets do not tell: AVI with B-frames, one packet per field, pictures without
    times.
    """
    lines = bytearray()

    def take(data: bytes) -> None:
        lines.extend(data)
        if len(lines) > 10 * MAX_ANSWER_BYTES:
            raise MediaError("too_many_frames")

    args = ["-copyts", *ffmpeg.input_args(path), "-map", f"0:{facts['video']['index']}"]
    args += ["-vf", "scale=16:16:flags=fast_bilinear", "-fps_mode", "passthrough", "-enc_time_base", "demux"]
    args += ["-f", "framecrc", "pipe:1"]
    try:
        result = ffmpeg.run(args, limits=COUNT_LIMITS, should_stop=should_stop, on_stdout=take)
    except ffmpeg.FfmpegError as error:
        code = "too_complex" if error.code in {"timed_out", "stalled", "too_large"} else "undecodable"
        raise MediaError(code, error.usage) from error
    usage = result.usage
    if on_usage:
        on_usage(usage)
        usage = ffmpeg.Usage()
    # a line per frame: stream, dts, pts, duration, size, checksum
    rows = [row.split(b",") for row in lines.splitlines() if not row.startswith(b"#")]
    times = np.unique(np.array([int(row[2]) for row in rows], np.int64))
    if not len(times):
        raise MediaError("no_frames", usage)
    keys = np.zeros(len(times), np.bool_)
    keys[0] = True
    return _frame_index(facts, times, keys, int(rows[-1][3]))


def _media_info(facts: dict[str, Any], frames: FrameIndex, size: int, usage: ffmpeg.Usage) -> MediaInfo:
    try:
        info = MediaInfo(
            container=str(facts["container"]),
            duration_seconds=frames.end_seconds,
            size=size,
            video=_video(facts["video"], frames),
            audio=_audio(facts["audio"]) if facts["audio"] else None,
            frames=frames,
        )
    except (ValueError, KeyError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise MediaError("damaged", usage) from error
    if info.duration_seconds >= MAX_SECONDS:
        raise MediaError("too_long", usage)
    if info.video.avg_frame_rate > MAX_FRAME_RATE:
        raise MediaError("too_complex", usage)
    return info


def _audio(audio: dict[str, Any]) -> AudioStream:
    return AudioStream(
        index=int(audio["index"]),
        codec=str(audio["codec"]),
        sample_rate=int(audio["sample_rate"]),
        channels=int(audio["channels"]),
        layout=str(audio["layout"]),
    )


def _video(video: dict[str, Any], frames: FrameIndex) -> VideoStream:
    width, height = int(video["width"]), int(video["height"])
    sar = Fraction(*video["sar"]) or Fraction(1)
    rotation = _clockwise(int(video["rotation"]))
    shown = _display_size(width, height, sar)
    if rotation in (90, 270):
        shown = shown[::-1]
    rate = _average_rate(frames, Fraction(*video["rate"]))
    return VideoStream(
        index=int(video["index"]),
        codec=str(video["codec"]),
        profile=str(video["profile"]),
        pix_fmt=str(video["pix_fmt"]),
        width=width,
        height=height,
        sar=sar,
        rotation=rotation,
        display_width=shown[0],
        display_height=shown[1],
        avg_frame_rate=rate,
        is_vfr=_is_vfr(frames, rate),
        time_base=frames.time_base,
        start_pts=int(frames.pts[0]),
        bit_rate=int(video["bit_rate"]),
        color_space=str(video["color_space"]),
        color_transfer=str(video["color_transfer"]),
        color_primaries=str(video["color_primaries"]),
        color_range=str(video["color_range"]),
        is_interlaced=bool(video["is_interlaced"]),
    )


def _display_size(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    """Square pixels, by stretching the width. Ratios that make the picture absurd are not believed."""
    if not Fraction(1, 8) <= sar <= 8:
        sar = Fraction(1)
    return max(2, round(width * sar)), height


def _clockwise(counterclockwise: int) -> int:
    """Display rotation in quarter turns clockwise. ffmpeg turns by other angles inside the same frame size."""
    turned = -counterclockwise % 360
    nearest = round(turned / 90) * 90
    return nearest % 360 if abs(turned - nearest) <= 1 else 0


def _average_rate(frames: FrameIndex, claimed: Fraction) -> Fraction:
    """Frames per second by the index; the claim of the file where both agree, for it is the rounder number."""
    if len(frames) < 2:
        return claimed or DEFAULT_FRAME_RATE
    seconds = int(frames.pts[-1] - frames.pts[0]) * frames.time_base
    measured = (len(frames) - 1) / seconds
    if claimed and abs(measured / claimed - 1) < Fraction(1, 100):
        return claimed
    return measured.limit_denominator(1001)


def _is_vfr(frames: FrameIndex, rate: Fraction) -> bool:
    """Do frames leave the grid of a constant rate by more than half a frame, or jitter by more than a quarter?"""
    if len(frames) < 3:
        return False
    times = frames.boundaries[:-1]
    period = 1 / float(rate)
    drift = times - times[0] - np.arange(len(times)) * period
    tick = float(frames.time_base)
    if np.ptp(drift) > period / 2 + tick:
        return True
    return bool(np.mean(np.abs(np.diff(times) - period) > period / 4 + tick) > 0.01)
