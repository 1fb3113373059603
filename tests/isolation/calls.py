"""How to call every route: an endpoint without a row here fails the build."""

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from editai.clips.tests.images import png
from tests.isolation.checker import Call, Ids
from tests.isolation.costs_calls import COSTS
from tests.isolation.publishing_calls import PUBLISHING

SOURCE, SEGMENT, PROJECT, CLIP = ({"pk": name} for name in ("source", "segment", "project", "clip"))
TARGET = {"pk": "notify_target"}
WAITING, OUTBOX = {"pk": "waiting_publication"}, {"pk": "outbox_item"}
# public, and saving it calls nobody
WEBHOOK = {"kind": "webhook", "address": "http://192.88.98.1/hook"}
SRT = "1\n00:00:00,000 --> 00:00:01,000\nhello\n"


def footage(ids: Ids) -> dict[str, Any]:
    """An upload that looks like MP4 by its first bytes; nothing decodes it here."""
    head = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
    return {"video": SimpleUploadedFile("new.mp4", head + bytes(2000), content_type="video/mp4"), "name": "New"}


def cover(ids: Ids) -> dict[str, Any]:
    return {"image": SimpleUploadedFile("cover.png", png(), content_type="image/png")}


# Routes that need no profile: each carries its own proof, or tells nothing that is anybody's.
PUBLIC = {
    ("auth-token", "post"),
    ("accept-invitation", "post"),
    ("health", "get"),
    ("gemini-status", "get"),
}

