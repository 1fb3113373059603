"""The one policy for trying a paid call again. The providers' SDKs try nothing again themselves.

Only what surely cost nothing is repeated; each try is a physical call with a reservation and a row of its own.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from costs.errors import NotCharged
from costs.services import Call, Paid, paid_call
from profiles.models import Profile

R = TypeVar("R")

MOST_TRIES = 3
LONGEST_WAIT = 120.0  # seconds; what wants longer holds no worker: the job is tried again later
_FIRST_WAIT = 1.0


def paid_with_retries(
    buy: Callable[[Paid], R],
    *,
    profile: Profile,
    call: Call,
    sleep: Callable[[float], object] = time.sleep,
) -> R:
    """`buy(paid)` inside the door, up to three times while the provider refuses for the moment (NotCharged with
    `may_pass`). Waits as long as it asks for, else a random time below a limit that doubles. Raises the last
    NotCharged, and what `paid_call` raises."""
    tries = 1
    while True:
        try:
            with paid_call(profile=profile, call=call) as paid:
                return buy(paid)
        except NotCharged as error:
            wait = error.retry_after
            if wait is None:
                wait = random.uniform(0, _FIRST_WAIT * 2**tries)
            if not error.may_pass or tries == MOST_TRIES or wait > LONGEST_WAIT:
                raise
        sleep(max(0.0, wait))
        tries += 1
