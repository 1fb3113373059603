"""Writes about segments. Each takes its own transaction; the source's row is the lock for marking in it.

Upper floors that use segments register themselves: `register_user_of_segments` (see `segments.dependants`).
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from jobs.models import Job, Status
from jobs.services import enqueue
from profiles import trash
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, Invalid, NotFound
from profiles.files import doom
from profiles.models import Profile, StoredFile, User
from segments.dependants import Dependant as Dependant
from segments.dependants import SegmentUser as SegmentUser
from segments.dependants import register_user_of_segments as register_user_of_segments
from segments.dependants import tell_changed
from segments.labels import MAX_LABELS, distinct, searchable
from segments.models import Segment, SegmentLabel, SourceVideo
from segments.selectors import labels_of, segment_named

EXTRACT = "extract"
_LABELS = {"keywords": SegmentLabel.Kind.KEYWORD, "tags": SegmentLabel.Kind.TAG}


def segment_create(
    *,
    profile: Profile,
    source_id: UUID,
    by: User | None,
    start_time: float,
    end_time: float,
    keywords: Sequence[str] = (),
    tags: Sequence[str] = (),
    notes: str = "",
    is_favorite: bool = False,
) -> Segment:
    """A segment `[start_time, end_time)` in seconds of the source, snapped to its frames.

    NotFound for a source that is not the profile's, Conflict (`source_not_ready`) before its probe, Invalid for
    times that lie outside it.
    """
    with transaction.atomic():
        source = _locked_source(profile, source_id)
        segment = Segment(
            profile=profile,
            source=source,
            notes=notes,
            is_favorite=is_favorite,
            created_by=by,
            **snapped(source, start_time, end_time),
        )
        labels = {"keywords": distinct(keywords), "tags": distinct(tags)}
        segment.search_text = _search_text(notes, labels)
        segment.save(force_insert=True)
        _write_labels(segment, labels)
    return segment_named(profile, segment.pk)


def segment_update(
    *, profile: Profile, segment_id: UUID, changes: Mapping[str, Any], revision: int | None = None
) -> Segment:
    """Changes what `changes` names: start_time, end_time, keywords, tags, notes, is_favorite.

    Times are judged as they are after the change. Moved borders make the extracted file and everything made from
    the segment out of date. Conflict (`changed_meanwhile`) when `revision` is not the present one any more.
    """
    with transaction.atomic():
        segment = _locked(profile, segment_id)
        if revision is not None and revision != segment.revision:
            raise Conflict(
                "Somebody else moved the borders of this segment meanwhile: load it again.", code="changed_meanwhile"
            )
        has_moved = bool({"start_time", "end_time"} & set(changes)) and _move(segment, changes)
        for name in {"notes", "is_favorite"} & set(changes):
            setattr(segment, name, changes[name])
        labels = {name: distinct(changes[name]) for name in _LABELS if name in changes}
        _replace_labels(segment, labels)
        before = {name: distinct(labels_of(segment, kind)) for name, kind in _LABELS.items() if name not in labels}
        segment.search_text = _search_text(segment.notes, {**before, **labels})
        segment.save()
        if has_moved:  # upper floors read the row
            tell_changed(profile, [segment.pk])
    return segment_named(profile, segment_id)


def segment_set_favorite(*, profile: Profile, segment_id: UUID, is_favorite: bool | None = None) -> Segment:
    """Sets the favourite mark, or turns it over when `is_favorite` is None."""
    with transaction.atomic():
        segment = _locked(profile, segment_id)
        segment.is_favorite = (not segment.is_favorite) if is_favorite is None else is_favorite
        segment.save(update_fields=["is_favorite", "updated_at"])
    return segment_named(profile, segment_id)


def segment_delete(*, profile: Profile, segment: Segment) -> None:
    """Puts a segment into the trash."""
    trash.throw_away(segment)


def segment_extract(
    *, profile: Profile, segment_id: UUID, by: User | None, once: Callable[[Callable[[], Job]], Job]
) -> Job:
    """The job that cuts the segment into a file of its own; for borders that were cut already, the job that did it.
    `once` wraps the start (idempotency keys)."""

    def start() -> Job:
        segment = _locked(profile, segment_id)
        recipe = extract_recipe(segment)
        done = (
            Job.objects.for_profile(profile)
            .filter(kind=EXTRACT, subject=segment.pk, status=Status.SUCCEEDED, recipe_hash=recipe)
            .order_by("-created_at", "-id")
            .first()
        )
        if done is not None and segment.has_current_file:
            return done
        params = {"segment_id": str(segment.pk), "revision": segment.revision}
        return enqueue(profile=profile, kind=EXTRACT, params=params, subject=segment.pk, by=by, recipe_hash=recipe)

    return once(start)


def extract_recipe(segment: Segment) -> str:
    """What the extracted file depends on, hashed: its source and its borders."""
    parts = f"1:{segment.source_id}:{segment.first_frame}:{segment.end_frame}:{segment.revision}"
    return hashlib.sha256(parts.encode()).hexdigest()


def extracted_file_set(*, segment_id: UUID, profile: Profile, revision: int, file: StoredFile) -> bool:
    """Points the segment to its new file, in the caller's transaction; the one before goes. False when the borders
    have moved since, or the segment has gone: then nothing changes."""
    rows = Segment.objects.for_profile(profile).filter(pk=segment_id, revision=revision, trashed_at=None)
    segment = rows.select_for_update(of=("self",), no_key=True).first()
    if segment is None:
        return False
    before = segment.extracted
    segment.extracted, segment.extracted_revision = file, revision
    segment.save(update_fields=["extracted", "extracted_revision"])
    if before is not None and before.pk != file.pk:
        doom([before])
    return True


def snapped(source: SourceVideo, start: float, end: float) -> dict[str, Any]:
    """The columns of a segment's borders. Invalid, by field, for times that make no segment of this source."""
    _check_times(source, start, end)
    frames = source.frames
    try:
        first, beyond = frames.span(start, end)
    except ValueError:
        raise _outside(source, "end_time") from None
    times = frames.time(first), frames.time(beyond)
    return {
        "first_frame": first,
        "end_frame": beyond,
        "start_pts": frames.tick(first),
        "end_pts": frames.tick(beyond),
        "start_time": times[0],
        "end_time": times[1],
        "duration": times[1] - times[0],
    }


