"""What the trash does with sources and segments."""

from uuid import UUID

from django.db.models import Prefetch

from jobs.models import ACTIVE, Job
from jobs.services import stop_all
from profiles.errors import Conflict
from profiles.files import doom
from profiles.models import Profile, StoredFile
from profiles.tenancy import GuardedQuerySet
from profiles.trash import TrashKind, register_trash
from segments.dependants import tell_changed, tell_purged, tell_restored
from segments.models import Segment, SegmentLabel, SourceVideo
from segments.selectors import segment_ids_of
from segments.sources import ingest_again

FILES = ("original", "poster", "filmstrip", "waveform", "proxy")
_AT_ONCE = 500


def register() -> None:
    register_trash(
        TrashKind(
            name="source_video",
            model=SourceVideo,
            label=str,
            purge=_purge_source,
            companions=lambda source: [Segment.objects.filter(profile_id=source.profile_id, source=source)],
            on_trash=_source_went,
            on_restore=_source_came_back,
            rows=lambda: SourceVideo.objects.defer("frame_index", "media", "search_text"),
        )
    )
    register_trash(
        TrashKind(
            name="segment",
            model=Segment,
            label=lambda segment: f"{segment.source.name}, {segment}",
            purge=_purge_segment,
            on_trash=_segment_went,
            on_restore=_segment_came_back,
            rows=_segment_rows,
        )
    )


def _segment_rows() -> GuardedQuerySet:
    named = SourceVideo.objects.only("id", "profile_id", "name")
    return Segment.objects.defer("search_text").prefetch_related(Prefetch("source", queryset=named))


def _source_went(source: SourceVideo) -> None:
    ids = segment_ids_of(source)
    stop_all(profile=source.profile, subject=source.pk)
    _stop_work_on(source.profile, ids)
    tell_changed(source.profile, ids)


def _source_came_back(source: SourceVideo) -> None:
    ingest_again(source)
    tell_restored(source.profile, segment_ids_of(source))


def _segment_went(segment: Segment) -> None:
    stop_all(profile=segment.profile, subject=segment.pk)
    tell_changed(segment.profile, [segment.pk])


def _segment_came_back(segment: Segment) -> None:
    alive = SourceVideo.objects.filter(profile_id=segment.profile_id, pk=segment.source_id, trashed_at=None)
    if not alive.select_for_update(of=("self",), no_key=True).values_list("pk", flat=True).first():
        raise Conflict("Its footage is in the trash: restore that first.", code="source_in_trash")
    tell_restored(segment.profile, [segment.pk])


def _purge_source(source: SourceVideo) -> None:
    stop_all(profile=source.profile, subject=source.pk)
    _delete_segments(source.profile, segment_ids_of(source))
    stored = [getattr(source, name) for name in FILES]
    SourceVideo.objects.filter(profile_id=source.profile_id, pk=source.pk).delete()
    doom(stored)


def _purge_segment(segment: Segment) -> None:
    _delete_segments(segment.profile, [segment.pk])


def _delete_segments(profile: Profile, ids: list[UUID]) -> None:
    """Deletes rows and files; upper floors have taken theirs away before, or refuse."""
    _stop_work_on(profile, ids)
    tell_purged(profile, ids)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        rows = Segment.objects.filter(profile_id=profile.pk, pk__in=some)
        stored = list(StoredFile.objects.filter(profile_id=profile.pk, pk__in=rows.values("extracted")))
        SegmentLabel.objects.filter(profile_id=profile.pk, segment__in=some).delete()
        rows.delete()
        doom(stored)


def _stop_work_on(profile: Profile, ids: list[UUID]) -> None:
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        active = Job.objects.filter(profile_id=profile.pk, subject__in=some, status__in=ACTIVE)
        for subject in active.order_by().values_list("subject", flat=True).distinct():
            stop_all(profile=profile, subject=subject)
