"""Who may. Default deny: whatever a view forgets to say is refused.

Reading needs a viewer, writing an editor. A view says otherwise by action name (or by method, on a plain APIView):

    roles = {"destroy": Role.OWNER}
    ceilings = {"publish": Ceiling.PUBLISH}      # the least that a token must allow; sessions have no ceiling
    public = True                                # anybody, signed in or not
    profile_required = False                     # signed in, but in no profile (read by the middleware too)
"""

from typing import Any

from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from profiles.models import Ceiling, Role


class ProfileRole(BasePermission):
    """The caller's role in the request's profile, already capped by the token's ceiling in the middleware."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if getattr(view, "public", False):
            return True
        if not request.user or not request.user.is_authenticated:
            raise exceptions.NotAuthenticated("Sign in, or send Authorization: Bearer <token>.")
        self._check_ceiling(request, view)
        if not getattr(view, "profile_required", True):
            return True
        role: Role | None = getattr(request._request, "role", None)
        if getattr(request._request, "profile", None) is None or role is None:
            return False
        needed = needed_role(request.method or "", view)
        if Role(role).rank < needed.rank:
            raise exceptions.PermissionDenied(f"This needs the role {needed.value} in this profile.")
        return True

    def _check_ceiling(self, request: Request, view: Any) -> None:
        ceiling: Ceiling | None = getattr(request._request, "ceiling", None)
        if ceiling is None:
            return
        writes = request.method not in SAFE_METHODS
        least = _named(getattr(view, "ceilings", {}), request.method or "", view)
        needed = least or (Ceiling.WRITE if writes else Ceiling.READ)
        if Ceiling(ceiling).rank < needed.rank:
            raise exceptions.PermissionDenied(f"This token stops at '{ceiling}'; this call needs '{needed}'.")


def needed_role(method: str, view: Any) -> Role:
    """The least role for `method` on `view`, whose current action is known."""
    named: Role | None = _named(getattr(view, "roles", {}), method, view)
    if named is not None:
        return named
    return Role.VIEWER if method in SAFE_METHODS else Role.EDITOR


def _named(table: dict[str, Any], method: str, view: Any) -> Any:
    action = getattr(view, "action", None)
    if action and action in table:
        return table[action]
    return table.get(method.lower())
