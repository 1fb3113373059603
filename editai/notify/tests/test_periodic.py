"""What runs by itself: the disk's watch, the bell, beat; and that lists stay cheap."""

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from queue import Empty
from typing import Any
from unittest import mock

import pytest
import time_machine
from celery import current_app
from django.db import connection
from django.utils import timezone

from conftest import Person
from editai.celery import app
from editai.notify import bell, disk, tasks
from editai.notify.models import Delivery, Notification
from editai.notify.tests.conftest import HAPPENED, Receiver, add_target, deliveries
from profiles import scope
from profiles.models import Profile, Role
from profiles.tenancy import new_id
from tests.plans import analyze, check_is_one_range

pytestmark = pytest.mark.django_db(transaction=True)
Joined = Callable[..., Person]
NOON = datetime(2026, 5, 4, 12, tzinfo=timezone.get_fixed_timezone(0))
ring = bell.ring  # the real one, before a fixture silences it


def test_a_full_disk_is_told_to_owners_once_a_day(
    owner: Person, stranger: Person, member: Joined, hook: Receiver, settings: Any
) -> None:
    add_target(owner, hook.url)
    add_target(owner, hook.url + "/owner", is_personal=True)
    add_target(member("editor"), hook.url + "/editor", is_personal=True, role=Role.EDITOR)
    settings.FREE_SPACE_MARK = shutil.disk_usage(settings.DATA_DIR).free * 2
    with time_machine.travel(NOON, tick=True):
        tasks.watch_disk()
        assert disk.watch() == 0
        tasks.deliver()
    assert sorted(post.path for post in hook.posts) == ["/hook", "/hook/owner"]
    with scope.activate(stranger.profile.pk):
        (row,) = Notification.objects.all()
    assert row.event == "disk_low"
    assert str(settings.DATA_DIR) not in row.text
    with time_machine.travel(NOON + timedelta(days=1), tick=True):
        assert disk.watch() == Profile.objects.count()


def test_a_disk_with_room_is_nothing_to_tell(owner: Person, settings: Any) -> None:
    settings.FREE_SPACE_MARK = 1
    assert disk.watch() == 0
    with scope.activate(owner.profile.pk):
        assert not Notification.objects.exists()


def test_beat_knows_the_tasks() -> None:
    known = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {"notify.deliver", "notify.watch_disk"} <= known & set(app.tasks)


def test_the_bell_reaches_the_broker_once_in_a_while() -> None:
    with current_app.connection_for_write() as broker:
        queue = broker.SimpleQueue("default")
        queue.clear()
        ring()
        ring()
        message = queue.get(timeout=5)
        message.ack()
        assert message.headers["task"] == "notify.deliver"
        with pytest.raises(Empty):
            queue.get(timeout=0.5)
        queue.close()


def test_without_a_broker_nothing_breaks(caplog: pytest.LogCaptureFixture) -> None:
    with mock.patch.object(type(app), "connection_for_write", side_effect=ConnectionError("redis://user:canary@host")):
        ring()
    assert "waits for beat" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.skipif(connection.vendor != "postgresql", reason="the plans are PostgreSQL's")
def test_first_pages_are_index_ranges(owner: Person, hook: Receiver) -> None:
    target, _ = add_target(owner, hook.url)
    now = timezone.now()
    for number in range(10):
        profile = Profile.objects.create(name=f"Brand {number}") if number else owner.profile
        with scope.activate(profile.pk):
            rows = Notification.objects.bulk_create(
                Notification(
                    id=new_id(), profile=profile, event=HAPPENED.name if place % 2 else "disk_low",
                    once_key=str(place), title="x", created_at=now - timedelta(seconds=place),
                )
                for place in range(1000)
            )  # fmt: skip
            if not number:
                Delivery.objects.bulk_create(
                    Delivery(profile=profile, notification=row, target=target, state="sent", sent_at=now)
                    for row in rows
                )
    analyze()
    url = "/api/v1/notify/notifications/"
    check_is_one_range(owner, url, "notify_notification", "notification_newest")
    check_is_one_range(owner, f"{url}?event=disk_low", "notify_notification", "notification_of_event")
    assert len(deliveries(owner.profile)) == 1000
