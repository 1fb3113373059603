"""From a request to its caller and its profile, before any view runs.

Order of the sources of the profile: the signature of a signed link, the profile that the token is bound to, the path
(`profiles/{id}/…`, `/p/<slug>/…`), the header `X-Profile-Id`, the caller's default. Explicit sources that disagree
are a 404, as is every profile that the caller is no member of.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import get_script_prefix, set_script_prefix
from django.utils.cache import patch_vary_headers

from profiles import links, logs, scope
from profiles.api.errors import error_response
from profiles.errors import DomainError, Invalid, NotFound, TooLarge, Unauthenticated
from profiles.models import Ceiling, Membership, Profile, Role, User
from profiles.requests import BrandRequest
from profiles.tokens import token_authenticate

GetResponse = Callable[[BrandRequest], HttpResponseBase]

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_BRAND_PATH = re.compile(r"/p/(?P<slug>[-a-z0-9_]{1,60})(?P<rest>/(?:api|admin|login|logout)(?:/.*)?)", re.DOTALL)
_FORM_OVERHEAD = 2**20  # multipart borders and text fields beside the file


class RequestContextMiddleware:
    """Gives each request an id, which its answer and its log lines carry. The access line is the web server's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: BrandRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        logs.request_id.set(request.request_id)  # until the next request of this thread: Django logs after us
        logs.request_profile.set("")
        response = self.get_response(request)
        response["X-Request-Id"] = request.request_id
        return response


class BodyLimitMiddleware:
    """Refuses a body by its declared length, and characters that no database takes, before anything reads them."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: BrandRequest) -> HttpResponseBase:
        try:
            self._check(request)
        except DomainError as error:
            return error_response(error, request=request)
        return self.get_response(request)

    def _check(self, request: BrandRequest) -> None:
        is_upload = (request.content_type or "").startswith("multipart/form-data")
        limit = settings.MAX_UPLOAD_BYTES + _FORM_OVERHEAD if is_upload else settings.MAX_JSON_BYTES
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            raise Invalid("Content-Length is no number.") from None
        if length > limit:
            raise TooLarge(f"The body is larger than the {limit} bytes that are taken here.")
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise Invalid("The address contains a NUL character.")


class ProfilePathMiddleware:
    """`/p/<slug>/api/…` and `/p/<slug>/admin/…` are the same views; links they make stay under the prefix."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: BrandRequest) -> HttpResponseBase:
        request.brand_slug = None
        match = _BRAND_PATH.fullmatch(request.path_info)
        if match is None:
            return self.get_response(request)
        request.brand_slug = match["slug"]
        request.path_info = match["rest"]
        request.META["SCRIPT_NAME"] = request.META.get("SCRIPT_NAME", "").rstrip("/") + f"/p/{match['slug']}"
        outer = get_script_prefix()
        set_script_prefix(request.META["SCRIPT_NAME"] + "/")
        try:
            return self.get_response(request)
        finally:
            set_script_prefix(outer)


