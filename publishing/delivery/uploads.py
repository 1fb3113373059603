"""Files to Postiz: each once for a profile, whatever the number of its posts and workers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from editai.clips.models import Clip
from jobs import services as jobs
from jobs.execution import Attempt, JobError
from jobs.models import Job
from profiles import files
from profiles.errors import Conflict
from profiles.models import Profile, StoredFile, User
from publishing.channels import health, integrations
from publishing.channels.connections import postiz_of
from publishing.delivery.claims import LEASE
from publishing.models import MediaUpload, PostizAccount
from publishing.postiz.client import Postiz
from publishing.postiz.errors import PostizError, Stopped
from publishing.postiz.replies import Media

KIND = "upload_clip"
LOOK_AGAIN = timedelta(seconds=5)
_BEAT = timedelta(seconds=10)
_LONGEST_ID, _LONGEST_PATH = 200, 1000


class Elsewhere(Exception):
    """Another worker uploads this very file; `again` is when to look."""

    def __init__(self) -> None:
        super().__init__("Another worker uploads this file.")
        self.again = timezone.now() + LOOK_AGAIN


@dataclass
class Watch:
    """What hears of an upload: `alive` at least every ten seconds while bytes flow (it may raise to stop it), `tell`
    with the share that is done (0 to 1), `should_stop` often."""

    alive: Callable[[], None] = lambda: None
    tell: Callable[[float], None] = lambda share: None
    should_stop: Callable[[], bool] = lambda: False


def ensure(
    *, profile: Profile, account: PostizAccount, postiz: Postiz, file: StoredFile, watch: Watch, by: User | None = None
) -> Media:
    """The file at Postiz: as it was uploaded before, or uploaded now. Call it outside any transaction.

    Raises Elsewhere, the errors of `Postiz.upload`, what `watch` raises, and FileNotFoundError.
    """
    known = known_media(profile, account, file)
    if known is not None:
        return known
    row = _claim(profile, account, file, by)
    try:
        media = _upload(row, postiz, file, watch)
    except BaseException:
        MediaUpload.objects.filter(pk=row.pk, claim=row.claim, state=MediaUpload.State.UPLOADING).delete()
        raise
    _done(row, media)
    return media


def known_media(profile: Profile, account: PostizAccount, file: StoredFile) -> Media | None:
    rows = MediaUpload.objects.for_profile(profile).filter(base_url=account.base_url, sha256=file.sha256)
    row: MediaUpload | None = rows.filter(state=MediaUpload.State.UPLOADED).first()
    return Media(row.media_id, row.media_path) if row else None


def _claim(profile: Profile, account: PostizAccount, file: StoredFile, by: User | None) -> MediaUpload:
    """The row of an upload, held by this worker; Elsewhere while another holds it."""
    now = timezone.now()
    row = MediaUpload(
        profile=profile,
        base_url=account.base_url,
        sha256=file.sha256,
        claim=uuid4(),
        claimed_until=now + LEASE,
        size=file.size,
        by=by,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return _take_over(row, now)
    return row


def _take_over(wanted: MediaUpload, now: datetime) -> MediaUpload:
    """The row of a worker that is gone."""
    same = MediaUpload.objects.filter(
        profile_id=wanted.profile_id, base_url=wanted.base_url, sha256=wanted.sha256, state=MediaUpload.State.UPLOADING
    )
    if not same.filter(claimed_until__lt=now).update(claim=wanted.claim, claimed_until=wanted.claimed_until):
        raise Elsewhere
    row: MediaUpload | None = same.filter(claim=wanted.claim).first()
    if row is None:
        raise Elsewhere
    return row


def _upload(row: MediaUpload, postiz: Postiz, file: StoredFile, watch: Watch) -> Media:
    last_beat = timezone.now()

    def on_progress(sent: int, size: int) -> None:
        nonlocal last_beat
        watch.tell(sent / size if size else 1.0)
        now = timezone.now()
        if now - last_beat >= _BEAT or sent >= size:  # after the last byte comes the longest wait
            last_beat = now
            _renew(row.pk, row.claim)
            watch.alive()

    with files.local_path(file) as path:
        return postiz.upload(path, name=_name(file), on_progress=on_progress, should_stop=watch.should_stop)


def _renew(pk: UUID, claim: UUID | None) -> None:
    """A lost claim is no reason to stop: a second copy at Postiz is harmless."""
    MediaUpload.objects.filter(pk=pk, claim=claim).update(claimed_until=timezone.now() + LEASE)


def _name(file: StoredFile) -> str:
    """Says nothing but what it is; Postiz gives it a name of its own."""
    return f"{file.sha256[:16]}{Path(file.key).suffix}"


def _done(row: MediaUpload, media: Media) -> None:
    if len(media.id) > _LONGEST_ID or len(media.path) > _LONGEST_PATH:
        MediaUpload.objects.filter(pk=row.pk, claim=row.claim).delete()  # it can be used, and is not remembered
        return
    MediaUpload.objects.filter(pk=row.pk, claim=row.claim).update(
        state=MediaUpload.State.UPLOADED, media_id=media.id, media_path=media.path, claim=None, claimed_until=None
    )


def request_upload(*, profile: Profile, clip: Clip, by: User | None) -> Job:
    """The job that uploads a clip ahead of its posts. Conflict (`clip_not_ready`, `clip_stale`)."""
    if clip.file is None or clip.state != Clip.State.READY:
        raise Conflict("This clip is not rendered yet.", code="clip_not_ready")
    if clip.is_stale:
        raise Conflict("This clip is out of date: render it anew first.", code="clip_stale")
    return jobs.enqueue(
        profile=profile,
        kind=KIND,
        params={"clip_id": str(clip.pk)},
        subject=clip.pk,
        by=by,
        recipe_hash=clip.file.sha256,
    )


def upload_file(attempt: Attempt, file: StoredFile) -> Media:
    """The body of that job: `file` at the profile's Postiz. Raises JobError."""
    profile = attempt.profile
    account = integrations.ensure_account(profile)
    if account is None:
        raise JobError("postiz_not_connected", "No Postiz is connected: enter its address and API key.")
    watch = Watch(tell=lambda share: attempt.report("Uploading", share), should_stop=attempt.should_stop)
    try:
        postiz = postiz_of(profile, retries=1)
        return ensure(
            profile=profile, account=account, postiz=postiz, file=file, watch=watch, by=attempt.job.created_by
        )
    except Elsewhere as error:
        raise JobError("upload_elsewhere", str(error), True) from error
    except Stopped:
        attempt.check()
        raise
    except FileNotFoundError as error:
        raise JobError("clip_changed", "The clip's file is not there any more.") from error
    except PostizError as error:
        health.note_trouble(account, error)
        raise JobError(error.code, error.message, error.retryable, error.next_step) from error
