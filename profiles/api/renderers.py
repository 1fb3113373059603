"""The browsable API: for people, by hand, inside one brand, and without a line of inline script or style."""

import json
import re
from collections.abc import Mapping
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.html import escape
from django.utils.safestring import mark_safe
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request, override_method

from profiles.models import Profile

_CODE = re.compile(r"`([^`\n]+)`")


class ScopedBrowsableAPIRenderer(BrowsableAPIRenderer):
    """Shows the active brand and links to the caller's other ones. Drop-downs hold rows of the active brand only:
    the fields ask inside the request's profile, and the guarded managers underneath know no other."""

    template = "browsable/api.html"
    filter_template = "browsable/filter_card.html"

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any]
    ) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(data, accepted_media_type, renderer_context)
        view, request = renderer_context["view"], renderer_context["request"]
        profile = getattr(request._request, "profile", None)
        return {
            **context,
            "patch_form": self.get_rendered_html_form(data, view, "PATCH", request),
            "brand": profile,
            "brands": _brands(request._request) if profile is not None else [],
            "login_url": _address("login"),
            "logout_url": _address("logout"),
        }

    def get_description(self, view: Any, status_code: int) -> str:
        """The view's words, with `these` marks shown as code; REST framework would want a package for that."""
        words = escape(view.get_view_description() or "")
        return mark_safe(_CODE.sub(r"<code>\1</code>", words))

    def get_rendered_html_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        try:
            return super().get_rendered_html_form(data, view, method, request)
        except (AttributeError, KeyError):  # the body has another shape than the answer: start with an empty form
            return super().get_rendered_html_form(None, view, method, request)

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> Any:
        try:
            form = super().get_raw_data_form(data, view, method, request)
        except (AttributeError, KeyError):
            form = super().get_raw_data_form(None, view, method, request)
        if form is not None and form.fields["_content"].initial and hasattr(view, "get_serializer"):
            with override_method(view, request, method):
                fields = view.get_serializer().fields
            _keep_writable(form.fields["_content"], {name for name, field in fields.items() if not field.read_only})
        return form


def _keep_writable(content: Any, writable: set[str]) -> None:
    """What the API would refuse to take back is not proposed."""
    values = json.loads(content.initial)
    if isinstance(values, dict):
        kept = {name: value for name, value in values.items() if name in writable}
        content.initial = json.dumps(kept, indent=4, ensure_ascii=False)


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return "/"


def _brands(request: Any) -> list[dict[str, Any]]:
    """The caller's brands, with the address of this API's front page in each; a bound token or a link has one."""
    if request.token is not None or request.link is not None:
        return []
    profiles = Profile.objects.filter(memberships__user_id=request.user.pk, state=Profile.State.ACTIVE)
    return [
        {"profile": profile, "url": f"/p/{profile.slug}/api/v1/", "is_active": profile.pk == request.profile.pk}
        for profile in profiles.order_by("name", "id")[:50]
    ]
