"""Cursor paging by (field, id): a page is one index range, however far down it lies, and nothing is counted.

A cursor is not secret and not signed: it holds a position, and the query around it stays inside the profile. What
does not parse is refused.
"""

import base64
import binascii
import json
import math
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import F, Field, Q, QuerySet
from django.template import loader
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from profiles.api.errors import CHECK_FIELDS
from profiles.api.ordering import Ordering, ordering_of
from profiles.errors import Invalid

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200


@dataclass(frozen=True)
class Cursor:
    """The row beside which a page starts; `backwards` reads towards the front."""

    ordering: str
    value: str | None
    row_id: str
    backwards: bool

    def encode(self) -> str:
        raw = json.dumps([self.ordering, self.value, self.row_id, int(self.backwards)], separators=(",", ":"))
        return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """ValueError when `text` is no cursor of ours."""
        if len(text) > 600:
            raise ValueError("too long")
        try:
            parts = json.loads(base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        except (binascii.Error, UnicodeError, RecursionError) as error:
            raise ValueError("not a cursor") from error
        if not isinstance(parts, list) or len(parts) != 4:
            raise ValueError("not a cursor")
        ordering, value, row_id, backwards = parts
        if not (isinstance(ordering, str) and isinstance(row_id, str) and isinstance(value, str | None)):
            raise ValueError("not a cursor")
        return cls(ordering, value, row_id, backwards == 1)


class TimeCursorPagination(BasePagination):
    """Newest first by (created_at, id); a view may name other orderings (see `profiles.api.ordering`)."""

    display_page_controls = False  # until there is a page
    template = "browsable/pager.html"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.request = request
        self.ordering = ordering_of(request, view)
        size = page_size_of(request)
        cursor = self._cursor(request)
        field = _field(queryset, self.ordering.field)
        backwards = cursor is not None and cursor.backwards
        if cursor is not None:
            queryset = queryset.filter(_beyond(cursor, field, self.ordering, queryset))
        rows = list(queryset.order_by(*_order(self.ordering, field, backwards))[: size + 1])
        more, rows = len(rows) > size, rows[:size]
        if backwards:
            rows.reverse()
        self.has_next, self.has_previous = (True, more) if backwards else (more, cursor is not None)
        self.rows = rows
        self.display_page_controls = self.has_next or self.has_previous
        self.came_by = cursor
        return rows

    def _cursor(self, request: Request) -> Cursor | None:
        text = request.query_params.get("cursor")
        if not text:
            return None
        try:
            cursor = Cursor.decode(text)
        except ValueError:
            raise _bad_cursor() from None
        if cursor.ordering != str(self.ordering):
            raise _bad_cursor()
        return cursor

    def _link(self, *, backwards: bool) -> str | None:
        if not (self.has_previous if backwards else self.has_next):
            return None
        if self.rows:
            row = self.rows[0 if backwards else -1]
            value = getattr(row, self.ordering.field)
            text = None if value is None else _text(value)
            cursor = Cursor(str(self.ordering), text, str(row.pk), backwards)
        elif self.came_by is not None:  # an empty page leads back to where it was left
            came = self.came_by
            cursor = Cursor(came.ordering, came.value, came.row_id, backwards)
        else:
            return None
        return replace_query_param(self.request.build_absolute_uri(), "cursor", cursor.encode())

    def get_next_link(self) -> str | None:
        return self._link(backwards=False)

    def get_previous_link(self) -> str | None:
        return self._link(backwards=True)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.get_next_link(), "previous": self.get_previous_link(), "results": data})

    def get_results(self, data: Any) -> Any:
        return data["results"]

    def to_html(self) -> str:
        context = {"previous_url": self.get_previous_link(), "next_url": self.get_next_link()}
        return loader.get_template(self.template).render(context)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**link, "description": "Address of the next page; null on the last."},
                "previous": {**link, "description": "Address of the page before; null on the first."},
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "name": "cursor",
                "in": "query",
                "schema": {"type": "string"},
                "description": "A position, taken from `next` or `previous`.",
            },
            {
                "name": "page_size",
                "in": "query",
                "schema": {"type": "integer", "minimum": 1, "default": DEFAULT_PAGE_SIZE},
                "description": f"Rows on a page; more than {MAX_PAGE_SIZE} are not given.",
            },
        ]


def _bad_cursor() -> Invalid:
    return Invalid("This cursor is not one of ours.", code="invalid_cursor", fields={"cursor": ["Start again."]})


def page_size_of(request: Request) -> int:
    """Rows on a page as `?page_size=` asks, at most MAX_PAGE_SIZE; Invalid for what is no number from 1 on."""
    text = request.query_params.get("page_size", "")
    if not text:
        return DEFAULT_PAGE_SIZE
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise Invalid(CHECK_FIELDS, fields={"page_size": ["Enter a whole number from 1 on."]})
    return MAX_PAGE_SIZE if len(text) > 4 else min(int(text), MAX_PAGE_SIZE)


def _field(queryset: QuerySet[Any], name: str) -> "Field[Any, Any]":
    try:
        field: Any = queryset.model._meta.get_field(name)
    except FieldDoesNotExist:
        field = queryset.query.annotations[name].output_field
    return field


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _order(ordering: Ordering, field: "Field[Any, Any]", backwards: bool) -> list[Any]:
    """Rows without a value come last. A column that is never null is ordered plainly, which its index serves."""
    descending = ordering.descending != backwards
    tie = "-id" if descending else "id"
    if not field.null:
        return [f"-{ordering.field}" if descending else ordering.field, tie]
    column = F(ordering.field)
    nulls: dict[str, Any] = {"nulls_first": True} if backwards else {"nulls_last": True}
    return [column.desc(**nulls) if descending else column.asc(**nulls), tie]


def _beyond(cursor: Cursor, field: "Field[Any, Any]", ordering: Ordering, queryset: QuerySet[Any]) -> Q:
    """The rows after `cursor` in reading direction."""
    row_id = _parsed(queryset.model._meta.pk, cursor.row_id)
    name = ordering.field
    side = "lt" if ordering.descending != cursor.backwards else "gt"
    tie = Q(**{f"id__{side}": row_id})
    if cursor.value is None:
        if not field.null:
            raise _bad_cursor()
        missing = Q(**{f"{name}__isnull": True})
        return ~missing | (missing & tie) if cursor.backwards else missing & tie
    value = _parsed(field, cursor.value)
    # "at or beyond, and not this very value unless the id is": one range of the index (name, id)
    beyond = Q(**{f"{name}__{side}e": value}) & (Q(**{f"{name}__{side}": value}) | tie)
    if field.null and not cursor.backwards:
        return beyond | Q(**{f"{name}__isnull": True})
    return beyond


def _parsed(field: Any, text: str) -> Any:
    """`text` as a value that the column can hold."""
    if "\x00" in text or not text.isprintable():
        raise _bad_cursor()
    try:
        value = field.to_python(text)
        if isinstance(value, float) and not math.isfinite(value):
            raise _bad_cursor()
        field.run_validators(value)
    except (DjangoValidationError, ValueError, TypeError, OverflowError):
        raise _bad_cursor() from None
    if value is None:
        raise _bad_cursor()
    return value
