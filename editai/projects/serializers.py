"""Shapes of projects and their ordered segments over HTTP."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from editai.projects.models import MAX_ENTRIES, SETTINGS, Project, ProjectSegment
from editai.projects.timeline import whole_microseconds
from profiles.api.serializers import StrictModelSerializer, StrictSerializer


class ProjectSerializer(StrictModelSerializer):
    """`total_duration`: seconds of all segments after trimming, on the sources' frames: the same as in the lineup."""

    segment_count = serializers.IntegerField(read_only=True)
    total_duration = serializers.SerializerMethodField()

    class Meta:
        model = Project
        fields = (
            "id",
            "name",
            "description",
            "target_duration",
            "framing",
            "segment_count",
            "total_duration",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("id", "created_at", "updated_at")

    def get_total_duration(self, project: Any) -> float:
        return whole_microseconds(project.planned_seconds)


class DuplicateSerializer(StrictSerializer):
    """`name` of the copy; left out, it is called a copy."""

    name = serializers.CharField(max_length=200, required=False)


class EntrySettingsSerializer(StrictModelSerializer):
    """What an entry has of its own; the shared segment stays as it is."""

    class Meta:
        model = ProjectSegment
        fields = SETTINGS


class EntryInputSerializer(EntrySettingsSerializer):
    segment_id = serializers.UUIDField()

    class Meta(EntrySettingsSerializer.Meta):
        fields = ("segment_id", *SETTINGS)  # type: ignore[assignment]

    def to_internal_value(self, data: Any) -> Any:
        """Without the defaults of the model: what is left out is the service's to fill in."""
        values = super().to_internal_value(data)
        return {name: value for name, value in values.items() if name in data}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "An order",
            value={"segment_ids": ["01936b0e-7f1a-7c3e-9a53-3f0f5b0c7d11", "01936b0e-8b20-7d4f-8a11-6f2e4c1b9a22"]},
            request_only=True,
        ),
        OpenApiExample(
            "With crop, trim and sound",
            value={
                "entries": [
                    {"segment_id": "01936b0e-7f1a-7c3e-9a53-3f0f5b0c7d11", "crop_x": 0.3, "zoom": 1.2},
                    {"segment_id": "01936b0e-8b20-7d4f-8a11-6f2e4c1b9a22", "trim_end": 0.5, "is_muted": True},
                ]
            },
            request_only=True,
        ),
    ]
)
class LineupInputSerializer(StrictSerializer):
    """Either `segment_ids` (entries keep the settings of the same segment) or `entries` (with their settings). The
    list is the order; one segment may come several times; an empty list empties the project."""

    segment_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MAX_ENTRIES, allow_empty=True
    )
    entries = EntryInputSerializer(many=True, required=False, allow_empty=True)
    max_lists = {"segment_ids": MAX_ENTRIES, "entries": MAX_ENTRIES}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            hint = "This field is required." if not attrs else "Send segment_ids or entries, not both."
            raise serializers.ValidationError({"segment_ids": [hint]})
        return attrs


class PlacedSerializer(serializers.Serializer[Any]):
    """One entry. `start_time`, `end_time`: seconds of source time after trimming, on the source's frames, half-open.
    `problem`: why it can't be rendered now (`segment_missing`, `source_not_ready`, `trimmed_away`), or empty."""

    id = serializers.UUIDField(source="entry.pk")
    position = serializers.IntegerField(source="entry.position")
    segment_id = serializers.UUIDField(source="entry.segment_id")
    source_id = serializers.UUIDField(source="segment.source_id")
    source_name = serializers.CharField(source="source.name")
    segment_start_time = serializers.FloatField(source="segment.start_time")
    segment_end_time = serializers.FloatField(source="segment.end_time")
    start_time = serializers.FloatField()
    end_time = serializers.FloatField()
    duration = serializers.FloatField()
    is_missing = serializers.SerializerMethodField()
    problem = serializers.CharField()
    crop_x = serializers.FloatField(source="entry.crop_x")
    crop_y = serializers.FloatField(source="entry.crop_y")
    zoom = serializers.FloatField(source="entry.zoom")
    trim_start = serializers.FloatField(source="entry.trim_start")
    trim_end = serializers.FloatField(source="entry.trim_end")
    volume = serializers.FloatField(source="entry.volume")
    is_muted = serializers.BooleanField(source="entry.is_muted")
    fade_in = serializers.FloatField(source="entry.fade_in")
    fade_out = serializers.FloatField(source="entry.fade_out")

    @extend_schema_field(serializers.BooleanField(help_text="The segment, or its source, is in the trash."))
    def get_is_missing(self, placed: Any) -> bool:
        return bool(placed.problem == "segment_missing")


class ExceededLimitSerializer(serializers.Serializer[Any]):
    """A preset whose limit the project is over."""

    preset = serializers.CharField()
    name = serializers.CharField()
    limit = serializers.CharField(help_text="Which one: max_seconds or min_seconds.")
    seconds = serializers.FloatField()


class LineupSerializer(serializers.Serializer[Any]):
    """All entries of a project, never paged: there are at most 200. `next` and `previous` are always null."""

    next = serializers.SerializerMethodField()
    previous = serializers.SerializerMethodField()
    results = PlacedSerializer(source="entries", many=True)
    segment_ids = serializers.SerializerMethodField()
    total_duration = serializers.FloatField(help_text="Seconds.")
    target_duration = serializers.FloatField(source="project.target_duration", allow_null=True)
    exceeded_limits = ExceededLimitSerializer(many=True)

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_next(self, lineup: Any) -> None:
        return None

    @extend_schema_field(serializers.URLField(allow_null=True))
    def get_previous(self, lineup: Any) -> None:
        return None

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_segment_ids(self, lineup: Any) -> list[str]:
        return [str(placed.entry.segment_id) for placed in lineup.entries]
