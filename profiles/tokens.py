"""API tokens: 256 random bits, shown once, kept as a SHA-256 hash (a slow hash guards guessable secrets only)."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.utils import timezone

from profiles.errors import Forbidden, Invalid
from profiles.models import ApiToken, Ceiling, Profile, User

PREFIX = "eai_"
LOGIN_LIFETIME = timedelta(days=30)
_LAST_USED_STEP = timedelta(minutes=1)  # how exact last_used_at is: not one write a request


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def token_create(
    *,
    user: User,
    name: str,
    profile: Profile | None = None,
    ceiling: Ceiling = Ceiling.FULL,
    expires_at: datetime | None = None,
    by_token: ApiToken | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its secret. A token (`by_token`) never makes one that can do more than itself."""
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("The token would have expired already.", fields={"expires_at": ["Must lie in the future."]})
    if by_token is not None:
        _refuse_escalation(by_token, profile, ceiling, expires_at)
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        profile=profile,
        ceiling=ceiling,
        expires_at=expires_at,
        token_hash=digest(secret),
        hint=secret[: len(PREFIX) + 4],
    )
    return token, secret


def _refuse_escalation(
    by_token: ApiToken, profile: Profile | None, ceiling: Ceiling, expires_at: datetime | None
) -> None:
    if ceiling.rank > Ceiling(by_token.ceiling).rank:
        raise Forbidden("A token cannot make one that may do more than itself.")
    if by_token.profile_id and (profile is None or profile.pk != by_token.profile_id):
        raise Forbidden("A token that is bound to a profile makes only tokens of that profile.")
    if by_token.expires_at and (expires_at is None or expires_at > by_token.expires_at):
        raise Forbidden("A token cannot make one that lives longer than itself.")


def token_authenticate(secret: str) -> ApiToken | None:
    """The usable token with this secret and an active user, else None."""
    token = (
        ApiToken.objects.select_related("user", "profile")
        .filter(token_hash=digest(secret), user__is_active=True)
        .first()
    )
    if token is None or not token.is_usable:
        return None
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > _LAST_USED_STEP:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def token_revoke(token: ApiToken) -> None:
    """Idempotent; the row stays as history."""
    ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
