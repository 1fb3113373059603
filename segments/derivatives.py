"""What is made of a source once, for looking and listening: poster, filmstrip, waveform peaks, proxy.

Two ffmpeg processes serve all four: `write_pictures` (keyframes only: poster and filmstrip from one decode)
and `write_proxy` (proxy and, from the same decode of the sound, the peaks). All of it is on source time.
"""

import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from jobs import ffmpeg
from segments.cutting import PLAIN_MP4, even, samples, square_picture, steady_sound
from segments.media_info import MediaInfo

POSTER_BOX = 720
TILE_BOX = 160
MAX_TILES = 100
MIN_TILE_SECONDS = 0.5
COLUMNS = 10
# A keyframe this much older than its tile, or than two tiles, makes the tile useless; a strip of keyframes is good
# enough while no more than a quarter of its tiles is.
OLD_PICTURE_SECONDS = 2.0
OLD_PICTURES_ALLOWED = 0.25
PROXY_LONG, PROXY_SHORT = 1280, 720
PROXY_GOP = 30

PEAKS_PER_SECOND = 50
PEAKS_SAMPLE_RATE = 16_000
PEAKS_HEADER = struct.Struct("<4sHHII")
PEAKS_MAGIC = b"EAWP"

Run = Callable[..., ffmpeg.Result]


@dataclass(frozen=True)
class Filmstrip:
    """Geometry of a sprite: tile `k` (row by row) shows the source around `k * seconds_per_tile` seconds."""

    columns: int
    rows: int
    tile_width: int
    tile_height: int
    tiles: int
    seconds_per_tile: float

    def as_dict(self) -> dict[str, Any]:
        """The geometry as JSON values."""
        return asdict(self)


def filmstrip_geometry(info: MediaInfo) -> Filmstrip:
    """At most MAX_TILES tiles, at least MIN_TILE_SECONDS apart, in rows of COLUMNS."""
    seconds = max(MIN_TILE_SECONDS, info.duration_seconds / MAX_TILES)
    tiles = min(MAX_TILES, max(1, ceil(info.duration_seconds / seconds - 1e-6)))
    columns = min(COLUMNS, tiles)
    width, height = fit(info, TILE_BOX, TILE_BOX)
    return Filmstrip(columns, ceil(tiles / columns), width, height, tiles, seconds)


def fit(info: MediaInfo, long_side: int, short_side: int) -> tuple[int, int]:
    """Even size of the upright picture within the limits, never enlarged beyond the source."""
    width, height = info.video.display_width, info.video.display_height
    factor = min(1.0, long_side / max(width, height), short_side / min(width, height))
    return even(width * factor), even(height * factor)


def keyframes_suffice(info: MediaInfo, strip: Filmstrip) -> bool:
    """Do the keyframes alone make a useful strip? Sources of one long GOP (screen recordings) need more."""
    times = info.frames.boundaries[:-1][info.frames.keyframes]
    wanted = np.arange(strip.tiles) * strip.seconds_per_tile
    age = wanted - times[np.maximum(np.searchsorted(times, wanted, side="right") - 1, 0)]
    old = age > max(2 * strip.seconds_per_tile, OLD_PICTURE_SECONDS)
    return len(times) > 0 and float(old.mean()) <= OLD_PICTURES_ALLOWED


