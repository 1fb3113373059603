"""Ends the calls that nobody ends any more, because their process died or the answer never came.

A reservation that was never sent is given back. What was sent becomes unknown, waits for the hours in which its figures
may still turn up, and is then charged as it was reserved: too much rather than too little.
"""

import logging

from django.utils import timezone

from costs.books import attempts, charging
from costs.models import UsageAttempt
from profiles import scope

log = logging.getLogger(__name__)

_AT_ONCE = 500


def sweep() -> int:
    """Any number of processes may do this at once: each step is conditional. Returns how many calls were moved on."""
    with scope.all_profiles("end paid calls"):
        found = list(attempts.overdue(timezone.now())[:_AT_ONCE])
    moved = 0
    for attempt in found:
        try:
            with scope.activate(attempt.profile_id):
                moved += _end(attempt)
        except Exception:  # the others have their turn, and this one its next
            log.exception("The call %s could not be ended; it is tried again.", attempt.pk)
    return moved


def _end(attempt: UsageAttempt) -> bool:
    if attempt.state == attempts.State.RESERVED:
        return attempts.release_unsent(attempt)
    if attempt.state == attempts.State.SENT:
        return attempts.lose(attempt, "Its process ended before the answer was booked.")
    return charging.charge_estimate(attempt)
