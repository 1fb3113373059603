"""Publications as users of clips: what is still to come keeps a clip from changing behind its back."""

from collections.abc import Collection
from uuid import UUID

from django.db.models import QuerySet

from editai.clips.users import ClipUser, Dependant, register_user_of_clips
from profiles.errors import Conflict
from profiles.models import Profile
from publishing.models import Publication
from publishing.renditions import files as rendition_files
from publishing.states import FINAL, TO_COME, State
from publishing.transitions import Origin, move

_MOST = 100  # rows that a refusal names


def register() -> None:
    register_user_of_clips(ClipUser("publishing", find=_find, before_change=_refuse, purged=_let_go))


def _to_come(profile: Profile, clip_ids: Collection[UUID]) -> "QuerySet[Publication]":
    rows = Publication.objects.for_profile(profile).filter(clip__in=list(clip_ids), state__in=sorted(TO_COME))
    return rows.select_related("integration").order_by("scheduled_at", "id")


def _find(profile: Profile, clip_ids: Collection[UUID], limit: int) -> list[Dependant]:
    return [
        Dependant("post", row.pk, f"{row.clip_name} → {row.integration}", row.clip_id)
        for row in _to_come(profile, clip_ids)[:limit]
        if row.clip_id is not None
    ]


def _refuse(profile: Profile, clip_ids: Collection[UUID], why: str) -> None:
    rows = list(_to_come(profile, clip_ids)[:_MOST])
    if rows:
        raise Conflict(
            "Posts of this clip are still to come: cancel them first, so that none goes out with what it was.",
            code="posts_to_come",
            details=[
                {
                    "id": row.pk,
                    "clip_id": row.clip_id,
                    "integration_id": row.integration.external_id,
                    "network": row.integration.identifier,
                    "state": row.state,
                    "scheduled_at": row.scheduled_at,
                }
                for row in rows
            ],
        )


def _let_go(profile: Profile, clip_ids: Collection[UUID]) -> None:
    """Intentions end with their clip; what went out stays as history, under the clip's name."""
    _refuse(profile, clip_ids, "purge")
    rows = Publication.objects.for_profile(profile).filter(clip__in=list(clip_ids))
    for publication in rows.exclude(state__in=sorted(FINAL)).select_for_update(of=("self",)).order_by("pk"):
        move(publication, State.CANCELLED, why="Its clip was deleted", origin=Origin.SYSTEM, due_at=None)
    rows.update(clip=None, file=None, cover=None)
    rendition_files.purge(profile, clip_ids)
