"""A stub Postiz, a client of it that does not wait, and a file to send."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from publishing.postiz.client import Postiz
from publishing.tests.postiz_clients import MP4, client
from tests.stubs.postiz import StubPostiz


@pytest.fixture
def private_hosts(settings: Settings) -> None:
    """Addresses of this machine may be called."""
    settings.ALLOW_PRIVATE_HOSTS = True


@pytest.fixture
def stub(private_hosts: None) -> Iterator[StubPostiz]:
    with StubPostiz() as made:
        yield made


@pytest.fixture
def pauses() -> list[float]:
    """The pauses that the client made (none of them is waited for)."""
    return []


@pytest.fixture
def postiz(stub: StubPostiz, pauses: list[float]) -> Postiz:
    return client(stub, pauses)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(MP4 + b"\0" * 300_000)
    return path


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client does not wait between its tries."""
    monkeypatch.setattr(Postiz, "pause", lambda self, attempt: None)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        yield clock
