"""The rules about a file. No database: facts and rules in, findings out."""

from collections.abc import Callable, Mapping
from typing import Any

from publishing.rules.kinds import KINDS, Kind, ratio_of, shown
from publishing.rules.media_facts import Media
from publishing.rules.rulebook import Finding, Rule, judged

# What is measured is rounded, and so are limits such as 1:2.4.
_TOLERANCE = {"seconds": 0.005, "width by height": 0.005, "frames a second": 0.01, "LUFS": 0.05}
_SHAPE_TOLERANCE = 0.02
_UNITS = {
    "seconds": " s",
    "pixels": " px",
    "frames a second": " fps",
    "bits a second": " bit/s",
    "hertz": " Hz",
    "LUFS": " LUFS",
    "dBTP": " dBTP",
}
# Advice that a new encode follows without taking anything away from the clip.
_HARMLESS = {"faststart", "min_lufs", "max_lufs", "max_peak", "min_fps", "max_fps", "min_audio_rate", "audio_channels"}

_VALUES: dict[str, Callable[[Media], Any]] = {
    "min_seconds": lambda media: media.seconds,
    "max_seconds": lambda media: media.seconds,
    "story_max_seconds": lambda media: media.seconds,
    "advised_max_seconds": lambda media: media.seconds,
    "max_bytes": lambda media: media.size,
    "upload_max_bytes": lambda media: media.size,
    "min_width": lambda media: media.width,
    "max_width": lambda media: media.width,
    "min_height": lambda media: media.height,
    "max_height": lambda media: media.height,
    "min_side": lambda media: media.sides and media.sides[0],
    "max_side": lambda media: media.sides and media.sides[1],
    "aspect_min": lambda media: media.aspect,
    "aspect_max": lambda media: media.aspect,
    "aspects": lambda media: media.aspect,
    "containers": lambda media: media.container,
    "upload_containers": lambda media: media.container,
    "video_codecs": lambda media: media.video_codec,
    "pix_fmts": lambda media: media.pix_fmt,
    "min_fps": lambda media: media.fps,
    "max_fps": lambda media: media.fps,
    "max_video_bitrate": lambda media: media.video_bitrate,
    "audio_codecs": lambda media: media.audio_codec,
    "max_audio_rate": lambda media: media.audio_rate,
    "min_audio_rate": lambda media: media.audio_rate,
    "audio_channels": lambda media: media.audio_channels,
    "faststart": lambda media: media.faststart,
    "min_lufs": lambda media: media.lufs,
    "max_lufs": lambda media: media.lufs,
    "max_peak": lambda media: media.true_peak,
}
_OF_SOUND = {"audio_codecs", "max_audio_rate", "min_audio_rate", "audio_channels"}
_OF_LOUDNESS = {"min_lufs", "max_lufs", "max_peak"}


def check_media(network: str, rules: Mapping[str, Rule], media: Media, *, is_story: bool = False) -> list[Finding]:
    """What the rules about files say of this one; `is_story`: it is to be posted as a story."""
    found = []
    for name, value_of in _VALUES.items():
        rule = rules.get(name)
        if rule is None or not _applies(name, media, is_story):
            continue
        value = value_of(media)
        holds = None if value is None else _holds(KINDS[name], rule.value, value)
        found.append(_finding(network, rule, holds, value))
    return found


def _applies(name: str, media: Media, is_story: bool) -> bool:
    if name == "story_max_seconds":
        return is_story
    if media.has_sound is False and name in _OF_SOUND | _OF_LOUDNESS:
        return False
    return not (name in _OF_LOUDNESS and media.is_measured and media.lufs is None)  # silence has no loudness


def _holds(kind: Kind, limit: Any, value: Any) -> bool:
    if kind.name == "aspects":
        return any(abs(value / (ratio_of(shape) or 1) - 1) <= _SHAPE_TOLERANCE for shape in limit)
    if isinstance(limit, list):
        return value in limit
    if isinstance(limit, bool):
        return value or not limit
    if kind.name == "audio_channels":
        return bool(value == limit)
    tolerance = _TOLERANCE.get(kind.unit, 0)
    is_least = "min" in kind.name.split("_")
    return bool(value >= limit - tolerance if is_least else value <= limit + tolerance)


def _finding(network: str, rule: Rule, holds: bool | None, value: Any) -> Finding:
    kind = KINDS[rule.rule]
    message = kind.sentence.format(value=shown(rule.rule, rule.value))
    if holds is None:
        message = f"{message} Of this clip that is not known: render it again to have it measured."
    elif not holds:
        message = f"{message} This one: {shown(rule.rule, value)}{_UNITS.get(kind.unit, '')}."
    can_fix = holds is False and kind.can_fix and (not rule.is_advice or rule.rule in _HARMLESS)
    return judged(network, rule, holds=holds, message=message, value=value, can_fix=can_fix)
