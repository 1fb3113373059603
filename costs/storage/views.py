"""Storage over HTTP: figures for all members, freeing for owners."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from costs.models import StorageRetention
from costs.storage.figures import storage_figures
from costs.storage.freeing import free_up
from costs.storage.retention import retention_set
from costs.storage.serializers import FreedSerializer, FreeUpSerializer, RetentionSerializer, StorageSerializer
from profiles.api.viewsets import ProfileViewSet
from profiles.models import Ceiling, Role

SECONDS = 20.0  # that one call frees files for; what is left goes with the next


class StorageViewSet(ProfileViewSet):
    """What the profile stores, and for how long."""

    queryset = StorageRetention.objects.all()
    serializer_class = StorageSerializer
    input_serializers = {"partial_update": RetentionSerializer, "free_up": FreeUpSerializer}
    roles = {"partial_update": Role.OWNER, "free_up": Role.OWNER}
    ceilings = {"partial_update": Ceiling.FULL, "free_up": Ceiling.FULL}
    filter_backends = ()
    pagination_class = None

    @extend_schema(responses=StorageSerializer)
    def retrieve(self, request: Request) -> Response:
        """How much is stored, by kind, how much of it can be freed, and how much more there is room for."""
        return self.answer(storage_figures(self.profile))

    @extend_schema(request=RetentionSerializer, responses=StorageSerializer)
    def partial_update(self, request: Request) -> Response:
        """Sets how long files are kept that can be made again. Older ones go every night, except those that are still
        needed."""
        days: dict[str, Any] = self.read_body(partial=True).validated_data.get("retention", {})
        retention_set(profile=self.profile, days=days)
        return self.answer(storage_figures(self.profile))

    @extend_schema(request=FreeUpSerializer, responses=FreedSerializer)
    def free_up(self, request: Request) -> Response:
        """Frees files that can be made again, or (`kinds: ["trash"]`) empties the trash. Originals never go, nor what a
        planned post needs. Without `dry_run: false` nothing changes. May be called again and again."""
        found = free_up(profile=self.profile, seconds=SECONDS, **self.read_body().validated_data)
        return Response(FreedSerializer(found).data)
