"""What a person can do with a publication as it stands: judged here, for the API's `actions` and for the services."""

from enum import StrEnum

from publishing.models.publication import Publication
from publishing.states import ON_ITS_WAY, State


class Action(StrEnum):
    EDIT = "edit"  # caption, first comment, settings, time
    RESCHEDULE = "reschedule"
    CANCEL = "cancel"
    RETRY = "retry"  # post it (again): nothing of it can be out
    RECONCILE = "reconcile"  # ask Postiz about it now
    RESEND = "resend"  # after it was proven that the first one did not arrive: a person's decision
    APPROVE = "approve"


# The error codes of an unconfirmed publication that Postiz does not have, as `publishing.tracking.reconcile` found.
PROVEN_ABSENT = frozenset({"absent"})

_BY_STATE: dict[State, tuple[Action, ...]] = {
    State.DRAFT: (Action.EDIT, Action.RESCHEDULE, Action.CANCEL, Action.RETRY),
    State.AWAITING_APPROVAL: (Action.EDIT, Action.RESCHEDULE, Action.CANCEL, Action.APPROVE),
    State.SCHEDULED: (Action.EDIT, Action.RESCHEDULE, Action.CANCEL),
    State.UPLOADING: (Action.CANCEL,),
    State.SUBMITTING: (),
    State.SUBMITTED: (Action.EDIT, Action.RESCHEDULE, Action.CANCEL, Action.RECONCILE),
    State.PUBLISHED: (),
    State.FAILED: (Action.RETRY, Action.RECONCILE),
    State.UNCONFIRMED: (Action.RECONCILE, Action.CANCEL, Action.RESEND),
    State.MISSED: (Action.EDIT, Action.RESCHEDULE, Action.CANCEL, Action.RETRY),
    State.CANCELLED: (),
    State.REMOVED: (),
}


_NEXT_STEPS: dict[State, str] = {
    State.DRAFT: "Finish it, then send it on its way.",
    State.AWAITING_APPROVAL: "Somebody with the right to approve has to decide.",
}


def next_step(publication: Publication) -> str:
    """Who has to do what about it; empty: nobody anything."""
    if publication.state in ON_ITS_WAY and publication.claimed_until is not None:
        return f"Wait: a worker has it until {publication.claimed_until:%H:%M} UTC at most; then it is looked for."
    told = str((publication.error or {}).get("next_step", ""))
    return told or _NEXT_STEPS.get(State(publication.state), "")


def possible(publication: Publication) -> list[Action]:
    """What can be done now, in the order in which it is worth offering."""
    return [action for action in _BY_STATE[State(publication.state)] if _makes_sense(publication, action)]


def _makes_sense(publication: Publication, action: Action) -> bool:
    match action:
        case Action.RETRY:
            # what may be live is never posted again under the same row: a repost says so, and is a new one
            return not publication.may_be_live and publication.clip_id is not None
        case Action.RECONCILE:
            return publication.fingerprint_at is not None and (
                publication.state != State.FAILED or publication.may_be_live
            )
        case Action.RESEND:
            return is_proven_absent(publication)
        case _:
            return True


def is_proven_absent(publication: Publication) -> bool:
    return bool(publication.error) and (publication.error or {}).get("code") in PROVEN_ABSENT
