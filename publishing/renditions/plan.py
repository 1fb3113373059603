"""What has to be done to a file so that it keeps a network's rules. Numbers only: no files, no ffmpeg."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from publishing.rules.kinds import shown
from publishing.rules.media_facts import Media
from publishing.rules.media_rules import check_media
from publishing.rules.rulebook import Finding, Level, Rule

# What the encoder makes; a network that wants something else cannot be served.
_MADE = {
    "video_codecs": "h264",
    "pix_fmts": "yuv420p",
    "audio_codecs": "aac",
    "containers": "mp4",
    "upload_containers": "mp4",
}
_CANVAS = (1080, 1920)  # for pictures that would have to grow beyond all measure
_FULL_HD = 1920
_MAX_BITRATE = 15_000_000
_MIN_BITRATE = 40_000  # of the picture; below that nothing can be made out
_MIN_BITS_PER_PIXEL = 0.03
_SMALLEST_SIDE = 240  # when the picture shrinks for the size of the file
_OF_LIMIT = 0.93  # the index, the container and the encoder's inexactness take the rest
_SPARE_SECONDS = 0.05  # AAC packets may end a little later than the picture
SOUND_RATES = {"standard": 192_000, "draft": 128_000}  # by quality, as the renderer encodes
_PICTURE = {"min_width", "max_width", "min_height", "max_height", "min_side", "max_side", "aspect_min", "aspect_max"}
_ENCODE = _PICTURE | {"video_codecs", "pix_fmts", "min_fps", "max_fps", "max_video_bitrate"}
_LENGTH = {"min_seconds", "max_seconds"}
_SIZE = {"max_bytes", "upload_max_bytes"}
_SOUND = {"audio_codecs", "max_audio_rate", "min_audio_rate", "audio_channels", "min_lufs", "max_lufs", "max_peak"}


class NotFixableError(Exception):
    """No file can be made of this clip that keeps the rules. `message` is for people."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


@dataclass(frozen=True)
class Plan:
    """`frames` at `fps`; the picture scaled to `inner` on a black ground of `canvas` (pixels); `max_bitrate` of the
    picture in bits per second; `max_bytes`: of the file; `sound_quality`: key of SOUND_RATES; `lufs`, `peak`: of the
    sound. What is copied is not encoded again. `changes`: in words."""

    frames: int
    fps: Fraction
    canvas: tuple[int, int]
    inner: tuple[int, int]
    max_bitrate: int
    max_bytes: int | None
    sound_quality: str
    lufs: float
    peak: float
    copies_picture: bool
    copies_sound: bool
    is_cut: bool
    changes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        return float(self.frames / self.fps)


def to_mend(network: str, rules: Mapping[str, Rule], media: Media) -> list[Finding]:
    """What a rendition is to mend; empty when it would change nothing. Raises NotFixableError for what none can."""
    found = check_media(network, rules, media)
    hopeless = [finding for finding in found if finding.level is Level.FAIL and not finding.can_fix]
    if hopeless:
        raise NotFixableError(" ".join(finding.message for finding in hopeless))
    return [finding for finding in found if finding.can_fix]


def plan(rules: Mapping[str, Rule], media: Media, broken: Sequence[Finding]) -> Plan:
    """How to mend `broken` (see `to_mend`) of a file whose facts are all known. Raises NotFixableError."""
    for name, made in _MADE.items():
        if name in rules and not rules[name].is_advice and made not in rules[name].value:
            wanted = shown(name, rules[name].value)
            raise NotFixableError(f"The network takes {wanted} only; EditAI makes {made}.")
    return _Planner(rules, media, {finding.rule for finding in broken}).plan()


