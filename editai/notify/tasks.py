"""Periodic work of this floor; beat sends it, and a new message rings for the first."""

from celery import shared_task

from editai.notify import bell, delivery, disk


@shared_task(name=bell.TASK, ignore_result=True)
def deliver() -> None:
    """Sends what waits to be sent."""
    delivery.deliver_due()


@shared_task(name="notify.watch_disk", ignore_result=True)
def watch_disk() -> None:
    """Tells owners when the disk is nearly full."""
    disk.watch()
