"""The virtual environment that ./run and ./test make for themselves."""

import subprocess
import sys
from pathlib import Path

BOOTSTRAP = Path(__file__).resolve().parent.parent / "scripts" / "bootstrap.py"


def test_a_link_to_an_environment_of_others_is_never_emptied(tmp_path: Path) -> None:
    theirs, requirements, link = tmp_path / "theirs", tmp_path / "requirements.txt", tmp_path / ".venv-test"
    theirs.mkdir()
    (theirs / "installed-from").write_text("of another place")
    requirements.touch()
    link.symlink_to(theirs)
    command = [sys.executable, str(BOOTSTRAP), str(link), str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"is a link to {theirs}" in done.stderr
    assert [path.name for path in theirs.iterdir()] == ["installed-from"]
