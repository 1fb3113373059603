"""Starting work once, however often it is asked for: the same key and request give the same job."""

from collections.abc import Callable
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from rest_framework.request import Request

from jobs import dry_run
from jobs.models import IdempotencyKey, Job
from profiles import scope
from profiles.api.viewsets import idempotency_key, request_fingerprint
from profiles.errors import Conflict
from profiles.models import Profile

KEPT_FOR = timedelta(days=30)


def run_once(request: Request, start: Callable[[], Job]) -> Job:
    """For views: the job that `start()` makes, or the one it made when this very request came before.

    The header Idempotency-Key tells; without it `start` simply runs. It runs inside a transaction together
    with the key, so of two requests at once one is rolled back and answers with the other's job. The key
    belongs to the request's profile. Call it after the role was checked. Raises Conflict
    (`idempotency_key_reused`) when the key came with another request.
    """
    profile: Profile = request._request.profile  # type: ignore[attr-defined]
    key = idempotency_key(request)
    if dry_run.is_on():
        return dry_run.started(start)
    if key is None:
        with transaction.atomic():
            return start()
    return once(profile=profile, key=key, request_hash=request_fingerprint(request), start=start)


def started_before(request: Request) -> Job | None:
    """The job that this very request started before, if any: for views with costly work ahead of `run_once`, such as
    storing an upload. Raises Conflict like `run_once`."""
    profile: Profile = request._request.profile  # type: ignore[attr-defined]
    key = idempotency_key(request)
    return _known(profile, key, request_fingerprint(request)) if key else None


def once(*, profile: Profile, key: str, request_hash: str, start: Callable[[], Job]) -> Job:
    """The same for callers without a request. `request_hash` stands for what is asked for."""
    if (job := _known(profile, key, request_hash)) is not None:
        return job
    try:
        with transaction.atomic():
            started = start()
            _remember(profile, key, request_hash, started)
            return started
    except (_KeyTakenError, Conflict) as error:
        # of two such requests at once, the slower one finds what the faster one made in its way
        job = _known(profile, key, request_hash)
        if job is not None:
            return job
        if isinstance(error, Conflict):
            raise
        raise Conflict("This key is being used right now. Try again.", code="idempotency_key_busy") from None


class _KeyTakenError(Exception):
    """Another request was faster with the same key; rolls back what `start` wrote."""


def _remember(profile: Profile, key: str, request_hash: str, job: Job) -> None:
    try:
        with transaction.atomic():
            IdempotencyKey.objects.create(profile=profile, key=key, request_hash=request_hash, job=job)
    except IntegrityError as error:
        raise _KeyTakenError from error


def _known(profile: Profile, key: str, request_hash: str) -> Job | None:
    known = IdempotencyKey.objects.for_profile(profile).filter(key=key).select_related("job").first()
    if known is None:
        return None
    if known.request_hash != request_hash:
        raise Conflict("This Idempotency-Key was used for another request.", code="idempotency_key_reused")
    job: Job = known.job
    return job


def forget_old_keys() -> int:
    """Deletes keys after KEPT_FOR; nobody repeats a request that late. Returns how many."""
    with scope.all_profiles("reap lost jobs"):
        return int(IdempotencyKey.objects.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0])
