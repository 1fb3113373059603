"""Shapes of sources and segments over HTTP. Times are seconds of the source, spans half-open: [start, end)."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from jobs.models import Status
from jobs.serializers import JobErrorSerializer
from profiles.api.serializers import StrictModelSerializer, StrictSerializer, TenantIdsField
from profiles.links import media_link
from segments.labels import MAX_LABEL_LENGTH, MAX_LABELS
from segments.models import Segment, SegmentLabel, SourceVideo
from segments.selectors import STATES, error_of, ingest_of, labels_of, state_of
from segments.sources import MAX_NAME

VARIANTS = ("original", "proxy", "poster", "filmstrip", "waveform")
MAX_TEXT = 5000
_TEXTAREA = {"base_template": "textarea.html"}


def _text(**options: Any) -> serializers.CharField:
    """A text of several lines."""
    return serializers.CharField(
        max_length=MAX_TEXT, required=False, allow_blank=True, trim_whitespace=False, style=_TEXTAREA, **options
    )


def _labels(**options: Any) -> serializers.ListField:
    child = serializers.CharField(max_length=MAX_LABEL_LENGTH)
    return serializers.ListField(child=child, max_length=MAX_LABELS, required=False, **options)


# --- sources -------------------------------------------------------------------------------------------


class SourceUploadSerializer(StrictSerializer):
    """`video`: an MP4, MOV, MKV, WebM, AVI or TS file; what it is called does not matter, what it holds does."""

    video = serializers.FileField(allow_empty_file=True)  # told apart from other bad files, by its own code
    name = serializers.CharField(
        max_length=MAX_NAME, required=False, allow_blank=True, default="", help_text="Else the name of the file."
    )
    description = _text(default="")


class SourceUpdateSerializer(StrictSerializer):
    name = serializers.CharField(max_length=MAX_NAME, required=False)
    description = _text()


class IngestSerializer(StrictSerializer):
    """The job that prepares a source."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.choices)
    progress = serializers.IntegerField(help_text="Percent.")
    step = serializers.CharField()
    eta_seconds = serializers.IntegerField(allow_null=True)


class SourceLinksSerializer(StrictSerializer):
    """Signed links, good for some minutes; null for what is not there (yet)."""

    original = serializers.CharField(allow_null=True, help_text="A download of the file as it was uploaded.")
    proxy = serializers.CharField(allow_null=True)
    poster = serializers.CharField(allow_null=True)
    filmstrip = serializers.CharField(allow_null=True)
    waveform = serializers.CharField(allow_null=True)


class FilmstripGridSerializer(StrictSerializer):
    """Tile k of the filmstrip, row by row, shows the source around k × seconds_per_tile seconds."""

    columns = serializers.IntegerField()
    rows = serializers.IntegerField()
    tile_width = serializers.IntegerField()
    tile_height = serializers.IntegerField()
    tiles = serializers.IntegerField()
    seconds_per_tile = serializers.FloatField()


class SourceVideoSerializer(StrictModelSerializer):
    """A source. `is_markable`: segments may be marked, which is possible long before it is `ready`. One that is ready
    without a link `proxy` has given that up to make room: `retry/` makes it again."""

    state = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField(help_text="Why the state is failed.")
    is_markable = serializers.BooleanField(read_only=True)
    ingest = serializers.SerializerMethodField()
    segment_count = serializers.IntegerField(read_only=True)
    filmstrip_grid = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()
    media = serializers.DictField(read_only=True, allow_null=True, help_text="All that is known of its streams.")

    class Meta:
        model = SourceVideo
        fields = (
            "id",
            "name",
            "description",
            "file_name",
            "state",
            "error",
            "is_markable",
            "ingest",
            "size",
            "sha256",
            "duration_seconds",
            "width",
            "height",
            "frame_rate",
            "has_audio",
            "media",
            "segment_count",
            "filmstrip_grid",
            "links",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=STATES))
    def get_state(self, source: SourceVideo) -> str:
        return state_of(source)

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, source: SourceVideo) -> dict[str, Any] | None:
        return error_of(source)

    @extend_schema_field(IngestSerializer(allow_null=True))
    def get_ingest(self, source: SourceVideo) -> dict[str, Any] | None:
        job = ingest_of(source)
        return job and {name: job[name] for name in ("id", "status", "progress", "step", "eta_seconds")}

    @extend_schema_field(FilmstripGridSerializer(allow_null=True))
    def get_filmstrip_grid(self, source: SourceVideo) -> dict[str, Any] | None:
        grid: dict[str, Any] | None = source.filmstrip_grid
        return grid

    @extend_schema_field(SourceLinksSerializer)
    def get_links(self, source: SourceVideo) -> dict[str, str | None]:
        request = self.context["request"]
        return {
            variant: media_link(
                request,
                "source-video-stream",
                source.pk,
                variant,
                getattr(source, f"{variant}_id"),
                attachment=variant == "original",
            )
            for variant in VARIANTS
        }


class DependantSerializer(StrictSerializer):
    kind = serializers.CharField(help_text="project, clip, …")
    id = serializers.UUIDField()
    name = serializers.CharField()
    segment_id = serializers.UUIDField()


class UsageSerializer(StrictSerializer):
    """What goes along, and what depends on it, before something is thrown away."""

    segment_count = serializers.IntegerField()
    dependants = DependantSerializer(many=True)


class FramesSerializer(StrictSerializer):
    """Frame times of `[first_frame, end_frame)`, run-length coded. Frame `first_frame` begins at tick `first_tick`;
    each entry `[ticks, count]` of `runs` says that the next `count` frames last `ticks` each. Seconds of source time
    = (tick - zero_tick) × time_base[0] / time_base[1]."""

    frame_count = serializers.IntegerField(help_text="Of the whole source.")
    time_base = serializers.ListField(child=serializers.IntegerField())
    zero_tick = serializers.IntegerField()
    first_frame = serializers.IntegerField()
    end_frame = serializers.IntegerField()
    first_tick = serializers.IntegerField()
    runs = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))
    keyframes = serializers.ListField(child=serializers.IntegerField(), help_text="Numbers of the keyframes.")


