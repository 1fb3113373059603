"""Sending a file to Postiz: streamed with flat memory, bounded in time, begun again from its start when it breaks."""

import logging
import re
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from profiles.outbound import Reply, Timeout
from publishing.postiz import errors
from publishing.postiz.refusals import is_success, problem_of
from publishing.postiz.replies import Media, content_of, media_of

logger = logging.getLogger(__name__)

MAX_BYTES = 2**30  # of a video
RESTARTS = 3
SLOWEST = 500_000  # bytes a second
SHORTEST = 180  # seconds, for any file
READ_SECONDS = 120  # after its last byte
_TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}

Progress = Callable[[int, int], None]
"""Called with the bytes that are sent and those that there are; from the start again after a restart."""


class Calls(Protocol):
    """What of the client is needed here."""

    def call(self, method: str, path: str, **options: Any) -> Reply: ...

    def is_connected(self, *, retries: int | None = None) -> None: ...

    def pause(self, attempt: int) -> None: ...


class Upload:
    """One upload: at most 3 whole restarts within max(180 s, size / 0.5 MB/s).

    Restarts after network errors, 5xx, 408 and a 401 without a word, asking before whether the key is still good (a
    refusal may show as a broken connection only). Raises MediaRefused, TooLarge, BadKey, …, Unavailable at the end,
    Stopped.
    """

    def __init__(
        self,
        postiz: Calls,
        path: Path,
        *,
        name: str,
        on_progress: Progress | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> None:
        self._postiz = postiz
        self._path = path
        self._name = ascii_name(name)
        self._size = path.stat().st_size
        self._on_progress = on_progress or (lambda sent, size: None)
        self._should_stop = should_stop or (lambda: False)
        self._ends_at = time.monotonic() + max(SHORTEST, self._size / SLOWEST)

    def run(self) -> Media:
        if self._size > MAX_BYTES:
            raise errors.TooLarge("Video must be MP4, max 1 GB.", detail=f"{self._size} bytes")
        for attempt in range(RESTARTS):
            try:
                if attempt:
                    self._probe()
                return self._once()
            except errors.Unavailable as error:
                logger.info("Postiz: upload %s (%s), again", error.code, error.detail)
                if time.monotonic() >= self._ends_at:
                    raise
            self._postiz.pause(attempt)
        self._probe()
        return self._once()

    def _probe(self) -> None:
        """Before a restart: a refused key shows as a broken connection, too. Raises BadKey, Unavailable, …"""
        if self._should_stop():
            raise errors.Stopped
        self._postiz.is_connected(retries=0)

    def _once(self) -> Media:
        if self._should_stop():
            raise errors.Stopped
        reply = self._send()
        if not is_success(reply):
            raise problem_of(reply)
        return media_of(content_of(reply))

    def _send(self) -> Reply:
        timeout = Timeout(connect=5, read=READ_SECONDS, total=max(self._ends_at - time.monotonic(), 0))
        kind = _TYPES.get(Path(self._name).suffix, "application/octet-stream")
        with self._path.open("rb") as file:
            watched: Any = _Watched(file, self._sent)
            return self._postiz.call("POST", "/upload", files={"file": (self._name, watched, kind)}, timeout=timeout)

    def _sent(self, done: int) -> None:
        if self._should_stop():
            raise errors.Stopped
        self._on_progress(done, self._size)


class _Watched:
    """A file as httpx reads it for a multipart body (64 kB at a time), telling how far it is."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell

    def fileno(self) -> int:
        return self._file.fileno()  # for its length

    def seek(self, offset: int) -> int:
        return self._file.seek(offset)

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._tell(self._file.tell())
        return data


def ascii_name(name: str) -> str:
    """A plain file name of at most 100 ASCII characters, its suffix in lower case."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    clean = re.sub("[^A-Za-z0-9._-]+", "-", plain).strip(".-") or "file"
    suffix = Path(clean).suffix[:10]
    return clean.removesuffix(suffix)[: 100 - len(suffix)] + suffix.lower()
