"""Periodic work of this floor; beat sends it."""

import logging

from celery import shared_task

from costs import proof, sweeper

log = logging.getLogger(__name__)


@shared_task(name="costs.sweep", ignore_result=True)
def sweep_calls() -> None:
    """Ends paid calls that nobody ends any more."""
    sweeper.sweep()


@shared_task(name="costs.prove", ignore_result=True)
def prove_books() -> None:
    """Adds the books up; what does not agree is told in the log, for the operator."""
    for difference in proof.differences():
        log.error("The books of account do not agree. %s", difference)
