"""Moments of a request at which a test may look in or hold it: hooks (in-process) and gates (also over HTTP).

Moments: "received" (head read, nothing checked), "before_commit" (checked, nothing changed), "after_commit" (changed,
nothing sent), "before_reply".
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from .models import SeenRequest

MOMENTS = ("received", "before_commit", "after_commit", "before_reply")
Hook = Callable[[SeenRequest], object]


@dataclass(eq=False)
class Gate:
    """Holds the next `times` requests of a route at a moment until resume()."""

    route: str
    moment: str
    times: int
    stopping: threading.Event
    waiting: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _open: bool = False

    def wait(self, timeout: float = 10, count: int = 1) -> bool:
        """True once `count` requests have arrived here; False after `timeout` seconds of real time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.waiting >= count, timeout)

    def resume(self) -> None:
        """Lets the held requests go on, and holds no more."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def arrive(self) -> None:
        with self._changed:
            if self._open or self.times == 0:
                return
            self.times -= self.times > 0
            self.waiting += 1
            self._changed.notify_all()
            while not self._open and not self.stopping.is_set():
                self._changed.wait(0.2)


class Gates:
    """All hooks and gates of a stub."""

    def __init__(self, stopping: threading.Event) -> None:
        self._lock = threading.Lock()
        self._stopping = stopping
        self._hooks: list[tuple[str, str, Hook]] = []
        self.gates: list[Gate] = []

    def on(self, route: str, moment: str, hook: Hook) -> None:
        _check(moment)
        with self._lock:
            self._hooks.append((route, moment, hook))

    def pause(self, route: str, moment: str, times: int = 1) -> Gate:
        _check(moment)
        gate = Gate(route, moment, times, self._stopping)
        with self._lock:
            self.gates.append(gate)
        return gate

    def resume_all(self) -> None:
        with self._lock:
            gates = list(self.gates)
        for gate in gates:
            gate.resume()

    def reach(self, seen: SeenRequest, moment: str) -> None:
        """A request is at a moment: hooks run, gates hold it."""
        with self._lock:
            hooks = [hook for route, when, hook in self._hooks if when == moment and fnmatchcase(seen.route, route)]
            gates = [gate for gate in self.gates if gate.moment == moment and fnmatchcase(seen.route, gate.route)]
        for hook in hooks:
            hook(seen)
        for gate in gates:
            gate.arrive()


def _check(moment: str) -> None:
    if moment not in MOMENTS:
        raise ValueError(f"moment must be one of {', '.join(MOMENTS)}, not {moment!r}")
