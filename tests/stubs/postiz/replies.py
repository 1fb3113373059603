"""Replies and the error bodies of Postiz, byte-shaped."""

import json
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"
REASONS = {413: "Request Entity Too Large", 502: "Bad Gateway", 503: "Service Temporarily Unavailable"} | {
    504: "Gateway Time-out"
}
FRONT_PAGE = "<!DOCTYPE html><html><head><title>Postiz</title></head><body><div id='__next'></div></body></html>"


@dataclass(frozen=True)
class Reply:
    """One HTTP reply. `padding`: so many blanks follow the body; `declared`: another Content-Length than the true one.

    `header_pause`: seconds between the status line and each header; `drip`: (bytes, seconds between them).
    """

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    padding: int = 0
    gzip: bool = False
    declared: int | None = None
    header_pause: float = 0
    drip: tuple[int, float] | None = None
    close: bool = False

    def value(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Refused(Exception):
    """Ends a request with a reply before anything was changed."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def as_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def ok(value: Any, status: int = 200) -> Reply:
    return Reply(status, as_bytes(value))


def bad_request(message: str | list[str]) -> Reply:
    return ok({"message": message, "error": "Bad Request", "statusCode": 400}, 400)


def msg(text: str, status: int = 400) -> Reply:
    return ok({"msg": text}, status)


def server_error() -> Reply:
    return ok({"statusCode": 500, "message": "Internal server error"}, 500)


def not_found(method: str, path: str) -> Reply:
    return ok({"message": f"Cannot {method} {path}", "error": "Not Found", "statusCode": 404}, 404)


def too_large() -> Reply:
    return ok({"statusCode": 413, "message": "request entity too large"}, 413)


def throttled(seconds: int) -> Reply:
    body = as_bytes({"statusCode": 429, "message": "ThrottlerException: Too Many Requests"})
    return Reply(429, body, headers={"Retry-After": str(seconds)})


def proxy_page(status: int, headers: dict[str, str] | None = None) -> Reply:
    """The HTML of the nginx in front."""
    title = f"{status} {REASONS[status]}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status, page.encode(), "text/html", headers or {})


def front_page() -> Reply:
    """What the stock image's Next.js front end says to an address without /api."""
    return Reply(200, FRONT_PAGE.encode(), HTML)
