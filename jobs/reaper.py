"""Finds what nobody works on any more: expired leases, unheard rings, workers that died."""

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from jobs import registry, transitions
from jobs.dispatch import dispatch, unring_stale
from jobs.models import AT_REST, Job, Status, Worker
from profiles import scope

log = logging.getLogger(__name__)

_BATCH = 500
_FORGET_WORKERS_AFTER = timedelta(hours=1)


def reap() -> int:
    """Takes lost jobs back, rings again where nobody came, and deals out slots. Returns how many jobs were lost.

    Any number of processes may do this at once: each step is a conditional update.
    """
    with scope.all_profiles("reap lost jobs"):
        expired = Job.objects.filter(status=Status.RUNNING, lease_expires_at__lt=timezone.now())
        lost = list(expired.order_by("lease_expires_at")[:_BATCH])
    taken = _take_back(lost)
    unrung = unring_stale()
    if unrung:
        log.info("%d jobs were rung and not claimed; they are rung again.", unrung)
    dispatch()
    return taken


def take_over_from(dead: Worker) -> int:
    """Takes back at once what a worker that is known to be dead was running. Returns how many jobs."""
    with scope.all_profiles("reap lost jobs"):
        lost = list(Job.objects.filter(status=Status.RUNNING, worker_name=dead.name, started_at__lt=timezone.now()))
    return _take_back(lost, dead_worker=dead.name)


def _take_back(lost: list[Job], *, dead_worker: str = "") -> int:
    taken = 0
    for job in lost:
        with scope.activate(job.profile_id), transaction.atomic():
            kind = registry.kind_named(job.kind)
            taken += transitions.take_back(job, kind, dead_worker=dead_worker) is not None
    return taken


def book_forgotten_cpu() -> None:
    """Tells the processor time of jobs whose end was written by a process that died right after it."""
    with scope.all_profiles("reap lost jobs"):
        rows = Job.objects.filter(status__in=AT_REST, cpu_seconds__gt=F("cpu_seconds_booked"))
        lost = list(rows.order_by("id").values_list("profile_id", "pk")[:_BATCH])
    for profile_id, pk in lost:
        transitions.book_cpu(profile_id, pk)


def forget_workers() -> None:
    """Deletes the rows of workers that have been gone for long."""
    Worker.objects.filter(seen_at__lt=timezone.now() - _FORGET_WORKERS_AFTER).delete()
