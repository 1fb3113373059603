"""The providers that are known by name, and what can be asked of them beside paid calls.

register_provider(Provider("elevenlabs", "ElevenLabs", balance=ask))
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.utils import timezone

from costs.models import PriceRule
from profiles.models import Profile

log = logging.getLogger(__name__)

_KEPT_SECONDS = 300


@dataclass(frozen=True)
class Balance:
    """What is left at a provider, in its own unit, and when that is renewed."""

    left: float
    limit: float | None
    unit: str
    renews_at: datetime | None = None


@dataclass(frozen=True)
class Provider:
    """`balance(profile)` asks the provider with the profile's own key; it must end within seconds and cost nothing, and
    gives None when the profile has no key. Without it the provider can't be asked."""

    name: str
    label: str
    balance: Callable[[Profile], Balance | None] | None = None


_providers: dict[str, Provider] = {}


def register_provider(provider: Provider) -> None:
    _providers[provider.name] = provider


def label_of(name: str) -> str:
    return _providers[name].label if name in _providers else name


def known_providers() -> set[str]:
    """Those with a price in the book, and those that are registered."""
    return {*_providers, *PriceRule.objects.order_by().values_list("provider", flat=True).distinct()}


def balances(profile: Profile) -> list[dict[str, Any]]:
    """What is left at each provider that can be asked, as it was at most five minutes ago."""
    return [_balance(provider, profile) for _, provider in sorted(_providers.items()) if provider.balance is not None]


def _balance(provider: Provider, profile: Profile) -> dict[str, Any]:
    key = f"provider-balance:{profile.pk}:{provider.name}"
    known: dict[str, Any] | None = cache.get(key)
    if known is None:
        known = _ask(provider, profile)
        cache.set(key, known, _KEPT_SECONDS)
    return known


def _ask(provider: Provider, profile: Profile) -> dict[str, Any]:
    assert provider.balance is not None
    answer: dict[str, Any] = {"provider": provider.name, "label": provider.label, "asked_at": timezone.now()}
    try:
        found = provider.balance(profile)
    except Exception:  # a provider in trouble must not keep the rest of the page
        log.exception("%s did not tell its balance.", provider.label)
        return {**answer, "state": "trouble", "balance": None}
    return {**answer, "state": "none" if found is None else "ok", "balance": found and asdict(found)}
