"""Jobs of publishing, and its periodic work; beat sends the latter."""

from uuid import UUID

from celery import shared_task

import publishing.renditions.tasks  # noqa: F401 - registers its kind of job
from editai.clips.models import Clip
from jobs.execution import Attempt, JobError, Outcome
from jobs.registry import job_kind
from publishing import periodic
from publishing.delivery import handing_over, uploads
from publishing.models import Publication
from publishing.states import State
from publishing.tracking import reconcile, sync, take_back

QUEUE = "publish"


def _ids(attempt: Attempt) -> list[UUID] | None:
    given = attempt.params.get("publication_ids")
    return None if given is None else [UUID(str(pk)) for pk in given]


@job_kind(handing_over.PUBLISH, task_name="publish_clip_task", queue=QUEUE, priority=10, label="Publishing a clip")
def run_publish(attempt: Attempt) -> Outcome:
    """Hands over the posts of one clip as far as they are due."""
    done = handing_over.hand_over_due(profile=attempt.profile, attempt=attempt, only=_ids(attempt))
    return Outcome(done.as_result())


@job_kind(handing_over.BULK, task_name="bulk_publish_task", queue=QUEUE, priority=30, label="Publishing clips")
def run_bulk(attempt: Attempt) -> Outcome:
    """Hands over the posts of a batch as far as they are due; without any named, whatever of the profile is due."""
    done = handing_over.hand_over_due(profile=attempt.profile, attempt=attempt, only=_ids(attempt))
    return Outcome(done.as_result())


@job_kind(uploads.KIND, task_name="upload_clip_task", queue=QUEUE, priority=40, label="Uploading a clip to Postiz")
def run_upload(attempt: Attempt) -> Outcome:
    """Uploads a clip ahead of its posts."""
    clip = Clip.objects.for_profile(attempt.profile).select_related("file").filter(pk=attempt.params["clip_id"]).first()
    if clip is None or clip.file is None or clip.trashed_at is not None:
        raise JobError("clip_deleted", "The clip was deleted.")
    media = uploads.upload_file(attempt, clip.file)
    return Outcome({"clip_id": str(clip.pk), "media": {"id": media.id, "path": media.path}})


@job_kind(take_back.KIND, task_name="take_back_task", queue=QUEUE, priority=0, label="Taking a post back")
def run_take_back(attempt: Attempt) -> Outcome:
    """Takes a post back from Postiz, to cancel or to change it."""
    publication = _publication(attempt)
    then, changes = attempt.params["then"], attempt.params["changes"]
    take_back.take_back(publication, then=then, changes=changes, by=attempt.job.created_by)
    return Outcome({"publication_id": str(publication.pk), "state": str(publication.state)})


@job_kind(reconcile.KIND, task_name="reconcile_task", queue=QUEUE, priority=5, label="Asking Postiz about a post")
def run_reconcile(attempt: Attempt) -> Outcome:
    """Asks Postiz about one publication now."""
    publication = _publication(attempt)
    is_askable = publication.state in {State.SUBMITTED, State.UNCONFIRMED, State.FAILED}
    if is_askable and publication.fingerprint_at is not None and not sync.check(attempt.profile, [publication]):
        raise JobError("postiz_unavailable", "Postiz can't be asked right now; it is asked again by itself.", True)
    fresh = _publication(attempt)
    return Outcome({"publication_id": str(fresh.pk), "state": str(fresh.state), "error": fresh.error})


def _publication(attempt: Attempt) -> Publication:
    rows = Publication.objects.for_profile(attempt.profile).select_related("integration", "profile", "file", "cover")
    found: Publication | None = rows.filter(pk=attempt.params["publication_id"]).first()
    if found is None:
        raise JobError("not_found", "This publication is not there any more.")
    return found


@shared_task(name="publishing.due", ignore_result=True)
def hand_over_due() -> None:
    """Starts jobs for posts that are due; sees to those of dead workers and those that missed their time."""
    periodic.due_everywhere()


@shared_task(name="publishing.sync", ignore_result=True)
def sync_due() -> None:
    """Asks Postiz about posts whose time to be asked about has come; ends batches."""
    periodic.sync_everywhere()
