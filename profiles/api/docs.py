"""The OpenAPI document and its page. Both are the same for everybody, so the document is made once a process."""

from functools import lru_cache
from typing import Any

from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.request import Request
from rest_framework.response import Response


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document


class SchemaView(SpectacularAPIView):
    """The OpenAPI document of this API."""

    public = True
    profile_required = False

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        name = f'inline; filename="editai.{self.request.accepted_renderer.format}"'
        return Response(_document(), headers={"Content-Disposition": name})


class DocsView(SpectacularSwaggerSplitView):
    """The page; its script comes from the same address with `?script=`, which the policy for scripts allows."""

    public = True
    profile_required = False
    template_name = "docs.html"


urlpatterns = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", DocsView.as_view(), name="docs"),
]
