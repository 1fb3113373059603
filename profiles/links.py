"""Signed short-lived links to media, for players and downloads that cannot send a header.

The signature covers the user, the profile, the path, the variant, the object's version, the disposition and the
time of expiry. Whether the user is still a member, and whether the version is still the current one, is checked at
each use. Expiry is rounded to a grid, so that a list renders the same bytes, and the same ETag, for minutes.
"""

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import get_script_prefix, reverse

from profiles.errors import NotFound
from profiles.models import Profile, StoredFile, User

_signer = Signer(salt="editai.media-link")


@dataclass(frozen=True)
class SignedLink:
    user_id: UUID
    profile_id: UUID
    path: str  # without a brand's prefix
    variant: str
    version: str
    attachment: bool
    expires_at: int  # seconds since the epoch


def sign(
    *, user: User, profile: Profile, path: str, variant: str, version: UUID | str, attachment: bool = False
) -> str:
    """`path?variant=…&sig=…`, valid for half to all of SIGNED_LINK_SECONDS; GET and HEAD only."""
    half = settings.SIGNED_LINK_SECONDS // 2
    expires_at = (int(time.time()) // half + 2) * half
    payload = [str(user.pk), str(profile.pk), path, variant, str(version), int(attachment), expires_at]
    query = {"variant": variant, **({"download": "1"} if attachment else {}), "sig": _signer.sign_object(payload)}
    return f"{path}?{urlencode(query)}"


def media_link(
    request: Any, route: str, row_id: UUID, variant: str, version: UUID | str | None, *, attachment: bool = False
) -> str | None:
    """A link for the caller of `request` (DRF's or Django's) to the media of a row, at the named route that takes its
    id; None when there is no such file (yet). `version` is the id of the stored file: the link dies with it."""
    if version is None:
        return None
    inner: Any = getattr(request, "_request", request)
    # the signature covers the path without a brand's prefix
    path = "/" + reverse(route, args=[row_id]).removeprefix(get_script_prefix())
    return sign(
        user=inner.user, profile=inner.profile, path=path, variant=variant, version=version, attachment=attachment
    )


def check_version(request: Any, file: StoredFile) -> None:
    """NotFound when the caller came by a signed link to another version of the file."""
    link = getattr(getattr(request, "_request", request), "link", None)
    if link is not None and link.version != str(file.pk):
        raise NotFound


def read(*, path: str, variant: str, attachment: bool, signature: str) -> SignedLink:
    """The link that `signature` proves for exactly this request; NotFound when it is forged, changed or expired."""
    try:
        user, profile, *rest = _signer.unsign_object(signature)
        link = SignedLink(UUID(user), UUID(profile), rest[0], rest[1], rest[2], bool(rest[3]), int(rest[4]))
    except (BadSignature, ValueError, TypeError, IndexError):
        raise NotFound from None
    if (link.path, link.variant, link.attachment) != (path, variant, attachment) or link.expires_at <= time.time():
        raise NotFound
    return link
