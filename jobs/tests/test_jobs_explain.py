"""What PostgreSQL does for the first page of jobs: one range of one index, whatever the number of jobs and brands."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from conftest import Person
from jobs.models import Job, Status
from profiles import scope
from profiles.models import Profile, StoredFile
from profiles.tenancy import new_id
from tests.plans import analyze, check_is_one_range

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the plans are PostgreSQL's"),
]
JOBS = "/api/v1/jobs/"


def fill(owner: Person, brands: int, rows: int) -> None:
    """`rows` jobs that are done spread over `brands` profiles, one of them the owner's; one in ten has a file."""
    now = timezone.now()
    for number in range(brands):
        profile = Profile.objects.create(name=f"Brand {number}") if number else owner.profile
        with scope.activate(profile.pk):
            each = rows // brands
            files = StoredFile.objects.bulk_create(
                StoredFile(profile=profile, key=f"{profile.pk}/{place}", content_type="video/mp4", state="stored")
                for place in range(each // 10)
            )
            Job.objects.bulk_create(
                [
                    Job(
                        id=new_id(), profile=profile, kind="ingest", queue="media", priority=10, max_attempts=3,
                        status=Status.SUCCEEDED, created_at=now - timedelta(seconds=place // 3), finished_at=now,
                        output=None if place % 10 else files[place // 10],
                    )
                    for place in range(each)
                ],
                batch_size=1000,
            )  # fmt: skip
    analyze()


def check_pages(owner: Person, brands: int, rows: int) -> None:
    fill(owner, brands, rows)
    second = owner.client.get(JOBS).json()["next"]
    for url in (JOBS, second, f"{JOBS}?status=succeeded", f"{JOBS}?status=succeeded&status=failed&active=false"):
        check_is_one_range(owner, url, "jobs_job", "job_newest")


def test_first_pages_are_index_ranges(owner: Person) -> None:
    check_pages(owner, 10, 10_000)


@pytest.mark.soak
def test_first_pages_are_index_ranges_with_100_000_jobs_in_50_brands(owner: Person) -> None:
    check_pages(owner, 50, 100_000)


def test_jobs_without_any_file(owner: Person) -> None:
    fill(owner, 10, 5_000)
    with scope.activate(owner.profile.pk):
        Job.objects.filter(profile=owner.profile).update(output=None)
    analyze()
    check_is_one_range(owner, JOBS, "jobs_job", "job_newest")
