"""Approvals and review links over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from editai.clips.models import Clip
from profiles.api.serializers import StrictModelSerializer, StrictSerializer, TenantRelatedField
from profiles.links import media_link
from publishing.models import ReviewLink
from publishing.models.publication import Publication
from publishing.review import approval
from publishing.review.links import DEFAULT_DAYS, LONGEST_DAYS
from publishing.serializers.fields import text_field
from publishing.serializers.publications import PublicationSerializer

FINGERPRINT = r"^[0-9a-f]{64}$"
STREAM = "approval-stream"


class WaitingLinksSerializer(serializers.Serializer[Any]):
    """Short-lived signed addresses of the very files that would be posted; null where there is none."""

    video = serializers.CharField(allow_null=True)
    cover = serializers.CharField(allow_null=True)


class WaitingSerializer(PublicationSerializer):
    """A publication that waits for a decision. `fingerprint` digests what would be posted and where."""

    fingerprint = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta(PublicationSerializer.Meta):
        fields: tuple[str, ...] = (*PublicationSerializer.Meta.fields, "fingerprint", "links")
        read_only_fields = fields

    def get_fingerprint(self, row: Publication) -> str:
        return approval.fingerprint(row)

    @extend_schema_field(WaitingLinksSerializer())
    def get_links(self, row: Publication) -> dict[str, str | None]:
        request = self.context["request"]
        return {
            "video": media_link(request, STREAM, row.pk, "video", row.file_id),
            "cover": media_link(request, STREAM, row.pk, "cover", row.cover_id),
        }


class ApproveSerializer(StrictSerializer):
    """`fingerprint`: of what you saw; the answer is 409 when it is something else by now. Left out: as it is."""

    comment = text_field(required=False, default="")
    fingerprint = serializers.RegexField(FINGERPRINT, required=False)


class RequestChangeSerializer(StrictSerializer):
    """`comment`: what to change."""

    comment = text_field()
    fingerprint = serializers.RegexField(FINGERPRINT, required=False)


class ReviewLinkSerializer(StrictModelSerializer):
    """`opened_at`: when it was last looked at, to the minute. A revoked or expired link opens nothing."""

    clip = serializers.UUIDField(source="clip_id", read_only=True)
    clip_name = serializers.CharField(source="clip.name", read_only=True)
    created_by = serializers.CharField(source="created_by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = ReviewLink
        fields: tuple[str, ...] = (
            "id",
            "clip",
            "clip_name",
            "note",
            "created_by",
            "created_at",
            "expires_at",
            "revoked_at",
            "opened_at",
        )
        read_only_fields = fields


class NewReviewLinkSerializer(ReviewLinkSerializer):
    """The answer to a new link: the only time that its address is shown."""

    url = serializers.SerializerMethodField()

    class Meta(ReviewLinkSerializer.Meta):
        fields: tuple[str, ...] = (*ReviewLinkSerializer.Meta.fields, "url")
        read_only_fields = fields

    def get_url(self, link: ReviewLink) -> str:
        url: str = self.context["url"]
        return url


class ReviewLinkInputSerializer(StrictSerializer):
    """`note`: for whom, in your own words."""

    clip_id = TenantRelatedField(queryset=Clip.objects.filter(trashed_at=None))
    days = serializers.IntegerField(min_value=1, max_value=LONGEST_DAYS, default=DEFAULT_DAYS)
    note = serializers.CharField(max_length=200, allow_blank=True, default="")
