"""What becomes of publications, each outcome with its notification in one transaction.

All of them return False, and write nothing, when somebody else was faster (`transitions.try_move`).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from publishing import news
from publishing.models import Publication
from publishing.states import State
from publishing.transitions import Origin, problem, try_move

Problem = Mapping[str, Any]


def fail(
    publication: Publication,
    what: Problem,
    *,
    origin: Origin,
    claim: UUID | None = None,
    may_be_live: bool = False,
    **fields: Any,
) -> bool:
    with transaction.atomic():
        done = try_move(
            publication,
            State.FAILED,
            why=str(what["message"]),
            origin=origin,
            claim=claim,
            error=dict(what),
            may_be_live=may_be_live,
            due_at=None,
            **fields,
        )
        if done:
            news.tell(news.FAILED, publication, what)
    return done


def unconfirm(
    publication: Publication,
    what: Problem,
    *,
    origin: Origin,
    next_check_at: datetime | None,
    claim: UUID | None = None,
    may_be_live: bool = True,
    is_told: bool = True,
    **fields: Any,
) -> bool:
    """`is_told=False` for what the next check will most probably clear up."""
    with transaction.atomic():
        done = try_move(
            publication,
            State.UNCONFIRMED,
            why=str(what["message"]),
            origin=origin,
            claim=claim,
            error={**what, "is_told": is_told},
            may_be_live=may_be_live,
            next_check_at=next_check_at,
            due_at=None,
            **fields,
        )
        if done and is_told:
            news.tell(news.UNCONFIRMED, publication, what)
    return done


def miss(publication: Publication, claim: UUID | None = None) -> bool:
    what = problem(
        "missed",
        "This post could not go out in time.",
        next_step="Post it now, or choose another time.",
        retryable=True,
    )
    if publication.error and publication.error.get("message"):
        what["message"] += f" {publication.error['message']}"
    with transaction.atomic():
        done = try_move(
            publication, State.MISSED, why=what["message"], origin=Origin.SYSTEM, claim=claim, error=what, due_at=None
        )
        if done:
            news.tell(news.MISSED, publication, what)
    return done


def remove(publication: Publication, what: Problem, *, may_be_live: bool) -> bool:
    with transaction.atomic():
        done = try_move(
            publication,
            State.REMOVED,
            why=str(what["message"]),
            origin=Origin.SYNC,
            error=dict(what),
            may_be_live=may_be_live,
            next_check_at=None,
        )
        if done:
            news.tell(news.REMOVED, publication, what)
    return done


def publish(
    publication: Publication, *, url: str, release_id: str, published_at: datetime, remark: Problem | None = None
) -> bool:
    """`remark`: what is left to do, or is not as it should be, although it went out."""
    return try_move(
        publication,
        State.PUBLISHED,
        why=str(remark["message"]) if remark else "Published",
        origin=Origin.SYNC,
        release_url=url[:2000],
        release_id=release_id[:500],
        published_at=min(published_at, timezone.now()),
        may_be_live=False,
        error_seen_at=None,
        next_check_at=None,
        error=dict(remark) if remark else None,
    )
