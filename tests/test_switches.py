"""Every switch is documented, every documented switch is there, and a wrong value stops the start with one line."""

import re
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from editai.settings import env

ROOT = Path(__file__).resolve().parent.parent
SWITCH = re.compile(r"\b(?:EDITAI|AWS|GEMINI)_[A-Z0-9_]+\b|\bDATABASE_URL\b|\bREDIS_URL\b")
INTERNAL = {"EDITAI_STARTED_AT"}  # from ./run to its own demo
OF_A_LIBRARY = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}  # boto3 reads them
READERS = ("run", "Procfile", "scripts/bootstrap.sh", "scripts/start.py", "editai/gunicorn.py")


def switches(text: str) -> set[str]:
    return {name for name in SWITCH.findall(text) if not name.endswith("_")}


def test_the_documented_switches_are_those_that_there_are() -> None:
    files = [ROOT / name for name in READERS]
    files += [path for path in (ROOT / "editai").rglob("*.py") if {"settings", "commands"} & set(path.parts)]
    read = {name for path in files for name in switches(path.read_text())}
    assert switches((ROOT / "docs" / "operations.md").read_text()) == (read | OF_A_LIBRARY) - INTERNAL


@pytest.mark.parametrize("value", ["1200", "0/min", "-1/min", "many/min", "10/week", "10/"])
def test_a_rate_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("EDITAI_USER_RATE", value)
    with pytest.raises(ImproperlyConfigured, match="EDITAI_USER_RATE must look like 1200/min"):
        env.rate("EDITAI_USER_RATE", "1200/min")


def test_rates_and_words_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITAI_USER_RATE", " 5/s ")
    assert env.rate("EDITAI_USER_RATE", "1200/min") == "5/s"
    monkeypatch.setenv("EDITAI_LOG_LEVEL", "WARNING")
    assert env.choice("EDITAI_LOG_LEVEL", "info", "warning") == "warning"
    monkeypatch.setenv("EDITAI_LOG_LEVEL", "")
    assert env.choice("EDITAI_LOG_LEVEL", "info", "warning") == "info"
    monkeypatch.setenv("EDITAI_LOG_LEVEL", "loud")
    with pytest.raises(ImproperlyConfigured, match="EDITAI_LOG_LEVEL must be one of info, warning"):
        env.choice("EDITAI_LOG_LEVEL", "info", "warning")
