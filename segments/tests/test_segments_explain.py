"""What PostgreSQL does for a first page: one range of one index, whatever the number of rows and brands."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from conftest import Person
from jobs.models import Job
from profiles import scope
from profiles.models import Membership, Profile, Role
from profiles.tenancy import new_id
from segments.models import Segment, SegmentLabel, SourceVideo
from segments.tests.conftest import V1, media_info
from tests.plans import analyze, check_is_one_range, nodes, page_plan, plans

pytestmark = pytest.mark.django_db

postgres_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="the plans are PostgreSQL's")


def fill(owner: Person, brands: int, rows: int) -> SourceVideo:
    """`rows` segments spread over `brands` profiles, one of them the owner's; returns her source."""
    info = media_info(10)
    mine: SourceVideo | None = None
    for number in range(brands):
        profile = Profile.objects.create(name=f"Brand {number}") if number else owner.profile
        with scope.activate(profile.pk):
            source = SourceVideo.objects.create(
                profile=profile, name="s", size=1, sha256="0" * 64, duration_seconds=10.0, media=info.as_dict(),
                frame_index=info.frames.to_bytes(),
            )  # fmt: skip
            mine = mine or source
            segments = [
                Segment(
                    id=new_id(), profile=profile, source=source, first_frame=place % 200, end_frame=place % 200 + 25,
                    start_pts=place % 200 * 512, end_pts=(place % 200 + 25) * 512, start_time=place % 200 / 25,
                    end_time=place % 200 / 25 + 1, duration=1.0, search_text=f"words of {place}",
                    is_favorite=place % 50 == 0,
                )
                for place in range(rows // brands)
            ]  # fmt: skip
            Segment.objects.bulk_create(segments, batch_size=1000)
            labels = [
                SegmentLabel(profile=profile, segment=row, kind="keyword", text=f"k{place % 500}",
                             folded=f"k{place % 500}", position=0)
                for place, row in enumerate(segments)
            ]  # fmt: skip
            SegmentLabel.objects.bulk_create(labels, batch_size=1000)
    analyze()
    assert mine is not None
    return mine


def check_first_pages(owner: Person, brands: int, rows: int) -> None:
    source = fill(owner, brands, rows)
    pages = {
        f"{V1}/segments/": "segment_newest",
        f"{V1}/segments/?is_favorite=true": "segment_favorites",
    }
    for url, index in pages.items():
        check_is_one_range(owner, url, "segments_segment", index)
    for _, plan in plans(owner, f"{V1}/source-videos/{source.pk}/segments/?ordering=start_time", "segments_"):
        assert not any(node["Node Type"] == "Seq Scan" for node in nodes(plan) if _is_segments(node))
    second = owner.client.get(f"{V1}/segments/").json()["next"]
    for _, plan in plans(owner, second, "segments_"):
        assert not {"Seq Scan", "Sort"} & {node["Node Type"] for node in nodes(plan) if _is_segments(node)}
    for _, plan in plans(owner, f"{V1}/segments/", "segments_"):
        assert not any(node["Node Type"] == "Seq Scan" for node in nodes(plan) if _is_segments(node))


def _is_segments(node: dict[str, Any]) -> bool:
    return node.get("Relation Name") in {"segments_segment", "segments_segmentlabel"}


@postgres_only
def test_first_pages_are_index_ranges(owner: Person) -> None:
    check_first_pages(owner, 10, 10_000)


@postgres_only
@pytest.mark.soak
def test_first_pages_are_index_ranges_with_100_000_rows_in_50_brands(owner: Person) -> None:
    check_first_pages(owner, 50, 100_000)


def fill_sources(owner: Person, brands: int, rows: int) -> None:
    """`rows` sources spread over `brands` profiles, each with the job that prepared it."""
    now = timezone.now()
    for number in range(brands):
        profile = Profile.objects.create(name=f"Brand {number}") if number else owner.profile
        with scope.activate(profile.pk):
            made = [
                SourceVideo(
                    id=new_id(), profile=profile, name=f"Film {place}", size=1, sha256="0" * 64,
                    search_text=f"film {place}", created_at=now - timedelta(seconds=place // 3),
                )
                for place in range(rows // brands)
            ]  # fmt: skip
            SourceVideo.objects.bulk_create(made, batch_size=1000)
            jobs = [
                Job(
                    profile=profile, kind="ingest", queue="media", priority=10, max_attempts=3, subject=source.pk,
                    status="succeeded", finished_at=now,
                )
                for source in made
            ]  # fmt: skip
            Job.objects.bulk_create(jobs, batch_size=1000)
    analyze()


def check_source_pages(owner: Person, brands: int, rows: int) -> None:
    fill_sources(owner, brands, rows)
    first = f"{V1}/source-videos/"
    for url in (first, owner.client.get(first).json()["next"]):
        check_is_one_range(owner, url, "segments_sourcevideo", "sourcevideo_newest")
        looked_up = nodes(page_plan(owner, url, "segments_sourcevideo")[1])
        assert {step["Index Name"] for step in looked_up if step.get("Relation Name") == "jobs_job"} == {
            "job_of_subject"
        }


@postgres_only
def test_first_pages_of_sources_are_index_ranges(owner: Person) -> None:
    check_source_pages(owner, 10, 5_000)


@postgres_only
@pytest.mark.soak
def test_first_pages_of_sources_are_index_ranges_with_100_000_rows_in_50_brands(owner: Person) -> None:
    check_source_pages(owner, 50, 100_000)


@postgres_only
def test_searching_has_an_index(owner: Person) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%\\_search'")
        assert {row[0] for row in cursor.fetchall()} >= {"segment_search", "sourcevideo_search"}
    fill(owner, 2, 10_000)
    with scope.activate(owner.profile.pk), connection.cursor() as cursor:
        cursor.execute("SELECT gin_clean_pending_list('segment_search')")  # what VACUUM does now and then
        cursor.execute("ANALYZE segments_segment")
        rows = Segment.objects.filter(trashed_at=None, search_text__contains="4999")
        assert "segment_search" in rows.order_by().explain()


def test_a_page_of_a_viewer_sees_the_same(owner: Person, viewer: Person) -> None:
    fill(owner, 2, 100)
    assert Membership.objects.filter(profile=owner.profile, role=Role.VIEWER).exists()
    mine, theirs = (person.client.get(f"{V1}/segments/?page_size=10").json() for person in (owner, viewer))
    assert [row["id"] for row in mine["results"]] == [row["id"] for row in theirs["results"]]
