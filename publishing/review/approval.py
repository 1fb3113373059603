"""Approval: who said yes to which media and words. While a profile asks for it, nothing else leaves the house.

An approval counts for one fingerprint (what would be posted, and where): whatever changes it, on purpose or by a way
that nobody thought of, takes the approval away, because `assert_approved` compares again right before anything is sent.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from editai.notify.events import Event, register_event
from editai.notify.services import notify
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Profile, User
from publishing import transitions
from publishing.models import Decision, Publication, PublishingSettings, ReviewLink
from publishing.preferences import due_at, preferences_of
from publishing.states import IN_HAND, State
from publishing.transitions import Origin

CHANGE_REQUESTED = Event("change_requested", "A reviewer asked for a change")
Verdict = Decision.Verdict


class NotApproved(Conflict):
    """Its profile requires approval, and nobody approved what would be posted now."""

    code = "not_approved"


def register() -> None:
    register_event(CHANGE_REQUESTED)


def needed(profile: Profile) -> bool:
    """Whether the profile requires approval."""
    return _is_needed(profile.pk)


def _is_needed(profile_id: UUID) -> bool:
    rows = PublishingSettings.objects.filter(profile_id=profile_id, approval_required=True)
    return bool(rows.exists())


def fingerprint(publication: Publication) -> str:
    """SHA-256 (hex) over what would be posted and where: the video, the words, the settings, the cover, the channel.
    Not over the time: moving a post is no new post."""
    cover = publication.cover.sha256 if publication.cover_id and publication.cover else ""
    parts = [
        publication.sha256,
        publication.caption,
        publication.first_comment,
        publication.settings,
        str(publication.integration_id),
        cover,
    ]
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def is_approved(publication: Publication) -> bool:
    """Whether the last word about it is a yes, and to what it is now."""
    rows = Decision.objects.filter(profile_id=publication.profile_id, publication=publication)
    last: Decision | None = rows.order_by("-at", "-id").first()
    return last is not None and last.verdict == Verdict.APPROVED and last.fingerprint == fingerprint(publication)


def next_state(publication: Publication) -> State:
    """Where a publication goes that is to be posted (again): it is scheduled, or waits for approval first."""
    if _is_needed(publication.profile_id) and not is_approved(publication):
        return State.AWAITING_APPROVAL
    return State.SCHEDULED


def assert_approved(publication: Publication) -> None:
    """Raises NotApproved unless `publication`, exactly as it was loaded, may be sent. Called right before the upload
    and again right before it is submitted; who gets the error calls `put_back`."""
    if next_state(publication) == State.AWAITING_APPROVAL:
        raise NotApproved("Nobody has approved what would be posted now.")


def put_back(publication: Publication, claim: UUID) -> bool:
    """A publication that a worker holds, and of which surely nothing was sent, waits for approval (again). False when
    the worker does not hold it any more."""
    with transaction.atomic():
        back = transitions.try_move(
            publication, State.SCHEDULED, why="Stopped: it is not approved", origin=Origin.WORKER, claim=claim
        )
        if back:
            _hold(publication, "Waits for approval", Origin.WORKER)
    return back


def _hold(publication: Publication, why: str, origin: Origin, by: User | None = None) -> None:
    transitions.move(publication, State.AWAITING_APPROVAL, why=why, origin=origin, by=by, due_at=None, approved_at=None)


def waiting(profile: Profile) -> QuerySet[Publication]:
    """What waits for a decision, the most urgent first."""
    rows: QuerySet[Publication] = Publication.objects.for_profile(profile).filter(state=State.AWAITING_APPROVAL)
    return rows.select_related("integration", "cover", "clip").order_by("scheduled_at", "id")


# --- the words of reviewers -----------------------------------------------------------------------------


def approve(
    *,
    profile: Profile,
    publications: Sequence[Publication],
    by: User | None = None,
    link: ReviewLink | None = None,
    reviewer: str = "",
    comment: str = "",
    shown: Mapping[UUID, str] | None = None,
) -> list[Publication]:
    """Yes to all of `publications`, or to none: each is scheduled. `shown`: the fingerprint of what the reviewer saw,
    by id of the publication.

    Raises Conflict when one does not wait for a decision (`not_waiting`) or is not what was shown (`changed`).
    """
    now, preferences = timezone.now(), preferences_of(profile)
    with transaction.atomic():
        rows = _locked(profile, publications, {State.AWAITING_APPROVAL}, shown)
        for row in rows:
            _decide(row, Verdict.APPROVED, by, link, reviewer, comment)
            # "as soon as possible" counts from now on: nobody could post it while it waited
            if row.is_immediate:
                row.scheduled_at = now
            transitions.move(
                row,
                State.SCHEDULED,
                why=_said("Approved", link, reviewer, comment),
                origin=Origin.REVIEW if link else Origin.PERSON,
                by=by,
                approved_at=now,
                scheduled_at=row.scheduled_at,
                due_at=due_at(row, preferences, now),
            )
    return rows


def ask_for_change(
    *,
    profile: Profile,
    publications: Sequence[Publication],
    by: User | None = None,
    link: ReviewLink | None = None,
    reviewer: str = "",
    comment: str,
    shown: Mapping[UUID, str] | None = None,
) -> list[Publication]:
    """No to all of `publications`, with what to change: each is a draft again, and those who want to know are told.

    Raises Invalid without a comment, and Conflict as `approve` does; what is scheduled already may be stopped too.
    """
    if not comment.strip():
        raise Invalid("Say what should change.", fields={"comment": ["Say what should change."]})
    with transaction.atomic():
        rows = _locked(profile, publications, {State.AWAITING_APPROVAL, State.SCHEDULED}, shown)
        decisions = [_decide(row, Verdict.CHANGES, by, link, reviewer, comment) for row in rows]
        for row in rows:
            transitions.move(
                row,
                State.DRAFT,
                why=_said("A change is asked for", link, reviewer, comment),
                origin=Origin.REVIEW if link else Origin.PERSON,
                by=by,
                due_at=None,
                approved_at=None,
            )
        if rows:
            _tell(profile, rows, decisions[0], by.get_username() if by else reviewer)
    return rows


def _locked(
    profile: Profile, publications: Sequence[Publication], states: set[State], shown: Mapping[UUID, str] | None
) -> list[Publication]:
    wanted = {publication.pk for publication in publications}
    found = Publication.objects.for_profile(profile).filter(pk__in=wanted).select_related("integration", "cover")
    rows: list[Publication] = list(found.select_for_update(of=("self",)).order_by("pk"))
    if len(rows) < len(wanted):
        raise NotFound
    for row in rows:
        if row.state not in states:
            label = row.get_state_display().lower()
            raise Conflict(f"This publication waits for no decision: it is {label}.", code="not_waiting")
        if shown is not None and shown.get(row.pk) != fingerprint(row):
            raise Conflict("The video or the words have changed since they were shown. Look again.", code="changed")
    return rows


def _decide(
    row: Publication, verdict: Verdict, by: User | None, link: ReviewLink | None, reviewer: str, comment: str
) -> Decision:
    decision: Decision = Decision.objects.create(
        profile_id=row.profile_id,
        publication=row,
        verdict=verdict,
        fingerprint=fingerprint(row),
        comment=comment,
        by=by,
        link=link,
        reviewer=reviewer,
    )
    return decision


def _said(verdict: str, link: ReviewLink | None, reviewer: str, comment: str) -> str:
    who = f" by {reviewer} (review link)" if link else ""
    return f"{verdict}{who}: {comment}" if comment else f"{verdict}{who}"


def _tell(profile: Profile, rows: list[Publication], decision: Decision, who: str) -> None:
    names = ", ".join(str(row.integration) for row in rows)
    notify(
        profile=profile,
        event=CHANGE_REQUESTED.name,
        once_key=f"{CHANGE_REQUESTED.name}:{decision.pk}",
        title=f"A change is asked for: {rows[0].clip_name}",
        text=f"{who or 'A reviewer'} asks for a change ({names}):\n\n{decision.comment}",
        link=f"/p/{profile.slug}/admin/publishing/publication/{rows[0].pk}/change/",
        payload={"publications": [str(row.pk) for row in rows], "comment": decision.comment, "reviewer": who},
    )


# --- what takes an approval away ------------------------------------------------------------------------


def void(publication: Publication, why: str, *, by: User | None = None) -> None:
    """Call it in the transaction that changes media, words or settings, after the change: an earlier yes does not
    count for the new. What was scheduled waits for approval again if the profile requires it.

    Only for what is in hand: raises Conflict (`wrong_state`) for what is at Postiz, or on its way, which must be taken
    back first.
    """
    state = State(publication.state)
    if state not in IN_HAND:
        raise Conflict(f"This publication is {state.label.lower()}: take it back first.", code="wrong_state")
    with transaction.atomic():
        if publication.approved_at is not None:
            _decide(publication, Verdict.VOIDED, by, None, "", why)
            Publication.objects.filter(pk=publication.pk).update(approved_at=None)
            publication.approved_at = None
            transitions.note(publication, f"Its approval is void: {why}", origin=Origin.SYSTEM, by=by)
        if state == State.SCHEDULED and _is_needed(publication.profile_id):
            _hold(publication, "Waits for approval", Origin.SYSTEM, by)


def require_approval(*, profile: Profile, by: User | None, required: bool) -> PublishingSettings:
    """Turns the requirement on or off. On: what is scheduled and was not approved waits from now on. Off: what waits
    already keeps waiting, because somebody may have meant to say no; it is approved, or cancelled, by hand.

    What a worker holds this moment it puts back itself (`assert_approved`), and what is at Postiz stays there.
    """
    with transaction.atomic():
        row, _ = PublishingSettings.objects.get_or_create(profile=profile)
        if row.approval_required != required:
            row.approval_required = required
            row.save(update_fields=["approval_required", "updated_at"])
        if required:
            _hold_all(profile, by)
    return row


def _hold_all(profile: Profile, by: User | None) -> None:
    rows = Publication.objects.for_profile(profile).filter(state=State.SCHEDULED).select_related("cover")
    for publication in rows.select_for_update(of=("self",)).order_by("pk"):
        if not is_approved(publication):
            _hold(publication, "Approval is required from now on", Origin.PERSON, by)
