"""JSON bodies, read with suspicion: small, shallow, finite, and text that PostgreSQL can store."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any, NoReturn

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from profiles.errors import TooLarge

MAX_DEPTH = 32
MAX_VALUES = 20_000  # numbers, texts, lists and objects of one body together
MAX_INTEGER = 2**63 - 1


class StrictJSONParser(JSONParser):
    """At most MAX_JSON_BYTES (413), MAX_DEPTH levels, MAX_VALUES values; no NaN, NUL or lone surrogate (400)."""

    max_values = MAX_VALUES

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        limit: int = settings.MAX_JSON_BYTES
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise TooLarge(f"A JSON body may have {limit} bytes.")
        try:
            value = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
        except UnicodeDecodeError:
            raise ParseError("The JSON body is not UTF-8.") from None
        except RecursionError:
            raise ParseError(f"The JSON body is nested deeper than {MAX_DEPTH} levels.") from None
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            raise ParseError(f"The JSON body cannot be read: {error.msg} at {where}.") from None
        except ValueError:  # a number of thousands of digits
            raise ParseError("The JSON body has a number that is too long.") from None
        check_value(value, max_values=self.max_values)
        return value


def check_value(value: Any, *, max_values: int = MAX_VALUES) -> None:
    """ParseError unless the parsed JSON `value` is shallow, small, finite and storable. No recursion: the depth is
    the caller's choice."""
    level = [value]
    seen = depth = 0
    while level:
        seen += len(level)
        if seen > max_values:
            raise ParseError(f"The JSON body has more than {max_values} values.")
        following: list[Any] = []
        for item in level:
            if isinstance(item, str):
                check_text(item)
            elif isinstance(item, dict):
                for key in item:
                    check_text(key)
                following.extend(item.values())
            elif isinstance(item, list):
                following.extend(item)
            elif isinstance(item, int | float) and not _is_storable_number(item):
                raise ParseError("The JSON body has a number that is too large.")
        if any(isinstance(item, dict | list) for item in level):
            depth += 1
            if depth > MAX_DEPTH:
                raise ParseError(f"The JSON body is nested deeper than {MAX_DEPTH} levels.")
        level = following


def _is_storable_number(number: int | float) -> bool:
    return math.isfinite(number) if isinstance(number, float) else abs(number) <= MAX_INTEGER


def check_text(text: str) -> None:
    """ParseError for NUL and for halves of surrogate pairs, which PostgreSQL cannot store."""
    if "\x00" in text:
        raise ParseError("Text may not contain NUL characters.")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ParseError("Text may not contain lone surrogates.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ParseError(f"{name} is no JSON number.")
