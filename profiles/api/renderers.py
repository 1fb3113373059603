"""The browsable API: for people, by hand, inside one brand, and without a line of inline script or style."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import mark_safe
from rest_framework import serializers
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
        if _wants_raw_data(view, method, request):
            return None  # a form has no fields for lists, and would send them in a way that is always refused
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
            if method == "POST" and any(map(_is_nested, fields.values())):
                _fill_in(form.fields["_content"], fields)
        return form


def _wants_raw_data(view: Any, method: str, request: Request) -> bool:
    """Whether the body of this method has lists or objects in it, which a form can't hold; False with files in it."""
    if (
        method not in {"POST", "PUT", "PATCH"}
        or method not in view.allowed_methods
        or not hasattr(view, "get_serializer")
    ):
        return False
    with override_method(view, request, method):
        serializer = view.get_serializer()
    fields = [field for field in getattr(serializer, "fields", {}).values() if not field.read_only]
    return any(map(_is_nested, fields)) and not any(isinstance(field, serializers.FileField) for field in fields)


def _is_nested(field: Any) -> bool:
    nested = (serializers.ListField, serializers.DictField, serializers.JSONField, serializers.BaseSerializer)
    return isinstance(field, nested) and not field.read_only


def _fill_in(content: Any, fields: Mapping[str, Any]) -> None:
    """An example for what is needed, and for times; nothing is left empty that must not be."""
    values = json.loads(content.initial)
    if not isinstance(values, dict):
        return
    for name in list(values):
        field = fields[name]
        if values[name] in (None, "", [], {}) and (field.required or isinstance(field, serializers.DateTimeField)):
            values[name] = _example(field)
        elif values[name] is None and not field.allow_null:
            del values[name]
    content.initial = json.dumps(values, indent=4, ensure_ascii=False)


def _example(field: Any) -> Any:
    if isinstance(field, serializers.ListField | serializers.ListSerializer):
        return [_example(field.child)]
    if isinstance(field, serializers.BaseSerializer):
        return {name: _example(part) for name, part in getattr(field, "fields", {}).items() if part.required}
    if isinstance(field, serializers.DateTimeField):
        return f"{timezone.now() + timedelta(days=1):%Y-%m-%dT09:00:00Z}"
    if isinstance(field, serializers.UUIDField):
        return str(UUID(int=0))
    if isinstance(field, serializers.ChoiceField):
        return next(iter(field.choices), "")
    if isinstance(field, serializers.IntegerField):
        return field.min_value or 0
    if isinstance(field, serializers.BooleanField):
        return False
    return {} if isinstance(field, serializers.DictField | serializers.JSONField) else ""


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
