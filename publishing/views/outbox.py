"""The local outbox: looked at, fetched, posted by hand, thrown away."""

from typing import Any

from django.http.response import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from profiles.api.errors import CHECK_FIELDS
from profiles.api.filters import TrueFalseFilter
from profiles.api.media import media_action, serve_file
from profiles.api.viewsets import DestroyMixin, ListMixin, ProfileViewSet, RetrieveMixin
from profiles.errors import Invalid
from profiles.links import check_version
from publishing import outbox
from publishing.models import OutboxItem
from publishing.serializers.outbox import FinishSerializer, OutboxItemSerializer

VARIANTS = ("video", "cover")


class OutboxFilter(filters.FilterSet):
    is_posted = TrueFalseFilter(method="by_posted", label="Posted by hand")

    class Meta:
        model = OutboxItem
        fields = ()

    def by_posted(self, queryset: Any, name: str, value: bool) -> Any:
        return queryset.filter(posted_at__isnull=not value)


class OutboxViewSet(ListMixin, RetrieveMixin, DestroyMixin, ProfileViewSet):
    """What was published without Postiz, newest first: not posted on any network, until somebody does."""

    queryset = OutboxItem.objects.select_related("publication", "file", "posted_by")
    serializer_class = OutboxItemSerializer
    input_serializers = {"finish": FinishSerializer}
    filterset_class = OutboxFilter
    search_fields = ("publication__clip_name", "publication__caption")
    ordering_fields = ("created_at",)
    lookup_value_converter = "uuid"

    def perform_destroy(self, row: OutboxItem) -> None:
        """Throws the item and its files away. Its publication stays, as history."""
        by: Any = self.request.user
        outbox.delete(profile=self.profile, item=row, by=by)

    @extend_schema(request=FinishSerializer, responses=OutboxItemSerializer)
    @action(detail=True, methods=["post"])
    def finish(self, request: Request, pk: Any = None) -> Response:
        """ "Posted, here is the URL": the publication leads there from now on."""
        item = self.get_object()
        by: Any = request.user
        data = self.read_body().validated_data
        return self.answer(outbox.finish(profile=self.profile, item=item, by=by, **data))

    @extend_schema(request=None, responses=OutboxItemSerializer)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, pk: Any = None) -> Response:
        """It was not posted after all."""
        by: Any = request.user
        return self.answer(outbox.undo(profile=self.profile, item=self.get_object(), by=by))

    @extend_schema(parameters=[OpenApiParameter("variant", str, enum=VARIANTS, default="video")])
    @media_action(content_type="video/mp4")
    def stream(self, request: Request, pk: Any = None) -> HttpResponseBase:
        """The video, or its cover, with one byte range if asked for; as a download with the clip's name."""
        variant = request.query_params.get("variant") or "video"
        if variant not in VARIANTS:
            raise Invalid(CHECK_FIELDS, fields={"variant": [f"Choose one of {', '.join(VARIANTS)}."]})
        item = self.get_object()
        file = item.file if variant == "video" else item.cover
        if file is not None:
            check_version(request, file)
        return serve_file(request, file, name=item.publication.clip_name)
