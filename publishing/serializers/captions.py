"""Caption sets and hashtag sets over HTTP."""

from typing import Any

from rest_framework import serializers

from editai.clips.models import Clip
from profiles.api.serializers import OnePageSerializer, StrictModelSerializer, StrictSerializer, TenantRelatedField
from publishing.models import CaptionSet, HashtagSet
from publishing.serializers.fields import MAX_NETWORKS, AwareDateTimeField, ByNetworkField, NetworkField, text_field

MAX_TAGS = 60
MAX_TAG = 100


class HashtagSetSerializer(StrictModelSerializer):
    class Meta:
        model = HashtagSet
        fields = ("id", "name", "tags", "created_at", "updated_at")
        read_only_fields = fields

    tags = serializers.ListField(child=serializers.CharField(), read_only=True)


class HashtagSetInputSerializer(StrictSerializer):
    """`tags`: with or without their #; each once."""

    name = serializers.CharField(max_length=100)
    tags = serializers.ListField(child=serializers.CharField(max_length=MAX_TAG + 1), max_length=MAX_TAGS)

    def validate_tags(self, tags: list[str]) -> list[str]:
        plain = [tag.removeprefix("#") for tag in tags]
        for tag in plain:
            if not tag or len(tag) > MAX_TAG or not all(char.isalnum() or char in "_·" for char in tag):
                raise serializers.ValidationError(f"A hashtag has letters, digits and _ only: {tag[:50] or '#'}.")
        by_fold = {tag.casefold(): tag for tag in reversed(plain)}
        return [tag for tag in dict.fromkeys(plain) if by_fold[tag.casefold()] == tag]


class VariantSerializer(StrictSerializer):
    """The words for one network, instead of the set's own; what is left out is the set's."""

    text = text_field(required=False)
    first_comment = text_field(required=False)
    title = serializers.CharField(max_length=200, required=False, allow_blank=True)


class VariantsField(ByNetworkField):
    child = VariantSerializer()


class CaptionSetSerializer(StrictModelSerializer):
    """Words with placeholders: {clip} {project} {brand} {date} {weekday} {number} {hashtags}; {{ and }} are braces."""

    hashtags = serializers.UUIDField(source="hashtags_id", read_only=True, allow_null=True)
    variants = serializers.DictField(read_only=True, help_text="By network: {text?, first_comment?, title?}.")

    class Meta:
        model = CaptionSet
        fields = (
            "id",
            "name",
            "text",
            "first_comment",
            "title",
            "variants",
            "hashtags",
            "is_default",
            "used_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class CaptionSetInputSerializer(StrictSerializer):
    """`hashtags`: the id of a hashtag set. They follow the text unless {hashtags} places them."""

    name = serializers.CharField(max_length=100)
    text = text_field()
    first_comment = text_field(required=False)
    title = serializers.CharField(max_length=200, required=False, allow_blank=True)
    variants = VariantsField(required=False)
    hashtags = TenantRelatedField(queryset=HashtagSet.objects.all(), required=False, allow_null=True)


class SetDefaultSerializer(StrictSerializer):
    """Left out: makes it the default."""

    is_default = serializers.BooleanField(default=True)


class PreviewInputSerializer(StrictSerializer):
    """`networks` left out: those of the profile's channels. `scheduled_at` left out: now."""

    clip_id = TenantRelatedField(queryset=Clip.objects.filter(trashed_at=None))
    networks = serializers.ListField(child=NetworkField(), max_length=MAX_NETWORKS, required=False)
    scheduled_at = AwareDateTimeField(required=False)
    number = serializers.IntegerField(min_value=1, max_value=1000, default=1)


class PreviewSerializer(serializers.Serializer[Any]):
    """The words as they would be. `length` counts as the network does; `limit` null: none is known."""

    network = serializers.CharField()
    caption = serializers.CharField()
    first_comment = serializers.CharField()
    title = serializers.CharField()
    length = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True)


class PreviewsSerializer(serializers.Serializer[Any]):
    results = PreviewSerializer(many=True)


class LastUsedSerializer(serializers.Serializer[Any]):
    """What a network was published to with last, with placeholders; {{ and }} are braces that were typed.
    `caption_set`: null when it was none, or is gone."""

    network = serializers.CharField()
    caption = serializers.CharField()
    first_comment = serializers.CharField()
    title = serializers.CharField()
    hashtags = serializers.ListField(child=serializers.CharField())
    caption_set = serializers.UUIDField(allow_null=True)
    used_at = serializers.DateTimeField()


class LastUsedListSerializer(OnePageSerializer):
    """One entry for each network, in one page."""

    results = LastUsedSerializer(many=True)
