"""Dealing out free slots: waiting rows have no message; only as many are rung as workers can take.

Among profiles, the one with the fewest jobs under way goes first, then the one that was served longest ago;
within a profile, priority, then time. That is what makes it fair, and what makes a lost message or broker
harmless: a rung job that nobody claims goes back among the waiting.
"""

import heapq
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from jobs import registry
from jobs.models import Job, QueueState, QueueTurn, Status, Worker
from profiles import scope

log = logging.getLogger(__name__)

PRESENCE_SECONDS = 5.0
ALIVE_FOR = timedelta(seconds=3 * PRESENCE_SECONDS)
RING_AGAIN_AFTER = timedelta(seconds=15)
_BROKER_SECONDS = 3
_NEVER = datetime(1970, 1, 1, tzinfo=timezone.get_fixed_timezone(0))


@dataclass(order=True)
class _Candidate:
    """A profile with waiting jobs; sorts by who goes first."""

    under_way: int
    served_at: datetime
    profile_id: UUID
    picked: list[UUID] = field(default_factory=list, compare=False)


def live_workers() -> "QuerySet[Worker]":
    return Worker.objects.filter(seen_at__gte=timezone.now() - ALIVE_FOR)


def free_slots(queue: str) -> int:
    """How many more jobs of `queue` its live workers can take. Call it in the dispatcher's scope."""
    slots = sum(slots for names, slots in live_workers().values_list("queues", "slots") if queue in names)
    if not slots:
        return 0
    return slots - sum(_under_way(queue).values())


def _under_way(queue: str) -> dict[UUID, int]:
    """Jobs running or rung, by profile; never many more than there are slots."""
    counts: dict[UUID, int] = {}
    jobs = Job.objects.filter(queue=queue).order_by()
    for rows in (jobs.filter(status=Status.RUNNING), jobs.filter(rung_at__isnull=False)):
        for profile_id, count in rows.values_list("profile_id").annotate(count=Count("pk")):
            counts[profile_id] = counts.get(profile_id, 0) + count
    return counts


def dispatch(queue: str | None = None) -> int:
    """Rings as many waiting jobs as there are free slots, in one queue or in all. Returns how many.

    What committed before this call is seen by it. The messages go out after commit.
    """
    with scope.all_profiles("dispatch waiting jobs"):
        return sum(_dispatch(name) for name in ([queue] if queue else registry.queues()))


def _dispatch(queue: str) -> int:
    # A look without the lock is enough to leave: whoever frees a slot dispatches after that.
    if free_slots(queue) <= 0:
        return 0
    QueueState.objects.get_or_create(queue=queue)
    with transaction.atomic():
        QueueState.objects.select_for_update().get(queue=queue)
        now = timezone.now()
        picked = _pick(queue, free_slots(queue), now)
        ids = [job_id for candidate in picked for job_id in candidate.picked]
        if not ids:
            return 0
        Job.objects.filter(pk__in=ids, status=Status.QUEUED, rung_at=None).update(rung_at=now)
        profiles = [candidate.profile_id for candidate in picked]
        QueueTurn.objects.filter(queue=queue, profile_id__in=profiles).update(served_at=now)
        transaction.on_commit(partial(_ring, ids, now))
    return len(ids)


def _pick(queue: str, free: int, now: datetime) -> list[_Candidate]:
    """Which jobs get the free slots. Costs one index probe a profile and one a slot, however many jobs wait."""
    if free <= 0:
        return []
    waiting = _waiting(queue, now).filter(profile_id=OuterRef("profile_id"))
    turns = QueueTurn.objects.filter(Exists(waiting), queue=queue)
    under_way = _under_way(queue)
    heap = [
        _Candidate(under_way.get(profile_id, 0), served_at or _NEVER, profile_id)
        for profile_id, served_at in turns.values_list("profile_id", "served_at")
    ]
    heapq.heapify(heap)
    served: dict[UUID, _Candidate] = {}
    while heap and free:
        candidate = heap[0]
        job_id = _next_job(queue, candidate, now)
        if job_id is None:
            heapq.heappop(heap)
            continue
        candidate.picked.append(job_id)
        candidate.under_way += 1
        candidate.served_at = now
        served[candidate.profile_id] = candidate
        heapq.heapreplace(heap, candidate)
        free -= 1
    return list(served.values())


def _waiting(queue: str, now: datetime) -> "QuerySet[Job]":
    """Due jobs that nobody was told of; of kinds that this program knows (another version may know more)."""
    known = [kind.name for kind in registry.kinds()]
    return Job.objects.filter(queue=queue, status=Status.QUEUED, rung_at=None, run_at__lte=now, kind__in=known)


def _next_job(queue: str, candidate: _Candidate, now: datetime) -> UUID | None:
    rows = _waiting(queue, now).filter(profile_id=candidate.profile_id).exclude(pk__in=candidate.picked)
    return rows.order_by("priority", "run_at", "pk").values_list("pk", flat=True).first()


def _ring(ids: list[UUID], rung_at: datetime) -> None:
    """Sends the messages. When the broker does not take them the jobs wait on, and the reaper comes back to them."""
    with scope.all_profiles("dispatch waiting jobs"):
        jobs = Job.objects.filter(pk__in=ids, rung_at=rung_at).only("profile_id", "kind", "queue")
        unsent = {job.pk: job for job in jobs}
        try:
            with _bell() as ring:
                for pk in ids:
                    if pk in unsent:
                        ring(unsent[pk])
                        del unsent[pk]
        except Exception as error:  # noqa: BLE001 - whatever a broker's client raises means: not sent
            Job.objects.filter(pk__in=unsent, status=Status.QUEUED, rung_at=rung_at).update(rung_at=None)
            log.warning("The broker took no message (%s): %d jobs wait on.", type(error).__name__, len(unsent))


@contextmanager
def _bell() -> Iterator[Callable[[Job], None]]:
    """A connection to the broker, tried twice and no more: Celery's own pool would keep a web request for seconds."""
    app = current_app  # of every thread: `editai.celery` makes its application the default one
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=_BROKER_SECONDS)
        producer = app.amqp.Producer(connection, auto_declare=False)

        def ring(job: Job) -> None:
            kind = registry.kind_named(job.kind)
            if kind is None:
                raise LookupError(job.kind)
            app.send_task(
                kind.task_name,
                args=[str(job.profile_id), str(job.pk)],
                queue=job.queue,
                producer=producer,
                retry=False,
                ignore_result=True,
            )

        yield ring


def unring_stale() -> int:
    """Puts jobs that were rung but not claimed back among the waiting. Returns how many."""
    with scope.all_profiles("reap lost jobs"):
        before = timezone.now() - RING_AGAIN_AFTER
        return int(Job.objects.filter(status=Status.QUEUED, rung_at__lt=before).update(rung_at=None))
