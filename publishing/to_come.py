"""Posts that are still to come keep what they were planned with: the clip, its cover, a file made over for them."""

from typing import Any

from django.db.models import QuerySet

from profiles.errors import Conflict
from profiles.models import Profile
from publishing.models import Publication
from publishing.states import TO_COME

_MOST = 100  # posts that a refusal names


def posts_to_come(profile: Profile, **which: Any) -> "QuerySet[Publication]":
    """The profile's posts of this kind (a filter: `clip__in`, `file__in`) that may still go out, the next one first."""
    rows = Publication.objects.for_profile(profile).filter(**which, state__in=sorted(TO_COME))
    return rows.select_related("integration").order_by("scheduled_at", "id")


def refuse_if_any(posts: "QuerySet[Publication]", why: str) -> None:
    """Raises Conflict (`posts_to_come`, with a list of them) unless there are none. Call it with their clip locked:
    whoever schedules a post holds the same lock."""
    rows = list(posts[:_MOST])
    if rows:
        raise Conflict(why, code="posts_to_come", details=[_detail(row) for row in rows])


def _detail(row: Publication) -> dict[str, Any]:
    return {
        "id": row.pk,
        "clip_id": row.clip_id,
        "integration_id": row.integration.external_id,
        "network": row.integration.identifier,
        "status": row.state,
        "scheduled_at": row.scheduled_at,
    }
