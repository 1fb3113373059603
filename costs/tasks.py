"""Periodic work of this floor; beat sends it."""

import logging

from celery import shared_task

from costs.books import proof, sweeper
from costs.storage import retention

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


@shared_task(name="costs.storage_retention", ignore_result=True)
def apply_storage_retention() -> None:
    """Frees what is older than each brand keeps it."""
    retention.apply_everywhere()
