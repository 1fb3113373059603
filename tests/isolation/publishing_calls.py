"""How to call every route of publishing."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests.isolation.checker import Call, Ids
from tests.isolation.publishing_rows import CHANNEL

DRAFT, ASKED = {"pk": "draft_publication"}, {"pk": "unconfirmed_publication"}
WORDS, TAGS, SLOTS = {"pk": "caption_set"}, {"pk": "hashtag_set"}, {"external_id": "channel"}
RANGE = {"start": "2030-01-01", "end": "2030-01-31"}


def _post(ids: Ids, **more: Any) -> dict[str, Any]:
    return {"caption": "Look", "integration_ids": [str(ids["channel"])], **more}


def _clip(ids: Ids) -> dict[str, Any]:
    return {"clip_id": str(ids["clip"])}


def _tomorrow(ids: Ids) -> dict[str, Any]:
    return {"scheduled_at": (timezone.now() + timedelta(days=1)).isoformat()}


PUBLISHING: dict[tuple[str, str], Call] = {
    ("publishing-status", "get"): Call(),
    ("publishing-integrations", "get"): Call(),
    ("publishing-networks", "get"): Call(),
    ("publishing-settings", "get"): Call(),
    ("publishing-settings", "patch"): Call(body=lambda ids: {"grace_minutes": 30}),
    ("publishing-slots", "get"): Call(path=SLOTS),
    ("publishing-slots", "put"): Call(path=SLOTS, body=lambda ids: {"slots": [{"weekday": 0, "time": "18:30"}]}),
    ("publishing-calendar", "get"): Call(query=RANGE),
    ("publishing-next-slot", "get"): Call(query={"integration": str(CHANNEL)}),
    ("publishing-upload", "post"): Call(body=_clip, in_body=True, status=202),
    ("publishing-publish", "post"): Call(body=lambda ids: _post(ids, **_clip(ids)), in_body=True, status=202),
    ("publishing-bulk-publish", "post"): Call(
        body=lambda ids: _post(ids, clip_ids=[str(ids["clip"])]), in_body=True, status=202
    ),
    ("publishing-preflight", "post"): Call(body=lambda ids: _post(ids, **_clip(ids)), in_body=True),
    ("publishing-fix", "post"): Call(
        body=lambda ids: {**_clip(ids), "networks": ["threads"]}, in_body=True, status=202
    ),
    ("publication-list", "get"): Call(),
    ("publication-detail", "get"): Call(path=DRAFT),
    ("publication-detail", "patch"): Call(path=DRAFT, body=lambda ids: {"caption": "Changed"}),
    ("publication-reschedule", "post"): Call(path=DRAFT, body=_tomorrow),
    ("publication-cancel", "post"): Call(path=DRAFT),
    ("publication-retry", "post"): Call(path=DRAFT, status=202),
    ("publication-resend", "post"): Call(path=ASKED, body=lambda ids: {"understood": True}, status=202),
    ("publication-reconcile", "post"): Call(path=ASKED, status=202),
    ("caption-set-list", "get"): Call(),
    ("caption-set-list", "post"): Call(body=lambda ids: {"name": "New", "text": "{clip}"}, status=201),
    ("caption-set-detail", "get"): Call(path=WORDS),
    ("caption-set-detail", "patch"): Call(path=WORDS, body=lambda ids: {"text": "{brand}"}),
    ("caption-set-detail", "delete"): Call(path=WORDS, status=204),
    ("caption-set-set-default", "post"): Call(path=WORDS),
    ("caption-set-preview", "post"): Call(path=WORDS, body=_clip),
    ("caption-set-last", "get"): Call(),
    ("hashtag-set-list", "get"): Call(),
    ("hashtag-set-list", "post"): Call(body=lambda ids: {"name": "New", "tags": ["rye"]}, status=201),
    ("hashtag-set-detail", "get"): Call(path=TAGS),
    ("hashtag-set-detail", "patch"): Call(path=TAGS, body=lambda ids: {"tags": ["rye"]}),
    ("hashtag-set-detail", "delete"): Call(path=TAGS, status=204),
}
