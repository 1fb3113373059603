"""Many threads doing one thing at the same moment, each with its own database connection."""

import threading
from collections.abc import Callable
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def race(action: Callable[[int], T], times: int) -> list[T | Exception]:
    """`action(0)` … `action(times - 1)` at once; what each returned or raised, in that order."""
    barrier = threading.Barrier(times)
    outcomes: list[T | Exception] = [RuntimeError("did not run")] * times

    def run(number: int) -> None:
        try:
            barrier.wait(30)
            outcomes[number] = action(number)
        except Exception as error:
            outcomes[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcomes
