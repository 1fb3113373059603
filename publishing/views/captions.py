"""Caption sets and hashtag sets."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from profiles.api.serializers import one_page
from profiles.api.viewsets import CreateMixin, DestroyMixin, ListMixin, PatchMixin, ProfileViewSet, RetrieveMixin
from publishing.models import CaptionSet, HashtagSet
from publishing.planning import previews, text_sets
from publishing.serializers.captions import (
    CaptionSetInputSerializer,
    CaptionSetSerializer,
    HashtagSetInputSerializer,
    HashtagSetSerializer,
    LastUsedListSerializer,
    PreviewInputSerializer,
    PreviewsSerializer,
    SetDefaultSerializer,
)
from publishing.views.answers import refuse_unknown


class HashtagSetViewSet(ListMixin, RetrieveMixin, CreateMixin, PatchMixin, DestroyMixin, ProfileViewSet):
    """Named lists of hashtags."""

    queryset = HashtagSet.objects.all()
    serializer_class = HashtagSetSerializer
    input_serializers = {"create": HashtagSetInputSerializer, "partial_update": HashtagSetInputSerializer}
    search_fields = ("name",)
    ordering_fields = ("name", "created_at")
    lookup_value_converter = "uuid"

    def perform_create(self, serializer: Any) -> HashtagSet:
        """Makes a set. 409 (`name_taken`) when there is one of this name."""
        return text_sets.hashtagset_create(profile=self.profile, **serializer.validated_data)

    def perform_update(self, serializer: Any) -> HashtagSet:
        """Changes a set; posts keep the words that they have."""
        return text_sets.hashtagset_update(profile=self.profile, row=serializer.instance, **serializer.validated_data)

    def perform_destroy(self, row: HashtagSet) -> None:
        """Deletes a set; caption sets go on without it."""
        row.delete()


class CaptionSetViewSet(ListMixin, RetrieveMixin, CreateMixin, PatchMixin, DestroyMixin, ProfileViewSet):
    """Named captions with placeholders and with variants for networks."""

    queryset = CaptionSet.objects.all()
    serializer_class = CaptionSetSerializer
    input_serializers = {
        "create": CaptionSetInputSerializer,
        "partial_update": CaptionSetInputSerializer,
        "set_default": SetDefaultSerializer,
        "preview": PreviewInputSerializer,
    }
    search_fields = ("name", "text")
    ordering_fields = ("name", "created_at", "used_at")
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset()
        return rows.select_related("hashtags") if self.action == "preview" else rows

    def perform_create(self, serializer: Any) -> CaptionSet:
        """Makes a set. 400 names a placeholder that there is not; 409 (`name_taken`) when there is one of this name."""
        return text_sets.captionset_create(profile=self.profile, **serializer.validated_data)

    def perform_update(self, serializer: Any) -> CaptionSet:
        """Changes a set; posts keep the words that they have."""
        return text_sets.captionset_update(profile=self.profile, row=serializer.instance, **serializer.validated_data)

    def perform_destroy(self, row: CaptionSet) -> None:
        """Deletes a set; posts keep the words that they have."""
        row.delete()

    @extend_schema(request=SetDefaultSerializer, responses=CaptionSetSerializer)
    @action(detail=True, methods=["post"], url_path="set-default")
    def set_default(self, request: Request, pk: Any = None) -> Response:
        """Makes it the set for posts that come without words, or takes that back."""
        row = self.get_object()
        wanted = self.read_body().validated_data["is_default"]
        return self.answer(text_sets.captionset_set_default(profile=self.profile, row=row, is_default=wanted))

    @extend_schema(request=PreviewInputSerializer, responses=PreviewsSerializer)
    @action(detail=True, methods=["post"])
    def preview(self, request: Request, pk: Any = None) -> Response:
        """The words as they would be for a clip, network by network, with their lengths as the networks count."""
        row, values = self.get_object(), self.read_body().validated_data
        found = previews.preview(
            profile=self.profile,
            caption_set=row,
            clip=values["clip_id"],
            networks=values.get("networks"),
            when=values.get("scheduled_at") or timezone.now(),
            number=values["number"],
        )
        return Response(PreviewsSerializer({"results": found}).data)

    @extend_schema(responses=LastUsedListSerializer, filters=False)
    @action(detail=False, methods=["get"], pagination_class=None, filter_backends=())
    def last(self, request: Request) -> Response:
        """What each network was published to with last."""
        refuse_unknown(request)
        found = text_sets.last_used(self.profile)
        results = [{"network": network, **words} for network, words in sorted(found.items())]
        return one_page(LastUsedListSerializer, results)