CALLS: dict[tuple[str, str], Call] = {
    # profiles
    ("auth-me", "get"): Call(),
    ("auth-password", "post"): Call(
        body=lambda ids: {"old_password": "correct horse battery", "new_password": "another fine one 7"},
        status=204,
        viewer_may=True,
    ),
    ("api-token-list", "get"): Call(),
    ("api-token-list", "post"): Call(
        body=lambda ids: {"name": "new", "profile": str(ids["profile"])}, status=201, viewer_may=True, in_body=True
    ),
    ("api-token-detail", "delete"): Call(path={"pk": "token"}, status=204, viewer_may=True),
    ("profile-list", "get"): Call(),
    ("profile-list", "post"): Call(body=lambda ids: {"name": "A new brand"}, status=201, viewer_may=True),
    ("profile-detail", "get"): Call(path={"profile_id": "profile"}),
    ("profile-detail", "patch"): Call(path={"profile_id": "profile"}, body=lambda ids: {"name": "Renamed"}),
    ("profile-detail", "delete"): Call(path={"profile_id": "spare_profile"}, status=204),
    ("profile-set-default", "post"): Call(path={"profile_id": "profile"}, viewer_may=True),
    ("member-list", "get"): Call(path={"profile_id": "profile"}),
    ("member-list", "post"): Call(path={"profile_id": "profile"}, body=lambda ids: {"role": "viewer"}, status=201),
    ("member-detail", "patch"): Call(
        path={"profile_id": "profile", "pk": "membership"}, body=lambda ids: {"role": "viewer"}
    ),
    ("member-detail", "delete"): Call(path={"profile_id": "profile", "pk": "membership"}, status=204),
    ("invitation-list", "get"): Call(path={"profile_id": "profile"}, owners_only=True),
    ("invitation-detail", "delete"): Call(path={"profile_id": "profile", "pk": "invitation"}, status=204),
    ("credential", "get"): Call(path={"profile_id": "profile", "kind": "kind"}, owners_only=True, limited_may=True),
    ("credential", "put"): Call(
        path={"profile_id": "profile", "kind": "kind"}, body=lambda ids: {"api_key": "sk-isolation-0002"}
    ),
    ("credential", "delete"): Call(path={"profile_id": "profile", "kind": "kind"}, status=204),
    ("api-front", "get"): Call(),
    # jobs
    ("job-list", "get"): Call(),
    ("job-detail", "get"): Call(path={"pk": "done_job"}),
    ("job-detail", "delete"): Call(path={"pk": "done_job"}, status=204),
    ("job-cancel", "post"): Call(path={"pk": "queued_job"}, status=202),
    ("job-retry", "post"): Call(path={"pk": "failed_job"}, status=202),
    ("job-download", "get"): Call(path={"pk": "done_job"}),
    # notify
    ("notify-target-list", "get"): Call(),
    ("notify-target-list", "post"): Call(body=lambda ids: WEBHOOK, status=201, viewer_may=True),
    ("notify-target-detail", "get"): Call(path=TARGET),
    ("notify-target-detail", "patch"): Call(path=TARGET, body=lambda ids: {"is_active": False}, viewer_may=True),
    ("notify-target-detail", "delete"): Call(path=TARGET, status=204, viewer_may=True),
    ("notify-target-test", "post"): Call(path=TARGET, viewer_may=True),
    ("notify-target-renew-secret", "post"): Call(path=TARGET, viewer_may=True),
    ("notify-events", "get"): Call(),
    ("notification-list", "get"): Call(),
    # costs: storage
    ("storage", "get"): Call(),
    ("storage", "patch"): Call(body=lambda ids: {"retention": {"proxies": 90}}),
    ("storage-free-up", "post"): Call(body=lambda ids: {"kinds": ["extracts"], "dry_run": False}),
    # segments
    ("source-video-list", "get"): Call(),
    ("source-video-list", "post"): Call(body=footage, multipart=True, status=201),
    ("source-video-detail", "get"): Call(path=SOURCE),
    ("source-video-detail", "patch"): Call(path=SOURCE, body=lambda ids: {"name": "Renamed"}),
    ("source-video-detail", "delete"): Call(path=SOURCE, status=204),
    ("source-video-stream", "get"): Call(path=SOURCE),
    ("source-video-usage", "get"): Call(path=SOURCE),
    ("source-video-frames", "get"): Call(path=SOURCE),
    ("source-video-retry", "post"): Call(path={"pk": "failed_source"}, status=202),
    ("source-video-segment-list", "get"): Call(path={"source_id": "source"}),
    ("source-video-segment-list", "post"): Call(
        path={"source_id": "source"}, body=lambda ids: {"start_time": 0.2, "end_time": 0.8}, status=201
    ),
    ("segment-list", "get"): Call(),
    ("segment-detail", "get"): Call(path=SEGMENT),
    ("segment-detail", "patch"): Call(path=SEGMENT, body=lambda ids: {"notes": "changed"}),
    ("segment-detail", "delete"): Call(path=SEGMENT, status=204),
    ("segment-favorite", "post"): Call(path=SEGMENT),
    ("segment-extract", "post"): Call(path=SEGMENT, status=202),
    ("segment-stream", "get"): Call(path=SEGMENT),
    ("segment-match-srt", "post"): Call(
        body=lambda ids: {"srt_text": SRT, "source_ids": [str(ids["source"])]}, in_body=True, viewer_may=True
    ),
    ("trash-list", "get"): Call(),
    ("trash-restore", "post"): Call(path={"kind": "trash_kind", "row_id": "trashed_project"}),
    ("trash-detail", "delete"): Call(path={"kind": "trash_kind", "row_id": "trashed_project"}, status=204),
    # projects
    ("project-list", "get"): Call(),
    ("project-list", "post"): Call(body=lambda ids: {"name": "New"}, status=201),
    ("project-detail", "get"): Call(path=PROJECT),
    ("project-detail", "patch"): Call(path=PROJECT, body=lambda ids: {"name": "Renamed"}),
    ("project-detail", "delete"): Call(path=PROJECT, status=204),
    ("project-duplicate", "post"): Call(path=PROJECT, status=201),
    ("project-segments", "get"): Call(path=PROJECT),
    ("project-segments", "put"): Call(path=PROJECT, body=lambda ids: {"segment_ids": [str(ids["segment"])]}),
    ("project-entry", "patch"): Call(path={**PROJECT, "entry_id": "entry"}, body=lambda ids: {"zoom": 2.0}),
    # clips
    ("project-generate", "post"): Call(path=PROJECT, body=lambda ids: {"quality": "draft"}, status=202),
    ("project-clips", "get"): Call(path=PROJECT),
    ("clip-list", "get"): Call(),
    ("clip-detail", "get"): Call(path=CLIP),
    ("clip-detail", "patch"): Call(path=CLIP, body=lambda ids: {"name": "Renamed"}),
    ("clip-detail", "delete"): Call(path=CLIP, status=204),
    ("clip-render", "post"): Call(path=CLIP, status=202),
    ("clip-select", "post"): Call(path=CLIP),
    ("clip-stream", "get"): Call(path=CLIP),
    ("clip-cover", "get"): Call(path=CLIP),
    ("clip-cover", "put"): Call(path=CLIP, body=cover, multipart=True),
    ("clip-cover", "post"): Call(path=CLIP, body=cover, multipart=True),
    ("clip-cover", "delete"): Call(path=CLIP, status=204),
    ("presets", "get"): Call(),
    # publishing: what is reviewed, and the outbox
    ("publication-approve", "post"): Call(path=WAITING),
    ("publication-request-change", "post"): Call(path=WAITING, body=lambda ids: {"comment": "Louder"}),
    ("approval-list", "get"): Call(),
    ("approval-stream", "get"): Call(path=WAITING),
    ("review-link-list", "get"): Call(),
    ("review-link-list", "post"): Call(body=lambda ids: {"clip_id": str(ids["clip"])}, status=201, in_body=True),
    ("review-link-detail", "delete"): Call(path={"pk": "review_link"}, status=204),
    ("outbox-list", "get"): Call(),
    ("outbox-detail", "get"): Call(path=OUTBOX),
    ("outbox-detail", "delete"): Call(path=OUTBOX, status=204),
    ("outbox-stream", "get"): Call(path=OUTBOX),
    ("outbox-finish", "post"): Call(path=OUTBOX, body=lambda ids: {"url": "https://example.org/1"}),
    ("outbox-undo", "post"): Call(path=OUTBOX),
    **COSTS,
    **PUBLISHING,
}
