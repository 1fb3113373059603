"""What a finished file is, measured on the file: what networks ask before they take it."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from jobs.ffmpeg import Usage
from segments.media_info import MediaInfo
from segments.probe import probe

Facts = dict[str, Any]

_CONTAINERS = {b"qt  ": "mov"}  # by the major brand of an ISO file; any other is MP4
_MOST_BOXES = 10_000  # looked at on one level


def facts_of(
    path: Path,
    *,
    should_stop: Callable[[], bool] | None = None,
    on_usage: Callable[[Usage], None] | None = None,
) -> Facts:
    """The facts of a local file, as JSON values (see `describe`). Raises MediaError for what is no video, Stopped."""
    return describe(path, probe(path, should_stop=should_stop, on_usage=on_usage))


def describe(path: Path, info: MediaInfo) -> Facts:
    """The facts of a probed file.

    `container` (mp4, mov, matroska, …), `size` in bytes, `duration_seconds` of the picture, `bit_rate` of the whole
    in bits per second. `faststart`: the index lies before the media; `edit_list`: a track has one (both None where the
    container knows no such thing). `video`: `codec`, `profile`, `pix_fmt`, `width` and `height` as shown, upright and
    in square pixels, `rotation` in degrees clockwise, `frame_rate`, `is_cfr`, `is_interlaced`, `bit_rate` (None: the
    file does not say), `keyframe_seconds`: the longest way from one keyframe to the next. `audio`: None or `codec`,
    `sample_rate` in hertz, `channels`.
    """
    video, audio = info.video, info.audio
    is_iso = info.container == "mov"
    return {
        "container": _container(path) if is_iso else info.container,
        "size": info.size,
        "duration_seconds": round(info.duration_seconds, 6),
        "bit_rate": round(info.size * 8 / info.duration_seconds),
        "faststart": index_comes_first(path) if is_iso else None,
        "edit_list": has_edit_list(path) if is_iso else None,
        "video": {
            "codec": video.codec,
            "profile": video.profile,
            "pix_fmt": video.pix_fmt,
            "width": video.display_width,
            "height": video.display_height,
            "rotation": video.rotation,
            "frame_rate": round(float(video.avg_frame_rate), 6),
            "is_cfr": not video.is_vfr,
            "is_interlaced": video.is_interlaced,
            "bit_rate": video.bit_rate or None,
            "keyframe_seconds": _keyframe_seconds(info),
        },
        "audio": audio and {"codec": audio.codec, "sample_rate": audio.sample_rate, "channels": audio.channels},
    }


def index_comes_first(path: Path) -> bool:
    """Whether an MP4's index (moov) lies before its media (mdat): playback starts before all is loaded."""
    with path.open("rb") as file:
        kinds = (kind for kind, _, _ in _boxes(file, 0, path.stat().st_size))
        return next((kind for kind in kinds if kind in (b"moov", b"mdat")), None) == b"moov"


def has_edit_list(path: Path) -> bool:
    """Whether a track of an MP4 has an edit list: the player is told to shift or to leave out part of it."""
    with path.open("rb") as file:
        whole = (0, path.stat().st_size)
        tracks = [track for index in _inside(file, whole, b"moov") for track in _inside(file, index, b"trak")]
        edits = [edit for track in tracks for edit in _inside(file, track, b"edts")]
        return any(list(_inside(file, edit, b"elst")) for edit in edits)


def _container(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    return _CONTAINERS.get(head[8:12] if head[4:8] == b"ftyp" else b"qt  ", "mp4")


def _keyframe_seconds(info: MediaInfo) -> float:
    times = info.frames.boundaries
    keys = np.append(times[:-1][info.frames.keyframes], times[-1])
    return round(float(np.diff(keys, prepend=times[0]).max()), 6)


def _inside(file: IO[bytes], span: tuple[int, int], wanted: bytes) -> Iterator[tuple[int, int]]:
    """Where the contents of the boxes `wanted` directly inside `span` begin and end."""
    return ((start, end) for kind, start, end in _boxes(file, *span) if kind == wanted)


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, begin and end of its content) of the boxes between two offsets, in order."""
    return islice(_all_boxes(file, start, end), _MOST_BOXES)


def _all_boxes(file: IO[bytes], position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while position + 8 <= end:
        file.seek(position)
        header = file.read(16)
        length, kind, head = int.from_bytes(header[:4], "big"), header[4:8], 8
        if length == 1:
            length, head = int.from_bytes(header[8:16], "big"), 16
        if length == 0:  # up to the end of the file
            length = end - position
        if length < head:
            return
        yield kind, position + head, min(end, position + length)
        position += length
