from django.urls import path
from rest_framework.routers import SimpleRouter

from editai.notify.views import NotificationViewSet, NotifyEventsView, NotifyTargetViewSet

router = SimpleRouter(use_regex_path=False)
router.register("notify/targets", NotifyTargetViewSet, basename="notify-target")
router.register("notify/notifications", NotificationViewSet, basename="notification")

urlpatterns = [*router.urls, path("notify/events/", NotifyEventsView.as_view(), name="notify-events")]
