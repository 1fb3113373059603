"""The local outbox over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from profiles.api.serializers import StrictModelSerializer, StrictSerializer
from profiles.links import media_link
from publishing.models import OutboxItem
from publishing.outbox import LABEL
from publishing.serializers.fields import AwareDateTimeField

STREAM = "outbox-stream"


class OutboxLinksSerializer(serializers.Serializer[Any]):
    """Short-lived signed addresses; null where there is no cover."""

    video = serializers.CharField()
    download = serializers.CharField()
    cover = serializers.CharField(allow_null=True)


class OutboxItemSerializer(StrictModelSerializer):
    """What to post by hand. `label` says what this is not; `posted_at` and `url` are a person's word."""

    label = serializers.SerializerMethodField()  # type: ignore[assignment] # a field of this name, not the own label
    publication = serializers.UUIDField(source="publication_id", read_only=True)
    clip = serializers.UUIDField(source="publication.clip_id", read_only=True, allow_null=True)
    clip_name = serializers.CharField(source="publication.clip_name", read_only=True)
    caption = serializers.CharField(source="publication.caption", read_only=True)
    first_comment = serializers.CharField(source="publication.first_comment", read_only=True)
    settings = serializers.DictField(source="publication.settings", read_only=True)
    scheduled_at = serializers.DateTimeField(source="publication.scheduled_at", read_only=True)
    size = serializers.IntegerField(source="file.size", read_only=True)
    links = serializers.SerializerMethodField()
    posted_by = serializers.CharField(source="posted_by.username", read_only=True, default=None, allow_null=True)
    url = serializers.SerializerMethodField(help_text="Where it was posted; null: not yet.")

    class Meta:
        model = OutboxItem
        fields = (
            "id",
            "label",
            "publication",
            "clip",
            "clip_name",
            "caption",
            "first_comment",
            "settings",
            "scheduled_at",
            "size",
            "links",
            "posted_at",
            "posted_by",
            "url",
            "created_at",
        )
        read_only_fields = fields

    def get_label(self, item: OutboxItem) -> str:
        return LABEL

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_url(self, item: OutboxItem) -> str | None:
        return item.publication.release_url or None

    @extend_schema_field(OutboxLinksSerializer())
    def get_links(self, item: OutboxItem) -> dict[str, str | None]:
        request = self.context["request"]
        return {
            "video": media_link(request, STREAM, item.pk, "video", item.file_id),
            "download": media_link(request, STREAM, item.pk, "video", item.file_id, attachment=True),
            "cover": media_link(request, STREAM, item.pk, "cover", item.cover_id),
        }


class FinishSerializer(StrictSerializer):
    """ "Posted, here is the URL". `posted_at` left out: now."""

    url = serializers.CharField(max_length=2000, help_text="http or https.")
    posted_at = AwareDateTimeField(required=False, allow_null=True, default=None)
