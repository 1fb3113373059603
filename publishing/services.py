"""Writes about publications: made from a plan, changed, called off, sent on their way again.

What is at Postiz already is taken back by a job first (`publishing.tracking.take_back`); what a worker holds this very
moment has to be waited for.
"""

from collections.abc import Sequence

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs.models import Job
from profiles.errors import Conflict
from profiles.models import Profile, User
from publishing import transitions
from publishing.delivery import handing_over
from publishing.models import Batch, CaptionSet, Publication
from publishing.planning.plan import Plan, Planned, make_plan
from publishing.planning.refusals import refuse
from publishing.planning.text_sets import TEMPLATE
from publishing.planning.wishes import Wish
from publishing.preferences import due_at
from publishing.review import approval
from publishing.states import State


def publish(*, profile: Profile, wish: Wish, by: User | None) -> Job:
    """The job that hands over what the wish comes to: all of it is written, or nothing. `params["publication_ids"]` of
    the job lists the publications.

    Raises NotFound, Invalid (fields; `rules_broken` with details), Conflict (`clip_not_ready`, `clip_stale`,
    `already_open`, `already_published`, each with details).
    """
    try:
        with transaction.atomic():
            plan = make_plan(profile=profile, wish=wish, lock=True)
            refuse(plan)
            publications = _write(profile, plan, by)
            kind = "bulk_publish" if wish.bulk else "publish_clip"
            return handing_over.request_hand_over(profile=profile, publications=publications, by=by, kind=kind)
    except IntegrityError as error:
        raise Conflict(
            "Somebody has just made a post of the same clip for the same channel. Look again.", code="already_open"
        ) from error


def _write(profile: Profile, plan: Plan, by: User | None) -> Sequence[Publication]:
    state = _beginning(profile, plan.wish)
    batch = _batch(profile, plan, by)
    rows = [_publication(profile, plan, planned, state, batch, by) for planned in plan.rows]
    details = {row.pk: {TEMPLATE: planned.template.as_detail()} for row, planned in zip(rows, plan.rows, strict=True)}
    transitions.begin_all(rows, why=_WHY[state], by=by, details=details)
    _remember_sets(profile, plan)
    return rows


_WHY = {
    State.DRAFT: "Written down as a draft",
    State.AWAITING_APPROVAL: "Planned; waits for approval",
    State.SCHEDULED: "Planned",
}


def _beginning(profile: Profile, wish: Wish) -> State:
    if wish.draft:
        return State.DRAFT
    return State.AWAITING_APPROVAL if approval.needed(profile) else State.SCHEDULED


def _batch(profile: Profile, plan: Plan, by: User | None) -> Batch | None:
    if not plan.wish.bulk:
        return None
    batch: Batch = Batch.objects.create(profile=profile, total=len(plan.rows), created_by=by)
    return batch


def _publication(
    profile: Profile, plan: Plan, planned: Planned, state: State, batch: Batch | None, by: User | None
) -> Publication:
    row = Publication(
        profile_id=profile.pk,
        clip=planned.clip,
        clip_name=planned.clip.name,
        integration=planned.integration,
        batch=batch,
        repost_of=planned.repost_of,
        state=state,
        caption=planned.caption,
        first_comment=planned.first_comment,
        settings=planned.settings,
        file=planned.file,
        sha256=planned.file.sha256 if planned.file else "",
        cover=planned.cover,
        is_immediate=planned.is_immediate,
        scheduled_at=planned.scheduled_at,
        created_by=by,
    )
    if state == State.SCHEDULED:
        row.due_at = due_at(row, plan.preferences, plan.made_at)
    return row


def _remember_sets(profile: Profile, plan: Plan) -> None:
    used = {row.template.caption_set for row in plan.rows if row.template.caption_set}
    if used:
        CaptionSet.objects.for_profile(profile).filter(pk__in=used).update(used_at=timezone.now())
