"""Prices as a table in a file: reading one, saying what it would change, and changing it.

The columns are those of `prices.csv`, the book that EditAI comes with. A cell `meter` may name several, parted by
blanks; times are ISO 8601 (UTC without an offset); an empty `valid_from` means from now on.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from costs.csv_export import is_formula, safe
from costs.guards import PRICE_KEY
from costs.models import Meter, Price, PriceRule
from costs.money import CURRENCY
from costs.prices.pricebook import has_rate
from profiles.errors import Invalid

SEED = Path(__file__).with_name("prices.csv")
COLUMNS = (
    *("provider", "model", "match", "meter", "unit_price", "per_quantity", "currency", "tier_min", "service_tier"),
    *("valid_from", "valid_to", "source", "source_date", "certainty", "note"),
)
NEEDED = ("provider", "model", "meter", "unit_price", "source", "source_date")
DEFAULTS = {"match": "exact", "per_quantity": "1", "currency": "USD", "tier_min": "0", "service_tier": "standard"}
MAX_BYTES = 2**20
MAX_ROWS = 5_000
MOST_ERRORS = 20  # that are shown
JUST_NOW = timedelta(minutes=1)  # ago is no past


@dataclass
class Change:
    """What one price of a file would do. `what`: new, replaces, unchanged, refused. `replaced` end when it begins."""

    what: str
    price: PriceRule
    replaced: Sequence[PriceRule] = ()
    why: str = ""


def read(text: str, *, now: datetime | None = None) -> list[PriceRule]:
    """The prices of a table, not saved. Invalid, with the numbers of the lines that are wrong."""
    if len(text.encode()) > MAX_BYTES:
        raise Invalid("The file is too large for a price book.", code="file_too_large")
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    found: list[PriceRule] = []
    errors: list[str] = []
    try:
        if missing := [name for name in NEEDED if name not in (reader.fieldnames or ())]:
            raise Invalid(f"Columns are missing: {', '.join(missing)}.", code="columns_missing")
        for cells in reader:
            try:
                found += _prices(cells, now or timezone.now())
            except (ValueError, ArithmeticError, ValidationError) as error:
                errors.append(f"Line {reader.line_num}: {_said(error)}")
            if len(found) > MAX_ROWS:
                raise Invalid(f"At most {MAX_ROWS} prices.", code="file_too_large")
    except csv.Error as error:
        errors.append(f"Line {reader.line_num + 1}: {error}")
    if errors:
        raise Invalid("\n".join(errors[:MOST_ERRORS]), code="prices_unreadable")
    return found


def _said(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{name}: {' '.join(texts)}" for name, texts in error.message_dict.items())
    return str(error) if isinstance(error, ValueError) else "a number is expected"


def _prices(cells: dict[Any, Any], now: datetime) -> list[PriceRule]:
    if None in cells or None in cells.values():
        raise ValueError("it has more or fewer cells than the first line")
    values = {name: _plain(cells.get(name, "")) or DEFAULTS.get(name, "") for name in COLUMNS}
    if unknown := set(cells) - set(COLUMNS):
        raise ValueError(f"unknown column {min(unknown)}")
    found = []
    for meter in values.pop("meter").split() or [""]:
        if meter not in Meter.values:
            raise ValueError(f"meter is one of {', '.join(Meter.values)}")
        price = PriceRule(
            **{name: values[name] for name in ("provider", "model", "match", "service_tier", "source", "note")},
            meter=meter,
            unit_price=Decimal(values["unit_price"]),
            per_quantity=int(values["per_quantity"]),
            currency=values["currency"],
            tier_min=int(values["tier_min"]),
            valid_from=_moment(values["valid_from"], "valid_from") or now,
            valid_to=_moment(values["valid_to"], "valid_to"),
            source_date=_date(values["source_date"]),
            certainty=values["certainty"] or Price.Certainty.LIKELY,
        )
        price.clean_fields()
        _check(price)
        found.append(price)
    return found


def _plain(cell: str) -> str:
    """A cell without what `write` puts before text that a spreadsheet would calculate."""
    text = cell.strip()
    return text[1:] if text.startswith("'") and is_formula(text[1:]) else text


def _check(price: PriceRule) -> None:
    """What the database would refuse, said before; asking it (`full_clean`) takes a query for each."""
    if price.unit_price < 0 or price.per_quantity < 1:
        raise ValueError("a price is not negative, and for one or more")
    if price.match == Price.Match.EXACT and not price.model:
        raise ValueError("model is empty")
    if price.valid_to is not None and price.valid_to < price.valid_from:
        raise ValueError("valid_to lies before valid_from")
    if price.currency != CURRENCY and not has_rate(price.currency, timezone.now()):
        raise ValueError(f"there is no exchange rate for {price.currency}: enter one first")


def _moment(text: str, name: str) -> datetime | None:
    if not text:
        return None
    try:
        day = parse_date(text) if len(text) == 10 else None
        moment = datetime.combine(day, time(), UTC) if day else parse_datetime(text)
        if moment is not None:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    raise ValueError(f"{name} is no time as in 2027-01-01T00:00:00Z")


def _date(text: str) -> date:
    day = parse_date(text)
    if day is None:
        raise ValueError("source_date is no day as in 2026-11-28")
    return day


def plan(prices: Iterable[PriceRule], *, now: datetime | None = None) -> list[Change]:
    """What these prices would change in the book."""
    return plan_against(list(PriceRule.objects.all()), prices, now or timezone.now())


def plan_against(book: Sequence[Any], prices: Iterable[Any], now: datetime) -> list[Change]:
    """The same for one book, whatever it is made of; `replaced` are rows of it."""
    known: dict[tuple[Any, ...], list[Any]] = {}
    for rule in book:
        known.setdefault(key_of(rule), []).append(rule)
    changes = []
    for price in prices:
        same = known.setdefault(key_of(price), [])
        _end_where_the_next_begins(price, same)
        change = _change(price, [rule for rule in same if _overlap(rule, price)], now)
        if change.what in {"new", "replaces"}:
            same[:] = [rule for rule in same if rule not in change.replaced] + [price]
        changes.append(change)
    return changes


def _end_where_the_next_begins(price: Any, same: Iterable[Any]) -> None:
    """A price until further notice leaves alone what is planned after it."""
    holding = (rule for rule in same if rule.valid_to != rule.valid_from)
    later = [rule.valid_from for rule in holding if rule.valid_from > price.valid_from]
    if price.valid_to is None and later:
        price.valid_to = min(later)


def key_of(rule: Any) -> tuple[Any, ...]:
    return tuple(getattr(rule, name) for name in PRICE_KEY)


def _overlap(one: Any, other: Any) -> bool:
    """Whether both hold at some moment; one that ends where it begins never does."""
    spans = [(rule.valid_from, rule.valid_to or datetime.max.replace(tzinfo=UTC)) for rule in (one, other)]
    begins, ends = max(span[0] for span in spans), min(span[1] for span in spans)
    return bool(begins < ends)


def _change(price: Any, overlapping: Sequence[Any], now: datetime) -> Change:
    for rule in overlapping:
        if _costs(rule) == _costs(price) and (rule.valid_from, rule.valid_to) == (price.valid_from, price.valid_to):
            return Change("unchanged", price)
    if any(rule._state.adding for rule in overlapping):
        return Change("refused", price, why="The file itself holds another price for the same time.")
    if any(rule.valid_from <= now and price.valid_from < now - JUST_NOW for rule in overlapping):
        return Change(
            "refused", price, overlapping, "A price that was in force stays: let the new one begin now, or later."
        )
    return Change("replaces" if overlapping else "new", price, overlapping)


def _costs(rule: Any) -> tuple[Any, ...]:
    return rule.unit_price, rule.per_quantity, rule.currency


def apply(changes: Sequence[Change]) -> int:
    """Ends what is replaced, and adds what is new. Invalid when something is refused: then nothing changes. Returns how
    many prices were added."""
    refused = [change for change in changes if change.what == "refused"]
    if refused:
        raise Invalid(f"{refused[0].price}: {refused[0].why}", code="prices_refused")
    wanted = [change for change in changes if change.what in {"new", "replaces"}]
    try:
        with transaction.atomic():
            for change in wanted:
                for rule in change.replaced:
                    end(rule, change.price.valid_from)
                change.price.save(force_insert=True)
    except IntegrityError as error:
        raise Invalid("Somebody has just entered another price for the same. Look again.", code="busy") from error
    return len(wanted)


def end(rule: Any, moment: datetime) -> None:
    """Lets a price end at a moment; one that has not begun by then never will."""
    rule.valid_to = max(moment, rule.valid_from)
    rule.save(update_fields=["valid_to"])


def write(rules: Iterable[Price]) -> str:
    """The table of some prices, as `read` takes it."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for rule in rules:
        table.writerow([_cell(getattr(rule, name)) for name in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, datetime | date) else safe(str(value))
