"""The Celery application. Queues: `media` (CPU), `default` (periodic work), `publish` (never waits behind media)."""

import os
from typing import Any

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "editai.settings")

from django.conf import settings

from editai import broker

broker.install()
app = Celery("editai")
app.set_default()  # for every thread; what Celery calls current is so in this one only


def _broker() -> dict[str, Any]:
    if settings.REDIS_URL:
        return {
            "broker_url": settings.REDIS_URL,
            "broker_transport_options": {
                "socket_timeout": 10,
                "socket_connect_timeout": 5,
                "socket_keepalive": True,
                "health_check_interval": 10,
            },
        }
    folders = {name: settings.BROKER_DIR / name for name in ("messages", "control")}
    for folder in folders.values():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": str(folders["messages"]),
            "data_folder_out": str(folders["messages"]),
            "control_folder": str(folders["control"]),
        },
    }


app.conf.update(
    **_broker(),
    task_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_default_queue="default",
    task_publish_retry=False,  # the row is the truth: the reaper rings again
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_schedule={
        "reap": {
            "task": "jobs.reap",
            "schedule": settings.JOB_REAP_SECONDS,
            "options": {"expires": settings.JOB_REAP_SECONDS * 2},
        },
        "notify": {"task": "notify.deliver", "schedule": 15, "options": {"expires": 30}},
        "watch-disk": {"task": "notify.watch_disk", "schedule": 300, "options": {"expires": 300}},
        "publish": {"task": "publishing.due", "schedule": 10, "options": {"expires": 20}},
        "ask-postiz": {"task": "publishing.sync", "schedule": 20, "options": {"expires": 40}},
        "end-calls": {"task": "costs.sweep", "schedule": 60, "options": {"expires": 120}},
        "prove-books": {
            "task": "costs.prove",
            "schedule": crontab(hour=3, minute=17),  # UTC
            "options": {"expires": 3600},
        },
        "sweep": {"task": "jobs.sweep", "schedule": 3600, "options": {"expires": 3600}},
        "storage-retention": {
            "task": "costs.storage_retention",
            "schedule": crontab(hour="3", minute="20"),
            "options": {"expires": 6 * 3600},
        },
    },
)


@setup_logging.connect
def _use_django_logging(**_: Any) -> None:
    """Connecting this signal keeps Celery from replacing Django's log handlers."""


app.autodiscover_tasks()
