"""What clips take up. A render goes when nobody needs it and its project would give the very same again; posters and
covers stay, so that the clip can still be recognised."""

from typing import Any
from uuid import UUID

from django.db.models import Case, CharField, Exists, OuterRef, Q, Value, When
from django.utils import timezone

from costs.storage.kinds import MadeAgain, StorageKind, register_storage_kind
from editai.clips import staleness
from editai.clips.models import Clip
from editai.clips.services import lock_clip
from editai.clips.users import Needs, needs_of
from editai.projects.models import ProjectSegment
from editai.projects.services import lock_project
from jobs.models import ACTIVE
from jobs.selectors import has_active_job
from profiles.errors import NotFound
from profiles.models import Profile, StoredFile
from profiles.tenancy import GuardedQuerySet
from segments.models import SourceVideo

NEEDED = "needed"
_REASONS = {
    "selected": "They are selected.",
    NEEDED: "A planned post, a draft of one, or an open review link needs them.",
    "in_work": "They are being rendered or uploaded right now.",
    "out_of_date": "Their project has changed since, so they would come out otherwise: render or delete them.",
    "not_renderable": "Their project or its footage is not complete any more, so they could not be made again.",
}


def register() -> None:
    register_storage_kind(
        StorageKind(
            "renders",
            "Rendered clips",
            Clip,
            ("file", "poster", "cover"),
            kept="Posters and covers are small, and needed to recognise a clip.",
            again=MadeAgain("file", _rendered, _REASONS, _lock, _give_up),
        )
    )


def _rendered(profile: Profile) -> GuardedQuerySet:
    rows = Clip.objects.for_profile(profile).filter(trashed_at=None, file__isnull=False)
    return rows.defer("recipe", "media").annotate(stays=_stays(profile))


def _stays(profile: Profile) -> Case:
    reasons: dict[str, Any] = {
        "selected": Q(is_selected=True),
        NEEDED: _needed(needs_of(profile)),
        "in_work": ~Q(state=Clip.State.READY) | Q(job__status__in=ACTIVE) | Q(has_active_job()),
        "out_of_date": Q(is_stale=True) | Q(rendered_hash=""),
        "not_renderable": Q(project__trashed_at__isnull=False)
        | ~Q(Exists(_entries()))
        | Q(Exists(_entries().filter(_is_lacking()))),
    }
    whens = [When(condition, then=Value(reason)) for reason, condition in reasons.items()]
    return Case(*whens, default=Value(""), output_field=CharField())


def _needed(needs: Needs) -> Q:
    condition = Q(pk__in=[])
    for clip_ids in needs:
        condition |= Q(pk__in=clip_ids)
    return condition


def _entries() -> Any:
    return ProjectSegment.objects.filter(profile_id=OuterRef("profile_id"), project=OuterRef("project_id"))


def _is_lacking() -> Q:
    """An entry whose footage is not there to be rendered."""
    source = "segment__source__"
    return (
        Q(segment__trashed_at__isnull=False)
        | Q(**{f"{source}trashed_at__isnull": False})
        | ~Q(**{f"{source}state": SourceVideo.State.READY})
        | Q(**{f"{source}original": None})
        | ~Q(**{f"{source}original__state": StoredFile.State.STORED})
    )


def _lock(profile: Profile, clip_id: UUID) -> None:
    project_id = Clip.objects.for_profile(profile).filter(pk=clip_id).values_list("project", flat=True).first()
    if project_id is None:
        raise NotFound
    lock_project(profile=profile, project_id=project_id)
    lock_clip(profile=profile, clip_id=clip_id)


def _give_up(clip: Clip) -> bool:
    """False when the project would give another clip, although nothing says so yet (its preset was edited, say)."""
    if staleness.digest_now(clip) != clip.rendered_hash:
        return False
    freed = {"state": Clip.State.FREED, "error": None, "file": None, "rendered_hash": "", "media": None}
    rows = Clip.objects.filter(profile_id=clip.profile_id, pk=clip.pk)
    return bool(rows.update(**freed, updated_at=timezone.now()))
