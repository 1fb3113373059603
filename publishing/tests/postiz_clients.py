"""Clients of a stub Postiz, and posts for them; the fixtures are in conftest.py."""

import datetime
from typing import Any

from publishing.postiz.client import Postiz, PostRequest
from publishing.postiz.replies import Media
from tests.stubs.postiz import StubPostiz

MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
TIKTOK = {
    "privacy_level": "SELF_ONLY",
    "duet": False,
    "stitch": False,
    "comment": True,
    "autoAddMusic": "no",
    "brand_content_toggle": False,
    "brand_organic_toggle": False,
    "content_posting_method": "DIRECT_POST",
}


def client(stub: StubPostiz, pauses: list[float], **options: Any) -> Postiz:
    key = options.pop("key", stub.organisation().key)
    return Postiz(f"{stub.url}/api/public/v1", key, sleep=pauses.append, jitter=lambda: 0, **options)


def wanted(stub: StubPostiz, **changes: Any) -> PostRequest:
    at = stub.clock.now() + datetime.timedelta(seconds=100)
    values: dict[str, Any] = {
        "channel_id": stub.organisation().integration("tiktok").id,
        "network": "tiktok",
        "text": "Hello",
        "media": [Media("5b0", f"{stub.url}/uploads/2026/11/23/9f.mp4")],
        "date": at.replace(microsecond=417_000),
        "settings": TIKTOK,
    }
    return PostRequest(**{**values, **changes})
