"""A small API over stored files, to try the bases of every API on: `@pytest.mark.urls("profiles.tests.toys")`."""

from typing import Any

import django_filters
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from editai import pages
from editai.urls import handler400, handler403, handler404, handler500  # noqa: F401 - as in production
from profiles.api.media import media_action, serve_file
from profiles.api.serializers import StrictModelSerializer, StrictSerializer, TenantIdsField, TenantRelatedField
from profiles.api.viewsets import (
    CreateMixin,
    DestroyMixin,
    ListMixin,
    PatchMixin,
    ProfileViewSet,
    RetrieveMixin,
    idempotency_key,
    request_fingerprint,
)
from profiles.errors import Conflict
from profiles.models import Ceiling, Role, StoredFile


class ToySerializer(StrictModelSerializer):
    class Meta:
        model = StoredFile
        fields = ("id", "key", "content_type", "size", "attempt", "created_at")
        read_only_fields = fields


class ToyInput(StrictSerializer):
    key = serializers.CharField(max_length=50)
    content_type = serializers.CharField(required=False, default="video/mp4")
    size = serializers.IntegerField(required=False, min_value=0, default=0)
    ratio = serializers.FloatField(required=False)
    notes = serializers.CharField(required=False, style={"base_template": "textarea.html"})
    words = serializers.ListField(child=serializers.CharField(max_length=20), required=False)
    extra = serializers.JSONField(required=False)
    count = serializers.IntegerField(required=False)
    created_at = serializers.DateTimeField(read_only=True)


class ToyPick(StrictSerializer):
    file = TenantRelatedField(queryset=StoredFile.objects.all(), required=False)
    files = TenantIdsField(queryset=StoredFile.objects.all(), required=False)


class ToyFilter(django_filters.FilterSet):
    min_size = django_filters.NumberFilter(field_name="size", lookup_expr="gte")

    class Meta:
        model = StoredFile
        fields = ("content_type",)


class OwnSearchFilter(django_filters.FilterSet):
    """A filterset that searches by itself."""

    q = django_filters.CharFilter(field_name="key")


class ToyViewSet(ListMixin, RetrieveMixin, CreateMixin, PatchMixin, DestroyMixin, ProfileViewSet):
    """Toys."""

    queryset = StoredFile.objects.all()
    serializer_class = ToySerializer
    input_serializers = {"create": ToyInput, "partial_update": ToyInput, "pick": ToyPick}
    filterset_class = ToyFilter
    search_fields = ("key",)
    ordering_fields = ("size", "key", "attempt")
    roles = {"destroy": Role.OWNER}
    ceilings = {"publish": Ceiling.PUBLISH}

    def perform_create(self, serializer: Any) -> StoredFile:
        data = serializer.validated_data
        return StoredFile.objects.create(
            profile=self.profile, key=data["key"], content_type=data["content_type"], size=data["size"]
        )

    def perform_update(self, serializer: Any) -> StoredFile:
        row: StoredFile = serializer.instance
        row.size = serializer.validated_data.get("size", row.size)
        row.save()
        return row

    def perform_destroy(self, row: StoredFile) -> None:
        row.delete()

    @action(detail=False, methods=["post"])
    def pick(self, request: Request) -> Response:
        body = self.read_body().validated_data
        return Response({"files": [row.key for row in body.get("files", [])], "file": str(body.get("file", ""))})

    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: Any = None) -> Response:
        self.get_object()
        return Response({"key": idempotency_key(request), "print": request_fingerprint(request)})

    @media_action(content_type="video/mp4")
    def stream(self, request: Request, pk: Any = None) -> Any:
        """The toy's bytes."""
        return serve_file(request, self.get_object(), name=request.query_params.get("name", ""))


class OwnSearchViewSet(ListMixin, ProfileViewSet):
    """Toys, found by their whole key."""

    queryset = StoredFile.objects.all()
    serializer_class = ToySerializer
    filterset_class = OwnSearchFilter


class ParcelView(APIView):
    """Takes a file and tells what arrived."""

    parser_classes = [MultiPartParser]

    def post(self, request: Request) -> Response:
        file: Any = request.FILES["video"]
        return Response({"size": file.size, "sha256": file.sha256, "name": file.name, "at": file.temporary_file_path()})


class BrokenView(APIView):
    public = True
    profile_required = False

    def get(self, request: Request) -> Response:
        if request.query_params.get("how") == "conflict":
            raise Conflict("Not now.", fields={"x": ["y"]})
        raise RuntimeError("secret /srv/path")


def broken_page(request: HttpRequest) -> HttpResponse:
    raise Conflict("Not now.")


router = SimpleRouter()
router.register("toys", ToyViewSet, basename="toy")
router.register("searched", OwnSearchViewSet, basename="searched")
urlpatterns = [
    path("", pages.start, name="start"),
    path("login/", pages.login, name="login"),
    path("logout/", pages.logout, name="logout"),
    path("page/", pages.without_profile(broken_page)),
    path("api/v1/parcel/", ParcelView.as_view()),
    path("api/v1/broken/", BrokenView.as_view()),
    path("api/v1/", include(router.urls)),
    path("api/v1/", include("profiles.urls")),
    path("api/", include("profiles.api.docs")),
    path("admin/", admin.site.urls),
]
