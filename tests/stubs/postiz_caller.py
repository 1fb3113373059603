"""Raw calls to a stub Postiz, as its tests and anybody's quick checks need them; not the client of EditAI."""

from typing import Any

import httpx

from .postiz.models import Integration, Organisation
from .postiz.server import StubPostiz

MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
MINIMAL: dict[str, dict[str, Any]] = {
    "tiktok": {
        "privacy_level": "SELF_ONLY",
        "duet": False,
        "stitch": False,
        "comment": True,
        "autoAddMusic": "no",
        "brand_content_toggle": False,
        "brand_organic_toggle": False,
        "content_posting_method": "DIRECT_POST",
    },
    "instagram": {"post_type": "post"},
    "youtube": {"title": "My short", "type": "public"},
    "x": {"who_can_reply_post": "everyone"},
    "pinterest": {"board": "123456"},
}


class Caller:
    """One organisation's view of the API."""

    def __init__(self, stub: StubPostiz, organisation: Organisation | None = None, timeout: float = 10) -> None:
        self.stub = stub
        self.organisation = organisation or stub.organisation()
        self.client = httpx.Client(
            base_url=f"{stub.url}/api/public/v1",
            headers={"Authorization": self.organisation.key},
            timeout=timeout,
            trust_env=False,
        )

    def channel(self, identifier: str) -> Integration:
        return self.organisation.integration(identifier)

    def upload(self, content: bytes = MP4, *, name: str = "clip.mp4", field: str = "file") -> httpx.Response:
        return self.client.post("/upload", files={field: (name, content)})

    def media(self, content: bytes = MP4) -> dict[str, Any]:
        """`{"id", "path"}` of a new upload."""
        answer = self.upload(content).json()
        return {"id": answer["id"], "path": answer["path"]}

    def body(
        self,
        identifier: str = "tiktok",
        *,
        media: list[dict[str, Any]] | None = None,
        date: str = "2030-01-01T10:02:03.417Z",
        **changes: Any,
    ) -> dict[str, Any]:
        """A body of POST /posts that is taken; `changes` replace its keys, None leaves one out."""
        post = {
            "integration": {"id": self.channel(identifier).id},
            "value": [{"content": "Caption", "image": [self.media()] if media is None else media}],
            "settings": {"__type": identifier, **MINIMAL.get(identifier, {})},
        }
        body = {"type": "schedule", "date": date, "shortLink": False, "tags": [], "posts": [post], **changes}
        return {name: value for name, value in body.items() if value is not None}

    def post(self, body: dict[str, Any] | None = None) -> httpx.Response:
        return self.client.post("/posts", json=self.body() if body is None else body)

    def listed(self, start: str = "2020-01-01T00:00:00Z", end: str = "2040-01-01T00:00:00Z") -> list[dict[str, Any]]:
        answer = self.client.get("/posts", params={"startDate": start, "endDate": end})
        rows: list[dict[str, Any]] = answer.json()["posts"]
        return rows


def bad_request(message: Any) -> dict[str, Any]:
    """The body of a 400 of Nest."""
    return {"message": message, "error": "Bad Request", "statusCode": 400}
