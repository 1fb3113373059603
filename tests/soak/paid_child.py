"""The worker of `publish_child`, for jobs that make a paid call (`paid_job`): killed by SIGKILL at a step of it.

{"do": "paid", "jobs": [[kind, profile, job], …], "kill_at": "sent"}
"""

from typing import Any

from tests.soak.publish_child import DO, die, main


def arm(kill_at: str) -> None:
    """Kills this process right after the step."""
    from costs.books import attempts, charging
    from tests.soak import paid_job
    from tests.stubs import meter_client

    where: dict[str, tuple[Any, str]] = {
        "begun": (paid_job, "begin"),
        "reserved": (attempts, "reserve"),
        "sent": (attempts, "mark_sent"),
        "answered": (meter_client, "post"),  # an answer of whatever kind, or none
        "stored": (paid_job, "store"),
        "settling": (charging, "book"),  # inside the transaction
        "settled": (charging, "settle"),
    }
    if kill_at in where:
        module, name = where[kill_at]
        setattr(module, name, dying_at_the_end_of(getattr(module, name)))


def dying_at_the_end_of(function: Any) -> Any:
    """`function`, whose process is killed as it returns or raises."""

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            die()

    return run


def paid(jobs: list[tuple[str, str, str]], kill_at: str = "") -> None:
    """What the task messages (kind, profile, job) do."""
    from jobs import execution, registry
    from tests.soak import paid_job

    arm(kill_at)
    for kind, profile_id, job_id in jobs:
        known = registry.kind_named(paid_job.KIND)
        assert known is not None
        assert known.name == kind
        execution.execute(known, profile_id, job_id)


DO["paid"] = paid

if __name__ == "__main__":
    import django

    django.setup()
    from tests.soak import paid_job  # noqa: F401 - once, not in each worker

    main()
