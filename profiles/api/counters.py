"""Counters that all web processes share, for throttles: `admit` and `forgive` in a sliding window of time.

The window slides by weight: what counts is this window's hits, and of the window before the share that still lies
less than a window back. So no border between two windows lets twice the rate through.

With Redis they are its own atomic counters. Without, they live in one file of fixed size beside the cache, because
Django's file cache counts neither atomically nor cheaply: 65,536 slots of 16 bytes, each bucket of eight locked while
it is changed. A full bucket gives up its smallest counter, so a flood of new keys cannot push out a busy one. The
file's name is that of a cache entry, so that clearing the cache clears the counters too.
"""

import fcntl
import hashlib
import logging
import math
import os
import struct
import threading
import time
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_SLOT = struct.Struct("<QIHH")  # key, window, hits in it, hits in the one before
_MOST = 2**16 - 1
_BUCKET_SLOTS = 8
_BUCKETS = 8192
_BUCKET_BYTES = _SLOT.size * _BUCKET_SLOTS
_threads = threading.Lock()  # file locks hold between processes only


class FileCounters:
    """`path` is made on first use (0600)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(self._file).st_size != _BUCKETS * _BUCKET_BYTES:
            os.ftruncate(self._file, _BUCKETS * _BUCKET_BYTES)

    def is_gone(self) -> bool:
        """Whether somebody deleted the file."""
        return os.fstat(self._file).st_nlink == 0

    def __del__(self) -> None:
        os.close(self._file)

    def change(self, key: str, seconds: int, window: int, by: int) -> tuple[int, int]:
        """Adds `by` to the counter of `window` (never below 0); returns what it and the one before it say now."""
        digest = hashlib.blake2b(f"{key}:{seconds}".encode(), digest_size=12).digest()
        tag = int.from_bytes(digest[:8], "little") or 1
        offset = int.from_bytes(digest[8:], "little") % _BUCKETS * _BUCKET_BYTES
        with _threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _BUCKET_BYTES, offset)
            try:
                return self._change_locked(offset, tag, window, by)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _BUCKET_BYTES, offset)

    def _change_locked(self, offset: int, tag: int, window: int, by: int) -> tuple[int, int]:
        slots = list(_SLOT.iter_unpack(os.pread(self._file, _BUCKET_BYTES, offset)))
        index = next((i for i, slot in enumerate(slots) if slot[0] == tag), None)
        hits = earlier = 0
        if index is not None:
            _, of, last, one_before_last = slots[index]
            hits, earlier = {window: (last, one_before_last), window - 1: (0, last)}.get(of, (0, 0))
        hits = min(max(hits + by, 0), _MOST)
        if by:
            if index is None:
                index = min(range(_BUCKET_SLOTS), key=lambda i: slots[i][2] if slots[i][0] else -1)
            os.pwrite(self._file, _SLOT.pack(tag, window, hits, earlier), offset + index * _SLOT.size)
        return hits, earlier


@lru_cache(maxsize=4)
def _file_counters(path: str, process: int) -> FileCounters:
    return FileCounters(Path(path))


def _in_file(key: str, seconds: int, window: int, by: int) -> tuple[int, int]:
    path = str(settings.DATA_DIR / "cache" / "throttles.djcache")
    counters = _file_counters(path, os.getpid())
    if counters.is_gone():
        _file_counters.cache_clear()
        counters = _file_counters(path, os.getpid())
    return counters.change(key, seconds, window, by)


def _in_redis(key: str, seconds: int, window: int, by: int) -> tuple[int, int]:
    name = f"count:{key}:{seconds}:{window}"
    earlier = int(cache.get(f"count:{key}:{seconds}:{window - 1}", 0))
    cache.add(name, 0, timeout=2 * seconds + 1)
    try:
        return int(cache.incr(name, by)), earlier
    except ValueError:  # it ran out between the two calls
        cache.set(name, max(by, 0), timeout=2 * seconds + 1)
        return max(by, 0), earlier


def _change(key: str, seconds: int, by: int) -> int:
    """What counts after the change, rounded up."""
    window, into = divmod(time.time(), seconds)
    hits, earlier = _stored(key, seconds, int(window) % 2**32, by)
    return math.ceil(hits + earlier * (1 - into / seconds))


def _stored(key: str, seconds: int, window: int, by: int) -> tuple[int, int]:
    if settings.REDIS_URL:
        try:
            return _in_redis(key, seconds, window, by)
        except (RedisError, OSError) as error:  # requests go on, counted on this host
            log.warning("Redis does not count, this host does: %s", error)
    return _in_file(key, seconds, window, by)


def admit(key: str, seconds: int, limit: int) -> bool:
    """Counts one more, unless there were `limit` in the last `seconds` already. It counts before it judges: any
    number of attempts at once get `limit` through."""
    if _change(key, seconds, 1) <= limit:
        return True
    forgive(key, seconds)  # refused ones do not keep the door closed
    return False


def forgive(key: str, seconds: int) -> None:
    """Takes one back."""
    _change(key, seconds, -1)


def seconds_to_wait(seconds: int, limit: int) -> int:
    """After which one more is admitted at the latest; at least 1."""
    return max(1, math.ceil(seconds - time.time() % seconds + seconds / limit))
