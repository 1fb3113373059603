"""Scratch of its own for the jobs that tests run here and now."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    settings.SCRATCH_DIR = tmp_path / "attempts"
    settings.SCRATCH_DIR.mkdir(mode=0o700)
