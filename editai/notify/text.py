"""Words of others, made fit for what carries them on."""

import re
from collections.abc import Mapping
from typing import Any

_ONE_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


def one_line(text: str) -> str:
    """`text` without line breaks and control characters: fit for a header."""
    return _ONE_LINE.sub(" ", text).strip()


def lines(text: str) -> str:
    """`text` without control characters other than line feeds and tabs."""
    return _LINES.sub(" ", text.replace("\r\n", "\n"))


def storable(value: Any) -> Any:
    """Plain JSON without characters that no database takes."""
    if isinstance(value, str):
        return lines(value)
    if isinstance(value, Mapping):
        return {one_line(str(name)): storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    return value
