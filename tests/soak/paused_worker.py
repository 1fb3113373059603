"""A Celery worker that waits at named points while `<data>/pause/<point>` exists, and says so by `<point>.reached`.

Started instead of `celery` by a test's Procfile, to be killed exactly there. The program itself knows nothing of it.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["EDITAI_DATA_DIR"]) / "pause"


def pause(point: str) -> None:
    if point and (FOLDER / point).exists():
        (FOLDER / f"{point}.reached").touch()
        while (FOLDER / point).exists():
            time.sleep(0.05)


def paused(function: Callable[..., Any], *, before: str = "", after: str = "") -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        pause(before)
        result = function(*args, **kwargs)
        pause(after)
        return result

    return run


def main() -> None:
    from django import setup

    setup()
    from jobs import transitions
    from profiles import storage

    transitions.claim = paused(transitions.claim, before="before-claim")
    storage.put = paused(storage.put, after="while-storing")  # the object is there, its row still says `writing`
    transitions.finish = paused(transitions.finish, before="before-finish")

    from celery.__main__ import main as celery

    sys.argv[0] = "celery"
    celery()


if __name__ == "__main__":
    main()
