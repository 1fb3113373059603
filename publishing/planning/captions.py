"""Captions with placeholders. Only what stands here is filled in; the rest of a text is left as it was typed.

{clip} {project} {brand} {date} {weekday} {number} {hashtags}; {{ and }} are braces.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from profiles.api.filters import did_you_mean

PLACEHOLDERS = {
    "clip": "The clip's name.",
    "project": "The name of its project.",
    "brand": "The profile's name.",
    "date": "The day of the post in the profile's time zone, as in 2027-03-28.",
    "weekday": "That day's name, in English.",
    "number": "The clip's place among those published together, from 1 on.",
    "hashtags": "The hashtags of the set; without this they follow the text on a line of their own.",
}
MAX_CAPTION = 20_000  # characters of a template; the networks' own limits are rules
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}\n]*)\}|[{}]")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class BadTemplate(ValueError):
    """The text cannot be filled in; its message is for people."""


@dataclass(frozen=True)
class Words:
    """What a template is filled in with. Aware `when`; hashtags without their #."""

    clip: str
    project: str
    brand: str
    when: datetime
    zone: ZoneInfo
    number: int = 1
    hashtags: tuple[str, ...] = ()

    def values(self) -> dict[str, str]:
        local = self.when.astimezone(self.zone)
        return {
            "clip": self.clip,
            "project": self.project,
            "brand": self.brand,
            "date": local.date().isoformat(),
            "weekday": _WEEKDAYS[local.weekday()],
            "number": str(self.number),
            "hashtags": tagged(self.hashtags),
        }


def tagged(tags: Iterable[str]) -> str:
    return " ".join(f"#{tag}" for tag in tags)


def placeholders_in(text: str) -> set[str]:
    """The placeholders of a template. BadTemplate names the one that is unknown, or the brace that is alone."""
    found = set()
    for match in _TOKEN.finditer(text):
        name = match.group(1)
        if match.group() in {"{", "}"}:
            raise BadTemplate("A single brace: write {{ or }} for a brace, or {clip} for a placeholder.")
        if name is None:
            continue
        if name not in PLACEHOLDERS:
            raise BadTemplate(did_you_mean(name, PLACEHOLDERS, prefix=f"{{{name[:50]}}} is no placeholder"))
        found.add(name)
    return found


def fill(text: str, words: Words) -> str:
    """The template with its placeholders filled in; hashtags that it does not place follow on a line of their own.
    What is filled in is not looked at again. Raises BadTemplate."""
    names = placeholders_in(text)
    filled = _replace(text, words.values())
    if words.hashtags and "hashtags" not in names:
        filled = f"{filled}\n\n{tagged(words.hashtags)}" if filled else tagged(words.hashtags)
    return filled


def escape(text: str) -> str:
    """The template that gives `text` as it stands there."""
    return text.replace("{", "{{").replace("}", "}}")


def _replace(text: str, values: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        return match.group()[0] if match.group(1) is None else values[match.group(1)]

    return _TOKEN.sub(one, text)
