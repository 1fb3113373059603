"""20 connections × 40 calls on the caps of brands and of the server; on SQLite 16 threads; and the control."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from tests import cap_races

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900), pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).parents[2]
OURS = ("EDITAI_", "DATABASE_URL", "REDIS_URL", "PYTEST_")


def test_no_cap_is_passed_by_many_at_once() -> None:
    print(cap_races.run(20 if connection.vendor == "postgresql" else 16, 40))


def test_no_cap_is_passed_on_the_embedded_default() -> None:
    """The test above in a process of its own, which has no switch set: SQLite."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    this = f"{__file__}::test_no_cap_is_passed_by_many_at_once"
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-m", "soak", "-p", "no:cacheprovider", this]
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    said = [line for line in done.stdout.splitlines() if line.startswith("sqlite: 16 connections × 40 calls")]
    assert len(said) == 1, done.stdout
    print(f"\n{said[0]}")


def test_control_without_the_guard_the_cap_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    print(cap_races.overspend(20, monkeypatch))
