"""What a clip is made of: the recipe. Plain values, no database, no ffmpeg.

A recipe says everything that shapes the output and nothing else, so its digest tells whether two renders
would give the same clip. Where the sources lie on disk is no part of it.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

from segments.media_info import AudioStream, MediaInfo, VideoStream

# Part of every digest. Raise it when the same recipe would come out different, so that stored clips made by
# the older renderer are not taken for the newer one's.
RENDERER_VERSION = 1

SAMPLE_RATE = 48_000
MAX_ZOOM = 10.0
MAX_VOLUME = 4.0
_MAX_RATE = 120
_SIDES = range(16, 4321)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
# Values that differ by less are the same recipe: half a pixel of the largest frame, 0.0001 of a volume.
_DECIMALS = 4


class SpecError(ValueError):
    """A recipe that cannot be rendered. `field` names the value at fault."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(f"{field}: {message}")


class Fit(StrEnum):
    """How a source picture meets the output frame."""

    FILL = "fill"  # crop to the output's shape
    FIT_BLUR = "fit_blur"  # whole picture before a blurred, darkened copy of itself
    PAD = "pad"  # whole picture on a plain colour


class Quality(StrEnum):
    DRAFT = "draft"  # half the width and height, fastest encoder
    STANDARD = "standard"
    BEST = "best"


