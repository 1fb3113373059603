"""The periodic work of publishing, over all profiles: each has its own scope, and none can keep the others."""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

from django.db import connections
from django.db.models import Q
from django.utils import timezone

from jobs import services as jobs
from jobs.models import ACTIVE, Job
from profiles import scope
from profiles.models import Profile
from publishing.delivery import batches, claims, handing_over, waiting
from publishing.models import Batch, Publication
from publishing.states import State
from publishing.tracking.sync import sync

log = logging.getLogger(__name__)

_THREADS = 4  # a Postiz that hangs holds up one of them, for as long as one call may take


def due_everywhere() -> None:
    """Mends, marks what was missed, and starts a job for each profile that has something due."""
    now = timezone.now()
    wanted = (
        Q(state=State.SCHEDULED, due_at__lte=now)
        | Q(claim__isnull=False, claimed_until__lt=now)
        | Q(state=State.AWAITING_APPROVAL, is_immediate=False, scheduled_at__lt=now)
    )
    with scope.all_profiles("hand over publications"):
        ids = set(Publication.objects.filter(wanted).order_by().values_list("profile_id", flat=True))
    for profile_id in ids:
        _in_scope(profile_id, due_of)


def due_of(profile: Profile) -> Job | None:
    """The job for what is due, unless jobs hold all of it already."""
    claims.mend(profile)
    waiting.mark_missed(profile)
    if not waiting.due(profile).exclude(pk__in=_held_by_jobs(profile)).exists():
        return None
    return jobs.enqueue(profile=profile, kind=handing_over.BULK, params={}, subject=profile.pk)


def _held_by_jobs(profile: Profile) -> set[UUID]:
    active = Job.objects.for_profile(profile).filter(
        kind__in=[handing_over.PUBLISH, handing_over.BULK], status__in=ACTIVE
    )
    return {
        UUID(str(pk)) for params in active.values_list("params", flat=True) for pk in params.get("publication_ids", [])
    }


def sync_everywhere() -> None:
    """Asks Postiz about what is due to be asked about, a few profiles at once; ends batches."""
    now = timezone.now()
    with scope.all_profiles("ask about publications"):
        ids = set(Publication.objects.filter(next_check_at__lte=now).order_by().values_list("profile_id", flat=True))
        unfinished = set(Batch.objects.filter(finished_at=None).order_by().values_list("profile_id", flat=True))
    _at_once(ids, sync)
    for profile_id in unfinished:
        _in_scope(profile_id, batches.finish_batches)


def _at_once(profile_ids: Iterable[UUID], work: Callable[[Profile], object]) -> None:
    with ThreadPoolExecutor(_THREADS) as threads:
        list(threads.map(partial(_in_thread, work=work), profile_ids))


def _in_thread(profile_id: UUID, work: Callable[[Profile], object]) -> None:
    try:
        _in_scope(profile_id, work)
    finally:
        connections.close_all()


def _in_scope(profile_id: UUID, work: Callable[[Profile], object]) -> None:
    """Profiles that are being deleted have their own end (`take_back.before_erasing`)."""
    try:
        profile = Profile.objects.filter(pk=profile_id, state=Profile.State.ACTIVE).first()
        if profile is not None:
            with scope.activate(profile_id):
                work(profile)
    except Exception:  # the others have their turn, and this one its next
        log.exception("Publishing of profile %s: %s failed; it is tried again.", profile_id, work.__name__)
