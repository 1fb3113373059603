"""Counters that all web processes share, for throttles: `hit`, `count`, `forgive` in fixed time windows.

With Redis they are its own atomic counters. Without, they live in one file of fixed size beside the cache, because
Django's file cache counts neither atomically nor cheaply: 65,536 slots of 16 bytes, each bucket of eight locked while
it is changed. A full bucket gives up its smallest counter, so a flood of new keys cannot push out a busy one. The
file's name is that of a cache entry, so that clearing the cache clears the counters too.
"""

import fcntl
import hashlib
import logging
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

_SLOT = struct.Struct("<QII")  # key, window, hits
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

    def change(self, key: str, seconds: int, by: int) -> int:
        """Adds `by` (never below 0) to the counter of this window; returns what it says now."""
        digest = hashlib.blake2b(f"{key}:{seconds}".encode(), digest_size=12).digest()
        tag = int.from_bytes(digest[:8], "little") or 1
        offset = int.from_bytes(digest[8:], "little") % _BUCKETS * _BUCKET_BYTES
        window = int(time.time() // seconds) % 2**32
        with _threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _BUCKET_BYTES, offset)
            try:
                return self._change_locked(offset, tag, window, by)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _BUCKET_BYTES, offset)

    def _change_locked(self, offset: int, tag: int, window: int, by: int) -> int:
        slots = list(_SLOT.iter_unpack(os.pread(self._file, _BUCKET_BYTES, offset)))
        index = next((i for i, slot in enumerate(slots) if slot[0] == tag), None)
        before = slots[index][2] if index is not None and slots[index][1] == window else 0
        after = min(max(before + by, 0), 2**32 - 1)
        if by:
            if index is None:
                index = min(range(_BUCKET_SLOTS), key=lambda i: slots[i][2] if slots[i][0] else -1)
            os.pwrite(self._file, _SLOT.pack(tag, window, after), offset + index * _SLOT.size)
        return after


@lru_cache(maxsize=4)
def _file_counters(path: str, process: int) -> FileCounters:
    return FileCounters(Path(path))


def _in_file(key: str, seconds: int, by: int) -> int:
    path = str(settings.DATA_DIR / "cache" / "throttles.djcache")
    counters = _file_counters(path, os.getpid())
    if counters.is_gone():
        _file_counters.cache_clear()
        counters = _file_counters(path, os.getpid())
    return counters.change(key, seconds, by)


def _in_redis(key: str, seconds: int, by: int) -> int:
    name = f"count:{key}:{seconds}:{int(time.time() // seconds)}"
    if not by:
        return int(cache.get(name, 0))
    cache.add(name, 0, timeout=seconds + 1)
    try:
        return int(cache.incr(name, by))
    except ValueError:  # it ran out between the two calls
        cache.set(name, max(by, 0), timeout=seconds + 1)
        return max(by, 0)


def _change(key: str, seconds: int, by: int) -> int:
    if settings.REDIS_URL:
        try:
            return _in_redis(key, seconds, by)
        except (RedisError, OSError) as error:  # requests go on, counted on this host
            log.warning("Redis does not count, this host does: %s", error)
    return _in_file(key, seconds, by)


def hit(key: str, seconds: int) -> int:
    """Counts one; returns how many there were in this window of `seconds`, this one included."""
    return _change(key, seconds, 1)


def count(key: str, seconds: int) -> int:
    """How many there were in this window."""
    return _change(key, seconds, 0)


def forgive(key: str, seconds: int) -> None:
    """Takes one hit back."""
    _change(key, seconds, -1)


def seconds_left(seconds: int) -> int:
    """Until the present window of `seconds` ends; at least 1."""
    return max(1, int(seconds - time.time() % seconds))
