"""Who is rung when: free slots, fairness, and what happens when messages or the broker are lost."""

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from celery import Celery, current_app
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Person
from jobs import dispatch as dispatching
from jobs import reaper, services
from jobs.dispatch import dispatch
from jobs.models import Job, QueueTurn, Status, Worker
from jobs.tests import kinds
from jobs.tests.conftest import Bell, add_worker, change, claim, execute, fresh
from profiles import scope
from profiles.models import Profile
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)
Enqueue = Callable[..., Job]


def bulk(profile: Profile, count: int) -> list[Job]:
    """Waiting jobs that nobody was told of, without going through the door one by one."""
    values = {"kind": "test_body", "queue": kinds.QUEUE, "priority": 50, "max_attempts": 3}
    with scope.activate(profile.pk):
        QueueTurn.objects.get_or_create(profile=profile, queue=kinds.QUEUE)
        return list(Job.objects.bulk_create([Job(profile=profile, **values) for _ in range(count)]))


def test_nobody_is_rung_without_a_worker(enqueue: Enqueue, bell: Bell) -> None:
    job = enqueue()
    assert bell.rung == []
    add_worker(queues=("other",))
    add_worker(name="dead", seen_at=timezone.now() - timedelta(minutes=1))
    assert dispatch() == 0
    add_worker(name="alive")
    assert dispatch() == 1
    assert bell.rung == [job.pk]


def test_only_as_many_as_there_are_slots(enqueue: Enqueue, bell: Bell) -> None:
    add_worker(2)
    jobs = [enqueue() for _ in range(5)]
    assert bell.take() == [jobs[0].pk, jobs[1].pk]
    assert dispatch() == 0
    execute(jobs[0])
    assert bell.take() == [jobs[2].pk]


def test_200_jobs_of_one_brand_delay_another_by_one_at_most(
    enqueue: Enqueue, bell: Bell, owner: Person, stranger: Person
) -> None:
    add_worker(1)
    bulk(owner.profile, 200)
    dispatch()
    [running] = bell.take()
    with scope.activate(owner.profile.pk):
        first = Job.objects.get(pk=running)
    claim(first)
    late = enqueue(profile=stranger.profile)
    assert bell.take() == []
    change(first, status=Status.QUEUED, lease_expires_at=None)  # give it back to the test's own hands
    execute(first)
    assert bell.take() == [late.pk]
    execute(late)
    [back] = bell.take()
    with scope.activate(owner.profile.pk):
        assert Job.objects.filter(pk=back).exists()


def test_slots_are_dealt_evenly(bell: Bell, owner: Person, stranger: Person) -> None:
    bulk(owner.profile, 10)
    theirs = {job.pk for job in bulk(stranger.profile, 2)}
    add_worker(5)
    assert dispatch() == 5
    assert len(theirs & set(bell.rung)) == 2


def test_who_was_served_longest_ago_goes_first(bell: Bell, owner: Person, stranger: Person) -> None:
    bulk(owner.profile, 5)
    bulk(stranger.profile, 5)
    add_worker(1)
    order = []
    dispatch()
    for _ in range(6):
        [pk] = bell.take()
        brand = owner.profile if _of(owner.profile, pk) else stranger.profile
        order.append(brand.pk)
        with scope.activate(brand.pk):
            execute(Job.objects.get(pk=pk))
    assert all(one != next_one for one, next_one in itertools.pairwise(order))


def _of(profile: Profile, pk: object) -> bool:
    with scope.activate(profile.pk):
        return Job.objects.filter(pk=pk).exists()


def test_within_a_brand_priority_then_time(enqueue: Enqueue, bell: Bell) -> None:
    plain, urgent = enqueue(), enqueue("test_urgent")
    later = enqueue("test_urgent", run_at=timezone.now() + timedelta(hours=1))
    add_worker(3)
    dispatch()
    assert bell.rung == [urgent.pk, plain.pk]
    assert fresh(later).rung_at is None


def test_a_lost_message_is_rung_again(enqueue: Enqueue, bell: Bell) -> None:
    add_worker(1)
    job = enqueue()
    assert bell.take() == [job.pk]
    reaper.reap()
    assert bell.take() == []
    change(job, rung_at=timezone.now() - dispatching.RING_AGAIN_AFTER - timedelta(seconds=1))
    reaper.reap()
    assert bell.take() == [job.pk]
    assert execute(job).status == Status.SUCCEEDED


def test_a_broken_broker_loses_nothing(enqueue: Enqueue, bell: Bell) -> None:
    add_worker(2)
    bell.is_broken = True
    jobs = [enqueue(), enqueue()]
    assert [fresh(job).rung_at for job in jobs] == [None, None]
    bell.is_broken = False
    reaper.reap()
    assert set(bell.rung) == {job.pk for job in jobs}


def test_a_refused_connection_is_noticed_quickly(enqueue: Enqueue, bell: Bell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the real bell
    add_worker(1)
    app = Celery("nobody", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.task_publish_retry = False
    monkeypatch.setattr(dispatching, "current_app", app)
    started = time.monotonic()
    job = enqueue()
    assert time.monotonic() - started < 1
    assert fresh(job).rung_at is None


def test_every_thread_sends_by_the_one_application() -> None:
    """Celery's notion of the current application is one a thread; a web server's threads have imported nothing."""
    with ThreadPoolExecutor(1) as other_thread:
        assert other_thread.submit(lambda: current_app.main).result() == "editai"


def test_at_most_the_free_slots_are_rung_by_many_dispatchers_at_once(bell: Bell, owner: Person) -> None:
    bulk(owner.profile, 50)
    add_worker(3)
    dealt = race(lambda _: dispatch(), 8)
    assert sum(count for count in dealt if isinstance(count, int)) == 3
    assert len(bell.rung) == len(set(bell.rung)) == 3


def test_kinds_of_another_version_do_not_block_the_queue(enqueue: Enqueue, bell: Bell) -> None:
    unknown, known = enqueue(), enqueue()
    change(unknown, kind="from_the_future")
    add_worker(1)
    dispatch()
    assert bell.rung == [known.pk]


def test_10000_waiting_jobs_cost_a_dispatch_no_more(bell: Bell, owner: Person, stranger: Person) -> None:
    bulk(owner.profile, 10_000)
    bulk(stranger.profile, 1)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    add_worker(2)
    with CaptureQueriesContext(connection) as full:
        started = time.monotonic()
        assert dispatch(kinds.QUEUE) == 2
        seconds = time.monotonic() - started
    assert len(full) < 25
    assert seconds < 0.5
    with CaptureQueriesContext(connection) as busy:
        assert dispatch(kinds.QUEUE) == 0
    assert len(busy) <= 3


def test_a_retired_worker_gets_nothing(enqueue: Enqueue, bell: Bell) -> None:
    worker = add_worker(2)
    Worker.objects.filter(pk=worker.pk).update(slots=0)
    enqueue()
    assert bell.rung == []


def test_cancelling_a_rung_job_frees_its_slot(enqueue: Enqueue, bell: Bell, owner: Person) -> None:
    add_worker(1)
    rung, waiting = enqueue(), enqueue()
    assert bell.take() == [rung.pk]
    with scope.activate(owner.profile.pk):
        services.job_cancel(profile=owner.profile, job=rung)
    assert bell.take() == [waiting.pk]
