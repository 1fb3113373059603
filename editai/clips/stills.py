"""Covers as files: JPEG of our own making, out of an uploaded picture or out of a clip."""

from collections.abc import Sequence
from pathlib import Path

from editai.clips.pictures import MAX_PIXELS, Picture, refused
from editai.clips.render.runner import Runner
from jobs.ffmpeg import FfmpegError, Limits, file_url, input_args

MAX_COVER_BYTES = 2_000_000  # what the network with the least takes
LONG_SIDE, SHORT_SIDE = 1920, 1080
LIMITS = Limits(
    cpu_seconds=10,
    address_space=2**30,
    file_size=64 * 2**20,
    wall_seconds=10,
    silence_seconds=10,
    max_pixels=MAX_PIXELS,
)
# Tried in turn until the file is small enough; an ordinary picture is with the first.
_QUALITIES = ("3", "7", "14", "31")
# sidedata: colour profiles and the like are metadata too. JPEG means BT.601 in the full range.
_JPEG = "scale=out_color_matrix=bt601:out_range=pc,format=yuvj420p,sidedata=mode=delete"
_OUTPUT = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact", "-f", "image2", "-update", "1")


def cover_size(width: int, height: int) -> tuple[int, int]:
    """The size of a cover for a clip of this size: the same, at most 1080 × 1920 (1920 × 1080), even."""
    factor = min(1.0, LONG_SIDE / max(width, height), SHORT_SIDE / min(width, height))
    return max(2, round(width * factor / 2) * 2), max(2, round(height * factor / 2) * 2)


def still_of_picture(path: Path, picture: Picture, out: Path, size: tuple[int, int], *, run: Runner) -> None:
    """Writes an untrusted picture to `out`, upright, cropped from the middle to the shape of `size`; what is
    transparent becomes black. Raises Invalid (`image_damaged`) for what cannot be decoded, FfmpegError for the rest.
    """
    width, height = size
    # cropped before it is scaled: a ribbon of a picture must not become an enormous one on the way
    crop = f"crop='min(iw,ih*{width}/{height})':'min(ih,iw*{height}/{width})'"
    graph = f"{crop},scale={width}:{height}:flags=lanczos,setsar=1,format=gbrap,premultiply=inplace=1,{_JPEG}"
    opened = ["-xerror", "-err_detect", "explode", "-f", picture.demuxer, *input_args(path, formats=(picture.demuxer,))]
    try:
        _encode(opened, graph, out, run)
    except FfmpegError as error:
        if error.code in {"disk_full", "timed_out", "stalled"}:
            raise
        raise refused("image_damaged") from error


def still_of_clip(clip: Path, frame: int, frame_rate: float, out: Path, *, run: Runner) -> None:
    """Writes frame number `frame` of one of our clips (of a constant rate) to `out`. Raises FfmpegError."""
    # half a frame early: the first picture from there on is the one that is meant, however times are rounded
    seek = max(0.0, (frame - 0.5) / frame_rate)
    box = f"'min(iw,if(gt(iw,ih),{LONG_SIDE},{SHORT_SIDE}))':'min(ih,if(gt(iw,ih),{SHORT_SIDE},{LONG_SIDE}))'"
    graph = f"scale={box}:force_original_aspect_ratio=decrease:force_divisible_by=2:flags=area,setsar=1,{_JPEG}"
    _encode(["-ss", f"{seek:.6f}", *input_args(clip)], graph, out, run)


def _encode(opened: Sequence[str], graph: str, out: Path, run: Runner) -> None:
    """One picture as JPEG, below MAX_COVER_BYTES."""
    for quality in _QUALITIES:
        args = [*opened, "-map", "0:v:0", "-frames:v", "1", "-vf", graph, "-c:v", "mjpeg", "-q:v", quality]
        result = run([*args, *_OUTPUT, file_url(out)])
        size = out.stat().st_size
        if not size:  # ffmpeg calls it a success when nothing was decoded
            raise FfmpegError("invalid_media", result.stderr, result.usage)
        if size <= MAX_COVER_BYTES:
            return
    raise FfmpegError("too_large", result.stderr, result.usage)
