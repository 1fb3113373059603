"""What other apps call: enqueue, cancel, retry, delete. Transitions themselves are in `jobs.transitions`."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import dry_run, registry, transitions
from jobs.dispatch import dispatch
from jobs.idempotency import once
from jobs.leftovers import doom_leftovers
from jobs.models import ACTIVE, Job, JobEvent, QueueTurn, Status
from jobs.registry import JobKind
from profiles.errors import Conflict, TooMany
from profiles.models import Profile, User

__all__ = ["dispatch", "enqueue", "job_cancel", "job_delete", "job_retry", "stop_all"]

_RACES = 20  # how often in a row somebody else may be faster before we give up


def enqueue(
    *,
    profile: Profile,
    kind: str,
    params: Mapping[str, Any] | None = None,
    subject: UUID | None = None,
    by: User | None = None,
    idempotency_key: str | None = None,
    recipe_hash: str = "",
    run_at: datetime | None = None,
) -> Job:
    """A queued job, in the caller's transaction; workers are told after its commit.

    With a `subject` there is at most one active job of a kind: if one with the same `recipe_hash` is active
    it is the answer; one with another recipe is superseded. `run_at`: not before (aware). `params` must be
    JSON. `by` answers for the job: when they are no editor of the profile any more as it starts, it fails.
    Raises TooMany (`queue_full`), what the quota hooks raise, and Conflict for a reused `idempotency_key`.
    KeyError for an unknown kind.
    """
    known = _kind(kind)
    values = dict(params or {})

    def start() -> Job:
        return dry_run.noted(_enqueue(profile, known, values, subject, by, recipe_hash, run_at))

    if idempotency_key is None:
        return start()
    asked = json.dumps([kind, values, str(subject), recipe_hash], sort_keys=True)
    asked_hash = hashlib.sha256(asked.encode()).hexdigest()
    return once(profile=profile, key=idempotency_key, request_hash=asked_hash, start=start)


def _kind(name: str) -> JobKind:
    kind = registry.kind_named(name)
    if kind is None:
        raise KeyError(f"There is no kind of job named {name!r}.")
    return kind


def _enqueue(
    profile: Profile,
    kind: JobKind,
    params: dict[str, Any],
    subject: UUID | None,
    by: User | None,
    recipe_hash: str,
    run_at: datetime | None,
) -> Job:
    for _ in range(_RACES):
        job = Job(
            profile=profile,
            kind=kind.name,
            queue=kind.queue,
            priority=kind.priority,
            max_attempts=kind.max_attempts,
            params=params,
            subject=subject,
            recipe_hash=recipe_hash,
            created_by=by,
            step="Waiting for a worker",
            run_at=run_at or timezone.now(),
        )
        if subject is not None and (same := active_job(profile, kind.name, subject)) is not None:
            if same.recipe_hash == recipe_hash and same.cancel_requested_at is None:
                return same
            with transaction.atomic():
                transitions.end_now(same, JobEvent.Kind.SUPERSEDED)
                if _insert(job, kind):
                    return job
                transaction.set_rollback(True)
        elif _insert(job, kind):
            return job
    raise Conflict("This is being started by somebody else right now. Try again.", code="busy")


def active_job(profile: Profile, kind: str, subject: UUID) -> Job | None:
    """The queued or running job of this kind for this subject."""
    jobs = Job.objects.for_profile(profile).filter(kind=kind, subject=subject, status__in=ACTIVE)
    job: Job | None = jobs.first()
    return job


def _insert(job: Job, kind: JobKind) -> bool:
    """Writes the row; False when another active job of its kind and subject was faster."""
    check_room(job.profile, job.queue)
    registry.check_quota(job)
    try:
        with transaction.atomic():
            job.save(force_insert=True)
    except IntegrityError:
        if job.subject is None:
            raise
        return False
    transitions.record(job, JobEvent.Kind.QUEUED)
    _wake(job)
    return True


def _wake(job: Job) -> None:
    """Gives the profile its place in the queue, and has the dispatcher look after commit."""
    QueueTurn.objects.get_or_create(profile_id=job.profile_id, queue=job.queue)
    transaction.on_commit(partial(dispatch, job.queue), robust=True)


def check_room(profile: Profile, queue: str) -> None:
    """TooMany when the profile has JOB_QUEUE_LIMIT jobs waiting in this queue: the others are not kept by it. Requests
    at once may overshoot by their number."""
    limit = settings.JOB_QUEUE_LIMIT
    if Job.objects.for_profile(profile).filter(status=Status.QUEUED, queue=queue).order_by()[:limit].count() >= limit:
        raise TooMany(
            f"{limit} jobs are waiting already. Wait for some to end, or cancel some.",
            code="queue_full",
            retry_after=60,
        )


def job_cancel(*, profile: Profile, job: Job, by: User | None = None) -> Job:
    """Cancels a waiting job at once and asks a running one to stop. Conflict when it ended in another way."""
    status = transitions.cancel(job, by)
    if status in {Status.SUCCEEDED, Status.FAILED, Status.NEEDS_ATTENTION}:
        raise Conflict("This job has ended already.", code="job_ended")
    transaction.on_commit(partial(dispatch, job.queue), robust=True)
    return Job.objects.for_profile(profile).get(pk=job.pk)


def job_retry(*, profile: Profile, job: Job, by: User | None = None) -> Job:
    """Queues a failed, cancelled or needs-attention job again; the old error stays in its history.

    Raises Conflict when it is in another state or the same work is under way in another job, TooMany, and
    what the quota hooks raise.
    """
    check_room(profile, job.queue)
    registry.check_quota(job)
    try:
        with transaction.atomic():
            if not transitions.requeue(job, by):
                raise Conflict("Only a failed or cancelled job can be tried again.", code="job_not_retryable")
            _wake(job)
    except IntegrityError:
        raise Conflict("The same work is waiting or running in another job.", code="already_active") from None
    return dry_run.noted(Job.objects.for_profile(profile).get(pk=job.pk))


def job_delete(*, profile: Profile, job: Job) -> None:
    """Deletes a job at rest with its history, and those of its files that nothing else points to."""
    with transaction.atomic():
        row = Job.objects.for_profile(profile).select_for_update().filter(pk=job.pk).first()
        if row is None:
            return
        if not row.is_at_rest:
            raise Conflict("This job has not ended yet: cancel it first.", code="job_active")
        row.delete()
        doom_leftovers(profile.pk, job.pk)


def stop_all(*, profile: Profile, subject: UUID | None = None) -> int:
    """Cancels all active jobs of a profile, or of one subject (what is being deleted). Running ones lose their lease
    at once, so nothing that they still do is written. Returns how many there were."""
    jobs = Job.objects.for_profile(profile).filter(status__in=ACTIVE)
    if subject is not None:
        jobs = jobs.filter(subject=subject)
    stopped = 0
    for job in jobs:
        with transaction.atomic():
            stopped += transitions.end_now(job, JobEvent.Kind.CANCELLED)
    return stopped
