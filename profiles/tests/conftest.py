"""Addresses of this machine, and names that resolve to what a test wants."""

import pytest
from pytest_django import Settings

from profiles import addresses


@pytest.fixture
def private(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = True


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What names resolve to: one list for each look-up in turn, the last one for ever."""
    known: dict[str, list[list[str]]] = {}
    real = addresses.resolve

    def resolve(host: str, seconds: float) -> list[str]:
        if host not in known:
            return real(host, seconds)
        return known[host].pop(0) if len(known[host]) > 1 else known[host][0]

    monkeypatch.setattr(addresses, "resolve", resolve)
    return known
