"""How many slow things (uploads, downloads) one caller, and all callers together, may have open in this process.

A slow client holds a thread of the web process for as long as it likes. Without this, one caller with enough open
connections would hold them all, and nobody else could even ask for a list.
"""

import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from profiles.api.throttles import client_ip
from profiles.errors import TooMany

log = logging.getLogger(__name__)

STREAMS_PER_CALLER = 4
UPLOADS_PER_CALLER = 3
THREADS_KEPT_FREE = 2  # for everybody's short requests
IDLE_SECONDS = 30  # a client that neither sends nor takes anything for so long is cut off

_lock = threading.Lock()
_all_open = 0


class Slots:
    """Counts what is open, by caller."""

    def __init__(self, what: str, limit: int) -> None:
        self.what, self.limit = what, limit
        self._open: Counter[str] = Counter()

    def take(self, request: HttpRequest) -> Callable[[], None]:
        """A slot for this caller, given back by calling the result (once or more); TooMany (429) without."""
        global _all_open
        caller = _caller(request)
        with _lock:
            if self._open[caller] >= self.limit:
                raise TooMany(f"You have {self.limit} {self.what} open already.", code="too_many_open", retry_after=5)
            if _all_open >= max(2, settings.WEB_THREADS - THREADS_KEPT_FREE):
                raise TooMany("Too many transfers are open. Try again soon.", code="busy", retry_after=5)
            self._open[caller] += 1
            _all_open += 1
        return self._give_back(caller)

    def _give_back(self, caller: str) -> Callable[[], None]:
        held = [caller]

        def give_back() -> None:
            global _all_open
            with _lock:
                if not held:
                    return
                held.clear()
                _all_open -= 1
                self._open[caller] -= 1
                if self._open[caller] <= 0:
                    del self._open[caller]

        return give_back

    def open(self) -> int:
        """How many are open now, over all callers."""
        with _lock:
            return self._open.total()


def _caller(request: HttpRequest) -> str:
    user: Any = getattr(request, "user", None)
    return str(user.pk) if user is not None and user.is_authenticated else client_ip(request)


streams = Slots("downloads", STREAMS_PER_CALLER)
uploads = Slots("uploads", UPLOADS_PER_CALLER)


# --- clients that stand still ---------------------------------------------------------------------------


def hang_up(request: HttpRequest) -> None:
    """Takes nothing more of the body that this caller is sending. The answer still goes out; but the server, which
    reads away what is left of a body before it takes the next request, need not wait for a slow one."""
    connection: Any = request.META.get("gunicorn.socket")
    if connection is not None:
        _shut(connection)


def _shut(connection: Any) -> None:
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError as error:
        log.info("the connection was gone already: %s", error)


def limit_idle(request: HttpRequest) -> None:
    """From now on the connection breaks when one read, or the sending of one chunk, takes over IDLE_SECONDS."""
    connection: Any = request.META.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(IDLE_SECONDS)


@dataclass(eq=False)
class Watched:
    """An upload whose client must keep sending: a read gathers 64 KiB, however slowly they drip in, so that no
    timeout of a single read would ever notice."""

    connection: Any
    total: int = 0
    moved_at: float = field(default_factory=time.monotonic)

    def moved(self, count: int) -> None:
        self.total += count
        self.moved_at = time.monotonic()

    def has_stalled(self) -> bool:
        return time.monotonic() - self.moved_at > IDLE_SECONDS


_watched: set[Watched] = set()
_watching: threading.Thread | None = None


def watch(request: HttpRequest) -> tuple[Watched, Callable[[], None]]:
    """Cuts the connection of a client that stands still; ends when the second result is called."""
    global _watching
    watched = Watched(request.META.get("gunicorn.socket"))
    if watched.connection is None:
        return watched, lambda: None

    def unwatch() -> None:
        with _lock:
            _watched.discard(watched)

    with _lock:
        _watched.add(watched)
        if _watching is None or not _watching.is_alive():
            _watching = threading.Thread(target=_watch, name="idle-uploads", daemon=True)
            _watching.start()
    return watched, unwatch


def _watch() -> None:
    while True:
        time.sleep(IDLE_SECONDS / 6)
        with _lock:
            stalled = [item for item in _watched if item.has_stalled()]
            _watched.difference_update(stalled)
        for item in stalled:
            log.warning("an upload stood still for %s s after %s bytes: cut off", IDLE_SECONDS, item.total)
            _shut(item.connection)
