"""Postiz's rate limit: a fixed window of an hour per organisation, then an hour's block."""

import math
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from .clock import Clock

WINDOW_SECONDS = 3600


@dataclass
class _Window:
    ends: datetime
    hits: int = 0
    blocked_until: datetime | None = None


class Throttle:
    """Counts calls by the stub's clock. `limit` may be changed at any time."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, _Window] = {}

    def reset(self) -> None:
        with self._lock:
            self._windows.clear()

    def hit(self, tracker: str) -> tuple[int | None, dict[str, str]]:
        """Counts one call: (None, headers of the success) or (seconds to wait, {})."""
        now = self._clock.now()
        with self._lock:
            window = self._windows.get(tracker)
            if window is not None and window.blocked_until is not None:
                if now < window.blocked_until:
                    return math.ceil((window.blocked_until - now).total_seconds()), {}
                window = None
            if window is None or now >= window.ends:
                window = self._windows[tracker] = _Window(now + timedelta(seconds=WINDOW_SECONDS))
            window.hits += 1
            if window.hits > self.limit:
                window.blocked_until = now + timedelta(seconds=WINDOW_SECONDS)
                return WINDOW_SECONDS, {}
            return None, {
                "X-RateLimit-Limit": str(self.limit),
                "X-RateLimit-Remaining": str(self.limit - window.hits),
                "X-RateLimit-Reset": str(math.ceil((window.ends - now).total_seconds())),
            }
