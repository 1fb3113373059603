"""Keeps account of processor time; `jobs` tells what each attempt took when it ends."""

from django.utils import timezone

from costs.books.ledger import add
from costs.models import ComputeDaily
from costs.money import day_of
from jobs.models import Job


def count_cpu(job: Job, seconds: float) -> None:
    """Adds what an attempt took."""
    key = {"profile_id": job.profile_id, "day": day_of(timezone.now()), "job_kind": job.kind}
    add(ComputeDaily, key, {"attempts": 1, "cpu_seconds": seconds})
