"""Publications as users of clips: what is still to come keeps a clip from changing behind its back."""

from collections.abc import Collection
from uuid import UUID

from editai.clips.users import ClipUser, Dependant, register_user_of_clips
from profiles.models import Profile
from publishing.models import Publication
from publishing.renditions.files import purge
from publishing.states import FINAL, State
from publishing.to_come import posts_to_come, refuse_if_any
from publishing.transitions import Origin, move


def register() -> None:
    register_user_of_clips(ClipUser("publishing", find=_find, before_change=_refuse, purged=_let_go))


def _find(profile: Profile, clip_ids: Collection[UUID], limit: int) -> list[Dependant]:
    return [
        Dependant("post", row.pk, f"{row.clip_name} → {row.integration}", row.clip_id)
        for row in posts_to_come(profile, clip__in=list(clip_ids))[:limit]
        if row.clip_id is not None
    ]


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
