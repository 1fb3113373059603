from django.urls import path
from rest_framework.routers import SimpleRouter

from publishing.views.approval import ApprovalViewSet, DecisionViewSet, ReviewLinkViewSet
from publishing.views.calendar import CalendarViewSet
from publishing.views.captions import CaptionSetViewSet, HashtagSetViewSet
from publishing.views.outbox import OutboxViewSet
from publishing.views.poke import poke
from publishing.views.publications import PublicationViewSet
from publishing.views.publish import PublishViewSet
from publishing.views.settings import OverviewViewSet, PublishingSettingsViewSet

router = SimpleRouter(use_regex_path=False)
router.register("publishing/approvals", ApprovalViewSet, basename="approval")
router.register("publishing/review-links", ReviewLinkViewSet, basename="review-link")
router.register("publishing/publications", PublicationViewSet, basename="publication")
router.register("publishing/caption-sets", CaptionSetViewSet, basename="caption-set")
router.register("publishing/hashtag-sets", HashtagSetViewSet, basename="hashtag-set")
router.register("publishing/outbox", OutboxViewSet, basename="outbox")

urlpatterns = [
    *router.urls,
    path("publishing/poke/<uuid:profile_id>/<str:signature>/", poke, name="publishing-poke"),
    path("publishing/status/", OverviewViewSet.as_view({"get": "status"}), name="publishing-status"),
    path("publishing/integrations/", OverviewViewSet.as_view({"get": "integrations"}), name="publishing-integrations"),
    path("publishing/networks/", OverviewViewSet.as_view({"get": "networks"}), name="publishing-networks"),
    path(
        "publishing/settings/",
        PublishingSettingsViewSet.as_view({"get": "retrieve", "patch": "partial_update"}),
        name="publishing-settings",
    ),
    path("publishing/upload/", PublishViewSet.as_view({"post": "upload"}), name="publishing-upload"),
    path("publishing/publish/", PublishViewSet.as_view({"post": "publish"}), name="publishing-publish"),
    path("publishing/bulk-publish/", PublishViewSet.as_view({"post": "bulk_publish"}), name="publishing-bulk-publish"),
    path("publishing/preflight/", PublishViewSet.as_view({"post": "preflight"}), name="publishing-preflight"),
    path("publishing/fix/", PublishViewSet.as_view({"post": "fix"}), name="publishing-fix"),
    path("publishing/calendar/", CalendarViewSet.as_view({"get": "calendar"}), name="publishing-calendar"),
    path("publishing/calendar/next-slot/", CalendarViewSet.as_view({"get": "next_slot"}), name="publishing-next-slot"),
    path(
        "publishing/integrations/<str:external_id>/slots/",
        CalendarViewSet.as_view({"get": "slots", "put": "slots_put"}),
        name="publishing-slots",
    ),
    path(
        "publishing/publications/<uuid:pk>/approve/",
        DecisionViewSet.as_view({"post": "approve"}),
        name="publication-approve",
    ),
    path(
        "publishing/publications/<uuid:pk>/request-change/",
        DecisionViewSet.as_view({"post": "request_change"}),
        name="publication-request-change",
    ),
]
