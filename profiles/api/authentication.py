"""Who is calling. The middleware has proven bearer tokens and signed links already, before the profile was found;
these classes hand its finding to DRF and never look for another proof when one was offered."""

import copy
from typing import Any

from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.request import Request


class TokenOrLinkAuthentication(BaseAuthentication):
    """The bearer token or the signed link that the middleware accepted."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        inner = request._request
        proof = getattr(inner, "token", None) or getattr(inner, "link", None)
        if proof is not None:
            return inner.user, proof
        if request.headers.get("Authorization"):
            # The middleware refuses bad tokens; any other scheme ends here, so that no cookie ever stands in for it.
            raise exceptions.AuthenticationFailed("Use the header Authorization: Bearer <token>.")
        return None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class _HeaderFirstCSRFCheck(CSRFCheck):
    """Django looks into the form for the token before it looks at the header, and so reads a whole upload before
    anybody asked for permission. A request that carries the header is checked by it alone."""

    def process_view(self, request: Any, callback: Any, callback_args: Any, callback_kwargs: Any) -> Any:
        if request.method == "POST" and request.META.get("HTTP_X_CSRFTOKEN"):
            request = copy.copy(request)
            request.method = "PUT"  # Django reads the form of a POST only
        return super().process_view(request, callback, callback_args, callback_kwargs)


class CookieAuthentication(BaseAuthentication):
    """The browser's session, with CSRF enforced on every write."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        user = getattr(request._request, "user", None)
        if not user or not user.is_active or not user.is_authenticated:
            return None
        self.enforce_csrf(request)
        return user, None

    def enforce_csrf(self, request: Request) -> None:
        check = _HeaderFirstCSRFCheck(lambda _: None)  # type: ignore[arg-type]
        check.process_request(request._request)
        if check.process_view(request._request, None, (), {}):
            raise exceptions.PermissionDenied(
                "The CSRF token is missing or wrong: send the cookie's value in X-CSRFToken.", code="csrf_failed"
            )

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
