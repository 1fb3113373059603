"""Sending stored files: one byte range or all of it, in flat memory, and never as a page.

class ClipViewSet(...):
    @media_action(content_type="video/mp4")
    def stream(self, request, pk=None):
        clip = self.get_object()
        return serve_file(request, clip.file, name=clip.name)
"""

import hashlib
import logging
import re
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from typing import Any

from django.http import HttpRequest, HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

from profiles import files
from profiles.api import slots
from profiles.api.errors import error_response
from profiles.errors import NotFound
from profiles.models import StoredFile

log = logging.getLogger(__name__)

# What we made ourselves and a browser may show: type -> the suffix of its download.
INLINE = {
    "video/mp4": ".mp4",
    "audio/mp4": ".m4a",
    "audio/wav": ".wav",
    "image/jpeg": ".jpg",
    "text/vtt": ".vtt",
}
_SMALL = 256 * 1024  # bytes
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII)
_TOO_FAR = re.compile(r"bytes=\d{19,100}-\d{0,100}\Z", re.ASCII)
_UNCLEAN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff/\\:*?\"<>|]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?\Z", re.IGNORECASE)  # file names that Windows keeps


def serve_file(
    request: Request | HttpRequest,
    file: StoredFile | None,
    *,
    name: str = "",
    as_attachment: bool = False,
    by_us: bool = True,
) -> HttpResponseBase:
    """`file` for its caller: 200, 206, 304 or 416.

    `by_us` says that our own code wrote the content; only then is it shown inline, with a type from INLINE, and else
    it is a download of unknown bytes. `name` is for the download and may be anything. Raises NotFound when there is
    no such file, TooMany when the caller has too many downloads open.
    """
    inner: HttpRequest = getattr(request, "_request", request)
    if file is None or file.state != StoredFile.State.STORED:
        raise NotFound
    inline_type = file.content_type if by_us and file.content_type in INLINE else ""
    etag = _etag(inner, file)
    if etag in _tags(inner.headers.get("If-None-Match", "")):
        return _finish(HttpResponseNotModified(), etag)
    window = _window(inner, file.size, etag)
    if window is None:
        refused = error_response(416, "range_not_satisfiable", f"The file has {file.size} bytes.", request=inner)
        refused["Content-Range"] = f"bytes */{file.size}"
        return _finish(refused, etag)
    start, length = window
    response = StreamingHttpResponse(
        _body(inner, file, start, length),
        status=206 if _is_partial(inner, etag) else 200,
        content_type=inline_type or "application/octet-stream",
    )
    response["Content-Length"] = str(length)
    if response.status_code == 206:
        response["Content-Range"] = f"bytes {start}-{start + length - 1}/{file.size}"
    attachment = as_attachment or getattr(getattr(inner, "link", None), "attachment", False) or not inline_type
    filename = download_name(name, INLINE.get(inline_type, ".bin" if not name else ""))
    response["Content-Disposition"] = content_disposition_header(attachment, filename) or "attachment"
    return _finish(response, etag)


def download_name(name: str, suffix: str = "") -> str:
    """`name` as a file name that every system takes, ending in `suffix`."""
    stem = _UNCLEAN.sub("_", name).strip(" ._") or "file"
    if suffix and stem.lower().endswith(suffix):
        stem = stem[: -len(suffix)]
    if _RESERVED.match(stem):
        stem = f"_{stem}"
    return stem[:120].rstrip(" .") + suffix


def _finish(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-cache"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _etag(request: HttpRequest, file: StoredFile) -> str:
    """Differs by caller and profile, so that no browser cache shows one brand's bytes in another."""
    user: Any = getattr(request, "user", None)
    parts = f"{file.profile_id}:{getattr(user, 'pk', '')}:{file.pk}:{file.sha256}"
    return f'"{hashlib.sha256(parts.encode()).hexdigest()[:32]}"'


def _tags(header: str) -> list[str]:
    return [part.strip().removeprefix("W/") for part in header[:2000].split(",")]


def _is_partial(request: HttpRequest, etag: str) -> bool:
    """Whether one satisfiable range is asked for. Several ranges, or another version's, get the whole."""
    asked = request.headers.get("Range", "")
    condition = request.headers.get("If-Range")
    if condition is not None and condition.strip() != etag:
        return False
    match = _RANGE.match(asked)
    return bool(match and match.groups() != ("", "")) or bool(_TOO_FAR.match(asked))


def _window(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """(start, length) to send; None when the range lies outside the file."""
    if not _is_partial(request, etag):
        return 0, size
    match = _RANGE.match(request.headers["Range"])
    if match is None:
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end or start >= size:
        return None
    return start, end - start + 1


class _Body(Iterator[bytes]):
    """The bytes, with the caller's slot, which is given back however the answer ends."""

    def __init__(self, first: bytes, rest: Generator[bytes], give_back: Callable[[], None]) -> None:
        self.chunks, self.rest, self.give_back = chain([first], rest), rest, give_back

    def __next__(self) -> bytes:
        return next(self.chunks)

    def close(self) -> None:
        self.give_back()
        self.rest.close()


def _body(request: HttpRequest, file: StoredFile, start: int, length: int) -> Iterator[bytes]:
    if request.method == "HEAD" or length == 0:
        return iter(())
    # What fits the connection's buffer holds no thread: a page of posters needs no slots.
    give_back = slots.streams.take(request) if length > _SMALL else _nothing
    try:
        chunks = files.open_range(file, start, length)
        first = next(chunks)  # opens the file while an error can still be told
    except (FileNotFoundError, StopIteration):
        give_back()
        log.error("the object of stored file %s is missing", file.pk)
        raise NotFound from None
    except BaseException:
        give_back()
        raise
    slots.limit_idle(request)
    return _Body(first, chunks, give_back)


def _nothing() -> None:
    """No slot is held."""


# --- for views -----------------------------------------------------------------------------------------


class AnyAccept(DefaultContentNegotiation):
    """Players ask for all sorts of types; there is one to have."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        renderer: BaseRenderer = next(iter(renderers))
        return renderer, renderer.media_type


def media_action(*, content_type: str = "video/mp4", summary: str = "", **kwargs: Any) -> Callable[[Any], Any]:
    """`@action` for GET on one row that answers with a file, documented as such."""

    def decorate(function: Any) -> Any:
        binary = OpenApiTypes.BINARY
        documented = extend_schema(
            description=summary or function.__doc__,
            parameters=[OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range of bytes.")],
            responses={(200, content_type): binary, (206, content_type): binary, 416: None},
        )(function)
        return action(
            detail=True,
            methods=["get"],
            renderer_classes=[JSONRenderer],
            content_negotiation_class=AnyAccept,
            **kwargs,
        )(documented)

    return decorate
