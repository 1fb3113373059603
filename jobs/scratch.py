"""Private folders for attempts: `<scratch>/<profile>/<job>/<attempt>/`, removed at the end of the attempt.

What a killed process left is swept by whoever works on the same host: when the job is claimed again there,
when a worker starts, and every minute.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from django.conf import settings

from jobs.models import Job, Status
from profiles import scope

log = logging.getLogger(__name__)


def folder_of(profile_id: UUID, job_id: UUID, attempt: int) -> Path:
    return Path(settings.SCRATCH_DIR) / str(profile_id) / str(job_id) / str(attempt)


@contextmanager
def private_folder(folder: Path) -> Iterator[None]:
    """Makes the attempt's folder (0700), for as long as the block runs. Folders of earlier attempts go first."""
    _remove(folder.parent)  # we hold the claim: whatever is in there belongs to attempts that lost theirs
    for path in (*reversed(folder.parents[:3]), folder):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield
    finally:
        _remove(folder)
        _remove_empty(folder.parent)


def sweep() -> int:
    """Removes the folders of attempts that are not running any more. Returns how many."""
    found = list(Path(settings.SCRATCH_DIR).glob("*/*/*"))
    if not found:
        return 0
    # The rows are read after the folders were listed: a folder is made only when its row says "running".
    jobs = {job_id for folder in found if (job_id := _uuid(folder.parent.name))}
    with scope.all_profiles("reap lost jobs"):
        rows = Job.objects.filter(pk__in=jobs, status=Status.RUNNING).values_list("profile_id", "pk", "attempt")
        running = {folder_of(*row) for row in rows}
    unused = [folder for folder in found if folder not in running]
    for folder in unused:
        _remove(folder)
        _remove_empty(folder.parent)
    if unused:
        log.info("Removed %d scratch folders that nobody used any more.", len(unused))
    return len(unused)


def _uuid(name: str) -> UUID | None:
    try:
        return UUID(name)
    except ValueError:
        return None


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # two sweeps may meet; what stays is met by the next one


def _remove_empty(folder: Path) -> None:
    """`folder` and its parent (the profile's), if nothing is in them."""
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()
