"""Replies of Postiz that are no success, of every shape that it has, as errors.

Shapes: {message: text | [texts]}, {msg}, {provider, name, message}, HTML of a proxy, nothing at all. Only a 401 that
says so proves a bad key: an empty one comes when the database of Postiz is down.
"""

import re
from collections.abc import Callable

from profiles.outbound import Reply
from publishing.postiz import errors
from publishing.postiz.errors import PostizError, Refused
from publishing.postiz.replies import DEFAULT_BLOCK, is_page, line, said

MAX_BLOCK = 24 * 3600
_SETTING = re.compile(r"posts\.\d+\.settings\.([A-Za-z0-9_]+)\S*\s*")
_VALUE = re.compile(r"posts\.\d+\.value\.\d+\.(content|image)\S*\s*")
_FIELDS = {"content": "caption", "image": "clip_id", "date": "schedule_date"}
_MEDIA = ("Unsupported file type", "File size exceeds", "File is too large")

# Statuses that say for certain that nothing was created. (408 and 499 come from proxies that gave up waiting.)
DECIDED = frozenset(range(300, 500)) - {408, 499}


def is_success(reply: Reply) -> bool:
    return 200 <= reply.status < 300


def problem_of(reply: Reply) -> PostizError:
    """The error that a reply which is no success stands for."""
    if 300 <= reply.status < 400:
        return errors.NotPostiz(detail=f"{reply.status} to another address")
    if reply.status >= 500 or reply.status in {408, 499}:
        return errors.Unavailable(detail=f"{reply.status} {said(reply)}")
    return _by_status.get(reply.status, _refused)(reply)


def _body(reply: Reply) -> dict[str, object]:
    try:
        body = reply.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _message(reply: Reply) -> str:
    body = _body(reply)
    for said_by in (body.get("msg"), body.get("message")):
        if isinstance(said_by, str) and said_by.strip():
            return line(said_by)
    return ""


def _unauthorized(reply: Reply) -> PostizError:
    message = _message(reply)
    if message.startswith(("Invalid API key", "No API Key found", "Invalid OAuth token")):
        return errors.BadKey(detail=message)
    if message.startswith("No subscription found"):
        return errors.NoSubscription(detail=message)
    if message.startswith("Channel disconnected"):
        return errors.ChannelDisconnected(detail=message)
    if is_page(reply):
        return errors.NotPostiz(detail=said(reply))
    return errors.Unavailable(detail=f"401 {said(reply)}")


def _payment(reply: Reply) -> PostizError:
    url = _body(reply).get("url")
    shown = url if isinstance(url, str) and url.startswith("https://") and url.isprintable() else ""
    return errors.QuotaUsedUp(url=shown[:500], detail=said(reply))


def _not_found(reply: Reply) -> PostizError:
    message = _message(reply)
    if message.startswith("Integration not found"):
        return errors.ChannelGone(detail=message)
    if message.startswith("Cannot "):
        return errors.Unsupported(detail=message)
    if is_page(reply) or not message:
        return errors.NotPostiz(detail=said(reply))
    return Refused(message, detail=message)


def _too_large(reply: Reply) -> PostizError:
    return errors.TooLarge(detail=said(reply))


def _too_many(reply: Reply) -> PostizError:
    value = reply.headers.get("retry-after", "").strip()
    seconds = int(value) if re.fullmatch("[0-9]{1,9}", value) else DEFAULT_BLOCK
    return errors.RateLimited(min(max(seconds, 1), MAX_BLOCK), detail=said(reply))


def _refused(reply: Reply) -> PostizError:
    body, detail = _body(reply), said(reply)
    message = _message(reply)
    texts = body.get("message")
    if isinstance(texts, list):
        return _refused_fields([line(text) for text in texts[:50] if isinstance(text, str)], detail)
    if body.get("provider") and message:
        return Refused(f"{line(str(body.get('name') or body['provider']))}: {message}", detail=detail)
    if message.startswith("Integration with id") and message.endswith("not found"):
        return errors.ChannelGone(detail=detail)
    if message.startswith(_MEDIA):
        return errors.MediaRefused(detail=detail)
    return Refused(
        f"Postiz refused this: {message}" if message else f"Postiz refused this ({reply.status}).", detail=detail
    )


def _refused_fields(texts: list[str], detail: str) -> PostizError:
    """Checks of its validator: `posts.0.settings.privacy_level must be …` belongs to the setting privacy_level."""
    fields: dict[str, list[str]] = {}
    shown: list[str] = []
    for text in texts:
        setting, value = _SETTING.match(text), _VALUE.match(text)
        if setting:
            name, rest = setting[1], text[setting.end() :]
            shown.append(f"{name} {rest}")
        elif value:
            name, rest = _FIELDS[value[1]], text[value.end() :]
            shown.append(f"{name} {rest}")
        else:
            first = text.partition(" ")[0]
            name, rest = _FIELDS.get(first, "non_field_errors"), text
            shown.append(text)  # it names itself what it is about
        fields.setdefault(name, []).append(rest or text)
    message = f"Postiz refused this: {'; '.join(shown[:5])}" if shown else "Postiz refused this (400)."
    return Refused(message, fields=fields, detail=detail)


_by_status: dict[int, Callable[[Reply], PostizError]] = {
    401: _unauthorized,
    402: _payment,
    404: _not_found,
    413: _too_large,
    429: _too_many,
}
