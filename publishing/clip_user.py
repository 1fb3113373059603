"""Publications as users of clips: what is still to come keeps a clip from changing behind its back."""

from collections.abc import Collection
from uuid import UUID

from django.utils import timezone

from editai.clips.users import ClipUser, Dependant, Needs, register_user_of_clips
from jobs.models import ACTIVE, Job
from profiles.models import Profile
from publishing.models import Publication, ReviewLink
from publishing.renditions.files import purge
from publishing.renditions.requests import FIX
from publishing.states import FINAL, OPEN, State
from publishing.to_come import posts_to_come, refuse_if_any
from publishing.transitions import Origin, move


def register() -> None:
    user = ClipUser("publishing", find=_find, before_change=_refuse, purged=_let_go, needs=_needs)
    register_user_of_clips(user)


def _find(profile: Profile, clip_ids: Collection[UUID], limit: int) -> list[Dependant]:
    return [
        Dependant("post", row.pk, f"{row.clip_name} → {row.integration}", row.clip_id)
        for row in posts_to_come(profile, clip__in=list(clip_ids))[:limit]
        if row.clip_id is not None
    ]


def _needs(profile: Profile) -> Needs:
    """What is planned, if only as a draft; what a review link shows that is still open; what is being made over."""
    planned = Publication.objects.for_profile(profile).filter(state__in=sorted(OPEN), clip__isnull=False)
    links = ReviewLink.objects.for_profile(profile).filter(revoked_at=None, expires_at__gt=timezone.now())
    fixes = Job.objects.for_profile(profile).filter(kind=FIX, status__in=ACTIVE).order_by()
    fixing = [UUID(params["clip_id"]) for params in fixes.values_list("params", flat=True)]
    return planned.order_by().values("clip"), links.order_by().values("clip"), fixing


def _refuse(profile: Profile, clip_ids: Collection[UUID], why: str) -> None:
    text = "Posts of this clip are still to come: cancel them first, so that none goes out with what it was."
    refuse_if_any(posts_to_come(profile, clip__in=list(clip_ids)), text)


def _let_go(profile: Profile, clip_ids: Collection[UUID]) -> None:
    """Intentions end with their clip; what went out stays as history, under the clip's name."""
    _refuse(profile, clip_ids, "purge")
    rows = Publication.objects.for_profile(profile).filter(clip__in=list(clip_ids))
    for publication in rows.exclude(state__in=sorted(FINAL)).select_for_update(of=("self",)).order_by("pk"):
        move(publication, State.CANCELLED, why="Its clip was deleted", origin=Origin.SYSTEM, due_at=None)
    rows.update(clip=None, file=None, cover=None)
    purge(profile, clip_ids)
