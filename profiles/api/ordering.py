"""`?ordering=`: from a view's allow-list only.

ordering = "-created_at"                          # the default; "id" always breaks ties, in the same direction
ordering_fields = ("created_at", "name")          # what callers may ask for
"""

from dataclasses import dataclass
from typing import Any

from rest_framework.request import Request

from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Invalid

DEFAULT = "-created_at"


@dataclass(frozen=True)
class Ordering:
    field: str
    descending: bool

    def __str__(self) -> str:
        return f"-{self.field}" if self.descending else self.field


def allowed_orderings(view: Any) -> list[str]:
    """Every value that `?ordering=` takes on `view`, the default first."""
    default = getattr(view, "ordering", None) or DEFAULT
    names = dict.fromkeys([default.removeprefix("-"), *(getattr(view, "ordering_fields", None) or ())])
    both = [value for name in names for value in (name, f"-{name}")]
    return list(dict.fromkeys([default, *both]))


def ordering_of(request: Request, view: Any) -> Ordering:
    """What the caller asked for, else the view's default; Invalid for anything outside the allow-list."""
    allowed = allowed_orderings(view)
    wanted = request.query_params.get("ordering") or allowed[0]
    if wanted not in allowed:
        raise Invalid(
            CHECK_FIELDS,
            fields={"ordering": [f"Choose one of {', '.join(allowed)}."]},
        )
    return Ordering(wanted.removeprefix("-"), wanted.startswith("-"))
