"""Which kinds of job there are. Apps register theirs in `<app>/tasks.py`; nothing here knows any of them.

@job_kind("ingest", task_name="ingest_source_task", queue="media", priority=10, label="Preparing footage")
def run_ingest(attempt: Attempt) -> Outcome: ...
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery import shared_task

from profiles.errors import DomainError

if TYPE_CHECKING:
    from jobs.execution import Attempt, Outcome
    from jobs.models import Job
    from profiles.models import Profile

Params = Mapping[str, Any]
BudgetCheck = DomainError | None


@dataclass(frozen=True)
class Estimate:
    """What a job will probably take: money in micro-dollars, wall-clock seconds (None: nobody can tell)."""

    cost_micros: int = 0
    wall_seconds: float | None = None


@dataclass(frozen=True)
class JobKind:
    """A kind of job. `is_repeatable`: False when an attempt has effects outside that nobody can look up; a lost
    attempt then ends in `needs_attention` instead of being repeated."""

    name: str
    task_name: str
    queue: str
    priority: int
    max_attempts: int
    label: str
    run: "Callable[[Attempt], Outcome]"
    estimate: Callable[[Params], Estimate]
    is_repeatable: bool = True


_kinds: dict[str, JobKind] = {}
_quota_hooks: "list[Callable[[Job], None]]" = []
_error_types: list[type[Exception]] = []
_cpu_hooks: "list[Callable[[Job, float], None]]" = []
_budget_checks: "list[Callable[[Profile, Sequence[int]], BudgetCheck]]" = []


def job_kind(
    name: str,
    *,
    task_name: str,
    queue: str = "media",
    priority: int = 50,
    max_attempts: int = 3,
    label: str = "",
    estimate: Callable[[Params], Estimate] | None = None,
    is_repeatable: bool = True,
) -> "Callable[[Callable[[Attempt], Outcome]], Callable[[Attempt], Outcome]]":
    """Registers the decorated function as the body of a kind of job, and its Celery task `(profile_id, job_id)`.

    `max_attempts` counts attempts that end by an error worth retrying; crashes of workers have their own
    limit.
    """

    def register(run: "Callable[[Attempt], Outcome]") -> "Callable[[Attempt], Outcome]":
        known = _kinds.get(name)
        if known is not None and known.run.__qualname__ != run.__qualname__:
            raise ValueError(f"There is a kind of job named {name!r} already.")
        kind = JobKind(
            name=name,
            task_name=task_name,
            queue=queue,
            priority=priority,
            max_attempts=max_attempts,
            label=label or name.replace("_", " ").capitalize(),
            run=run,
            estimate=estimate or (lambda params: Estimate()),
            is_repeatable=is_repeatable,
        )

        def task(profile_id: str, job_id: str) -> None:
            from jobs.execution import execute  # it builds on the registry

            execute(kind, profile_id, job_id)

        task.__doc__ = run.__doc__
        shared_task(name=task_name, ignore_result=True)(task)
        _kinds[name] = kind
        return run

    return register


def kind_named(name: str) -> JobKind | None:
    return _kinds.get(name)


def kinds() -> list[JobKind]:
    return list(_kinds.values())


def queues() -> list[str]:
    return sorted({kind.queue for kind in _kinds.values()})


def estimate(name: str, params: Params) -> Estimate:
    """What a job of this kind with these parameters will probably take. KeyError for an unknown kind."""
    return _kinds[name].estimate(params)


def register_quota_hook(hook: "Callable[[Job], None]") -> None:
    """`hook(job)` is called in the enqueuing transaction, before the row is written; a DomainError refuses it."""
    _quota_hooks.append(hook)


def check_quota(job: "Job") -> None:
    for hook in _quota_hooks:
        hook(job)


def register_cpu_hook(hook: "Callable[[Job, float], None]") -> None:
    """`hook(job, seconds)` is told what processor time an attempt took, in a transaction of its own after its end."""
    _cpu_hooks.append(hook)


def tell_cpu(job: "Job", seconds: float) -> None:
    for hook in _cpu_hooks:
        hook(job, seconds)


def register_budget_check(check: "Callable[[Profile, Sequence[int]], BudgetCheck]") -> None:
    """`check(profile, costs)`: whether jobs that cost so much each could be paid for now, and if not, why."""
    _budget_checks.append(check)


def budget_check(profile: "Profile", costs: Sequence[int]) -> "BudgetCheck":
    """The error that would stop jobs that cost so much each (micros); None when nothing would."""
    found = (check(profile, costs) for check in _budget_checks)
    return next((error for error in found if error is not None), None)


def register_error(error_type: type[Exception]) -> None:
    """Declares that exceptions of this type carry a `code` and a plain `message` made for people."""
    if error_type not in _error_types:
        _error_types.append(error_type)


def error_types() -> tuple[type[Exception], ...]:
    return tuple(_error_types)
