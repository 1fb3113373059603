"""Publications that wait: for the budget of the hour, for Postiz to come back, for a key. And those that waited too
long.

Why a scheduled publication waits stands in its `error`. `grace_from` in there says from when on its lateness counts:
a post "as soon as possible" is not late while others stand before it in the hourly limit.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from profiles.models import Profile
from publishing.delivery import outcomes
from publishing.models import Publication
from publishing.models.accounts import OUTBOX
from publishing.preferences import preferences_of
from publishing.states import State
from publishing.transitions import Origin, try_move


def due(profile: Profile) -> "QuerySet[Publication]":
    """What is to be handed over now, in the order in which it gets the budget."""
    rows: QuerySet[Publication] = Publication.objects.for_profile(profile).filter(
        state=State.SCHEDULED, due_at__lte=timezone.now()
    )
    return rows.order_by("scheduled_at", "created_at", "id")


def for_postiz(rows: "QuerySet[Publication]") -> "QuerySet[Publication]":
    return rows.exclude(integration__identifier=OUTBOX)


def put_off(rows: "QuerySet[Publication]", until: datetime, why: Mapping[str, Any], *, counts: bool = True) -> int:
    """Scheduled publications wait until then. `counts=False`: nobody is to blame, so they are not late meanwhile."""
    waiting = rows.filter(state=State.SCHEDULED)
    if not counts:
        return waiting.update(due_at=until, error={**why, "grace_from": until.isoformat()})
    told = waiting.filter(error__grace_from__isnull=False)  # keeps what it says
    kept = told.update(due_at=until)
    return kept + waiting.exclude(pk__in=told.values("pk")).update(due_at=until, error=dict(why))


def give_back(
    publication: Publication,
    claim: UUID,
    until: datetime,
    why: Mapping[str, Any],
    *,
    counts: bool = True,
    **fields: Any,
) -> bool:
    """A publication that a worker holds, and of which surely nothing is at Postiz, waits until then."""
    error = dict(why)
    if not counts:
        error["grace_from"] = until.isoformat()
    elif publication.error and publication.error.get("grace_from"):
        error["grace_from"] = publication.error["grace_from"]
    return try_move(
        publication,
        State.SCHEDULED,
        why=str(why["message"]),
        origin=Origin.WORKER,
        claim=claim,
        due_at=until,
        error=error,
        **fields,
    )


def late_from(publication: Publication) -> datetime:
    """When it should have gone out."""
    moments = [publication.scheduled_at]
    if publication.is_immediate:
        moments += [publication.approved_at] if publication.approved_at else []
        since = (publication.error or {}).get("grace_from")
        moments += [datetime.fromisoformat(since)] if since else []
    return max(moments)


def is_too_late(publication: Publication, grace: timedelta) -> bool:
    return timezone.now() > late_from(publication) + grace


def grace_of(profile: Profile) -> timedelta:
    return timedelta(minutes=preferences_of(profile).grace_minutes)


def mark_missed(profile: Profile) -> int:
    """What could not go out within its grace time asks, and is never posted late by itself. Returns how many."""
    grace = grace_of(profile)
    rows = Publication.objects.for_profile(profile).filter(scheduled_at__lt=timezone.now() - grace)
    scheduled = rows.filter(state=State.SCHEDULED)
    # what waits for approval "as soon as possible" has no time to miss
    awaiting = rows.filter(state=State.AWAITING_APPROVAL, is_immediate=False)
    late = [row for row in (scheduled | awaiting).select_related("integration", "profile") if is_too_late(row, grace)]
    return sum(outcomes.miss(publication) for publication in late)
