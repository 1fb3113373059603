"""The prices that EditAI comes with, written into the book after every migration: what is newer than the book knows.

What an operator entered is never ended by them, nor is anything that is in the book changed.
"""

from typing import Any

from django.apps import apps as global_apps
from django.utils import timezone

from costs.prices.tables import SEED, end, key_of, read

_SEEDED, _ENTERED = "seeded", "entered"


def seed(*, using: str, apps: Any = global_apps, **_: Any) -> None:
    """Receiver of `post_migrate`, in whatever state of the schema that leaves; `flush` sends it too, without apps."""
    try:
        rules = apps.get_model("costs", "PriceRule").objects.using(using)
    except LookupError:  # migrated back to before there were prices
        return
    known: dict[tuple[Any, ...], list[Any]] = {}
    for rule in rules.all():
        known.setdefault(key_of(rule), []).append(rule)
    new = []
    for price in read(SEED.read_text()):
        same = known.setdefault(key_of(price), [])
        if not _is_news(price, same):
            continue
        for rule in same:
            if rule.valid_to is None or rule.valid_to > price.valid_from:  # what was in force until now stays
                price.valid_from = max(price.valid_from, timezone.now())
                end(rule, price.valid_from)
        values = {field.attname: getattr(price, field.attname) for field in price._meta.concrete_fields}
        row = rules.model(**{**values, "origin": _SEEDED})
        same.append(row)
        new.append(row)
    rules.bulk_create(new)


def _is_news(price: Any, same: list[Any]) -> bool:
    """Whether the book knows nothing as new about the same thing, and nobody entered anything of it."""
    return all(rule.valid_from < price.valid_from and rule.origin != _ENTERED for rule in same)
