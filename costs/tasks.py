"""Periodic work of this floor; beat sends it."""

from celery import shared_task

from costs.storage import retention


@shared_task(name="costs.storage_retention", ignore_result=True)
def apply_storage_retention() -> None:
    """Frees what is older than each brand keeps it."""
    retention.apply_everywhere()