class _Planner:
    def __init__(self, rules: Mapping[str, Rule], media: Media, broken: set[str]) -> None:
        if not (media.seconds and media.width and media.height and media.fps):
            raise NotFixableError("The clip's file does not say how long and how large it is.")
        self.rules, self.media, self.broken = rules, media, broken
        self.changes: list[str] = []
        self.seconds, self.width, self.height, self.rate = media.seconds, media.width, media.height, media.fps

    def plan(self) -> Plan:
        fps = self._fps()
        frames = self._frames(fps)
        seconds = float(frames / fps)
        canvas, inner = self._shape()
        quality, bitrate = self._bitrate(seconds)
        if self.broken & _SIZE:
            canvas, inner = self._shrunk(canvas, inner, bitrate, float(fps))
            self.changes.append(f"encoded again to stay below {shown('max_bytes', self._max_bytes())}")
        elif "max_video_bitrate" in self.broken:
            self.changes.append(f"encoded again with at most {bitrate // 1000} kbit/s")
        self._say_encoding()
        is_length_changed = bool(self.broken & _LENGTH)
        lufs, peak = self._loudness()
        return Plan(
            frames=frames,
            fps=fps,
            canvas=canvas,
            inner=inner,
            max_bitrate=bitrate,
            max_bytes=self._max_bytes(),
            sound_quality=quality,
            lufs=lufs,
            peak=peak,
            copies_picture=not (self.broken & (_ENCODE | _SIZE) or is_length_changed),
            copies_sound=not (self.broken & (_SOUND | _SIZE) or is_length_changed),
            is_cut="max_seconds" in self.broken,
            changes=tuple(self.changes),
        )

    def _limit(self, name: str, default: float) -> float:
        """A rule's value; that of a mere advice does not bind."""
        rule = self.rules.get(name)
        return default if rule is None or rule.is_advice else float(rule.value)

    def _fps(self) -> Fraction:
        rate = self.rate
        least = self.rules["min_fps"].value if "min_fps" in self.broken else 0.0
        most = self.rules["max_fps"].value if "max_fps" in self.broken else math.inf
        if rate < least:
            most = max(least, self._limit("max_fps", math.inf))
            rate = 30.0 if least <= 30 <= most else float(least)
        elif rate > most:
            rate = rate / 2 if self._limit("min_fps", 1) <= rate / 2 <= most else float(most)
        if rate != self.rate:
            self.changes.append(f"{shown('min_fps', rate)} frames a second instead of {shown('min_fps', self.rate)}")
        return Fraction(rate).limit_denominator(1001)

    def _frames(self, fps: Fraction) -> int:
        least, most = self._limit("min_seconds", 0), self._limit("max_seconds", math.inf)
        if least > most:
            raise NotFixableError(f"The rules contradict each other: at least {least} s, at most {most} s.")
        if "max_seconds" in self.broken:
            frames = max(1, math.floor((most - _SPARE_SECONDS) * fps))
            self.changes.append(f"cut to its first {shown('max_seconds', round(float(frames / fps), 2))} s")
        elif "min_seconds" in self.broken:
            frames = math.ceil(min(least + _SPARE_SECONDS, most) * fps)
            self.changes.append(
                f"its last picture is held until {shown('min_seconds', round(float(frames / fps), 2))} s"
            )
        else:
            frames = max(1, round(self.seconds * fps))
        return frames

    def _shape(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(canvas, picture on it), both even."""
        if not self.broken & _PICTURE:
            size = _even(self.width), _even(self.height)
            return size, size
        wide, high = self._ground(self.width, self.height)
        factor = self._factor(wide, high)
        if factor > 1 and max(wide, high) * factor > _FULL_HD:
            canvas = _CANVAS
            factor = min(canvas[0] / self.width, canvas[1] / self.height)
        else:
            canvas = _even(wide * factor), _even(high * factor)
        # what scaling could not reach, because another limit was in the way, the ground fills
        short = int(self._limit("min_side", 2))
        canvas = (
            max(canvas[0], _even(max(self._limit("min_width", 2), short))),
            max(canvas[1], _even(max(self._limit("min_height", 2), short))),
        )
        canvas = self._in_shape(canvas)
        inner = min(canvas[0], _even(self.width * factor)), min(canvas[1], _even(self.height * factor))
        self._say_shape(canvas, inner)
        return canvas, inner

    def _ground(self, width: float, height: float) -> tuple[float, float]:
        """The smallest frame around the picture whose shape is allowed."""
        aspect = width / height
        least, most = self._limit("aspect_min", 0), self._limit("aspect_max", math.inf)
        if aspect > most:
            return width, width / most
        return (height * least, height) if aspect < least else (width, height)

    def _in_shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """`size`, a little larger where rounding to even numbers has brought it out of the allowed shapes."""
        width, height = size
        width = max(width, _even_up(height * self._limit("aspect_min", 0)))
        return width, max(height, _even_up(width / self._limit("aspect_max", math.inf)))

    def _factor(self, width: float, height: float) -> float:
        grow = max(
            self._limit("min_width", 0) / width,
            self._limit("min_height", 0) / height,
            self._limit("min_side", 0) / min(width, height),
        )
        shrink = min(
            self._limit("max_width", math.inf) / width,
            self._limit("max_height", math.inf) / height,
            self._limit("max_side", math.inf) / max(width, height),
        )
        return min(max(1.0, grow), shrink)

    def _say_shape(self, canvas: tuple[int, int], inner: tuple[int, int]) -> None:
        if inner != (self.width, self.height):
            self.changes.append(f"scaled from {self.width}×{self.height} to {inner[0]}×{inner[1]}")
        if canvas != inner:
            self.changes.append(f"set on a black ground of {canvas[0]}×{canvas[1]}")

    def _max_bytes(self) -> int | None:
        limit = min(self._limit("max_bytes", math.inf), self._limit("upload_max_bytes", math.inf))
        return None if math.isinf(limit) else int(limit)

    def _bitrate(self, seconds: float) -> tuple[str, int]:
        """(quality of the sound, most bits per second of the picture)."""
        most = int(min(_MAX_BITRATE, self._limit("max_video_bitrate", math.inf) * _OF_LIMIT))
        limit = self._max_bytes()
        if limit is None:
            return "standard", most
        total = limit * 8 * _OF_LIMIT / seconds
        quality = "standard" if total > 8 * SOUND_RATES["standard"] else "draft"
        sound = SOUND_RATES[quality] if self.media.has_sound else 0
        left = int(total - sound)
        if left < _MIN_BITRATE:
            size = shown("max_bytes", limit)
            raise NotFixableError(f"{size} are too little for {seconds:.0f} s: make a shorter clip.")
        return quality, min(most, left)

    def _shrunk(
        self, canvas: tuple[int, int], inner: tuple[int, int], bitrate: int, fps: float
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Smaller pictures where the bits would not do for these, as far as the rules allow."""
        needed = canvas[0] * canvas[1] * fps * _MIN_BITS_PER_PIXEL
        if bitrate >= needed:
            return canvas, inner
        side = max(_SMALLEST_SIDE, self._limit("min_side", 0))
        factor = max(
            math.sqrt(bitrate / needed),
            side / min(canvas),
            self._limit("min_width", 0) / canvas[0],
            self._limit("min_height", 0) / canvas[1],
        )
        if factor >= 1:
            return canvas, inner
        small = self._in_shape((_even(canvas[0] * factor), _even(canvas[1] * factor)))
        self.changes.append(f"a smaller picture, {small[0]}×{small[1]}")
        return small, (min(small[0], _even(inner[0] * factor)), min(small[1], _even(inner[1] * factor)))

    def _loudness(self) -> tuple[float, float]:
        values = {name: self.rules[name].value for name in ("min_lufs", "max_lufs", "max_peak") if name in self.rules}
        least, most = values.get("min_lufs", -15), values.get("max_lufs", -13)
        return max(-40.0, min(-5.0, (least + most) / 2)), max(-12.0, float(values.get("max_peak", -1)))

    def _say_encoding(self) -> None:
        says = {
            "video_codecs": f"encoded as H.264 instead of {self.media.video_codec}",
            "pix_fmts": f"colours as yuv420p instead of {self.media.pix_fmt}",
            "audio_codecs": f"sound as AAC instead of {self.media.audio_codec}",
            "max_audio_rate": "sound with 48 kHz",
            "min_audio_rate": "sound with 48 kHz",
            "audio_channels": "sound in stereo",
            "faststart": "its index put at the front",
            "containers": "made an MP4",
            "upload_containers": "made an MP4",
        }
        self.changes += dict.fromkeys(text for name, text in says.items() if name in self.broken)
        if self.broken & {"min_lufs", "max_lufs", "max_peak"} and self.media.lufs is not None:
            self.changes.append(f"its loudness set, from {self.media.lufs:.1f} LUFS")


def _even_up(value: float) -> int:
    """The least even number that is not below."""
    return math.ceil(value / 2 - 1e-9) * 2


def _even(value: float) -> int:
    """The nearest even number, at least 2."""
    return max(2, round(value / 2) * 2)
