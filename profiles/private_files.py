"""Files that only this user may read."""

import os
from pathlib import Path


def write_private(path: Path, content: str) -> None:
    """Creates `path` (0600, its folder 0700) with `content`; FileExistsError when it is there already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