def write_pictures(
    source: Path, info: MediaInfo, poster: Path, strip: Path, *, run: Run = ffmpeg.run, **watch: Any
) -> tuple[Filmstrip, ffmpeg.Usage]:
    """Write `poster` (a frame near a tenth of the film, short side at most 720) and the sprite `strip`, as JPEG.

    One process, one decode, keyframes only where they suffice. `watch`: limits, on_progress, should_stop.
    Raises ffmpeg.FfmpegError, ffmpeg.Stopped.
    """
    geometry = filmstrip_geometry(info)
    frames = info.frames
    keys_only = keyframes_suffice(info, geometry)
    candidates = frames.pts[frames.keyframes] if keys_only else frames.pts
    # at or after a tenth, so that it is not the black first picture; the last one if there is none
    place = min(int(np.searchsorted(candidates, frames.pts[len(frames) // 10])), len(candidates) - 1)
    chosen = int(candidates[place])
    decode = ["-skip_frame", "nokey"] if keys_only else ["-skip_frame", "noref", "-skip_loop_filter", "all"]
    graph = (
        f"[0:{info.video.index}]split[a][b];"
        f"[a]select=gte(pts\\,{chosen}),trim=end_frame=1,{_jpeg(info, *fit(info, 10_000, POSTER_BOX))}[poster];"
        f"[b]setpts=PTS-({frames.zero_pts}),"
        f"fps=fps={_exact(1 / geometry.seconds_per_tile)}:start_time=0:round=near:eof_action=pass,"
        f"{_jpeg(info, geometry.tile_width, geometry.tile_height)},"
        f"tpad=stop=-1:stop_mode=clone,trim=end_frame={geometry.tiles},"
        f"tile={geometry.columns}x{geometry.rows}[strip]"
    )
    args = ["-copyts", *decode, "-threads", "2", *ffmpeg.input_args(source), "-filter_complex", graph]
    for label, quality, out in (("poster", "3", poster), ("strip", "5", strip)):
        args += ["-map", f"[{label}]", "-frames:v", "1", "-fps_mode", "passthrough", "-c:v", "mjpeg"]
        args += ["-q:v", quality, "-threads", "1", "-f", "mjpeg", ffmpeg.file_url(out)]
    result = run(args, duration=info.duration_seconds, **watch)
    if not (poster.stat().st_size and strip.stat().st_size):  # ffmpeg calls it a success when nothing decoded
        raise ffmpeg.FfmpegError("invalid_media", result.stderr, result.usage)
    return geometry, result.usage


def _jpeg(info: MediaInfo, width: int, height: int) -> str:
    """Upright square pixels in the full range that JPEG means."""
    return f"{square_picture(info, width, height)},scale=out_range=pc,format=yuvj420p"


def _exact(value: float) -> str:
    """A rate as a fraction: filters read decimals with few digits."""
    ratio = Fraction(value).limit_denominator(1_000_000)
    return f"{ratio.numerator}/{ratio.denominator}"


class Peaks:
    """Waveform peaks of a stream of samples, in flat memory.

    Feed it mono s16le at PEAKS_SAMPLE_RATE. The file it writes: header `<4sHHII`: magic "EAWP", version 1,
    channels 1, peaks per second, number of peaks; then for each peak two int8, lowest and highest sample of
    its 1/50 s in 1/127 of full scale. Peak k belongs to source time [k, k + 1) / peaks per second.
    """

    def __init__(self, seconds: float) -> None:
        self._count = max(1, ceil(seconds * PEAKS_PER_SECOND - 1e-6))
        self._bin = PEAKS_SAMPLE_RATE // PEAKS_PER_SECOND
        self._rest = b""
        self._pairs = bytearray()

    def feed(self, data: bytes) -> None:
        """Take any number of bytes."""
        data = self._rest + data
        whole = len(data) // (2 * self._bin) * 2 * self._bin
        self._rest = data[whole:]
        if whole:
            self._reduce(np.frombuffer(data[:whole], "<i2").reshape(-1, self._bin))

    def finish(self) -> bytes:
        """The file; exactly as many peaks as the source is long, silence where there was no sound."""
        if len(self._rest) >= 2:
            self._reduce(np.frombuffer(self._rest[: len(self._rest) // 2 * 2], "<i2").reshape(1, -1))
            self._rest = b""
        body = bytes(self._pairs[: 2 * self._count]).ljust(2 * self._count, b"\0")
        return PEAKS_HEADER.pack(PEAKS_MAGIC, 1, 1, PEAKS_PER_SECOND, self._count) + body

    def _reduce(self, bins: "np.ndarray[Any, np.dtype[np.int16]]") -> None:
        pairs = np.stack([bins.min(axis=1), bins.max(axis=1)], axis=1).astype(np.int32)
        self._pairs += np.clip(np.rint(pairs * 127 / 32767), -127, 127).astype(np.int8).tobytes()


def read_peaks(blob: bytes) -> tuple[int, "np.ndarray[Any, np.dtype[np.int8]]"]:
    """(peaks per second, array of shape (count, 2) with lowest and highest). Raises ValueError."""
    if len(blob) < PEAKS_HEADER.size:
        raise ValueError("not a peaks file")
    magic, version, channels, rate, count = PEAKS_HEADER.unpack_from(blob)
    if (magic, version, channels) != (PEAKS_MAGIC, 1, 1) or len(blob) != PEAKS_HEADER.size + 2 * count:
        raise ValueError("not a peaks file")
    return rate, np.frombuffer(blob, np.int8, offset=PEAKS_HEADER.size).reshape(-1, 2)


def write_waveform(source: Path, info: MediaInfo, out: Path, *, run: Run = ffmpeg.run, **watch: Any) -> ffmpeg.Usage:
    """Write the peaks of the sound to `out`, streamed, for any length. Raises ValueError without sound."""
    if info.audio is None:
        raise ValueError("the source has no sound")
    peaks = Peaks(info.duration_seconds)
    args = ["-copyts", "-vn", *ffmpeg.input_args(source), "-map", f"0:{info.audio.index}"]
    args += ["-af", f"{_sound(info)},{_PEAK_SAMPLES}", "-f", "s16le", "pipe:1"]
    result = run(args, duration=info.duration_seconds, on_stdout=peaks.feed, **watch)
    out.write_bytes(peaks.finish())
    return result.usage


_PEAK_SAMPLES = f"aresample={PEAKS_SAMPLE_RATE},aformat=sample_fmts=s16:channel_layouts=mono"


def _sound(info: MediaInfo) -> str:
    """Filters: 48 kHz stereo on source time from 0 to the end of the pictures, gaps and a late start silent."""
    zero, end = samples(info, info.frames.zero_pts), samples(info, info.frames.end_pts)
    return f"{steady_sound(info)},atrim=start_pts={zero}:end_pts={end},asetpts=PTS-({zero})"


def write_proxy(
    source: Path,
    info: MediaInfo,
    out: Path,
    *,
    waveform: Path | None = None,
    run: Run = ffmpeg.run,
    **watch: Any,
) -> ffmpeg.Usage:
    """Write a light copy to work with, and the peaks of its sound to `waveform` when asked.

    H.264 4:2:0 MP4, at most 1280 × 720 (720 × 1280 upright), square pixels, a keyframe every 30 frames at
    most, index at the front, AAC stereo. Every frame of the source at its own source time: as many frames,
    variable rates stay variable. Raises ffmpeg.FfmpegError, ffmpeg.Stopped.
    """
    video = f"[0:{info.video.index}]setpts=PTS-({info.frames.zero_pts}),"
    graph = video + square_picture(info, *fit(info, PROXY_LONG, PROXY_SHORT)) + "[v]"
    peaks: Peaks | None = None
    sound: list[str] = []
    if info.audio:
        graph += f";[0:{info.audio.index}]{_sound(info)}"
        sound = ["-map", "[a]", "-c:a", "aac", "-b:a", "128k"]
        if waveform:
            peaks = Peaks(info.duration_seconds)
            graph += f",asplit[a][p0];[p0]{_PEAK_SAMPLES}[p]"
        else:
            graph += "[a]"
    args = ["-copyts", *ffmpeg.input_args(source), "-filter_complex", graph, "-map", "[v]", *sound]
    args += ["-fps_mode", "passthrough", "-enc_time_base", "filter", "-c:v", "libx264", "-preset", "veryfast"]
    args += ["-crf", "26", "-g", str(PROXY_GOP), "-threads", "2", *PLAIN_MP4, ffmpeg.file_url(out)]
    if peaks:
        args += ["-map", "[p]", "-f", "s16le", "pipe:1"]
        watch["on_stdout"] = peaks.feed
    result = run(args, duration=info.duration_seconds, **watch)
    if peaks and waveform:
        waveform.write_bytes(peaks.finish())
    return result.usage
