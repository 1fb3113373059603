"""Shapes of clips and presets over HTTP."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from editai.clips.models import Clip, ExportPreset, Quality
from editai.clips.presets import DEFAULT, default_preset
from editai.clips.recipes import MAX_VARIANTS
from editai.clips.selectors import media_facts
from editai.clips.states import shown_state
from editai.projects.models import MAX_SECONDS
from jobs.serializers import JobErrorSerializer
from profiles.api.serializers import OnePageSerializer, StrictModelSerializer, StrictSerializer
from profiles.links import media_link

STREAM = "clip-stream"


class ClipLinksSerializer(serializers.Serializer[Any]):
    """Short-lived signed addresses; null until there is a file."""

    video = serializers.CharField(allow_null=True)
    poster = serializers.CharField(allow_null=True)
    download = serializers.CharField(allow_null=True)


class CoverSerializer(serializers.Serializer[Any]):
    """`source`: frame (of the clip, at `at_seconds`) or image (uploaded). `url`: a short-lived signed address."""

    source = serializers.ChoiceField(choices=Clip.CoverSource.choices)  # type: ignore[assignment]
    at_seconds = serializers.FloatField(allow_null=True)
    url = serializers.CharField()


class ClipSerializer(StrictModelSerializer):
    """`is_stale`: the project would give another clip now. While a clip is rendered anew, or when that failed, the
    links still lead to the file from before. `freed`: the file was given up to make room; `render/` makes it again."""

    state = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField(help_text="Why the last render failed, or why there is no file any more.")
    project = serializers.UUIDField(source="project_id", read_only=True)
    project_name = serializers.CharField(source="project.name", read_only=True)
    preset = serializers.CharField(source="preset_id", read_only=True)
    job = serializers.UUIDField(source="job_id", read_only=True, allow_null=True, help_text="Its latest render.")
    size = serializers.IntegerField(source="file.size", read_only=True, default=None, allow_null=True)
    cover = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta:
        model = Clip
        fields = (
            "id",
            "name",
            "project",
            "project_name",
            "variant",
            "preset",
            "quality",
            "state",
            "error",
            "job",
            "is_selected",
            "is_stale",
            "duration_seconds",
            "size",
            "loudness_lufs",
            "true_peak_dbtp",
            "cover",
            "links",
            "rendered_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = tuple(name for name in fields if name not in {"name", "is_selected"})

    @extend_schema_field(serializers.ChoiceField(choices=Clip.ShownState.choices))
    def get_state(self, clip: Clip) -> str:
        return shown_state(clip)[0].value

    @extend_schema_field(JobErrorSerializer(allow_null=True))
    def get_error(self, clip: Clip) -> dict[str, Any] | None:
        return shown_state(clip)[1]

    @extend_schema_field(CoverSerializer(allow_null=True))
    def get_cover(self, clip: Clip) -> dict[str, Any] | None:
        if clip.cover_id is None:
            return None
        url = media_link(self.context["request"], "clip-cover", clip.pk, "cover", clip.cover_id)
        return {"source": clip.cover_source, "at_seconds": clip.cover_at_seconds, "url": url}

    @extend_schema_field(ClipLinksSerializer())
    def get_links(self, clip: Clip) -> dict[str, str | None]:
        request = self.context["request"]
        return {
            "video": media_link(request, STREAM, clip.pk, "video", clip.file_id),
            "poster": media_link(request, STREAM, clip.pk, "poster", clip.poster_id),
            "download": media_link(request, STREAM, clip.pk, "video", clip.file_id, attachment=True),
        }


class VideoFactsSerializer(serializers.Serializer[Any]):
    """`width`, `height`: as shown. `bit_rate`: bits a second; null: the file does not say. `keyframe_seconds`: the
    longest way from one keyframe to the next."""

    codec = serializers.CharField()
    profile = serializers.CharField(allow_blank=True)
    pix_fmt = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    rotation = serializers.IntegerField(help_text="Degrees clockwise.")
    frame_rate = serializers.FloatField()
    is_cfr = serializers.BooleanField(help_text="Whether the frame rate is constant.")
    is_interlaced = serializers.BooleanField()
    bit_rate = serializers.IntegerField(allow_null=True)
    keyframe_seconds = serializers.FloatField()


class AudioFactsSerializer(serializers.Serializer[Any]):
    codec = serializers.CharField()
    sample_rate = serializers.IntegerField(help_text="Hertz.")
    channels = serializers.IntegerField()


class MediaFactsSerializer(serializers.Serializer[Any]):
    """What the file is, measured on the file. `faststart`: the index comes first; `edit_list`: a track has one."""

    container = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    duration_seconds = serializers.FloatField()
    bit_rate = serializers.IntegerField(help_text="Bits a second, of the whole.")
    faststart = serializers.BooleanField(allow_null=True)
    edit_list = serializers.BooleanField(allow_null=True)
    video = VideoFactsSerializer()
    audio = AudioFactsSerializer(allow_null=True)


class ClipDetailSerializer(ClipSerializer):
    """One clip, with what its file is, and the recipe that it was last asked for in."""

    media = serializers.SerializerMethodField(help_text="Null: no file, or one from before such facts were kept.")
    recipe = serializers.DictField(read_only=True)

    class Meta(ClipSerializer.Meta):
        fields = (*ClipSerializer.Meta.fields, "media", "recipe")  # type: ignore[assignment]
        read_only_fields = (*ClipSerializer.Meta.read_only_fields, "media", "recipe")

    @extend_schema_field(MediaFactsSerializer(allow_null=True))
    def get_media(self, clip: Clip) -> dict[str, Any] | None:
        return media_facts(clip)


class ClipInputSerializer(StrictModelSerializer):
    class Meta:
        model = Clip
        fields = ("name", "is_selected")


class CoverInputSerializer(StrictSerializer):
    """Either a picture or a moment of the clip."""

    image = serializers.FileField(
        required=False, allow_empty_file=True, help_text="JPEG, PNG or WebP of at most 20 MB and 40 million pixels."
    )
    at_seconds = serializers.FloatField(required=False, min_value=0, max_value=MAX_SECONDS)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Send either image or at_seconds.")
        return attrs


class SelectSerializer(StrictSerializer):
    """Left out: selects the clip."""

    is_selected = serializers.BooleanField(default=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Two variants for TikTok",
            value={"preset": "tiktok", "quality": "standard", "variant_count": 2},
            request_only=True,
        )
    ]
)
class GenerateSerializer(StrictSerializer):
    """`preset`: the slug of one of `presets/`. Variants differ by the segment that they open with; when there are
    more variants than orders of the segments, by a slightly closer crop."""

    preset = serializers.SlugRelatedField(
        slug_field="slug",
        queryset=ExportPreset.objects.all(),
        default=default_preset,
        help_text=f"Left out: {DEFAULT}.",
    )
    quality = serializers.ChoiceField(choices=Quality.choices, default=Quality.STANDARD)
    variant_count = serializers.IntegerField(min_value=1, max_value=MAX_VARIANTS, default=1)
    name = serializers.CharField(max_length=200, required=False, help_text="Of the clips; else the project's name.")


class ExportPresetSerializer(serializers.ModelSerializer[ExportPreset]):
    """What a network wants and allows; null where nothing is known. The facts were checked on `checked_on`."""

    class Meta:
        model = ExportPreset
        fields = (
            "slug",
            "name",
            "network",
            "width",
            "height",
            "frame_rate",
            "min_seconds",
            "max_seconds",
            "max_bytes",
            "note",
            "source",
            "checked_on",
        )
        read_only_fields = fields


class PresetListSerializer(OnePageSerializer):
    """All presets: there are a handful, so there is one page."""

    results = ExportPresetSerializer(many=True)
