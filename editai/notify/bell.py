"""Tells a worker that something waits to be sent. The rows are the truth: a ring that is lost costs a beat's time."""

import logging

from celery import current_app
from django.core.cache import cache

log = logging.getLogger(__name__)

TASK = "notify.deliver"
_BROKER_SECONDS = 3
_ONCE_IN = 1  # seconds: a burst of messages rings once, the rest is found by that run or the next beat


def ring() -> None:
    """Sends the message. What a broker's client raises means: not sent; beat comes by soon."""
    try:
        if not cache.add("notify:rung", 1, _ONCE_IN):
            return
        app = current_app
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=_BROKER_SECONDS)
            producer = app.amqp.Producer(connection, auto_declare=False)
            app.send_task(TASK, queue="default", producer=producer, retry=False, ignore_result=True, expires=60)
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises
        log.warning("The broker took no message (%s): what is to be sent waits for beat.", type(error).__name__)