# --- segments ------------------------------------------------------------------------------------------


class SegmentInputSerializer(StrictSerializer):
    """A new segment: seconds of the source, `[start_time, end_time)`. The answer gives the frame-snapped times."""

    start_time = serializers.FloatField(help_text="Seconds.")
    end_time = serializers.FloatField(help_text="Seconds; the first moment that is not part of it any more.")
    keywords = _labels(help_text="Words and phrases to match against what is spoken.")
    tags = _labels(help_text="Words of your own, for sorting.")
    notes = _text()
    is_favorite = serializers.BooleanField(required=False)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        values: dict[str, Any] = super().to_internal_value(data)
        if hasattr(data, "getlist"):  # a form without the box is silent about it
            values = {name: value for name, value in values.items() if name in data or name in _TIMES}
        return values


_TIMES = ("start_time", "end_time")


class SegmentUpdateSerializer(SegmentInputSerializer):
    """Changes to a segment. With `revision` (as last read) the change is refused when the borders have moved since."""

    revision = serializers.IntegerField(min_value=1, required=False)


class FavoriteSerializer(StrictSerializer):
    """Without `is_favorite` the mark is turned over."""

    is_favorite = serializers.BooleanField(required=False, allow_null=True, default=None)


class SegmentLinksSerializer(StrictSerializer):
    """Signed links to the extracted file, good for some minutes; null while there is none."""

    stream = serializers.CharField(allow_null=True)
    download = serializers.CharField(allow_null=True)


class SegmentSerializer(StrictModelSerializer):
    """A segment. `is_extracted`: a file of its own shows the borders as they are now."""

    source_video = serializers.UUIDField(source="source_id", read_only=True)
    source_video_name = serializers.CharField(source="source.name", read_only=True)
    keywords = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    is_extracted = serializers.BooleanField(source="has_current_file", read_only=True)
    links = serializers.SerializerMethodField()

    class Meta:
        model = Segment
        fields = (
            "id",
            "source_video",
            "source_video_name",
            "start_time",
            "end_time",
            "duration",
            "first_frame",
            "end_frame",
            "keywords",
            "tags",
            "notes",
            "is_favorite",
            "revision",
            "is_extracted",
            "links",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_keywords(self, segment: Segment) -> list[str]:
        return labels_of(segment, SegmentLabel.Kind.KEYWORD)

    def get_tags(self, segment: Segment) -> list[str]:
        return labels_of(segment, SegmentLabel.Kind.TAG)

    @extend_schema_field(SegmentLinksSerializer)
    def get_links(self, segment: Segment) -> dict[str, str | None]:
        version: UUID | None = segment.extracted_id if segment.has_current_file else None
        request = self.context["request"]
        return {
            name: media_link(request, "segment-stream", segment.pk, "extracted", version, attachment=name == "download")
            for name in ("stream", "download")
        }


# --- matching ------------------------------------------------------------------------------------------


class MatchInputSerializer(StrictSerializer):
    """Subtitles, as a file `srt` or as text, against the keywords of the profile's segments."""

    srt = serializers.FileField(required=False, allow_empty_file=True, help_text="An SRT file of at most 2 MB.")
    srt_text = serializers.CharField(
        max_length=2 * 2**20, required=False, allow_blank=True, trim_whitespace=False, style=_TEXTAREA
    )
    source_ids = TenantIdsField(
        queryset=SourceVideo.objects.filter(trashed_at=None).only("id", "profile_id"), required=False
    )
    min_confidence = serializers.FloatField(min_value=0, max_value=1, required=False, default=0.5)
    max_matches = serializers.IntegerField(
        min_value=1, max_value=20, required=False, default=5, help_text="Segments for one subtitle."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("srt" in attrs) == ("srt_text" in attrs):
            raise serializers.ValidationError({"srt": ["Send either the file `srt` or `srt_text`."]})
        return attrs


class ReasonSerializer(StrictSerializer):
    """Why: `kind` is exact, inflected (an ending differs) or apart (all words, but not one after the other)."""

    keyword = serializers.CharField()
    kind = serializers.ChoiceField(choices=("exact", "inflected", "apart"))
    spoken = serializers.CharField(help_text="The words of the subtitle that were taken for it.")
    confidence = serializers.FloatField()


class MatchSerializer(StrictSerializer):
    segment_id = serializers.UUIDField()
    confidence = serializers.FloatField(help_text="0 to 1: the reasons, taken as independent hints.")
    reasons = ReasonSerializer(many=True)


class CueSerializer(StrictSerializer):
    number = serializers.IntegerField()
    start_time = serializers.FloatField()
    end_time = serializers.FloatField()
    text = serializers.CharField()
    matches = MatchSerializer(many=True)


class MatchedSegmentSerializer(StrictSerializer):
    id = serializers.UUIDField()
    source_video = serializers.UUIDField()
    start_time = serializers.FloatField()
    end_time = serializers.FloatField()
    is_favorite = serializers.BooleanField()


class MatchAnswerSerializer(StrictSerializer):
    """Every subtitle with its best segments; `segments` holds each of those once."""

    encoding = serializers.CharField()
    cue_count = serializers.IntegerField()
    matched_count = serializers.IntegerField()
    keyword_count = serializers.IntegerField(help_text="Distinct keywords that were looked for.")
    cues = CueSerializer(many=True)
    segments = MatchedSegmentSerializer(many=True)
