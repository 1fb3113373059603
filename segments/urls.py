from rest_framework.routers import SimpleRouter

from segments import views

router = SimpleRouter(use_regex_path=False)
router.register("source-videos", views.SourceVideoViewSet, basename="source-video")
router.register(
    "source-videos/<uuid:source_id>/segments", views.SegmentsOfSourceViewSet, basename="source-video-segment"
)
router.register("segments", views.SegmentViewSet, basename="segment")

urlpatterns = router.urls
