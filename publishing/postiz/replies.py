"""What Postiz answers, as types. (Its refusals: `postiz_refusals`.)

Shapes: read from its source and a running backend (v2.23.0, 2026-08). Unknown fields and states are taken as they come;
what must be there and isn't makes the reply Unreadable, so that half a list is never taken for the whole.
"""

import datetime
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from profiles.outbound import Reply
from publishing.postiz import errors
from publishing.postiz.errors import ListTooLong, Unreadable

MAX_ROWS = 1000
MAX_TEXT = 500  # of what Postiz says, in messages and logs
DEFAULT_BLOCK = 3600  # seconds of a 429 that does not tell


@dataclass(frozen=True)
class Channel:
    """An integration. `network`: its identifier (`tiktok`), may change on the same id; `picture`: not to be trusted."""

    id: str
    name: str
    network: str
    picture: str
    disabled: bool
    handle: str
    customer_id: str
    customer: str


@dataclass(frozen=True)
class Group:
    id: str
    name: str


@dataclass(frozen=True)
class Tool:
    name: str
    description: str


@dataclass(frozen=True)
class ChannelSettings:
    """`max_length` of the text; `schema`: JSON schema of the settings, or None when there are none to make."""

    max_length: int | None
    rules: str
    schema: dict[str, Any] | None
    tools: tuple[Tool, ...]


@dataclass(frozen=True)
class Media:
    """An uploaded file. `thumbnail` (URL) and `alt` may be set for a post of it."""

    id: str
    path: str
    thumbnail: str = ""
    alt: str = ""


@dataclass(frozen=True)
class RateInfo:
    """As told by the headers of POST /posts: of this hour, and how many seconds of it are left."""

    limit: int
    remaining: int
    reset_seconds: int


@dataclass(frozen=True)
class Created:
    post_id: str
    rate: RateInfo | None


@dataclass(frozen=True)
class Post:
    """A post as listed. `error`, `client_ref`: only from versions that tell; `state` as it comes (QUEUE, ERROR, …)."""

    id: str
    channel_id: str
    network: str
    channel_name: str
    publish_date: datetime.datetime
    state: str
    release_url: str
    release_id: str
    group: str
    content: str
    error: str
    client_ref: str


@dataclass(frozen=True)
class Notification:
    id: str
    content: str
    link: str
    created_at: datetime.datetime


@dataclass(frozen=True)
class NotificationPage:
    """Newest first."""

    notifications: list[Notification]
    has_more: bool


@dataclass(frozen=True)
class Features:
    """What its version can do. `groups`: ≥ 2.21.9, which also checks the rules of the networks when a post is made."""

    groups: bool


# --- reading ------------------------------------------------------------------------------------------

Row = TypeVar("Row")


def content_of(reply: Reply) -> Any:
    """The JSON of a 2xx reply. NotPostiz when it is a page, Unreadable when it is nothing."""
    try:
        return reply.json()
    except ValueError:
        if is_page(reply):
            raise errors.NotPostiz from None
        raise Unreadable(detail=said(reply)) from None


def is_page(reply: Reply) -> bool:
    """HTML: of a front end, or of a proxy in front."""
    return "html" in reply.headers.get("content-type", "").lower() or reply.body.lstrip()[:1] == b"<"


def text(value: Any, limit: int = 1000) -> str:
    """A string, shortened, without what no database takes (NUL, half of a character); empty for anything else."""
    if not isinstance(value, str):
        return ""
    return value[:limit].replace("\0", "").encode(errors="replace").decode()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> Mapping[str, Any]:
    """An object that must be one, with an id."""
    if not isinstance(value, dict) or not _id(value.get("id")):
        raise Unreadable
    return value


