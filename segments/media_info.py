"""What is known about a source file: its streams and the times of its frames. Plain values, no database.

**Source time.** Second 0 of a source is its container's start time as ffmpeg takes it for an input `-ss` (the
earliest start of its streams): `ffmpeg -ss T` on the file shows the frame that is on screen at source time T.
The first picture may come later than 0 (sound that starts first). Every time in this project that belongs to
a source counts in it; `FrameIndex` turns it into stream ticks and back.
"""

import struct
import zlib
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_MAGIC = b"EAFI"
_HEADER = struct.Struct("<4sHxxqqqqI")  # magic, version, time base (num, den), zero_pts, end_pts, frames
_VERSION = 1
_MAX_FRAMES = 10_000_000


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """Presentation times of all frames of a video stream, in the order they are shown.

    `pts`: strictly rising int64 ticks of `time_base`; `keyframes`: bool of the same length; `zero_pts`: the
    tick of source time 0; `end_pts`: the tick where the last frame ends.
    """

    pts: NDArray[np.int64]
    keyframes: NDArray[np.bool_]
    time_base: Fraction
    zero_pts: int
    end_pts: int

    def __post_init__(self) -> None:
        if len(self.pts) == 0 or len(self.pts) != len(self.keyframes):
            raise ValueError("a frame index needs at least one frame and one keyframe flag per frame")
        if self.time_base <= 0:
            raise ValueError("a frame index needs a positive time base")
        if self.end_pts <= self.pts[-1] or bool(np.any(np.diff(self.pts) <= 0)):
            raise ValueError("frame times must rise")

    def __len__(self) -> int:
        return len(self.pts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameIndex) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def boundaries(self) -> NDArray[np.float64]:
        """Seconds of source time at which frames begin, and as the last entry the end: length n + 1."""
        ticks = np.append(self.pts, self.end_pts) - self.zero_pts
        return ticks * self.time_base.numerator / self.time_base.denominator

    @property
    def end_seconds(self) -> float:
        """Source time at which the last frame ends."""
        return self.time(len(self))

    def tick(self, index: int) -> int:
        """The tick at which frame `index` begins; `index == len(self)` gives the end."""
        if not 0 <= index <= len(self):
            raise IndexError(index)
        return int(self.pts[index]) if index < len(self) else self.end_pts

    def time(self, index: int) -> float:
        """Seconds of source time at which frame `index` begins; `index == len(self)` gives the end."""
        return float((self.tick(index) - self.zero_pts) * self.time_base)

    def snap(self, seconds: float) -> tuple[int, int]:
        """(index, pts) of the frame that begins nearest to `seconds` of source time; on a tie the earlier."""
        index = self._nearest(self.boundaries[:-1], seconds)
        return index, int(self.pts[index])

    def span(self, start: float, end: float) -> tuple[int, int]:
        """Frames of the half-open `[start, end)` in seconds of source time: (first, end_exclusive).

        Both borders go to the nearest frame border, so the times that come back (`time(first)`,
        `time(end_exclusive)`) give the same frames again. At least one frame. Raises ValueError when
        start < 0, end <= start, end lies beyond the last frame by more than half a frame, or start is not
        before the end of the source.
        """
        if not 0 <= start < end:
            raise ValueError("expected 0 <= start < end")
        last = self.boundaries[-1]
        if start >= last or end > last + (last - self.boundaries[-2]) / 2:
            raise ValueError("the span lies beyond the end of the source")
        first = self._nearest(self.boundaries[:-1], start)
        return first, max(first + 1, self._nearest(self.boundaries, end))

    def keyframe_at_or_before(self, index: int) -> int:
        """Index of the last keyframe that is shown not later than frame `index`; 0 if there is none."""
        before = np.flatnonzero(self.keyframes[: index + 1])
        return int(before[-1]) if len(before) else 0

    def to_bytes(self) -> bytes:
        """Compact form for the database: header, then deflated deltas and packed keyframe flags."""
        deltas = np.diff(self.pts, prepend=self.pts[:1])
        deltas[0] = self.pts[0]
        body = deltas.astype("<i8").tobytes() + np.packbits(self.keyframes).tobytes()
        base = self.time_base
        numbers = (base.numerator, base.denominator, self.zero_pts, self.end_pts, len(self))
        return _HEADER.pack(_MAGIC, _VERSION, *numbers) + zlib.compress(body, 6)

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """Read what `to_bytes` wrote. Raises ValueError for anything else."""
        if len(blob) < _HEADER.size:
            raise ValueError("not a frame index")
        magic, version, num, den, zero, end, count = _HEADER.unpack_from(blob)
        if magic != _MAGIC or version != _VERSION or num <= 0 or den <= 0 or not 0 < count <= _MAX_FRAMES:
            raise ValueError("not a frame index")
        size = 8 * count + (count + 7) // 8
        inflate = zlib.decompressobj()
        try:
            body = inflate.decompress(blob[_HEADER.size :], size + 1)
        except zlib.error as error:
            raise ValueError("damaged frame index") from error
        if len(body) != size or not inflate.eof:
            raise ValueError("damaged frame index")
        deltas = np.frombuffer(body, "<i8", count).astype(np.int64)
        flags = np.unpackbits(np.frombuffer(body, np.uint8, offset=8 * count), count=count).astype(np.bool_)
        return cls(np.cumsum(deltas), flags, Fraction(num, den), zero, end)

    @staticmethod
    def _nearest(times: NDArray[np.float64], seconds: float) -> int:
        right = int(np.searchsorted(times, seconds))
        if right == 0:
            return 0
        if right == len(times) or seconds - times[right - 1] <= times[right] - seconds:
            return right - 1
        return right


