"""The active scope: which profile the running code works for.

A ContextVar holds it. Guarded managers (`profiles.tenancy`) read it when SQL is compiled; without a scope they
raise, so a forgotten filter is an error and never a leak. Threads do not inherit it: wrap their target in `bound`.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import ParamSpec, TypeVar
from uuid import UUID

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)

# The only work that may see all profiles at once; tests/test_tenancy_rules.py lists who uses which.
SYSTEM_REASONS = frozenset(
    {
        "dispatch waiting jobs",
        "reap lost jobs",
        "sweep stored files",
        "empty the trash",
        "rotate encryption keys",
        "hand over publications",
        "ask about publications",
        "deliver notifications",
        "end paid calls",
        "prove the books",
        "show all costs to the operator",
    }
)


class OutOfScope(RuntimeError):
    """Tenant rows were touched without a scope, or a row of another profile was."""


@dataclass(frozen=True)
class Scope:
    """`profile_id` is None only for a system job, whose `reason` is then one of SYSTEM_REASONS."""

    profile_id: UUID | None
    reason: str = ""

    def admits(self, profile_id: UUID | None) -> bool:
        return self.profile_id is None or self.profile_id == profile_id


_active: ContextVar[Scope | None] = ContextVar("editai_scope", default=None)


def current() -> Scope | None:
    return _active.get()


def require() -> Scope:
    """The active scope; OutOfScope without one."""
    scope = _active.get()
    if scope is None:
        raise OutOfScope("Tenant rows can be touched only inside a profile's scope.")
    return scope


@contextmanager
def _activated(scope: Scope) -> Iterator[Scope]:
    token = _active.set(scope)
    try:
        yield scope
    finally:
        _active.reset(token)


@contextmanager
def activate(profile_id: UUID) -> Iterator[Scope]:
    """Runs the block in the scope of one profile."""
    with _activated(Scope(profile_id)) as scope:
        yield scope


@contextmanager
def all_profiles(reason: str) -> Iterator[Scope]:
    """Runs the block over all profiles; for system jobs named in SYSTEM_REASONS only."""
    if reason not in SYSTEM_REASONS:
        raise OutOfScope(f"{reason!r} is no known reason to see all profiles.")
    log.debug("all-profiles scope: %s", reason)
    with _activated(Scope(None, reason)) as scope:
        yield scope


def bound(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, to be run in another thread with the scope that is active here and now."""
    context = copy_context()

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.run(function, *args, **kwargs)

    return run
