"""What footage takes up, and what of it can be made again: the light copy and extracted segments. Originals stay."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Case, CharField, Q, Value, When

from costs.storage.kinds import MadeAgain, StorageKind, register_storage_kind
from jobs.selectors import has_active_job
from profiles.errors import NotFound
from profiles.models import Profile, StoredFile
from profiles.tenancy import GuardedQuerySet
from segments.models import Segment, SourceVideo

_IN_WORK, _NO_SOURCE = "in_work", "source_missing"
_REASONS: Mapping[str, str] = {
    _IN_WORK: "Something is being made of them right now.",
    _NO_SOURCE: "Their original is not there, so they could not be made again.",
}
_STORED = StoredFile.State.STORED


def register() -> None:
    register_storage_kind(
        StorageKind("originals", "Originals", SourceVideo, ("original",), kept="Originals are never freed.")
    )
    register_storage_kind(
        StorageKind(
            "proxies",
            "Light copies and pictures of footage",
            SourceVideo,
            ("proxy", "poster", "filmstrip", "waveform"),
            kept="Pictures and waveforms are small, and needed to find something.",
            again=MadeAgain("proxy", _with_proxy, _REASONS, _lock_source, _give_up_proxy),
        )
    )
    register_storage_kind(
        StorageKind(
            "extracts",
            "Extracted segments",
            Segment,
            ("extracted",),
            kept="They are needed.",
            again=MadeAgain("extracted", _extracted, _REASONS, _lock_segment, _give_up_extract),
        )
    )


def _stays(in_work: Any, no_source: Q) -> Case:
    return Case(
        When(in_work, then=Value(_IN_WORK)),
        When(no_source, then=Value(_NO_SOURCE)),
        default=Value(""),
        output_field=CharField(),
    )


def _with_proxy(profile: Profile) -> GuardedQuerySet:
    rows = SourceVideo.objects.for_profile(profile).filter(trashed_at=None, proxy__isnull=False)
    in_work = Q(has_active_job()) | ~Q(state=SourceVideo.State.READY)
    no_source = Q(original=None) | ~Q(original__state=_STORED)
    return rows.defer("frame_index", "media", "search_text").annotate(stays=_stays(in_work, no_source))


def _extracted(profile: Profile) -> GuardedQuerySet:
    rows = Segment.objects.for_profile(profile).filter(trashed_at=None, extracted__isnull=False)
    no_source = Q(source__original=None) | ~Q(source__original__state=_STORED) | Q(source__trashed_at__isnull=False)
    return rows.annotate(stays=_stays(has_active_job(), no_source))


def _lock_source(profile: Profile, source_id: UUID) -> None:
    _lock(SourceVideo.objects.for_profile(profile), source_id)


def _lock_segment(profile: Profile, segment_id: UUID) -> None:
    _lock(Segment.objects.for_profile(profile), segment_id)


def _lock(rows: GuardedQuerySet, row_id: UUID) -> None:
    """With `no_key`, as everywhere on this floor: whoever points at the row need not wait."""
    locked = rows.filter(pk=row_id, trashed_at=None).select_for_update(of=("self",), no_key=True)
    if not list(locked.values_list("pk", flat=True)):
        raise NotFound


def _give_up_proxy(source: SourceVideo) -> bool:
    return bool(SourceVideo.objects.filter(profile_id=source.profile_id, pk=source.pk).update(proxy=None))


def _give_up_extract(segment: Segment) -> bool:
    rows = Segment.objects.filter(profile_id=segment.profile_id, pk=segment.pk)
    return bool(rows.update(extracted=None, extracted_revision=None))
