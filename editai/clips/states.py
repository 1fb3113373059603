"""What a clip's state is to people: its row says what it came to, its job how it is getting there."""

from typing import Any

from django.db.models import Q

from editai.clips.models import Clip
from jobs.models import Status

Shown = Clip.ShownState
_CANCELLED = {
    "code": "cancelled",
    "message": "The render was cancelled.",
    "retryable": True,
    "next_step": "Render the clip again.",
}
_ABANDONED = {
    "code": "not_rendered",
    "message": "The job that was to make this clip is gone.",
    "retryable": True,
    "next_step": "Render the clip again.",
}
_FREED = {
    "code": "file_freed",
    "message": "The file of this clip was freed to make room.",
    "retryable": True,
    "next_step": "Render the clip again: it comes out as its project is now.",
}


def shown_state(clip: Clip) -> tuple[Clip.ShownState, dict[str, Any] | None]:
    """(state, error or None). A query unless `clip.job` is loaded."""
    if clip.state == Clip.State.READY:
        return Shown.READY, None
    if clip.state == Clip.State.FAILED:
        return Shown.FAILED, clip.error
    if clip.state == Clip.State.FREED:
        return Shown.FREED, _FREED
    job = clip.job
    if job is None:
        return Shown.FAILED, _ABANDONED
    if job.status == Status.QUEUED:
        return Shown.QUEUED, None
    if job.status == Status.RUNNING:
        return Shown.RENDERING, None
    if job.status == Status.CANCELLED and clip.file_id is not None:
        return Shown.READY, None  # the file from before, as good (or stale) as it was
    return Shown.FAILED, (_CANCELLED if job.status == Status.CANCELLED else job.error) or _ABANDONED


def in_state(state: str) -> Q:
    """The clips whose `shown_state` is `state`."""
    waiting = Q(state=Clip.State.QUEUED)
    kept = waiting & Q(job__status=Status.CANCELLED, file__isnull=False)
    conditions = {
        Shown.QUEUED: waiting & Q(job__status=Status.QUEUED),
        Shown.RENDERING: waiting & Q(job__status=Status.RUNNING),
        Shown.READY: Q(state=Clip.State.READY) | kept,
        Shown.FREED: Q(state=Clip.State.FREED),
        Shown.FAILED: Q(state=Clip.State.FAILED)
        | waiting & Q(job__isnull=True)
        | waiting & Q(job__status__in=[Status.FAILED, Status.NEEDS_ATTENTION, Status.SUCCEEDED])
        | waiting & Q(job__status=Status.CANCELLED, file__isnull=True),
    }
    return conditions[Shown(state)]
