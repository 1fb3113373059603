"""Reading footage: scoped, light rows, and what is true of a source right now."""

import json
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import Count, F, OuterRef, Prefetch, Q, Subquery, Window
from django.db.models.functions import Coalesce, JSONObject, RowNumber

from jobs.models import Job, Status
from profiles.errors import NotFound
from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet
from segments.models import Segment, SegmentLabel, SourceVideo

INGEST = "ingest"
FAILED = "failed"
_AT_ONCE = 500  # values in one query
STATES = (*SourceVideo.State.values, FAILED)
_HEAVY = ("frame_index", "search_text")
_ENDED_BADLY = (Status.FAILED, Status.CANCELLED, Status.NEEDS_ATTENTION)
_STOPPED = {
    "code": "not_prepared",
    "message": "Preparing this footage was stopped.",
    "retryable": True,
    "next_step": "Retry.",
}


# --- sources -------------------------------------------------------------------------------------------


def sources(profile: Profile) -> GuardedQuerySet:
    """Footage outside the trash, without the heavy columns, ready to be shown."""
    return described(SourceVideo.objects.for_profile(profile).filter(trashed_at=None))


def described(queryset: GuardedQuerySet) -> GuardedQuerySet:
    """Adds what answers show beside the row: its latest ingest job (`ingest_job`) and the number of its segments."""
    segments = Segment.objects.filter(source=OuterRef("pk"), trashed_at=None).order_by()
    counted = segments.values("source").annotate(number=Count("pk")).values("number")
    return queryset.defer(*_HEAVY).annotate(
        ingest_job=Subquery(
            _ingest_jobs().values(
                data=JSONObject(
                    id="id", status="status", progress="progress", step="step", eta_seconds="eta_seconds", error="error"
                )
            )[:1]
        ),
        segment_count=Coalesce(Subquery(counted), 0),
    )


def _ingest_jobs() -> Any:
    return Job.objects.filter(profile_id=OuterRef("profile_id"), kind=INGEST, subject=OuterRef("pk")).order_by(
        "-created_at", "-id"
    )


def ingest_of(source: Any) -> dict[str, Any] | None:
    """The latest ingest job of a row out of `described`; SQLite gives JSON within JSON as text."""
    job = source.ingest_job
    if job is None:
        return None
    job = json.loads(job) if isinstance(job, str) else dict(job)
    if isinstance(job["error"], str):
        job["error"] = json.loads(job["error"])
    return {**job, "id": UUID(job["id"])}


def state_of(source: Any) -> str:
    """received, processing, ready or failed. What was not made ready failed when its job ended in another way."""
    if source.state == SourceVideo.State.READY:
        return str(source.state)
    job = ingest_of(source)
    return FAILED if job is None or job["status"] in _ENDED_BADLY else str(source.state)


def error_of(source: Any) -> dict[str, Any] | None:
    """Why a source is `failed`, and what to do about it; None when it is not."""
    if state_of(source) != FAILED:
        return None
    job = ingest_of(source)
    return (job and job["error"]) or _STOPPED


def in_state(queryset: GuardedQuerySet, state: str) -> GuardedQuerySet:
    """Those sources whose `state_of` is this."""
    if state == SourceVideo.State.READY:
        return queryset.filter(state=state)
    known = queryset.exclude(state=SourceVideo.State.READY).alias(
        ingest_status=Subquery(_ingest_jobs().values("status")[:1])
    )
    ended = Q(ingest_status__in=_ENDED_BADLY) | Q(ingest_status=None)
    return known.filter(ended) if state == FAILED else known.filter(~ended, state=state)


def source_named(profile: Profile, source_id: UUID, *, with_frames: bool = False) -> SourceVideo:
    """One source outside the trash, without its frame times unless they are asked for; NotFound otherwise."""
    rows = SourceVideo.objects.for_profile(profile).filter(pk=source_id, trashed_at=None)
    source: SourceVideo | None = rows.defer("search_text", *(() if with_frames else ("frame_index",))).first()
    if source is None:
        raise NotFound
    return source


