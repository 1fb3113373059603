"""Jobs about footage."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from jobs import ffmpeg
from jobs.execution import Attempt, JobError, Outcome
from jobs.registry import job_kind
from segments.cutting import cut
from segments.ingest import AREA, limits_for, prepare
from segments.models import Segment
from segments.selectors import INGEST
from segments.services import EXTRACT, extracted_file_set


@job_kind(
    INGEST,
    task_name="ingest_source_task",
    queue="media",
    priority=10,
    max_attempts=3,
    label="Preparing footage",
)
def run_ingest(attempt: Attempt) -> Outcome:
    """Makes a source ready: frame times, pictures, waveform, proxy."""
    return prepare(attempt)


@job_kind(EXTRACT, task_name="extract_segments_task", queue="media", priority=30, label="Extracting a segment")
def run_extract(attempt: Attempt) -> Outcome:
    """Cuts one segment into a file of its own, exact to the frame."""
    segment_id, revision = UUID(str(attempt.params["segment_id"])), int(attempt.params["revision"])
    segment = (
        Segment.objects.for_profile(attempt.profile)
        .select_related("source__original", "extracted")
        .filter(pk=segment_id, trashed_at=None, source__trashed_at=None)
        .first()
    )
    if segment is None:
        raise JobError("segment_deleted", "The segment was deleted.")
    if segment.revision != revision:
        raise _changed()
    result = {"segment_id": str(segment.pk), "revision": revision}
    if segment.has_current_file:
        return Outcome(result=result, output=segment.extracted)
    source, out = segment.source, attempt.scratch / "segment.mp4"
    attempt.report("Cutting", 0.0)

    def run(args: Sequence[str], **options: Any) -> ffmpeg.Result:
        return attempt.ffmpeg(args, span=(0.0, 0.95), limits=limits_for(source.info), **options)

    with attempt.local(source.original) as path, attempt.counted():
        done = cut(path, source.info, segment.first_frame, segment.end_frame, out, run=run)
    if len(done.info.frames) != done.frames_expected:
        raise JobError(
            "damaged_footage",
            f"{done.frames_expected - len(done.info.frames)} pictures of this segment cannot be decoded.",
            next_step="Move its borders off the damaged part.",
        )
    attempt.report("Storing", 0.97)
    stored = attempt.store(out, AREA, ".mp4")

    def apply() -> None:
        if not extracted_file_set(segment_id=segment_id, profile=attempt.profile, revision=revision, file=stored):
            raise _changed()

    return Outcome(result=result, apply=apply, output=stored)


def _changed() -> JobError:
    return JobError(
        "segment_changed", "The borders of the segment were moved meanwhile.", next_step="Extract it again."
    )
