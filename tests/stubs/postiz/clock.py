"""The stub's time: real time plus an offset, so that a test can let hours pass at once."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """Aware UTC time. `on_change` is called (outside of the lock) after every jump, so that what became due happens."""

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta(0)
        self._frozen: datetime | None = None
        self._on_change = on_change

    def now(self) -> datetime:
        with self._lock:
            return self._frozen if self._frozen is not None else datetime.now(UTC) + self._offset

    def advance(self, seconds: float) -> datetime:
        """Lets `seconds` pass at once; never backwards. The new time."""
        if seconds < 0:
            raise ValueError("advance() goes forward only; use set()")
        with self._lock:
            if self._frozen is not None:
                self._frozen += timedelta(seconds=seconds)
            else:
                self._offset += timedelta(seconds=seconds)
        self._on_change()
        return self.now()

    def set(self, moment: datetime, *, frozen: bool = False) -> datetime:
        """Makes it `moment` (aware), from where real time goes on, or stands still when `frozen`."""
        if moment.tzinfo is None:
            raise ValueError("set() needs an aware datetime")
        with self._lock:
            self._frozen = moment.astimezone(UTC) if frozen else None
            if not frozen:
                self._offset = moment.astimezone(UTC) - datetime.now(UTC)
        self._on_change()
        return self.now()

    def freeze(self) -> datetime:
        """Stops the clock where it is; advance() still moves it."""
        return self.set(self.now(), frozen=True)
