"""POST /upload and /upload-from-url: what is taken, by its first bytes, and how it is refused."""

import hashlib
import ipaddress
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from .call import Apply, BodyEnded, Call, Dropped
from .models import Limits, Media
from .multipart import BrokenForm, Part, boundary_of, read_parts
from .posts import EXTENSIONS
from .replies import Refused, bad_request, msg, ok, proxy_page
from .state import RemoteFile

SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg", "jpg"),
    (b"\x89PNG\r\n\x1a\n", "image/png", "png"),
    (b"GIF8", "image/gif", "gif"),
    (b"BM", "image/bmp", "bmp"),
    (b"II*\0", "image/tiff", "tif"),
    (b"MM\0*", "image/tiff", "tif"),
)
OTHER_BRANDS = ("qt", "M4V", "M4A", "M4B", "M4P", "F4", "crx", "heic", "heix", "hevc", "mif1", "msf1", "3g")
NOT_PUBLIC = "URL must be a public HTTPS URL and cannot point to internal network addresses"
WRONG_END = f"File must have a valid extension: {', '.join(EXTENSIONS[:-1])}, or .mp4"


def sniff(head: bytes) -> tuple[str, str] | None:
    """(mime, extension) of what Postiz takes, None for anything else; what the client calls it does not count."""
    if head[4:8] == b"ftyp":
        brand = head[8:12].decode("latin-1").strip()
        if brand in ("avif", "avis"):
            return "image/avif", "avif"
        return None if brand.startswith(OTHER_BRANDS) else ("video/mp4", "mp4")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp", "webp"
    return next(((mime, end) for start, mime, end in SIGNATURES if head.startswith(start)), None)


def _named(filename: str | None) -> tuple[str, str] | None:
    """What versions before 2.21.6 go by: the name."""
    end = (filename or "").rsplit(".", 1)[-1].lower()
    kinds = {"mp4": "video/mp4", "mov": "video/quicktime", "jpg": "image/jpeg", "jpeg": "image/jpeg"}
    kinds |= {"png": "image/png", "gif": "image/gif", "webp": "image/webp"}
    return (kinds[end], end) if end in kinds else None


def upload(call: Call) -> Apply:
    """Reads the whole form, then judges it, as multer does."""
    _check_proxy(call)
    try:
        parts = read_parts(_cut(call), boundary_of(call.seen.content_type))
    except BrokenForm as error:
        call.reader.drain()
        raise Refused(bad_request(str(error))) from error
    except BodyEnded as error:
        raise Refused(replace(bad_request("Multipart: Unexpected end of form"), close=True)) from error
    files = [part for part in parts if part.filename is not None]
    wrong = next((part for part in files if part.name != "file"), None)
    if wrong is not None:
        raise Refused(bad_request(f"Unexpected field - {wrong.name}"))
    if not files:
        raise Refused(msg("No file provided"))
    part = files[0]
    known = sniff(part.head) if call.world.features.since(2, 21, 6) else _named(part.filename)
    if known is None:
        raise Refused(bad_request("Unsupported file type."))
    limit = limit_of(known[0], call.world.limits)
    if part.size > limit:
        raise Refused(bad_request(f"File size exceeds the maximum allowed size of {limit} bytes."))
    return lambda: ok(_keep(call, part, *known).as_json(), 201)


def _check_proxy(call: Call) -> None:
    limit = call.world.limits.proxy_bytes
    if limit is not None and call.reader.declared is not None and call.reader.declared > limit:
        raise Refused(replace(proxy_page(413), close=True))


def _cut(call: Call) -> Iterator[bytes]:
    """The body's pieces, cut off where a fault or the proxy's limit says so."""
    limit = call.world.limits.proxy_bytes
    for piece in call.reader.pieces():
        yield piece
        if call.fault is not None and call.fault.after_bytes is not None and call.seen.size >= call.fault.after_bytes:
            raise Dropped(call.fault.reset)
        if limit is not None and call.seen.size > limit:
            raise Refused(replace(proxy_page(413), close=True))


def limit_of(mime: str, limits: Limits) -> int:
    return limits.video_bytes if mime.startswith("video/") else limits.image_bytes


def _keep(call: Call, part: Part, mime: str, extension: str) -> Media:
    """The row of an upload. Its name is random, whatever it was called."""
    now = call.world.now()
    name = f"{secrets.token_hex(16)}.{extension}"
    media = Media(
        organisation=call.organisation,
        id=str(uuid.uuid4()),
        name=name,
        path=f"{call.host}/uploads/{now:%Y/%m/%d}/{name}",
        size=part.size,
        sha256=part.digest.hexdigest(),
        mime=mime,
        at=now,
        sent_name=part.filename or "",
    )
    call.world.media.append(media)
    return media


def upload_from_url(call: Call) -> Apply:
    """Finds what `World.remote_files` holds under the URL; nothing is ever fetched."""
    url = call.json.get("url")
    lines = _url_errors(url, call.world.features.since(2, 21, 4))
    if lines:
        raise Refused(bad_request(lines))
    remote = call.world.remote_files.get(str(url))
    if remote is None:
        raise Refused(msg("Failed to fetch URL"))
    call.world.stopping.wait(remote.seconds)
    if not 200 <= remote.status < 300:
        raise Refused(msg("Failed to fetch URL"))
    part = _remote_part(remote, str(url))
    known = sniff(part.head)
    if known is None:
        raise Refused(msg("Unsupported file type."))
    if part.size > limit_of(known[0], call.world.limits):
        raise Refused(msg("File is too large."))
    return lambda: ok(_keep(call, part, *known).as_json(), 201)


def _remote_part(remote: RemoteFile, url: str) -> Part:
    part = Part("file", url.rsplit("/", 1)[-1], "")
    part.feed(remote.data)
    part.digest = hashlib.sha256(url.encode()) if remote.size else part.digest
    part.size = remote.size or part.size
    return part


def _url_errors(url: object, guarded: bool) -> list[str]:
    if not isinstance(url, str) or not url:
        return ["url should not be null or undefined", "url must be a string"]
    parts = urlsplit(url)
    lines = [] if parts.path.endswith(EXTENSIONS) else [WRONG_END]
    if guarded and (parts.scheme != "https" or _is_private(parts.hostname or "")):
        lines.append(NOT_PUBLIC)
    return lines


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host in ("", "localhost") or host.endswith((".localhost", ".local", ".internal"))
