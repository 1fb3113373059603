"""What publishing takes up: files made over for a network can be made again; the outbox' copies are for a person, who
throws an item away by hand."""

from uuid import UUID

from django.db.models import Case, CharField, F, Q, Value, When

from costs.storage.kinds import MadeAgain, StorageKind, register_storage_kind
from editai.clips.services import lock_clip
from profiles.errors import NotFound
from profiles.models import Profile, StoredFile
from profiles.tenancy import GuardedQuerySet
from publishing.models import OutboxItem, Publication, Rendition
from publishing.states import OPEN

_REASONS = {
    "needed": "A planned post, or a draft of one, uses them.",
    "out_of_date": "Their clip has to be rendered again before they could be made again.",
}


def register() -> None:
    register_storage_kind(
        StorageKind(
            "renditions",
            "Clips made over for a network",
            Rendition,
            ("file",),
            kept="They are needed.",
            trash="clip__",
            again=MadeAgain("file", _renditions, _REASONS, _lock, _give_up),
        )
    )
    register_storage_kind(
        StorageKind(
            "outbox",
            "Local outbox",
            OutboxItem,
            ("file", "cover"),
            kept="The local outbox is cleared by hand.",
            trash=None,
        )
    )


def _renditions(profile: Profile) -> GuardedQuerySet:
    """Those of an earlier file of their clip are of no use any more, so they may go in any case."""
    planned = Publication.objects.for_profile(profile).filter(state__in=sorted(OPEN), file__isnull=False).order_by()
    is_current = Q(clip__file__sha256=F("made_from"), clip__file__state=StoredFile.State.STORED)
    stays = Case(
        When(file__in=planned.values("file"), then=Value("needed")),
        When(is_current & Q(clip__is_stale=True), then=Value("out_of_date")),
        default=Value(""),
        output_field=CharField(),
    )
    rows: GuardedQuerySet = Rendition.objects.for_profile(profile).filter(clip__trashed_at=None)
    return rows.annotate(stays=stays)


def _lock(profile: Profile, rendition_id: UUID) -> None:
    """The clip first: whoever plans a post, or puts a rendition in place, holds it."""
    rows = Rendition.objects.for_profile(profile).filter(pk=rendition_id)
    clip_id = rows.values_list("clip", flat=True).first()
    if clip_id is None:
        raise NotFound
    lock_clip(profile=profile, clip_id=clip_id)
    if not list(rows.select_for_update(of=("self",)).values_list("pk", flat=True)):
        raise NotFound


def _give_up(rendition: Rendition) -> bool:
    Rendition.objects.filter(profile_id=rendition.profile_id, pk=rendition.pk).delete()
    return True