class ProfileMiddleware:
    """Proves the caller, resolves the profile, and runs the view inside that profile's scope."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: BrandRequest) -> HttpResponseBase:
        request.profile = request.role = request.token = request.ceiling = request.link = None
        request.profile_scope = None
        request.may_approve = False
        try:
            self._authenticate(request)
        except DomainError as error:
            return error_response(error, request=request)
        try:
            response = self.get_response(request)
        finally:
            if request.profile_scope is not None:
                request.profile_scope.__exit__(None, None, None)
        if request.profile is not None:
            response["X-Profile-Id"] = str(request.profile.pk)
        return response

    def process_view(
        self, request: BrandRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponseBase | None:
        if not requires_profile(view) or not request.user.is_authenticated:
            return None
        try:
            membership = resolve_membership(request, kwargs.get("profile_id"))
        except DomainError as error:
            return error_response(error, request=request)
        request.profile = membership.profile
        request.role = effective_role(Role(membership.role), request.ceiling)
        request.may_approve = membership.may_approve and request.ceiling in {None, Ceiling.FULL}
        logs.request_profile.set(str(membership.profile_id))
        request.profile_scope = scope.activate(membership.profile_id)
        request.profile_scope.__enter__()
        return None

    def _authenticate(self, request: BrandRequest) -> None:
        if signature := request.GET.get("sig"):
            self._take_link(request, signature)
            return
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return
        token = token_authenticate(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:  # never falls back to a cookie that came along
            raise Unauthenticated("The token is unknown, expired or revoked.", code="invalid_token")
        if not request.path_info.startswith("/api/"):
            raise Unauthenticated("Tokens open the API only.", code="invalid_token")
        request.token, request.ceiling, request.user = token, Ceiling(token.ceiling), token.user

    def _take_link(self, request: BrandRequest, signature: str) -> None:
        if request.method not in {"GET", "HEAD"}:
            raise NotFound
        link = links.read(
            path=request.path_info,
            variant=request.GET.get("variant", ""),
            attachment=request.GET.get("download") == "1",
            signature=signature,
        )
        user = User.objects.filter(pk=link.user_id, is_active=True).first()
        if user is None:
            raise NotFound
        request.link, request.ceiling, request.user = link, Ceiling.READ, user


def requires_profile(view: Any) -> bool:
    """Views that need none say so by `profile_required = False` (a test holds the list of them)."""
    return getattr(getattr(view, "cls", view), "profile_required", True)


def resolve_membership(request: BrandRequest, path_id: UUID | str | None) -> Membership:
    """The caller's membership in the profile that the request names; Invalid or NotFound otherwise."""
    user = request.user
    if not isinstance(user, User):
        raise NotFound
    wanted: set[UUID] = set()
    if request.link is not None:
        wanted.add(request.link.profile_id)
    if request.token is not None and request.token.profile_id:
        wanted.add(request.token.profile_id)
    if path_id is not None:
        wanted.add(_uuid_of_path(path_id))
    if header := request.headers.get("X-Profile-Id"):
        wanted.add(_uuid_of_header(header))
    if len(wanted) > 1:
        raise NotFound
    memberships = Membership.objects.select_related("profile").filter(user=user, profile__state=Profile.State.ACTIVE)
    if request.brand_slug is not None:
        memberships = memberships.filter(profile__slug=request.brand_slug)
    if wanted or request.brand_slug is None:
        memberships = memberships.filter(profile_id=wanted.pop() if wanted else user.default_profile_id)
    membership = memberships.first()
    if membership is None:
        raise NotFound
    return membership


def effective_role(role: Role, ceiling: Ceiling | None) -> Role:
    """The role that counts: the member's own, capped by the token's ceiling."""
    if ceiling is None or ceiling.role.rank >= role.rank:
        return role
    return ceiling.role


def _uuid_of_path(value: UUID | str) -> UUID:
    try:
        return value if isinstance(value, UUID) else UUID(value)
    except ValueError:
        raise NotFound from None


def _uuid_of_header(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise Invalid("X-Profile-Id must be a profile's id.", code="malformed_profile_id") from None


class PrivateCacheMiddleware:
    """API answers belong to one caller in one profile: no shared cache keeps them, no ETag crosses over."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: BrandRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if not request.path_info.startswith("/api/v1/"):
            return response
        patch_vary_headers(response, ("Authorization", "Cookie", "X-Profile-Id", "Accept"))
        if "Cache-Control" not in response:
            response["Cache-Control"] = "private, no-cache"
        if request.method in {"GET", "HEAD"} and response.status_code == 200 and isinstance(response, HttpResponse):
            return self._conditional(request, response)
        return response

    def _conditional(self, request: BrandRequest, response: HttpResponse) -> HttpResponse:
        profile = getattr(request, "profile", None)
        owner = f"{profile.pk if profile else ''}:{request.user.pk or ''}:"
        etag = f'"{hashlib.sha256(owner.encode() + response.content).hexdigest()[:32]}"'
        if etag in (part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")):
            unchanged = HttpResponse(status=304)
            for name in ("Vary", "Cache-Control", "X-Profile-Id"):
                if name in response:
                    unchanged[name] = response[name]
            response = unchanged
        response["ETag"] = etag
        return response
