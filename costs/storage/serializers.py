"""Shapes of storage over HTTP. Sizes are bytes."""

from typing import Any

from rest_framework import serializers

from costs.models.storage import MAX_DAYS
from profiles.api.serializers import StrictSerializer


class AmountSerializer(StrictSerializer):
    files = serializers.IntegerField()
    bytes = serializers.IntegerField()


class StorageKindSerializer(StrictSerializer):
    """One kind of stored files. `freeable`: what `free-up/` could free now, of any age. `retention_days`: after so many
    days a file goes by itself; null: never."""

    kind = serializers.CharField(source="name")
    label = serializers.CharField()  # type: ignore[assignment]
    files = serializers.IntegerField(source="stored.files")
    bytes = serializers.IntegerField(source="stored.bytes")
    freeable_files = serializers.IntegerField(source="freeable.files")
    freeable_bytes = serializers.IntegerField(source="freeable.bytes")
    retention_days = serializers.IntegerField(allow_null=True)
    may_have_retention = serializers.BooleanField(
        help_text="Whether it can be made again, so that it may go by itself."
    )


class StorageSerializer(StrictSerializer):
    """All that is stored; every file counts in one kind. `quota_bytes`: null when there is no limit."""

    kinds = StorageKindSerializer(many=True)
    total_files = serializers.IntegerField(source="total.files")
    total_bytes = serializers.IntegerField(source="total.bytes")
    quota_bytes = serializers.SerializerMethodField()
    remaining_bytes = serializers.SerializerMethodField()

    def get_quota_bytes(self, figures: Any) -> int | None:
        return figures.quota_bytes or None

    def get_remaining_bytes(self, figures: Any) -> int | None:
        return max(0, figures.quota_bytes - figures.total.bytes) if figures.quota_bytes else None


class RetentionSerializer(StrictSerializer):
    """`retention`: days by kind, `{"proxies": 90, "renders": null}`; null: kept until somebody frees it. Kinds that are
    left out stay as they are."""

    retention = serializers.DictField(child=serializers.IntegerField(min_value=1, max_value=MAX_DAYS, allow_null=True))


class FreeUpSerializer(StrictSerializer):
    """What to free. `kinds` left out: all that can be made again, and not the trash."""

    kinds = serializers.ListField(child=serializers.CharField(max_length=30), required=False, max_length=20)
    older_than_days = serializers.IntegerField(
        min_value=0, max_value=MAX_DAYS, required=False, allow_null=True, help_text="Since a file was made."
    )
    dry_run = serializers.BooleanField(default=True, help_text="Only tells what would go.")


class StaySerializer(StrictSerializer):
    reason = serializers.CharField()
    text = serializers.CharField(help_text="The reason, in words.")
    files = serializers.IntegerField(source="amount.files")
    bytes = serializers.IntegerField(source="amount.bytes")


class FreedKindSerializer(StrictSerializer):
    """What goes (or went) of one kind, and what stays, by reason."""

    kind = serializers.CharField(source="name")
    label = serializers.CharField()  # type: ignore[assignment]
    goes = AmountSerializer()
    stays = StaySerializer(many=True)


class FreedSerializer(StrictSerializer):
    """What was freed, or with `dry_run` what would be. `is_complete`: false when there is more than one call has time
    for: call again."""

    dry_run = serializers.BooleanField()
    is_complete = serializers.BooleanField()
    before_bytes = serializers.IntegerField(source="before", help_text="All that was stored.")
    after_bytes = serializers.IntegerField(source="after", help_text="All that is stored afterwards, or would be.")
    kinds = FreedKindSerializer(many=True)