@dataclass(frozen=True)
class VideoStream:
    """One video stream. `index` is its absolute number in the file: map it as `0:<index>`, never as `0:v:0`.

    `width`, `height`: coded pixels; `sar`: width of a pixel by its height; `rotation`: degrees clockwise the
    picture is turned for display (ffmpeg's autorotate does it: do not rotate again); `display_width`,
    `display_height`: square pixels after rotation. `avg_frame_rate` in frames per second.
    """

    index: int
    codec: str
    profile: str
    pix_fmt: str
    width: int
    height: int
    sar: Fraction
    rotation: int
    display_width: int
    display_height: int
    avg_frame_rate: Fraction
    is_vfr: bool
    time_base: Fraction
    start_pts: int
    bit_rate: int
    color_space: str = "unknown"
    color_transfer: str = "unknown"
    color_primaries: str = "unknown"
    color_range: str = "unknown"
    is_interlaced: bool = False

    @property
    def is_hdr(self) -> bool:
        """PQ or HLG brightness: needs tone mapping for an ordinary screen."""
        return self.color_transfer in {"smpte2084", "arib-std-b67"}


@dataclass(frozen=True)
class AudioStream:
    """The audio stream that is used. `index` is its absolute number in the file, `sample_rate` in hertz."""

    index: int
    codec: str
    sample_rate: int
    channels: int
    layout: str


@dataclass(frozen=True)
class MediaInfo:
    """Result of probing. `duration_seconds`: source time at which the last frame ends; `size` in bytes."""

    container: str
    duration_seconds: float
    size: int
    video: VideoStream
    audio: AudioStream | None
    frames: FrameIndex

    def as_dict(self) -> dict[str, Any]:
        """All but the frame index, as JSON values; fractions become "num/den"."""
        plain = {
            "container": self.container,
            "duration_seconds": self.duration_seconds,
            "size": self.size,
            "video": asdict(self.video),
            "audio": asdict(self.audio) if self.audio else None,
        }
        for name in _FRACTIONS:
            value = plain["video"][name]  # type: ignore[index]
            plain["video"][name] = f"{value.numerator}/{value.denominator}"  # type: ignore[index]
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any], frames: FrameIndex) -> Self:
        """The opposite of `as_dict`, with the index that was stored beside it."""
        video = dict(plain["video"])
        for name in _FRACTIONS:
            video[name] = Fraction(video[name])
        audio = AudioStream(**plain["audio"]) if plain["audio"] else None
        return cls(
            container=plain["container"],
            duration_seconds=plain["duration_seconds"],
            size=plain["size"],
            video=VideoStream(**video),
            audio=audio,
            frames=frames,
        )


_FRACTIONS = ("sar", "avg_frame_rate", "time_base")
