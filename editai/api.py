"""Everything under `/api/v1/`: each app's addresses, the two public ones, and a front page for people."""

from typing import Any

from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from editai.health import HealthView
from editai.status import GeminiStatusView

APPS = (
    "profiles.urls",
    "jobs.urls",
    "editai.notify.urls",
    "costs.urls",
    "segments.urls",
    "editai.projects.urls",
    "editai.clips.urls",
    "publishing.urls",
)
_FRONT = {
    "profiles": "profiles/",
    "source_videos": "source-videos/",
    "segments": "segments/",
    "projects": "projects/",
    "clips": "clips/",
    "publishing": "publishing/status/",
    "integrations": "publishing/integrations/",
    "publications": "publishing/publications/",
    "costs": "costs/",
    "budget": "costs/budget/",
    "ledger": "costs/entries/",
    "prices": "costs/prices/",
    "usage": "usage/",
    "storage": "costs/storage/",
    "jobs": "jobs/",
    "notify_targets": "notify/targets/",
    "notifications": "notify/notifications/",
    "me": "auth/me/",
    "tokens": "auth/tokens/",
    "health": "health/",
}


class FrontView(APIView):
    """Where everything is. Also the browsable API's front page."""

    def get_view_name(self) -> str:
        return "EditAI API"

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        here = reverse("api-front", request=request)
        links: dict[str, Any] = {name: here + address for name, address in _FRONT.items()}
        return Response({**links, "docs": reverse("docs", request=request)})


urlpatterns: list[URLPattern | URLResolver] = [
    path("", FrontView.as_view(), name="api-front"),
    path("health/", HealthView.as_view(), name="health"),
    path("gemini/status/", GeminiStatusView.as_view(), name="gemini-status"),
    *(path("", include(app)) for app in APPS),
]
