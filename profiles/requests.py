"""What `profiles.middleware` puts on every request, as types for those who read it."""

from contextlib import AbstractContextManager
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.request import Request

from profiles.links import SignedLink
from profiles.models import ApiToken, Ceiling, Profile, Role, User


class BrandRequest(HttpRequest):
    """`profile` and `role` (capped by the ceiling) are None until a view that needs them is reached; `token`,
    `ceiling` and `link` are None for a session. `may_approve`: the member's right to approve, which is a person's
    word: no token that may do less than its user carries it."""

    request_id: str
    brand_slug: str | None
    profile: Profile | None
    profile_scope: AbstractContextManager[Any] | None
    role: Role | None
    token: ApiToken | None
    ceiling: Ceiling | None
    link: SignedLink | None
    may_approve: bool
    user: User | AnonymousUser


class MemberRequest(Request):
    """An API request that the permissions have let through: there is a user, in a profile, with a role."""

    profile: Profile
    role: Role
    token: ApiToken | None
    ceiling: Ceiling | None
    link: SignedLink | None
    may_approve: bool
    user: User


def brand_of(request: HttpRequest) -> Profile:
    """The profile of a request of the admin, whose views are reached inside one only."""
    profile: Profile = request.profile  # type: ignore[attr-defined]
    return profile
