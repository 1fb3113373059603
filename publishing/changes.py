"""What people do with publications that there are: change, move, call off, send on their way (again).

Everything happens with the publication's row locked, its clip's before it when the clip matters. What is at Postiz is
changed by a job that takes it back first; what a worker holds has to be waited for.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from editai.clips.services import lock_clip
from editai.projects.services import lock_project
from jobs.models import Job
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Profile, User
from publishing import transitions
from publishing.actions import Action, possible
from publishing.delivery import fingerprints, handing_over
from publishing.models import Publication
from publishing.planning.schedule import check_future
from publishing.preferences import due_at, preferences_of
from publishing.review import approval
from publishing.rules.checks import check_again
from publishing.states import IN_HAND, ON_ITS_WAY, State
from publishing.tracking import reconcile, take_back
from publishing.transitions import Origin

_WORDS = ("caption", "first_comment", "settings")
_WHY = {"caption": "caption", "first_comment": "first comment", "settings": "settings", "scheduled_at": "time"}


def publication_change(
    *, profile: Profile, publication: Publication, by: User | None, changes: Mapping[str, Any]
) -> Job | None:
    """Changes caption, first comment, settings or time. At once while it is in hand: None; what was handed over is
    taken back first, by the job that is returned.

    Raises Invalid for a time that has passed (field `scheduled_at`) and for what its network would not take
    (`rules_broken`), Conflict (`on_its_way`, `wrong_state`). A change of the words voids an approval.
    """
    with transaction.atomic():
        row = _locked(profile, publication, with_clip=True)
        moved = "scheduled_at" in changes
        _need(row, Action.RESCHEDULE if moved and len(changes) == 1 else Action.EDIT)
        wanted = {name: value for name, value in changes.items() if getattr(row, name) != value}
        if moved:
            check_future(changes["scheduled_at"], timezone.now(), "scheduled_at")
        if set(wanted) & set(_WORDS):
            wanted |= check_again(profile, row, {name: wanted[name] for name in _WORDS if name in wanted}).words
        if not wanted:
            return None
        if row.state not in IN_HAND:
            return take_back.request(profile, row, then="change", changes=wanted, by=by)
        _apply(profile, row, wanted, by)
    return None


def _apply(profile: Profile, row: Publication, wanted: dict[str, Any], by: User | None) -> None:
    """The changes of a publication in hand."""
    names = ", ".join(_WHY[name] for name in wanted)
    for name, value in wanted.items():
        setattr(row, name, value)
    values = dict(wanted)
    if "scheduled_at" in wanted:
        values |= _timed(profile, row, wanted["scheduled_at"])
    _write(row, values)
    transitions.note(row, f"Changed: {names}", origin=Origin.PERSON, by=by)
    if set(wanted) & set(_WORDS):
        approval.void(row, f"Its {names} changed", by=by)
    if row.state == State.MISSED and "scheduled_at" in wanted:
        _send(profile, row, by, "Planned anew", scheduled_at=row.scheduled_at)


def _timed(profile: Profile, row: Publication, scheduled_at: datetime) -> dict[str, Any]:
    """The columns that follow from another time."""
    row.scheduled_at, row.is_immediate = scheduled_at, False
    values: dict[str, Any] = {"is_immediate": False}
    if row.state == State.SCHEDULED:  # why it waited until now does not count for the new time
        values |= {"due_at": due_at(row, preferences_of(profile), timezone.now()), "error": None}
    return values


def _write(row: Publication, values: Mapping[str, Any]) -> None:
    rows = Publication.objects.filter(pk=row.pk, state=row.state)
    if not rows.update(**values, updated_at=timezone.now()):
        raise Conflict("This publication has just changed. Look again.", code="publication_changed")
    for name, value in values.items():
        setattr(row, name, value)


def publication_cancel(*, profile: Profile, publication: Publication, by: User | None) -> Job | None:
    """Calls it off: at once while nothing of it is outside (None); else by the job that takes it back from Postiz. Once
    cancelled it stays so, however often it is asked for. Raises Conflict (`on_its_way`, `wrong_state`)."""
    with transaction.atomic():
        row = _locked(profile, publication)
        if row.state == State.CANCELLED:
            return None
        _need(row, Action.CANCEL)
        if row.state in IN_HAND or row.state == State.UPLOADING:
            transitions.move(row, State.CANCELLED, why="Cancelled", origin=Origin.PERSON, by=by, due_at=None)
            return None
        return take_back.request(profile, row, then="cancel", changes={}, by=by)


def publication_retry(
    *, profile: Profile, publication: Publication, by: User | None, schedule_date: datetime | None = None
) -> Job:
    """Sends a draft, a missed one, or one that failed without anything being out on its way, now or at
    `schedule_date`. The job hands it over if that is due.

    Raises Invalid (`past_date`, `rules_broken`), Conflict (`wrong_state`, `may_be_live`, `clip_not_ready`,
    `clip_stale`, `already_open`).
    """
    return _again(profile, publication, by, Action.RETRY, "Sent on its way", schedule_date)


def publication_resend(
    *,
    profile: Profile,
    publication: Publication,
    by: User | None,
    understood: bool,
    schedule_date: datetime | None = None,
) -> Job:
    """Sends an unconfirmed one again that Postiz was shown not to have. That is a person's decision, who was told that
    the first may still turn up late: Invalid (field `understood`) without their word; else as `publication_retry`."""
    if not understood:
        hint = "Say that you know: the first post may still turn up, and would then be there twice."
        raise Invalid(CHECK_FIELDS, code="not_understood", fields={"understood": [hint]})
    return _again(profile, publication, by, Action.RESEND, "Sent again on a person's word", schedule_date)


def _again(
    profile: Profile,
    publication: Publication,
    by: User | None,
    action: Action,
    why: str,
    schedule_date: datetime | None,
) -> Job:
    try:
        with transaction.atomic():
            row = _locked(profile, publication, with_clip=True)
            _need(row, action)
            if schedule_date is not None:
                check_future(schedule_date, timezone.now(), "schedule_date")
            _send(profile, row, by, why, scheduled_at=schedule_date, is_void=action != Action.RESEND)
            return handing_over.request_hand_over(profile=profile, publications=[row], by=by)
    except IntegrityError as error:
        raise Conflict("There is another post of this clip for this channel already.", code="already_open") from error


def _send(
    profile: Profile,
    row: Publication,
    by: User | None,
    why: str,
    *,
    scheduled_at: datetime | None,
    is_void: bool = True,
) -> None:
    """Into the state that comes first on the way, with the clip's file as it is now. `is_void`: False when a post of
    the last attempt that turns up late is what is wanted."""
    found = check_again(profile, row, {}, for_sending=True)
    now = timezone.now()
    fields: dict[str, Any] = {
        **found.words,
        **found.media,
        "scheduled_at": scheduled_at or now,
        "is_immediate": scheduled_at is None,
    }
    for name, value in fields.items():
        setattr(row, name, value)
    to = approval.next_state(row)  # looks at the words and the media as they will be
    fields["due_at"] = due_at(row, preferences_of(profile), now) if to == State.SCHEDULED else None
    fields |= fingerprints.anew(row, is_void=is_void)  # what earlier attempts may have left is looked for first
    transitions.move(row, to, why=why, origin=Origin.PERSON, by=by, **fields)


def publication_reconcile(*, profile: Profile, publication: Publication, by: User | None) -> Job:
    """The job that asks Postiz about it now. Conflict (`wrong_state`) when there is nothing to ask about."""
    _need(publication, Action.RECONCILE)
    return reconcile.request(profile, publication, by=by)


def _locked(profile: Profile, publication: Publication, *, with_clip: bool = False) -> Publication:
    """Its row, locked until the transaction ends; `with_clip`: project and clip before it, in everybody's order."""
    if with_clip and publication.clip is not None:
        try:
            lock_project(profile=profile, project_id=publication.clip.project_id)
            lock_clip(profile=profile, clip_id=publication.clip.pk)
        except NotFound:
            raise Conflict("Its clip is in the trash: restore it first.", code="clip_gone") from None
    rows = Publication.objects.for_profile(profile).filter(pk=publication.pk)
    row: Publication | None = (
        rows.select_related("integration", "clip__project", "clip__file", "cover", "file")
        .select_for_update(of=("self",))
        .first()
    )
    if row is None:
        raise NotFound
    return row


def _need(row: Publication, action: Action) -> None:
    if action in possible(row):
        return
    if row.state in ON_ITS_WAY:
        raise Conflict(
            "It is being handed over this moment: wait until that has ended.", code="on_its_way", retry_after=30
        )
    if row.may_be_live:
        raise Conflict("It may be live all the same: look at the channel, and reconcile first.", code="may_be_live")
    label = State(row.state).label.lower()
    raise Conflict(f"This publication is {label}: {_CANT[action]}.", code="wrong_state")


_CANT = {
    Action.EDIT: "it can't be changed",
    Action.RESCHEDULE: "it can't be moved",
    Action.CANCEL: "there is nothing to cancel",
    Action.RETRY: "it can't be tried again",
    Action.RESEND: "it was not shown to be missing at Postiz",
    Action.RECONCILE: "there is nothing to ask Postiz about",
    Action.APPROVE: "it waits for no decision",
}
