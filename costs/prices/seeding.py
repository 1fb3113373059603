"""The prices that EditAI comes with, written into the book after every migration: what is newer than the book knows.

What an operator entered is never ended by them, nor is anything that is in the book changed.
"""

from typing import Any

from django.apps import apps as global_apps
from django.db import transaction
from django.utils import timezone

from costs.prices.pricebook import fits
from costs.prices.tables import SEED, end, key_of, read

_SEEDED, _ENTERED = "seeded", "entered"


def seed(*, using: str, apps: Any = global_apps, **_: Any) -> None:
    """Receiver of `post_migrate`, in whatever state of the schema that leaves; `flush` sends it too, without apps."""
    try:
        rules = apps.get_model("costs", "PriceRule").objects.using(using)
    except LookupError:  # migrated back to before there were prices
        return
    with transaction.atomic(using=using):
        book = list(rules.all())
        taken = [price for price in read(SEED.read_text()) if _take(price, book)]
        columns = [field.attname for field in rules.model._meta.concrete_fields if field.attname != "origin"]
        rows = [{name: getattr(price, name) for name in columns} for price in taken]
        rules.bulk_create(rules.model(**row, origin=_SEEDED) for row in rows)


def _take(price: Any, book: list[Any]) -> bool:
    """Whether the price enters the book; what it follows is ended, and it begins then: what was in force until now
    stays. Prices of one table never hold at once, so `book` need not know of those that were taken before."""
    same = [rule for rule in book if key_of(rule) == key_of(price)]
    if not _is_news(price, same, book):
        return False
    now = timezone.now()
    overlapping = [rule for rule in same if rule.valid_to is None or rule.valid_to > price.valid_from]
    for rule in overlapping:
        price.valid_from = max(price.valid_from, min(rule.valid_to or now, now))
    if price.valid_to is not None and price.valid_to <= price.valid_from:
        return False
    for rule in overlapping:
        if rule.valid_to is None or rule.valid_to > price.valid_from:
            end(rule, price.valid_from)
    return True


def _is_news(price: Any, same: list[Any], book: list[Any]) -> bool:
    """Whether the book knows nothing as new about the same thing, and nobody entered a price that is about it too."""
    if any(rule.valid_from >= price.valid_from for rule in same):
        return False
    entered = (rule for rule in book if rule.origin == _ENTERED and _is_about(rule, price))
    return not any(fits(rule, price.model) for rule in entered)


def _is_about(rule: Any, price: Any) -> bool:
    names = ("provider", "meter", "service_tier", "tier_min")
    return all(getattr(rule, name) == getattr(price, name) for name in names)
