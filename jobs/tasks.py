"""Periodic work of this floor; beat sends it, and the workers' presence threads run the reaper as well."""

import logging
from collections.abc import Callable

from celery import shared_task

from jobs import idempotency, leftovers, reaper, scratch, workers
from jobs.models import Job, Status
from profiles import erasure, files, scope, trash
from profiles.api.uploads import sweep_uploads
from profiles.models import Profile

log = logging.getLogger(__name__)

workers.connect()


@shared_task(name="jobs.reap", ignore_result=True)
def reap_lost_jobs() -> None:
    """Takes lost jobs back, rings again, deals out slots; erases profiles that are being deleted."""
    reaper.reap()
    erase_deleted_profiles()


@shared_task(name="jobs.sweep", ignore_result=True)
def sweep() -> None:
    """Removes what nobody uses any more: scratch, files of dead attempts, old keys, old trash, broken uploads."""
    brooms: tuple[Callable[[], object], ...] = (
        scratch.sweep,
        leftovers.sweep_leftovers,
        files.sweep,
        idempotency.forget_old_keys,
        reaper.forget_workers,
        reaper.book_forgotten_cpu,
        trash.empty_old,
        sweep_uploads,
    )
    for broom in brooms:
        try:
            broom()
        except Exception:  # one that fails must not keep the others from their work
            log.exception("%s.%s failed; it is tried again in an hour.", broom.__module__, broom.__name__)


def erase_deleted_profiles() -> int:
    """Erases profiles in state `deleting` that no attempt works for any more, and that have nothing out in the world
    that could still be taken back. Returns how many.

    An attempt stops within a heartbeat of the deletion; until its lease has run out it may still be storing a file.
    """
    erased = 0
    for profile in Profile.objects.filter(state=Profile.State.DELETING):
        with scope.activate(profile.pk):
            if Job.objects.for_profile(profile).filter(status=Status.RUNNING).exists():
                continue
            try:
                if erasure.may_be_erased(profile):
                    erasure.erase(profile)
                    erased += 1
            except Exception:  # a profile that cannot go yet must not keep the others
                log.exception("Profile %s could not be erased; it is tried again.", profile.pk)
    return erased
