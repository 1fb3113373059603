"""The kinds of rules there are: what each is about, its unit, and the shape of its value."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """`unit`: of the value; `sentence`: what the rule says, with `{value}` where the limit goes.

    `field`: the input field that is at fault when it is broken. `can_fix`: a rendition can mend it. `is_checked`:
    False for what is only told (how many posts a day, say).
    """

    name: str
    unit: str
    sentence: str
    accepts: Callable[[Any], bool]
    field: str = "clip_id"
    can_fix: bool = False
    is_checked: bool = True


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15


def _decibel(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -100 <= value <= 0


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**50


def _yes(value: Any) -> bool:
    return isinstance(value, bool)


def _words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) and word.strip() for word in value)


def _ratios(value: Any) -> bool:
    return _words(value) and all(ratio_of(word) is not None for word in value)


def _margins(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(_count(side) and side <= 4320 for side in value)


def _span(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_count, value)) and value[0] <= value[1]


def ratio_of(text: str) -> float | None:
    """Width by height of "9:16"; None when it is no ratio."""
    width, colon, height = text.partition(":")
    if not (colon and width.isdigit() and height.isdigit() and int(width) and int(height)):
        return None
    return int(width) / int(height)


_CLIP: list[Kind] = [
    Kind("min_seconds", "seconds", "A video has at least {value} s.", _number, can_fix=True),
    Kind("max_seconds", "seconds", "A video has at most {value} s.", _number, can_fix=True),
    Kind("story_max_seconds", "seconds", "A story has at most {value} s.", _number),
    Kind("advised_max_seconds", "seconds", "A video should have at most {value} s.", _number),
    Kind("max_bytes", "bytes", "A file has at most {value}.", _count, can_fix=True),
    Kind("upload_max_bytes", "bytes", "Postiz takes files of at most {value}.", _count, can_fix=True),
    Kind("min_width", "pixels", "The picture is at least {value} pixels wide.", _count, can_fix=True),
    Kind("max_width", "pixels", "The picture is at most {value} pixels wide.", _count, can_fix=True),
    Kind("min_height", "pixels", "The picture is at least {value} pixels high.", _count, can_fix=True),
    Kind("max_height", "pixels", "The picture is at most {value} pixels high.", _count, can_fix=True),
    Kind("min_side", "pixels", "Each side of the picture has at least {value} pixels.", _count, can_fix=True),
    Kind("max_side", "pixels", "Each side of the picture has at most {value} pixels.", _count, can_fix=True),
    Kind("aspect_min", "width by height", "Width by height is at least {value}.", _number, can_fix=True),
    Kind("aspect_max", "width by height", "Width by height is at most {value}.", _number, can_fix=True),
    Kind("aspects", "width:height", "The picture has one of the shapes {value}.", _ratios),
    Kind("containers", "names", "The file is of the kind {value}.", _words, can_fix=True),
    Kind("upload_containers", "names", "Postiz takes files of the kind {value}.", _words, can_fix=True),
    Kind("video_codecs", "names", "The picture is encoded as {value}.", _words, can_fix=True),
    Kind("pix_fmts", "names", "The colours are stored as {value}.", _words, can_fix=True),
    Kind("min_fps", "frames a second", "At least {value} frames a second.", _number, can_fix=True),
    Kind("max_fps", "frames a second", "At most {value} frames a second.", _number, can_fix=True),
    Kind("max_video_bitrate", "bits a second", "The picture has at most {value} bits a second.", _count, can_fix=True),
    Kind("audio_codecs", "names", "The sound is encoded as {value}.", _words, can_fix=True),
    Kind("max_audio_rate", "hertz", "The sound has at most {value} Hz.", _count, can_fix=True),
    Kind("min_audio_rate", "hertz", "The sound has at least {value} Hz.", _count, can_fix=True),
    Kind("audio_channels", "channels", "The sound has {value} channels.", _count, can_fix=True),
    Kind("faststart", "yes or no", "The file's index lies at its front.", _yes, can_fix=True),
    Kind("min_lufs", "LUFS", "The sound should be at least {value} LUFS loud.", _decibel, can_fix=True),
    Kind("max_lufs", "LUFS", "The sound should be at most {value} LUFS loud.", _decibel, can_fix=True),
    Kind("max_peak", "dBTP", "The sound's peaks should stay below {value} dBTP.", _decibel, can_fix=True),
]
_WORDS: list[Kind] = [
    Kind(
        "caption_max",
        "characters, as the network counts",
        "A caption has at most {value} characters.",
        _count,
        "caption",
    ),
    Kind(
        "postiz_text_max", "characters, as Postiz counts", "Postiz lets {value} characters through.", _count, "caption"
    ),
    Kind("caption_required", "yes or no", "A caption is needed.", _yes, "caption"),
    Kind(
        "comment_max",
        "characters, as the network counts",
        "A comment has at most {value} characters.",
        _count,
        "first_comment",
    ),
    Kind("title_min", "characters", "A title has at least {value} characters.", _count, "settings.{network}.title"),
    Kind("title_max", "characters", "A title has at most {value} characters.", _count, "settings.{network}.title"),
    Kind("hashtags_max", "hashtags", "A caption has at most {value} hashtags.", _count, "caption"),
    Kind("mentions_max", "mentions", "A caption has at most {value} mentions.", _count, "caption"),
    Kind("cover_required", "yes or no", "A cover is needed.", _yes, "cover"),
]
_TOLD: list[Kind] = [
    Kind("daily_posts", "posts in 24 hours", "At most {value} posts a day.", _count, is_checked=False),
    Kind("posts_in_3_hours", "posts in 3 hours", "At most {value} posts in three hours.", _count, is_checked=False),
    Kind("pending_drafts", "drafts", "At most {value} drafts that wait to be finished.", _count, is_checked=False),
    Kind("tags_max", "characters", "The tags have at most {value} characters together.", _count, is_checked=False),
    Kind("suggested_bitrate", "bits a second", "{value} bits a second are suggested.", _span, is_checked=False),
    Kind("safe_zone", "pixels of 1080×1920: top, right, bottom, left", "Margins {value} may be covered.", _margins,
         is_checked=False),
]  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in [*_CLIP, *_WORDS, *_TOLD]}


def fault_of(rule: str, value: Any) -> str | None:
    """What is wrong with a value of this kind of rule, in words; None when nothing is."""
    kind = KINDS.get(rule)
    if kind is None:
        return f"There is no such rule. Known are: {', '.join(sorted(KINDS))}."
    if not kind.accepts(value):
        return f"This is no value for it: {kind.unit} are expected{_EXAMPLES.get(kind.accepts, '')}."
    return None


_EXAMPLES: dict[Callable[[Any], bool], str] = {
    _number: ", a number from 0 on",
    _decibel: ", a number from -100 to 0",
    _count: ", a whole number from 0 on",
    _yes: ": true or false",
    _words: ', a list as in ["mp4", "mov"]',
    _ratios: ', a list as in ["9:16", "1:1"]',
    _margins: ", four whole numbers in a list",
    _span: ", the least and the most in a list",
}


def shown(rule: str, value: Any) -> str:
    """A value of this rule for people to read."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if rule in {"max_bytes", "upload_max_bytes"}:
        return _bytes(value)
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    return f"{value:,}".replace(",", " ") if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def _bytes(value: float) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            return f"{value / size:.2f}".rstrip("0").rstrip(".") + f" {unit}"
    return f"{value} bytes"