# --- inside --------------------------------------------------------------------------------------------
# Rows are locked with `no_key`: whoever writes a row that points at them (an entry of a project) need not wait, and so
# cannot meet us in a deadlock when we go on to that project.


def _locked(profile: Profile, segment_id: UUID) -> Segment:
    rows = Segment.objects.for_profile(profile).filter(pk=segment_id, trashed_at=None)
    segment: Segment | None = rows.select_for_update(of=("self",), no_key=True).first()
    if segment is None:
        raise NotFound
    return segment


def _locked_source(profile: Profile, source_id: UUID) -> SourceVideo:
    rows = SourceVideo.objects.for_profile(profile).filter(pk=source_id, trashed_at=None)
    source: SourceVideo | None = rows.select_for_update(of=("self",), no_key=True).first()
    if source is None:
        raise NotFound
    if not source.is_markable:
        raise Conflict("This footage is still being looked at: try again in a moment.", code="source_not_ready")
    return source


def _move(segment: Segment, changes: Mapping[str, Any]) -> bool:
    """New borders, judged with the ones that stay; False when they snap to the same frames."""
    start = changes.get("start_time", segment.start_time)
    end = changes.get("end_time", segment.end_time)
    borders = snapped(segment.source, start, end)
    if (borders["first_frame"], borders["end_frame"]) == (segment.first_frame, segment.end_frame):
        return False
    for name, value in borders.items():
        setattr(segment, name, value)
    segment.revision += 1
    if segment.extracted is not None:
        doom([segment.extracted])
        segment.extracted = segment.extracted_revision = None
    return True


def _check_times(source: SourceVideo, start: float, end: float) -> None:
    fields: dict[str, list[str]] = {}
    for name, value in (("start_time", start), ("end_time", end)):
        if not math.isfinite(value):
            fields[name] = ["This is no finite number."]
        elif value < 0:
            fields[name] = ["A time cannot be negative."]
    if not fields and end <= start:
        fields["end_time"] = ["The end must come after the start."]
    if fields:
        raise Invalid(CHECK_FIELDS, fields=fields, code="invalid_times")
    if start >= source.frames.end_seconds:
        raise _outside(source, "start_time")


def _outside(source: SourceVideo, field: str) -> Invalid:
    problem = f"This lies beyond the end of the footage, which is {source.frames.end_seconds:.3f} s long."
    return Invalid(CHECK_FIELDS, fields={field: [problem]}, code="invalid_times")


def _search_text(notes: str, labels: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    return searchable(notes, *(text for name in sorted(labels) for text, _ in labels[name]))


def _replace_labels(segment: Segment, labels: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    if labels:
        kinds = [_LABELS[name] for name in labels]
        SegmentLabel.objects.filter(profile_id=segment.profile_id, segment=segment, kind__in=kinds).delete()
        _write_labels(segment, labels)


def _write_labels(segment: Segment, labels: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    rows = []
    for name, entries in labels.items():
        if len(entries) > MAX_LABELS:
            raise Invalid(CHECK_FIELDS, fields={name: [f"At most {MAX_LABELS} entries."]})
        rows += [
            SegmentLabel(
                profile_id=segment.profile_id,
                segment=segment,
                kind=_LABELS[name],
                text=text,
                folded=folded,
                position=position,
            )
            for position, (text, folded) in enumerate(entries)
        ]
    SegmentLabel.objects.bulk_create(rows)
