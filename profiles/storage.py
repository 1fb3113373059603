"""The object store behind `profiles.files`: a local folder or an S3 bucket, with ranges read in flat memory."""

import fcntl
import hashlib
import os
import random
import shutil
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

CHUNK = 256 * 1024  # bytes read at once
_TRIES = 20


def backend() -> Storage:
    return storages["default"]


def is_local() -> bool:
    return isinstance(backend(), FileSystemStorage)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def put(path: Path, key: str) -> None:
    """Moves the local file `path` to `key`; on return it is durable, and `path` is gone."""
    storage = backend()
    if is_local():
        target = Path(storage.path(key))
        _flush(path)
        _move(path, target)
        target.chmod(0o600)
        _flush(target.parent)
        return
    with path.open("rb") as file:
        written = storage.save(key, File(file))
    if written != key:
        raise RuntimeError(f"The store wrote {written!r} instead of {key!r}.")
    path.unlink()


def _move(path: Path, target: Path) -> None:
    """A rename on the same volume, else a copy. `delete` may take an empty folder away just before we use it."""
    for tries in range(1, _TRIES + 1):
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(path, target)
            return
        except FileNotFoundError:
            if tries == _TRIES or not path.exists():
                raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delete(key: str) -> None:
    """Deletes one object; no error when it is not there. Empty folders go with it."""
    storage: Any = backend()
    storage.delete(key)
    if is_local():
        root = Path(storage.path("")).resolve()
        folder = Path(storage.path(key)).parent
        while folder != root and root in folder.parents:
            try:
                folder.rmdir()
            except OSError:  # not empty, or gone already
                return
            folder = folder.parent


def keys(prefix: str) -> Iterator[tuple[str, float]]:
    """`(key, time of change)` of all objects under `prefix`, which ends with a slash; seconds since the epoch."""
    storage: Any = backend()
    if is_local():
        root = Path(storage.path(""))
        for folder, _, names in os.walk(root / prefix):
            for name in names:
                path = Path(folder, name)
                try:
                    changed = path.stat().st_mtime
                except FileNotFoundError:
                    continue  # deleted since the folder was read
                yield str(path.relative_to(root)), changed
        return
    pages = storage.connection.meta.client.get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=storage.bucket_name, Prefix=prefix):
        for item in page.get("Contents", ()):
            yield item["Key"], item["LastModified"].timestamp()


def read_range(key: str, start: int, length: int) -> Generator[bytes]:
    """`length` bytes from `start`, in chunks. Raises FileNotFoundError at once, not at the first chunk."""
    storage: Any = backend()
    if is_local():
        file = open(storage.path(key), "rb")  # noqa: SIM115 - closed by the generator
        file.seek(start)
        return _chunks(file, length)
    client = storage.connection.meta.client
    try:
        answer = client.get_object(
            Bucket=storage.bucket_name, Key=key, Range=f"bytes={start}-{start + max(length, 1) - 1}"
        )
    except client.exceptions.NoSuchKey as error:
        raise FileNotFoundError(key) from error
    return _chunks(answer["Body"], length)


def _chunks(file: Any, length: int) -> Generator[bytes]:
    try:
        while length > 0:
            data = file.read(min(CHUNK, length))
            if not data:
                raise OSError("A stored file is shorter than its row says.")
            length -= len(data)
            yield data
    finally:
        file.close()


@contextmanager
def local_copy(key: str, *, owner: UUID, sha256: str) -> Iterator[Path]:
    """A local path to the object: the object itself, or a copy in this machine's bounded cache of sources."""
    storage: Any = backend()
    if is_local():
        path = Path(storage.path(key))
        if not path.exists():
            raise FileNotFoundError(key)
        yield path
        return
    name = f"{hashlib.sha256(key.encode()).hexdigest()}{Path(key).suffix}"
    path = settings.SOURCE_CACHE_DIR / str(owner) / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path.with_suffix(".lock"), "w") as lock:
        while True:
            fcntl.flock(lock, fcntl.LOCK_SH)  # held while in use: others may read too, and none throws it out
            if path.exists():
                break
            if not _is_alone(lock):
                time.sleep(random.uniform(0.01, 0.05))  # of several that found it missing, one is alone soon
            elif not path.exists():
                _make_room(settings.SOURCE_CACHE_BYTES)
                _download(storage, key, path, sha256)
            # going over to the shared lock lets go of this one for a moment: so look again
        os.utime(path)
        yield path


def _is_alone(lock: IO[str]) -> bool:
    """Takes the lock for itself if nobody else holds it. Whoever waited for that would wait for those who use the copy
    that is there by then."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(lock, fcntl.LOCK_UN)
        return False
    return True


def _download(storage: Any, key: str, path: Path, sha256: str) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        storage.connection.meta.client.download_file(storage.bucket_name, key, str(part))
        if sha256 and sha256_of(part) != sha256:
            raise OSError(f"The object {key!r} is not what was stored.")
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def _make_room(limit: int) -> None:
    """Throws out the copies used longest ago, except those in use, until the cache is below `limit` bytes."""
    found = [path for path in settings.SOURCE_CACHE_DIR.glob("*/*") if path.suffix not in {".lock", ".part"}]
    copies = []
    for path in found:
        with suppress(FileNotFoundError):  # another worker makes room as well
            facts = path.stat()
            copies.append((facts.st_mtime, facts.st_size, path))
    total = sum(size for _, size, _ in copies)
    for _, size, path in sorted(copies):
        if total <= limit:
            return
        with open(path.with_suffix(".lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            path.unlink(missing_ok=True)
            total -= size