def _within(field: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise SpecError(field, f"expected a number from {low:g} to {high:g}")


@dataclass(frozen=True)
class Crop:
    """Which part of the picture is shown.

    `zoom` >= 1 makes the window smaller by that factor. `x`, `y` from 0 to 1 place the window in the room that
    is left: 0 is the left or upper edge, 1 the right or lower edge, 0.5 the centre; the same meaning as CSS
    `object-position` with `object-fit: cover`, so a preview needs no maths of its own.
    """

    x: float = 0.5
    y: float = 0.5
    zoom: float = 1.0

    def __post_init__(self) -> None:
        _within("crop.x", self.x, 0, 1)
        _within("crop.y", self.y, 0, 1)
        _within("crop.zoom", self.zoom, 1, MAX_ZOOM)


@dataclass(frozen=True)
class Framing:
    """How all entries meet the frame; `color` ("#rrggbb") is the ground of `Fit.PAD`."""

    fit: Fit = Fit.FILL
    color: str = "#000000"

    def __post_init__(self) -> None:
        object.__setattr__(self, "fit", Fit(self.fit))
        if not _COLOR.fullmatch(self.color):
            raise SpecError("framing.color", "expected a colour like #1a2b3c")


@dataclass(frozen=True)
class Preset:
    """The output: even `width` and `height` in pixels, `fps` frames per second, loudness and peak.

    `loudness_lufs` None leaves the sound as loud as it is; `peak_dbtp` is the highest true peak allowed in
    the encoded file.
    """

    width: int = 1080
    height: int = 1920
    fps: Fraction = Fraction(30)
    quality: Quality = Quality.STANDARD
    loudness_lufs: float | None = -14.0
    peak_dbtp: float = -1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "fps", Fraction(self.fps))
        object.__setattr__(self, "quality", Quality(self.quality))
        for name, side in (("width", self.width), ("height", self.height)):
            if side not in _SIDES or side % 2:
                raise SpecError(f"preset.{name}", "expected an even number of pixels from 16 to 4320")
        if not 1 <= self.fps <= _MAX_RATE:
            raise SpecError("preset.fps", f"expected 1 to {_MAX_RATE} frames per second")
        if self.loudness_lufs is not None:
            _within("preset.loudness_lufs", self.loudness_lufs, -40, -5)
        _within("preset.peak_dbtp", self.peak_dbtp, -12, 0)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) that is really encoded: half of it for drafts."""
        if self.quality is Quality.DRAFT:
            return max(16, self.width // 4 * 2), max(16, self.height // 4 * 2)
        return self.width, self.height


@dataclass(frozen=True)
class RenderInput:
    """One entry: the frames of a source from `start_pts` up to, not including, `end_pts`.

    Both are ticks of the video stream's time base on the frame grid (`FrameIndex.tick`). `sha256`: of the
    source's bytes, lower-case hex. `seek_pts`: tick of a keyframe not later than `start_pts`, for containers
    whose own seeking is not exact. `volume`: 1 is the source's own; `fade_in`, `fade_out`: seconds of sound.
    """

    path: Path
    sha256: str
    video: VideoStream
    audio: AudioStream | None
    start_pts: int
    end_pts: int
    seek_pts: int | None = None
    crop: Crop = field(default_factory=Crop)
    volume: float = 1.0
    mute: bool = False
    fade_in: float = 0.0
    fade_out: float = 0.0

    def __post_init__(self) -> None:
        if self.end_pts <= self.start_pts:
            raise SpecError("end_pts", "an entry needs at least one frame")
        if not _DIGEST.fullmatch(self.sha256):
            raise SpecError("sha256", "expected 64 lower-case hex digits")
        if self.seek_pts is not None and self.seek_pts > self.start_pts:
            raise SpecError("seek_pts", "must not be later than start_pts")
        _within("volume", self.volume, 0, MAX_VOLUME)
        _within("fade_in", self.fade_in, 0, 600)
        _within("fade_out", self.fade_out, 0, 600)

    @classmethod
    def of(cls, path: Path, sha256: str, media: MediaInfo, first: int, end: int, **options: Any) -> "RenderInput":
        """The frames `first` up to, not including, `end` of a probed source; `options`: crop, volume, …

        Raises IndexError for a frame that the source does not have, SpecError.
        """
        frames = media.frames
        return cls(
            path=path,
            sha256=sha256,
            video=media.video,
            audio=media.audio,
            start_pts=frames.tick(first),
            end_pts=frames.tick(end),
            seek_pts=frames.tick(frames.keyframe_at_or_before(first)),
            **options,
        )

    @property
    def start(self) -> Fraction:
        """Seconds on the stream's own clock, exact."""
        return self.start_pts * self.video.time_base

    @property
    def end(self) -> Fraction:
        return self.end_pts * self.video.time_base

    @property
    def duration(self) -> Fraction:
        return self.end - self.start

    @property
    def gain(self) -> float:
        """Factor on the source's sound; 0 when it is muted."""
        return 0.0 if self.mute else self.volume

    @property
    def is_audible(self) -> bool:
        return self.audio is not None and self.gain > 0

    def canonical(self) -> dict[str, Any]:
        """What of this entry shapes the output."""
        sound = self.audio is not None and self.gain > 0
        return {
            "source": self.sha256,
            "streams": [self.video.index, self.audio.index if self.audio and sound else None],
            "time_base": str(self.video.time_base),
            "pts": [self.start_pts, self.end_pts],
            "crop": [_rounded(self.crop.x), _rounded(self.crop.y), _rounded(self.crop.zoom)],
            "sound": [_rounded(self.gain), _rounded(self.fade_in), _rounded(self.fade_out)] if sound else None,
        }


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes one clip: entries in playing order, framing and output."""

    entries: Sequence[RenderInput]
    preset: Preset = field(default_factory=Preset)
    framing: Framing = field(default_factory=Framing)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))
        if not self.entries:
            raise SpecError("entries", "a clip needs at least one segment")

    @property
    def duration(self) -> Fraction:
        """Sum of the entries in seconds, exact."""
        return sum((entry.duration for entry in self.entries), Fraction(0))

    def canonical(self) -> dict[str, Any]:
        preset, framing = self.preset, self.framing
        return {
            "renderer": RENDERER_VERSION,
            "preset": {
                "size": list(preset.size),
                "fps": str(preset.fps),
                "quality": preset.quality.value,
                "loudness": None if preset.loudness_lufs is None else _rounded(preset.loudness_lufs),
                "peak": _rounded(preset.peak_dbtp),
            },
            "framing": [framing.fit.value, framing.color.lower() if framing.fit is Fit.PAD else None],
            "entries": [entry.canonical() for entry in self.entries],
        }


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 (64 hex digits) of the recipe's canonical form.

    Equal for recipes that give the same clip, wherever the sources are stored; different as soon as anything
    that shapes the output differs, the renderer's version included.
    """
    text = json.dumps(recipe.canonical(), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _rounded(value: float) -> float:
    """`value` on the grid of the digest; -0.0 and ints become the plain float."""
    return round(float(value), _DECIMALS) + 0.0
