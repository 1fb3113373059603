"""The ledger as a table for spreadsheets: text that a spreadsheet would take for a formula is led by an apostrophe."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from costs.models import LedgerEntry
from costs.money import MICROS
from profiles import scope

COLUMNS = (
    *("occurred_at", "day", "kind", "amount", "currency", "provider", "model", "operation", "job_id", "project_id"),
    *("usage", "is_unpriced", "is_estimated", "call", "note", "id"),
)
MOST_ENTRIES = 200_000
_AT_ONCE = 2_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_UNSEEN = " \N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}\N{WORD JOINER}\ufeff"


def newest_first(entries: "QuerySet[LedgerEntry]") -> Iterator[LedgerEntry]:
    """The entries, some at a time, each time in the scope that is active now: an answer is sent when it is left."""
    active = scope.require()
    assert active.profile_id is not None
    return _pages(entries.order_by("-occurred_at", "-id"), active.profile_id)


def _pages(entries: "QuerySet[LedgerEntry]", profile_id: UUID) -> Iterator[LedgerEntry]:
    rest = entries
    for _ in range(MOST_ENTRIES // _AT_ONCE):
        with scope.activate(profile_id):
            page = list(rest[:_AT_ONCE])
        yield from page
        if len(page) < _AT_ONCE:
            return
        last = page[-1]
        rest = entries.filter(Q(occurred_at__lt=last.occurred_at) | Q(occurred_at=last.occurred_at, id__lt=last.pk))


def wants_table(request: Request | HttpRequest) -> bool:
    """Whether the caller asked for the table: by `format=csv`, or by `Accept: text/csv`."""
    return request.GET.get("format") == "csv" or "text/csv" in request.headers.get("Accept", "")


class JsonOrTable(DefaultContentNegotiation):
    """A view's own renderers, and for who wants the table JSON: errors are told in their one shape there, too."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        if not wants_table(request):
            return super().select_renderer(request, renderers, format_suffix)
        plain = next(renderer for renderer in renderers if renderer.format == "json")
        return plain, plain.media_type


class _Echo:
    """Gives every line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


def lines(entries: Iterable[LedgerEntry]) -> Iterator[str]:
    """The table, line by line, with a mark that tells Excel the encoding. Amounts are in the currency, with all their
    digits, and empty where nothing had a price."""
    table = csv.writer(_Echo(), lineterminator="\r\n")
    yield "\ufeff" + table.writerow(COLUMNS)
    count = 0
    for entry in entries:
        count += 1
        yield table.writerow(_row(entry))
    if count == MOST_ENTRIES:
        yield table.writerow([f"There are more: this table ends after {MOST_ENTRIES:,} entries. Narrow it down."])


def _row(entry: LedgerEntry) -> list[Any]:
    amount = "" if entry.is_unpriced and not entry.amount_micros else _decimal(entry.amount_micros)
    usage = ", ".join(f"{meter} {quantity}" for meter, quantity in sorted(entry.usage.items()))
    return [
        entry.occurred_at.isoformat(),
        entry.day.isoformat(),
        entry.kind,
        amount,
        entry.currency,
        *map(safe, (entry.provider, entry.model, entry.operation)),
        entry.job_id or "",
        entry.project_id or "",
        safe(usage),
        entry.is_unpriced,
        entry.is_estimated,
        entry.attempt_id,
        safe(entry.note),
        entry.pk,
    ]


def _decimal(amount_micros: int) -> str:
    sign, amount = "-" if amount_micros < 0 else "", abs(amount_micros)
    return f"{sign}{amount // MICROS}.{amount % MICROS:06d}"


def safe(text: str) -> str:
    """Text in a cell that no spreadsheet calculates."""
    return f"'{text}" if is_formula(text) else text


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may take the text for a formula."""
    return text.lstrip(_UNSEEN).startswith(_FORMULA)
