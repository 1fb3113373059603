"""What somebody in a hurry writes: all rows, no filter. The controls put it beside the real routes."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ReadOnlyModelViewSet

from profiles.api.serializers import StrictModelSerializer
from profiles.models import StoredFile
from tests.isolation.checker import Call
from tests.isolation.routes import Route


class _FileSerializer(StrictModelSerializer):
    class Meta:
        model = StoredFile
        fields = ("id", "size")


class PlantedViewSet(ReadOnlyModelViewSet):
    queryset = StoredFile.objects.all()
    serializer_class = _FileSerializer
    filter_backends = ()


_router = SimpleRouter(use_regex_path=False)
_router.register("planted", PlantedViewSet, basename="planted")
urlpatterns = [path("api/v1/", include(_router.urls)), path("", include("editai.urls"))]

PLANTED = [
    (Route("planted-list", "get", "api/v1/planted/", frozenset(), PlantedViewSet), Call()),
    (
        Route("planted-detail", "get", "api/v1/planted/<pk>/", frozenset({"pk"}), PlantedViewSet),
        Call(path={"pk": "file"}),
    ),
]
