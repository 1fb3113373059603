"""One row of everything that is reviewed or lies in the outbox."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from editai.clips.models import Clip, ExportPreset
from editai.projects.models import Project
from profiles.models import Profile, StoredFile, User
from publishing.models import Integration, OutboxItem, Publication
from publishing.review import links as review
from publishing.states import State


def review_rows(profile: Profile, by: User, file: StoredFile) -> dict[str, Any]:
    """They are about a clip, and a project, of their own: a post to come would keep those from changing."""
    clip = Clip.objects.create(
        profile=profile,
        project=Project.objects.create(profile=profile, name="Reviewed"),
        name="Reviewed",
        state=Clip.State.READY,
        preset=ExportPreset.objects.order_by("position")[0],
        file=file,
        recipe_hash="reviewed",
        rendered_hash="reviewed",
    )
    channel = Integration.objects.create(profile=profile, external_id="reviewed", identifier="tiktok", name="Reviewed")
    away = Integration.objects.create(profile=profile, external_id="isolation-outbox", identifier="outbox")
    common = {
        "profile": profile,
        "clip": clip,
        "clip_name": clip.name,
        "file": file,
        "sha256": file.sha256,
        "scheduled_at": timezone.now() + timedelta(days=1),
    }
    waiting = Publication.objects.create(**common, integration=channel, state=State.AWAITING_APPROVAL)
    published = Publication.objects.create(**common, integration=away, state=State.SCHEDULED)
    held = {"claim": published.pk, "claimed_until": timezone.now()}
    Publication.objects.filter(pk=published.pk).update(state=State.UPLOADING, **held)
    Publication.objects.filter(pk=published.pk).update(state=State.PUBLISHED, claim=None, claimed_until=None)
    link, _ = review.link_create(profile=profile, clip=clip, by=by)
    item = OutboxItem.objects.create(profile=profile, publication=published, file=file, cover=file)
    return {"waiting_publication": waiting, "review_link": link, "outbox_item": item}