def segment_ids_of(source: SourceVideo) -> list[UUID]:
    """All segments of a source, those in the trash too: something may still point to them."""
    rows = Segment.objects.filter(profile_id=source.profile_id, source=source).order_by()
    return list(rows.values_list("pk", flat=True))


# --- segments ------------------------------------------------------------------------------------------


def segments(profile: Profile) -> GuardedQuerySet:
    """Segments outside the trash, with what answers show of them: three queries for any number of rows."""
    return with_labels(Segment.objects.for_profile(profile).filter(trashed_at=None))


def with_labels(queryset: GuardedQuerySet) -> GuardedQuerySet:
    """Adds labels and source by queries of their own: the first page stays one range of one index."""
    shown = SourceVideo.objects.only("id", "profile_id", "name", "trashed_at")
    return queryset.defer("search_text").prefetch_related("labels", Prefetch("source", queryset=shown))


def segment_named(profile: Profile, segment_id: UUID) -> Segment:
    """One segment outside the trash; NotFound otherwise."""
    segment: Segment | None = segments(profile).filter(pk=segment_id).first()
    if segment is None:
        raise NotFound
    return segment


def labels_of(segment: Segment, kind: SegmentLabel.Kind) -> list[str]:
    """Keywords or tags as they were written, in order; reads what was prefetched."""
    return [label.text for label in segment.labels.all() if label.kind == kind]


def briefly(profile: Profile, ids: Iterable[UUID]) -> list[dict[str, Any]]:
    """Where these segments lie, as plain values, in the order of `ids`."""
    wanted = list(ids)
    rows: dict[UUID, dict[str, Any]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        found = Segment.objects.for_profile(profile).filter(pk__in=wanted[start : start + _AT_ONCE], trashed_at=None)
        for pk, source, begins, ends, favorite in found.order_by().values_list(
            "pk", "source_id", "start_time", "end_time", "is_favorite"
        ):
            rows[pk] = {
                "id": pk,
                "source_video": source,
                "start_time": begins,
                "end_time": ends,
                "is_favorite": favorite,
            }
    return [rows[pk] for pk in wanted if pk in rows]


# --- keywords ------------------------------------------------------------------------------------------

VOCABULARY_LIMIT = 50_000


def vocabulary(profile: Profile, source_ids: Collection[UUID] | None = None) -> list[str]:
    """The distinct keywords (folded) of the profile's segments, or of those of some sources."""
    return list(
        _keywords(profile, source_ids).values_list("folded", flat=True).distinct().order_by()[:VOCABULARY_LIMIT]
    )


def segments_with(
    profile: Profile, keywords: Iterable[str], source_ids: Collection[UUID] | None = None, *, each: int
) -> dict[str, list[tuple[UUID, str]]]:
    """For each folded keyword, the newest segments that carry it: `(id, keyword as written)`, at most `each`."""
    found: dict[str, list[tuple[UUID, str]]] = {}
    wanted = sorted(set(keywords))
    newest = Window(RowNumber(), partition_by=F("folded"), order_by=F("segment_id").desc())
    for start in range(0, len(wanted), _AT_ONCE):
        rows = _keywords(profile, source_ids).filter(folded__in=wanted[start : start + _AT_ONCE])
        rows = rows.annotate(place=newest).filter(place__lte=each).order_by("folded", "place")
        for folded, segment_id, text in rows.values_list("folded", "segment_id", "text"):
            found.setdefault(folded, []).append((segment_id, text))
    return found


def _keywords(profile: Profile, source_ids: Collection[UUID] | None) -> GuardedQuerySet:
    rows: GuardedQuerySet = SegmentLabel.objects.for_profile(profile).filter(
        kind=SegmentLabel.Kind.KEYWORD, segment__trashed_at=None
    )
    return rows if source_ids is None else rows.filter(segment__source_id__in=list(source_ids))
