"""Who changes a segment and who changes a project that shows it do not wait for each other in a circle."""

import threading
import time

import pytest
from django.db import connection, transaction

from conftest import Person
from editai.projects.models import ProjectSegment
from editai.projects.services import entries_replace
from editai.projects.tests.builders import make_project, make_segment, make_source
from profiles import scope
from segments.models import Segment
from segments.services import segment_update
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_moving_borders_while_the_order_is_replaced(owner: Person) -> None:
    """The new entries point at the segment, whose row the other one holds while it waits for the project."""
    with scope.activate(owner.profile.pk):
        segment = make_segment(make_source(owner.profile))
        project = make_project(owner.profile, segment)
    order_is_written = threading.Event()

    def replace() -> None:
        with transaction.atomic():
            entries_replace(profile=owner.profile, project=project, segment_ids=[segment.pk, segment.pk])
            order_is_written.set()
            time.sleep(1)  # the other one waits for the project by now

    def move() -> None:
        assert order_is_written.wait(30)
        segment_update(profile=owner.profile, segment_id=segment.pk, changes={"end_time": 1.0})

    def act(number: int) -> None:
        with scope.activate(owner.profile.pk):
            (replace, move)[number]()

    assert race(act, 2) == [None, None]
    with scope.activate(owner.profile.pk):
        assert ProjectSegment.objects.filter(project=project).count() == 2
        assert Segment.objects.get().end_time == 1.0
