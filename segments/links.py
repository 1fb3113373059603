"""Signed links to the media of sources and segments, as they stand in answers."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.urls import get_script_prefix, reverse
from rest_framework.request import Request

from profiles.errors import NotFound
from profiles.links import sign
from profiles.models import StoredFile


def media_link(
    request: Request | HttpRequest,
    route: str,
    row_id: UUID,
    variant: str,
    version: UUID | None,
    *,
    attachment: bool = False,
) -> str | None:
    """A link to the media of a row for this caller, good for some minutes; None when there is no such file (yet).
    `version` is the id of the stored file: the link dies with it."""
    if version is None:
        return None
    inner: Any = getattr(request, "_request", request)
    # the signature covers the path without a brand's prefix
    path = "/" + reverse(route, args=[row_id]).removeprefix(get_script_prefix())
    return sign(
        user=inner.user, profile=inner.profile, path=path, variant=variant, version=version, attachment=attachment
    )


def check_version(request: Request, file: StoredFile) -> None:
    """NotFound when the caller came by a signed link to another version of the file."""
    link = getattr(request._request, "link", None)
    if link is not None and link.version != str(file.pk):
        raise NotFound
