"""The browsable API: for people, by hand, inside one brand, and without a line of inline script."""

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer

from profiles.models import Profile


class ScopedBrowsableAPIRenderer(BrowsableAPIRenderer):
    """Shows the active brand and links to the caller's other ones; drop-downs hold rows of the active brand only,
    because the fields and the guarded managers underneath do."""

    template = "rest_framework/editai.html"
    code_style = None  # its style sheet would be inline

    def get_context(
        self, data: Any, accepted_media_type: str | None, renderer_context: Mapping[str, Any]
    ) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context(data, accepted_media_type, renderer_context)
        request = renderer_context["request"]._request
        profile = getattr(request, "profile", None)
        context["brand"] = profile
        context["brands"] = _brands(request) if profile is not None else []
        return context


def _brands(request: Any) -> list[dict[str, Any]]:
    """The caller's brands, with the address of this API's front page in each; a bound token or a link has one."""
    if request.token is not None or request.link is not None:
        return []
    profiles = Profile.objects.filter(memberships__user_id=request.user.pk, state=Profile.State.ACTIVE)
    return [
        {"profile": profile, "url": f"/p/{profile.slug}/api/v1/", "is_active": profile.pk == request.profile.pk}
        for profile in profiles.order_by("name", "id")[:50]
    ]
