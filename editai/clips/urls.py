from django.urls import path
from rest_framework.routers import SimpleRouter

from editai.clips.views import ClipViewSet, PresetView, ProjectClipsViewSet

router = SimpleRouter(use_regex_path=False)
router.register("clips", ClipViewSet, basename="clip")

urlpatterns = [
    *router.urls,
    path("projects/<uuid:pk>/clips/", ProjectClipsViewSet.as_view({"get": "list"}), name="project-clips"),
    path("projects/<uuid:pk>/generate/", ProjectClipsViewSet.as_view({"post": "generate"}), name="project-generate"),
    path("presets/", PresetView.as_view(), name="presets"),
]
