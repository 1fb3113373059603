"""What a project shows, entry by entry: frames after trimming, seconds, and what keeps it from being rendered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from uuid import UUID

from django.db.models import Prefetch, QuerySet

from editai.projects.models import Project, ProjectSegment
from segments.media_info import FrameIndex
from segments.models import Segment, SourceVideo


@dataclass(frozen=True)
class Placed:
    """An entry and what is shown of it. `start_pts`, `end_pts`: ticks of the source's time base, half-open and on its
    frame grid; `start_time`, `end_time`: seconds of source time; `problem` is a code, empty when all is well."""

    entry: ProjectSegment
    problem: str
    start_pts: int
    end_pts: int
    start_time: float
    end_time: float

    @property
    def segment(self) -> Segment:
        segment: Segment = self.entry.segment
        return segment

    @property
    def source(self) -> SourceVideo:
        source: SourceVideo = self.segment.source
        return source

    @property
    def duration(self) -> float:
        """Seconds; 0 when there is nothing to show."""
        return 0.0 if self.problem in {SEGMENT_MISSING, TRIMMED_AWAY} else max(0.0, self.end_time - self.start_time)

    @property
    def time_base(self) -> Fraction:
        return Fraction((self.source.media or {})["video"]["time_base"])


SEGMENT_MISSING = "segment_missing"
SOURCE_NOT_READY = "source_not_ready"
TRIMMED_AWAY = "trimmed_away"


def timeline_of(project: Project) -> list[Placed]:
    """The entries of a project in order, at a constant number of queries."""
    return place(entries_of([project]))


def entries_of(projects: Iterable[Project]) -> list[ProjectSegment]:
    """The entries of some projects of one profile, ordered, with their segments and sources (without frame times)."""
    ids = [project.pk for project in projects]
    sources: QuerySet[SourceVideo] = SourceVideo.objects.defer("frame_index")
    segments: QuerySet[Segment] = Segment.objects.prefetch_related(Prefetch("source", sources))
    rows = ProjectSegment.objects.filter(project__in=ids).prefetch_related(Prefetch("segment", segments))
    return list(rows.order_by("project", "position"))


def place(entries: Sequence[ProjectSegment]) -> list[Placed]:
    """Trims and snaps entries whose segments and sources are loaded; one query, and only when something is trimmed."""
    trimmed = {entry.segment.source_id for entry in entries if is_trimmed(entry)}
    frames = frame_indexes(trimmed)
    return [_placed(entry, frames.get(entry.segment.source_id)) for entry in entries]


def frame_indexes(source_ids: Iterable[UUID]) -> dict[UUID, FrameIndex]:
    """The frame times of some sources of one profile; those that have none are left out."""
    wanted = set(source_ids)
    if not wanted:
        return {}
    rows = SourceVideo.objects.filter(pk__in=wanted, frame_index__isnull=False).values_list("pk", "frame_index")
    return {source_id: FrameIndex.from_bytes(bytes(blob)) for source_id, blob in rows}


def _placed(entry: ProjectSegment, frames: FrameIndex | None) -> Placed:
    segment: Segment = entry.segment
    borders = (segment.start_pts, segment.end_pts, segment.start_time, segment.end_time)
    if segment.trashed_at is not None or segment.source.trashed_at is not None:
        return Placed(entry, SEGMENT_MISSING, *borders)
    problem = "" if segment.source.state == SourceVideo.State.READY else SOURCE_NOT_READY
    if not is_trimmed(entry) or frames is None:
        return Placed(entry, problem, *borders)
    left = _frames_left(entry, frames)
    if left is None:
        return Placed(entry, TRIMMED_AWAY, *borders)
    first, last = left
    return Placed(entry, problem, frames.tick(first), frames.tick(last), frames.time(first), frames.time(last))


def is_trimmed(entry: ProjectSegment) -> bool:
    return bool(entry.trim_start or entry.trim_end)


def _frames_left(entry: ProjectSegment, frames: FrameIndex) -> tuple[int, int] | None:
    """The frames `[first, end)` of the source that trimming leaves; None when it leaves none."""
    segment: Segment = entry.segment
    start, end = segment.start_time + entry.trim_start, segment.end_time - entry.trim_end
    if start >= end:
        return None
    first, last = frames.span(start, end)
    # snapping goes to the nearest border, which may lie outside the segment's own by rounding of floats
    first = max(first, segment.first_frame)
    last = min(max(last, first + 1), segment.end_frame)
    return (first, last) if first < last else None


def measure(entries: Sequence[ProjectSegment]) -> None:
    """Sets `trimmed_seconds` of entries whose segments are loaded (0: nothing is left), for the caller to save; one
    query, and only when something is trimmed."""
    frames = frame_indexes({entry.segment.source_id for entry in entries if is_trimmed(entry)})
    for entry in entries:
        known = frames.get(entry.segment.source_id)
        entry.trimmed_seconds = _seconds_left(entry, known) if is_trimmed(entry) and known is not None else None


def _seconds_left(entry: ProjectSegment, frames: FrameIndex) -> float:
    left = _frames_left(entry, frames)
    return frames.time(left[1]) - frames.time(left[0]) if left is not None else 0.0


def total_seconds(placed: Iterable[Placed]) -> float:
    """How long the clip will be."""
    return whole_microseconds(sum(item.duration for item in placed))


def whole_microseconds(seconds: float) -> float:
    """`seconds` without what adding up in another order changes."""
    return round(float(seconds), 6)
