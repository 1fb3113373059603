"""Signed webhooks, through the guarded client.

    POST <the target's URL>, application/json
    X-EditAI-Event: publication_failed
    X-EditAI-Delivery: <id, the same when it is sent again>
    X-EditAI-Timestamp: <seconds since 1970 of this attempt>
    X-EditAI-Signature: t=<the timestamp>,v1=<hex of HMAC-SHA256 with the secret over "<timestamp>.<body>">

Any 2xx answer means taken; its body is not read any further than its cap.
"""

import hashlib
import hmac
import json

from django.utils import timezone

from editai.notify.message import Message, NotDelivered
from profiles import outbound
from profiles.errors import Invalid

TIMEOUT = outbound.Timeout(connect=5, read=10, total=10)
_MAX_REPLY = 64 * 1024  # bytes


def send(message: Message, url: str, secret: str) -> None:
    """One signed POST; NotDelivered unless the receiver took it."""
    body = _body(message)
    stamp = str(int(timezone.now().timestamp()))
    headers = {
        "Content-Type": "application/json",
        "X-EditAI-Event": message.event,
        "X-EditAI-Delivery": str(message.delivery_id),
        "X-EditAI-Timestamp": stamp,
        "X-EditAI-Signature": f"t={stamp},v1={signature(secret, stamp, body)}",
    }
    try:
        hook = outbound.Guarded(url, timeout=TIMEOUT, max_bytes=_MAX_REPLY)
        reply = hook.request("POST", content=body, headers=headers)
    except Invalid as error:
        raise NotDelivered("This address is not allowed.") from error
    except outbound.OutboundError as error:
        raise NotDelivered("The receiver does not answer.") from error
    if not 200 <= reply.status < 300:
        raise NotDelivered(f"The receiver answered {reply.status}.")


def signature(secret: str, stamp: str, body: bytes) -> str:
    """Hex of the HMAC-SHA256 that a receiver computes as well."""
    return hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()


def _body(message: Message) -> bytes:
    shown = {
        "delivery": str(message.delivery_id),
        "event": message.event,
        "profile": {"id": str(message.profile_id), "name": message.profile_name},
        "title": message.title,
        "text": message.text,
        "link": message.link,
        "created_at": message.created_at.isoformat(),
        "payload": dict(message.payload),
    }
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode()
