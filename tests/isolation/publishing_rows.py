"""The owner's side of publishing: a Postiz that nobody asks, a channel, words, and a publication in each state that
some route needs."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from editai.clips.models import Clip, ExportPreset
from editai.projects.models import Project
from profiles.credentials import encrypt
from profiles.models import Credential, Profile, StoredFile
from publishing import transitions
from publishing.channels import integrations
from publishing.models import (
    CaptionSet,
    HashtagSet,
    Integration,
    OutboxItem,
    PostizAccount,
    Publication,
    ReviewLink,
    Slot,
)
from publishing.states import State

CHANNEL = UUID("019a0000-0000-7000-8000-000000000001")
URL = "https://postiz.example.org/api/public/v1"
PROBLEM = {"code": "absent", "message": "x", "next_step": "", "retryable": True}


def publishing_rows(profile: Profile, file: StoredFile) -> dict[str, Any]:
    """Ids by name. Channels were listed just now, so no request leaves the house. The publications are about a clip of
    their own: a post to come would keep it from changing."""
    _connect(profile)
    clip = Clip.objects.create(
        profile=profile,
        project=Project.objects.create(profile=profile, name="Published"),
        name="Published",
        state=Clip.State.READY,
        preset=ExportPreset.objects.order_by("position")[0],
        file=file,
        recipe_hash="published",
        rendered_hash="published",
    )
    channel = Integration.objects.create(
        profile=profile, external_id=str(CHANNEL), identifier="threads", name="Threads"
    )
    Slot.objects.create(profile=profile, integration=channel, weekday=1, time="09:00")
    tags = HashtagSet.objects.create(profile=profile, name="Tags", tags=["bread"])
    words = CaptionSet.objects.create(profile=profile, name="Words", text="{clip}", hashtags=tags)
    draft = _publication(profile, clip, "cm-draft")
    asked = _publication(profile, clip, "cm-asked")
    held = {"claim": uuid4(), "claimed_until": timezone.now()}
    _move(asked, State.SCHEDULED)
    _move(asked, State.UPLOADING, **held)
    _move(asked, State.SUBMITTING, fingerprint_at=timezone.now(), submitting_since=timezone.now())
    _move(asked, State.UNCONFIRMED, error=PROBLEM, claim=None, claimed_until=None)
    return {
        "channel": CHANNEL,
        "hashtag_set": tags.pk,
        "caption_set": words.pk,
        "draft_publication": draft.pk,
        "unconfirmed_publication": asked.pk,
    }


def _connect(profile: Profile) -> None:
    now = timezone.now()
    Credential.objects.create(
        profile=profile, kind="postiz", ciphertext=encrypt("key"), last4="", settings={"url": URL}, ok=True
    )
    PostizAccount.objects.create(profile=profile, base_url=URL, integrations_at=now, checked_at=now)


def _publication(profile: Profile, clip: Clip, external_id: str) -> Publication:
    channel = Integration.objects.create(profile=profile, external_id=external_id, identifier="threads")
    row: Publication = Publication.objects.create(
        profile=profile,
        clip=clip,
        clip_name=clip.name,
        integration=channel,
        state=State.DRAFT,
        caption="Look",
        file=clip.file,
        sha256=clip.file.sha256 if clip.file else "",
        scheduled_at=timezone.now() + timedelta(days=1),
    )
    return row


def _move(row: Publication, state: State, **fields: Any) -> None:
    Publication.objects.filter(pk=row.pk).update(state=state, **fields)


def outbox_of(profile: Profile) -> None:
    """What a profile without Postiz is given when it first looks at its channels."""
    integrations.ensure_outbox(profile)


def grow(profile: Profile, clip: Clip, number: int) -> None:
    """One more of everything that lists show."""
    tags = HashtagSet.objects.create(profile=profile, name=f"Tags {number}", tags=["bread"])
    CaptionSet.objects.create(profile=profile, name=f"Words {number}", text="{clip}", hashtags=tags)
    row = _publication(profile, clip, f"cm-{number}")
    row.scheduled_at = datetime(2030, 1, 10 + number % 5, tzinfo=UTC)  # within the range of the calendar's call
    row.save(update_fields=["scheduled_at"])
    transitions.move(row, State.AWAITING_APPROVAL, why="Planned", origin=transitions.Origin.PERSON)
    ReviewLink.objects.create(profile=profile, clip=clip, token_hash=str(number), expires_at=row.scheduled_at)
    OutboxItem.objects.create(profile=profile, publication=row, file=clip.file)
    transitions.note(row, "Looked at", origin=transitions.Origin.SYSTEM)
    first = Publication.objects.get(caption="Look", integration__external_id="cm-draft")
    transitions.note(first, "Looked at", origin=transitions.Origin.SYSTEM)
    Slot.objects.create(profile=profile, integration=row.integration, weekday=number % 7, time="10:00")
