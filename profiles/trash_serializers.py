"""Shapes of the trash over HTTP."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from rest_framework import serializers

from profiles.api.serializers import StrictSerializer
from profiles.trash import TrashKind


class TrashItemSerializer(StrictSerializer):
    """Something that was thrown away. `went_along`: how many rows of which kind went with it, and come back."""

    kind = serializers.SerializerMethodField()
    id = serializers.UUIDField(read_only=True)
    name = serializers.SerializerMethodField()
    went_along = serializers.SerializerMethodField()
    trashed_at = serializers.DateTimeField(read_only=True)
    purged_at = serializers.SerializerMethodField(help_text="When it will be deleted for good.")

    def _kind(self, row: Any) -> TrashKind:
        kind: TrashKind = self.context["kinds"][type(row)]
        return kind

    def get_kind(self, row: Any) -> str:
        return self._kind(row).name

    def get_name(self, row: Any) -> str:
        return self._kind(row).label(row)

    def get_went_along(self, row: Any) -> dict[str, int]:
        return dict(self.context["went_along"].get(row.pk, {}))

    def get_purged_at(self, row: Any) -> str:
        moment = row.trashed_at + timedelta(days=settings.TRASH_DAYS)
        return str(serializers.DateTimeField().to_representation(moment))


class RestoredSerializer(StrictSerializer):
    """What came back."""

    kind = serializers.CharField(read_only=True)
    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(read_only=True)
