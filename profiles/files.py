"""The one door for stored files.

Row first, then object, then the row says `stored`: a crash leaves at most a row in state `writing` or an object
whose row says so, and the sweep removes both. Deleting goes the other way round: the row is doomed inside the
caller's transaction, the object goes after commit, then the row. Keys start with `profiles/<profile id>/` and carry
128 random bits.
"""

import errno
import logging
import secrets
import shutil
import tempfile
from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from profiles import scope, storage
from profiles.errors import StorageFull
from profiles.models import Profile, StoredFile

log = logging.getLogger(__name__)

# What we write, and how it is served; anything else leaves as a download of unknown bytes.
CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".m4a": "audio/mp4",
    ".wav": "audio/wav",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt",
    ".json": "application/json",
    ".bin": "application/octet-stream",
}
_WRITING_FOR = timedelta(hours=24)  # after this long a row in state `writing` has no writer any more
_ORPHAN_AFTER = timedelta(hours=24)


def prefix_of(profile_id: UUID) -> str:
    return f"profiles/{profile_id}/"


def store(
    *,
    profile: Profile,
    path: Path,
    area: str,
    suffix: str,
    sha256: str = "",
    job_id: UUID | None = None,
    attempt: int | None = None,
) -> StoredFile:
    """Moves the local file `path` into the store and returns its row.

    Call it outside any transaction, so that the row is there before the object. `sha256` saves reading the file once
    more when it is known. Raises StorageFull when there is no room; then nothing is left behind.
    """
    key = f"{prefix_of(profile.pk)}{area}/{secrets.token_hex(16)}{suffix}"
    row = StoredFile.objects.create(
        profile=profile,
        key=key,
        content_type=CONTENT_TYPES.get(suffix, "application/octet-stream"),
        job_id=job_id,
        attempt=attempt,
    )
    row.size = path.stat().st_size
    row.sha256 = sha256 or storage.sha256_of(path)
    try:
        storage.put(path, key)
    except OSError as error:
        erase([row])
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("The disk is full: make room on the server, then try again.") from error
        raise
    row.state = StoredFile.State.STORED
    row.save(update_fields=["size", "sha256", "state"])
    return row


def copy(file: StoredFile, *, area: str) -> StoredFile:
    """An object of its own with the content of `file`, still `writing`: whoever points to it calls `keep` in that very
    transaction. One that nobody keeps, because of a crash, the sweep takes away.

    Call it outside any transaction. Raises FileNotFoundError when `file` has no object (any more), StorageFull when
    there is no room; then nothing is left behind.
    """
    suffix = Path(file.key).suffix
    row = StoredFile.objects.create(
        profile_id=file.profile_id,
        key=f"{prefix_of(file.profile_id)}{area}/{secrets.token_hex(16)}{suffix}",
        content_type=file.content_type,
    )
    try:
        with local_path(file) as path, tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
            made = Path(folder) / f"copy{suffix}"
            shutil.copyfile(path, made)
            row.size, row.sha256 = made.stat().st_size, storage.sha256_of(made)
            storage.put(made, row.key)
    except OSError as error:
        erase([row])
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageFull("The disk is full: make room on the server, then try again.") from error
        raise
    row.save(update_fields=["size", "sha256"])
    return row


def keep(rows: Iterable[StoredFile | None]) -> None:
    """Makes copies `stored`, in the caller's transaction. Raises FileNotFoundError when the sweep took one away."""
    for row in rows:
        if row is None:
            continue
        writing = StoredFile.objects.filter(pk=row.pk, state=StoredFile.State.WRITING)
        if not writing.update(state=StoredFile.State.STORED):
            raise FileNotFoundError(row.key)
        row.state = StoredFile.State.STORED


def doom(rows: Iterable[StoredFile | None]) -> None:
    """Marks files for deletion in the caller's transaction; their objects go after its commit."""
    doomed = [row for row in rows if row is not None]
    if not doomed:
        return
    for row in doomed:
        row.state = StoredFile.State.DOOMED
    StoredFile.objects.filter(pk__in=[row.pk for row in doomed]).update(state=StoredFile.State.DOOMED)
    profile_id = doomed[0].profile_id

    def after_commit() -> None:
        with scope.activate(profile_id):
            erase(doomed)

    transaction.on_commit(after_commit, robust=True)  # what fails here stays doomed, and the sweep takes it


def erase(rows: Iterable[StoredFile]) -> None:
    """Deletes objects, then rows."""
    for row in rows:
        storage.delete(row.key)
        StoredFile.objects.filter(pk=row.pk).delete()


def open_range(file: StoredFile, start: int, length: int) -> Generator[bytes]:
    """`length` bytes of the object from `start`, in chunks of flat memory; FileNotFoundError when it is gone."""
    return storage.read_range(file.key, start, length)


def local_path(file: StoredFile) -> AbstractContextManager[Path]:
    """A path that ffmpeg may read while the block runs: the file itself, or this machine's cached copy."""
    return storage.local_copy(file.key, owner=file.profile_id, sha256=file.sha256)


def sweep() -> int:
    """Removes what crashes left behind, both ways: rows without a use, objects without a row. Returns how many."""
    now = timezone.now()
    removed = 0
    with scope.all_profiles("sweep stored files"):
        lost = StoredFile.objects.filter(state=StoredFile.State.DOOMED) | StoredFile.objects.filter(
            state=StoredFile.State.WRITING, created_at__lt=now - _WRITING_FOR
        )
        rows = list(lost[:1000])
        erase(rows)
        removed += len(rows)
        removed += _sweep_objects((now - _ORPHAN_AFTER).timestamp())
    if removed:
        log.info("Swept %d stored files that nothing used.", removed)
    return removed


def _sweep_objects(before: float) -> int:
    removed = 0
    batch: list[str] = []
    for key, changed in storage.keys("profiles/"):
        if changed < before:
            batch.append(key)
        if len(batch) == 500:
            removed += _delete_unknown(batch)
            batch = []
    return removed + _delete_unknown(batch)


def _delete_unknown(batch: list[str]) -> int:
    known = set(StoredFile.objects.filter(key__in=batch).values_list("key", flat=True))
    unknown = [key for key in batch if key not in known]
    for key in unknown:
        storage.delete(key)
    return len(unknown)


def erase_prefix(profile_id: UUID) -> None:
    """Deletes every object of a profile, whatever the rows say. The slash keeps other ids safe."""
    for key, _ in list(storage.keys(prefix_of(profile_id))):
        storage.delete(key)
