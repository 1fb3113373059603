"""Footage and what is marked in it. A segment is a row (a source and two frame borders), not a file.

`search_text` holds what `?q=` looks through, folded (`segments.labels`), so that neither case nor diacritics matter;
on PostgreSQL a trigram index lies behind it. Services keep it up to date.
"""

from functools import cached_property
from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from profiles.models import StoredFile, User
from profiles.tenancy import ProfileOwned
from profiles.trash import Trashable
from segments.labels import MAX_FOLDED_LENGTH, MAX_LABEL_LENGTH
from segments.media_info import FrameIndex, MediaInfo


def _file() -> Any:
    return models.ForeignKey(
        StoredFile, null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )


class SourceVideo(Trashable):
    """One uploaded video. Facts about the picture and the frame index come with the probe; files with the ingest.

    `state` is what the ingest has reached. That it failed is known to its job alone, so that no crash can leave a
    row behind that says "processing" for ever: `segments.selectors` puts both together. A ready source may have given
    up its proxy to make room (`is_without_proxy`); a retry makes it again.
    """

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        PROCESSING = "processing", "Processing"
        READY = "ready", "Ready"

    name = models.CharField(max_length=200)
    description = models.TextField(max_length=5000, blank=True)
    file_name = models.CharField(max_length=255, blank=True, editable=False, help_text="As it was uploaded; data only.")
    state = models.CharField(max_length=12, choices=State.choices, default=State.RECEIVED, editable=False)
    search_text = models.TextField(blank=True, editable=False)
    size = models.BigIntegerField(editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    duration_seconds = models.FloatField(null=True, editable=False)
    width = models.PositiveIntegerField(null=True, editable=False, help_text="As shown: turned, square pixels.")
    height = models.PositiveIntegerField(null=True, editable=False)
    frame_rate = models.FloatField(null=True, editable=False, help_text="Average, frames a second.")
    has_audio = models.BooleanField(null=True, editable=False)
    media = models.JSONField(null=True, blank=True, editable=False, help_text="All that the probe found.")
    frame_index = models.BinaryField(null=True, editable=False)
    filmstrip_grid = models.JSONField(null=True, blank=True, editable=False)
    original = _file()
    poster = _file()
    filmstrip = _file()
    waveform = _file()
    proxy = _file()
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(Trashable.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="sourcevideo_tenant"),
            models.CheckConstraint(condition=~Q(name=""), name="sourcevideo_has_a_name"),
            models.CheckConstraint(
                condition=~Q(state="ready") | Q(duration_seconds__isnull=False), name="ready_source_is_probed"
            ),
            models.CheckConstraint(
                condition=Q(duration_seconds__isnull=True, frame_index__isnull=True, media__isnull=True)
                | Q(duration_seconds__isnull=False, frame_index__isnull=False, media__isnull=False),
                name="probed_source_has_frames",
            ),
        ]
        indexes = [
            models.Index(
                fields=["profile", "-created_at", "-id"],
                name="sourcevideo_newest",
                condition=Q(trashed_at=None),
            ),
            models.Index(
                fields=["profile", "-trashed_at", "-id"], name="sourcevideo_trash", condition=~Q(trashed_at=None)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_markable(self) -> bool:
        """Segments may be marked as soon as the probe has found the frames (it sets the duration with them)."""
        return self.duration_seconds is not None

    @property
    def is_without_proxy(self) -> bool:
        """Whether the light copy was there and has been freed."""
        return self.state == self.State.READY and self.proxy_id is None

    @property
    def info(self) -> MediaInfo:
        """All that the probe found, with the frame index. ValueError before the probe."""
        if self.media is None:
            raise ValueError("This source has not been probed yet.")
        return MediaInfo.from_dict(self.media, self.frames)

    @cached_property
    def frames(self) -> FrameIndex:
        if self.frame_index is None:
            raise ValueError("This source has not been probed yet.")
        return FrameIndex.from_bytes(bytes(self.frame_index))


class Segment(Trashable):
    """`[start, end)` of a source, snapped to its frames. The frame numbers are the truth; the times (seconds from
    the start of the source) and the ticks follow from them. `revision` counts changes of the borders."""

    source = models.ForeignKey(SourceVideo, on_delete=models.PROTECT, related_name="segments", editable=False)
    first_frame = models.PositiveIntegerField(editable=False)
    end_frame = models.PositiveIntegerField(editable=False)  # exclusive
    start_pts = models.BigIntegerField(editable=False)  # ticks of the source's time base
    end_pts = models.BigIntegerField(editable=False)
    start_time = models.FloatField()
    end_time = models.FloatField()
    duration = models.FloatField(editable=False)
    notes = models.TextField(max_length=5000, blank=True)
    is_favorite = models.BooleanField(default=False)
    search_text = models.TextField(blank=True, editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    extracted = _file()
    extracted_revision = models.PositiveIntegerField(null=True, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(Trashable.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="segment_tenant"),
            models.CheckConstraint(condition=Q(first_frame__lt=F("end_frame")), name="segment_has_frames"),
            models.CheckConstraint(
                condition=Q(start_time__gte=0) & Q(start_time__lt=F("end_time")), name="segment_runs_forward"
            ),
            models.CheckConstraint(condition=Q(start_pts__lt=F("end_pts")), name="segment_ticks_run_forward"),
        ]
        indexes = [
            models.Index(fields=["profile", "-created_at", "-id"], name="segment_newest", condition=Q(trashed_at=None)),
            models.Index(
                fields=["profile", "-created_at", "-id"],
                name="segment_favorites",
                condition=Q(trashed_at=None, is_favorite=True),
            ),
            models.Index(
                fields=["profile", "source", "start_time", "id"], name="segment_of_source", condition=Q(trashed_at=None)
            ),
            models.Index(fields=["profile", "-trashed_at", "-id"], name="segment_trash", condition=~Q(trashed_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.start_time:.2f}-{self.end_time:.2f} s"

    @property
    def has_current_file(self) -> bool:
        """Whether the extracted file shows the borders as they are now."""
        return self.extracted_id is not None and self.extracted_revision == self.revision


class SegmentLabel(ProfileOwned):
    """A keyword (matched against spoken words) or a tag (for sorting) of a segment, in the order given."""

    class Kind(models.TextChoices):
        KEYWORD = "keyword", "Keyword"
        TAG = "tag", "Tag"

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="labels", editable=False)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    text = models.CharField(max_length=MAX_LABEL_LENGTH)
    folded = models.CharField(
        max_length=MAX_FOLDED_LENGTH, editable=False, help_text="Without case, diacritics, punctuation."
    )
    position = models.PositiveIntegerField()

    class Meta(ProfileOwned.Meta):
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(fields=["profile", "segment", "kind", "folded"], name="label_once_in_a_segment"),
        ]
        indexes = [models.Index(fields=["profile", "kind", "folded"], name="label_lookup")]

    def __str__(self) -> str:
        return self.text
