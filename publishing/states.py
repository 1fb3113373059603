"""The states of a publication, and which may follow which. The database refuses every other step (`state_guard`)."""

from django.db import models


class State(models.TextChoices):
    """Where a publication stands. What EditAI cannot know it says: `unconfirmed`."""

    DRAFT = "draft", "Draft"
    AWAITING_APPROVAL = "awaiting_approval", "Waiting for approval"
    SCHEDULED = "scheduled", "Scheduled"
    UPLOADING = "uploading", "Being uploaded"
    SUBMITTING = "submitting", "Being handed over"
    SUBMITTED = "submitted", "Handed over"
    PUBLISHED = "published", "Published"
    FAILED = "failed", "Failed"
    UNCONFIRMED = "unconfirmed", "Not confirmed"
    MISSED = "missed", "Missed"
    CANCELLED = "cancelled", "Cancelled"
    REMOVED = "removed", "Removed"


S = State

ALLOWED: dict[State, frozenset[State]] = {
    S.DRAFT: frozenset({S.AWAITING_APPROVAL, S.SCHEDULED, S.CANCELLED}),
    S.AWAITING_APPROVAL: frozenset({S.SCHEDULED, S.DRAFT, S.MISSED, S.CANCELLED}),
    S.SCHEDULED: frozenset({S.UPLOADING, S.AWAITING_APPROVAL, S.DRAFT, S.FAILED, S.MISSED, S.CANCELLED}),
    # nothing has been sent yet: it may go back
    S.UPLOADING: frozenset({S.SCHEDULED, S.SUBMITTING, S.PUBLISHED, S.FAILED, S.MISSED, S.CANCELLED}),
    # back only when surely nothing was sent, or the other side said no
    S.SUBMITTING: frozenset({S.SUBMITTED, S.SCHEDULED, S.FAILED, S.UNCONFIRMED}),
    # back after it was taken back for certain
    S.SUBMITTED: frozenset(
        {S.PUBLISHED, S.FAILED, S.UNCONFIRMED, S.REMOVED, S.SCHEDULED, S.AWAITING_APPROVAL, S.DRAFT, S.CANCELLED}
    ),
    S.UNCONFIRMED: frozenset(
        {S.SUBMITTED, S.PUBLISHED, S.FAILED, S.REMOVED, S.SCHEDULED, S.AWAITING_APPROVAL, S.CANCELLED}
    ),
    S.MISSED: frozenset({S.SCHEDULED, S.AWAITING_APPROVAL, S.CANCELLED}),
    # an error may turn out to have been none; a retry is a person's decision
    S.FAILED: frozenset({S.SCHEDULED, S.AWAITING_APPROVAL, S.PUBLISHED, S.UNCONFIRMED}),
    S.PUBLISHED: frozenset({S.REMOVED}),
    S.CANCELLED: frozenset(),
    S.REMOVED: frozenset({S.PUBLISHED}),
}

FINAL = frozenset({S.PUBLISHED, S.FAILED, S.CANCELLED, S.REMOVED})
OPEN = frozenset(State) - FINAL  # at most one such publication of a clip for each integration
IN_HAND = frozenset({S.DRAFT, S.AWAITING_APPROVAL, S.SCHEDULED, S.MISSED})  # nothing of it is outside: free to change
ON_ITS_WAY = frozenset({S.UPLOADING, S.SUBMITTING})  # a worker holds it this moment
OUTSIDE = frozenset({S.SUBMITTED, S.UNCONFIRMED})  # it is, or may be, at Postiz
# What keeps its clip from changing: a post of it may still come. A draft, or one that was missed, is only an intention.
TO_COME = frozenset({S.AWAITING_APPROVAL, S.SCHEDULED}) | ON_ITS_WAY | OUTSIDE