def _id(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= 100 and value.isprintable() else ""


def _rows(value: Any, read: Callable[[Any], Row]) -> list[Row]:
    if not isinstance(value, list):
        raise Unreadable
    return [read(row) for row in value[:MAX_ROWS]]


def _moment(value: Any) -> datetime.datetime:
    """ISO 8601, as UTC; without a zone it is."""
    try:
        moment = datetime.datetime.fromisoformat(value)
        return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
    except (TypeError, ValueError, OverflowError):
        raise Unreadable from None


def channels_of(value: Any) -> list[Channel]:
    return _rows(value, _channel)


def _channel(value: Any) -> Channel:
    row = _whole(value)
    customer = _mapping(row.get("customer"))
    return Channel(
        id=row["id"],
        name=text(row.get("name"), 200),
        network=text(row.get("identifier"), 60),
        picture=text(row.get("picture")),
        disabled=row.get("disabled") is True,
        handle=text(row.get("profile"), 200),
        customer_id=_id(customer.get("id")),
        customer=text(customer.get("name"), 200),
    )


def groups_of(value: Any) -> list[Group]:
    return _rows(value, lambda row: Group(_whole(row)["id"], text(row.get("name"), 200)))


def channel_settings_of(value: Any) -> ChannelSettings:
    output = _mapping(value).get("output")
    if not isinstance(output, dict):
        raise Unreadable
    most, schema, tools = output.get("maxLength"), output.get("settings"), output.get("tools")
    return ChannelSettings(
        max_length=most if type(most) is int and most > 0 else None,
        rules=text(output.get("rules"), 20_000),
        schema=schema if isinstance(schema, dict) else None,
        tools=tuple(
            Tool(text(tool.get("methodName"), 100), text(tool.get("description")))
            for tool in (tools if isinstance(tools, list) else [])[:MAX_ROWS]
            if isinstance(tool, dict)
        ),
    )


def media_of(value: Any) -> Media:
    row = _whole(value)
    path = text(row.get("path"), 2000)
    if not path:
        raise Unreadable
    return Media(row["id"], path)


def posts_of(value: Any) -> list[Post]:
    """All of them, by date; of a repeating one, which comes many times, the first. ListTooLong rather than a part."""
    listed = _mapping(value).get("posts")
    if isinstance(listed, list) and len(listed) > MAX_ROWS:
        raise ListTooLong
    first: dict[str, Post] = {}
    for post in sorted(_rows(listed, _post), key=lambda post: post.publish_date):
        first.setdefault(post.id, post)
    return list(first.values())


def _post(value: Any) -> Post:
    row = _whole(value)
    channel = _mapping(row.get("integration"))
    return Post(
        id=row["id"],
        channel_id=_id(channel.get("id")),
        network=text(channel.get("providerIdentifier"), 60),
        channel_name=text(channel.get("name"), 200),
        publish_date=_moment(row.get("publishDate")),
        state=text(row.get("state"), 40),
        release_url=text(row.get("releaseURL"), 2000),
        release_id=text(row.get("releaseId"), 300),
        group=_id(row.get("group")),
        content=text(row.get("content"), 100_000),
        error=text(row.get("error"), 2000),
        client_ref=_client_ref(row.get("settings")),
    )


def _client_ref(settings: Any) -> str:
    """Our own mark; the settings come as a string of JSON."""
    try:
        return text(_mapping(json.loads(settings)).get("client_ref"), 100)
    except (TypeError, ValueError, RecursionError):
        return ""


def notifications_of(value: Any) -> NotificationPage:
    page = _mapping(value)
    return NotificationPage(_rows(page.get("notifications"), _notification), page.get("hasMore") is True)


def _notification(value: Any) -> Notification:
    row = _whole(value)
    return Notification(row["id"], text(row.get("content"), 2000), text(row.get("link")), _moment(row.get("createdAt")))


def slot_of(value: Any) -> datetime.datetime:
    return _moment(_mapping(value).get("date"))


def created_of(reply: Reply, channel_id: str) -> Created:
    """OutcomeUnknown unless it names the one post that was asked for."""
    try:
        rows = reply.json()
    except ValueError:
        rows = None
    if isinstance(rows, list) and len(rows) == 1 and _mapping(rows[0]).get("integration") == channel_id:
        post_id = _id(rows[0].get("postId"))
        if post_id:
            return Created(post_id, rate_of(reply.headers))
    raise errors.OutcomeUnknown(detail=said(reply))


def rate_of(headers: Mapping[str, str]) -> RateInfo | None:
    numbers = [_number(headers.get(f"x-ratelimit-{name}", "")) for name in ("limit", "remaining", "reset")]
    if None in numbers:
        return None
    limit, remaining, reset = (number or 0 for number in numbers)
    return RateInfo(limit, remaining, min(reset, DEFAULT_BLOCK))


def _number(value: str) -> int | None:
    value = value.strip()
    return int(value) if re.fullmatch("[0-9]{1,9}", value) else None


def said(reply: Reply) -> str:
    """What a reply says, as one short line."""
    return line(reply.body[: 4 * MAX_TEXT].decode(errors="replace"))


def line(value: str) -> str:
    """Text of strangers as one short line that can be printed."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in value).split())[:MAX_TEXT]
