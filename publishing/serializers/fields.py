"""Fields that several bodies of publishing share."""

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from publishing.planning.captions import MAX_CAPTION
from publishing.rules.facts import NETWORKS

MAX_NETWORKS = 40

_TEXTAREA = {"base_template": "textarea.html"}


def text_field(**options: Any) -> serializers.CharField:
    """A text of several lines, kept as it was typed."""
    return serializers.CharField(
        max_length=MAX_CAPTION, allow_blank=True, trim_whitespace=False, style=_TEXTAREA, **options
    )


@extend_schema_field(OpenApiTypes.DATETIME)
class AwareDateTimeField(serializers.DateTimeField):
    """A moment: ISO 8601 with its offset. A time without one is refused, not guessed at."""

    default_error_messages = {
        "naive": "Name the offset as well, as in 2027-03-28T09:00:00+02:00: without it the moment is unknown.",
        "out_of_range": "This is no moment that can be meant.",
    }

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None or value.utcoffset() is None:
            self.fail("naive")
        try:
            return super().enforce_timezone(value)
        except (OverflowError, ValueError):  # year 1 or 9999, moved beyond the edge by its offset
            self.fail("out_of_range")


_ALIKE = 0.85  # from this likeness to a known network on, an unknown one is a typing error


class NetworkField(serializers.RegexField):
    """A network, as Postiz names it. One that we do not know is let through, unless it looks like a typing error."""

    default_error_messages = {"invalid": "This is no name of a network, as in instagram."}

    def __init__(self, **options: Any) -> None:
        super().__init__(r"^[a-z0-9][a-z0-9-]{0,59}$", **options)

    def to_internal_value(self, data: Any) -> str:
        name = str(super().to_internal_value(data))
        near = [] if name in NETWORKS else get_close_matches(name, sorted(NETWORKS), n=1, cutoff=_ALIKE)
        if near:
            raise serializers.ValidationError(f"There is no such network. Did you mean {near[0]}?")
        return name


class ByNetworkField(serializers.DictField):
    """By network, as Postiz names it."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping) and len(data) > MAX_NETWORKS:
            raise serializers.ValidationError(f"At most {MAX_NETWORKS} networks.")
        values: dict[str, Any] = super().to_internal_value(data)
        for name in values:
            try:
                NetworkField().run_validation(name)
            except serializers.ValidationError as error:
                raise serializers.ValidationError({name: error.detail}) from error
        return values
