"""Writes about sources: receiving, describing, preparing again, throwing away."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db import transaction

from costs.storage.quota import check_upload
from jobs.models import ACTIVE, Job, Status
from jobs.services import enqueue, job_retry
from profiles import files, trash
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Profile, StoredFile, User
from profiles.tenancy import new_id
from segments.dependants import Dependant, dependants_of
from segments.labels import searchable
from segments.models import SourceVideo
from segments.probe import MESSAGES
from segments.selectors import FAILED, INGEST, described, segment_ids_of, state_of
from segments.sniff import SNIFF_BYTES, sniff

AREA = "sources"
ORIGINAL_SUFFIX = ".original"  # no type of its own: what people upload is never shown inline
MAX_NAME = 200
MAX_FILE_NAME = 255
USAGE_LIMIT = 100
_SOUND_FAMILIES = {"mp3", "wav", "flac", "aac"}  # containers that cannot hold a film

Once = Callable[[Callable[[], Job]], Job]


@dataclass(frozen=True)
class Upload:
    """A received file on disk: `path` will be moved away; `sha256` in hex; `file_name` as its owner called it."""

    path: Path
    sha256: str
    file_name: str


def check_is_video(path: Path) -> None:
    """Invalid, with a code, for what its size and first bytes show to be no video. The file name plays no part."""
    with path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
    family = sniff(head)
    if not head:
        raise _refused("zero_length")
    if family is None:
        raise _refused("not_a_video")
    if family in _SOUND_FAMILIES:
        raise _refused("no_video_stream")


def _refused(code: str) -> Invalid:
    return Invalid(MESSAGES[code], code=code, fields={"video": [MESSAGES[code]]})


def source_receive(
    *, profile: Profile, by: User | None, upload: Upload, once: Once, name: str = "", description: str = ""
) -> SourceVideo:
    """Keeps an uploaded video and queues its ingest; `once` wraps the start (idempotency keys).

    The file is moved into the store first; the row and the job come in one transaction. If that fails (as TooLarge:
    another upload took the room meanwhile), or if the same request was here before, the file goes again.
    """
    check_is_video(upload.path)
    stored = files.store(profile=profile, path=upload.path, area=AREA, suffix=ORIGINAL_SUFFIX, sha256=upload.sha256)
    try:
        job = once(lambda: _source_create(profile, by, stored, upload.file_name, name, description))
        source = source_of(profile, job)
    except BaseException:
        _drop(stored)
        raise
    if source.original_id != stored.pk:
        _drop(stored)
    return source


def _drop(stored: StoredFile) -> None:
    with transaction.atomic():
        files.doom([stored])


def source_of(profile: Profile, job: Job) -> SourceVideo:
    """The source that an ingest job prepares, as it is shown; NotFound when it has gone."""
    rows = described(SourceVideo.objects.for_profile(profile).filter(trashed_at=None))
    source: SourceVideo | None = rows.filter(pk=job.subject).first()
    if source is None:
        raise NotFound
    return source


def _source_create(
    profile: Profile, by: User | None, stored: StoredFile, file_name: str, name: str, description: str
) -> Job:
    file_name = _tidy(file_name)[:MAX_FILE_NAME]
    name = (_tidy(name) or _tidy(Path(file_name).stem) or "Untitled")[:MAX_NAME]
    source = SourceVideo.objects.create(
        id=new_id(),
        profile=profile,
        name=name,
        description=description,
        file_name=file_name,
        search_text=searchable(name, description, file_name),
        size=stored.size,
        sha256=stored.sha256,
        original=stored,
        created_by=by,
    )
    job = _queue_ingest(source, by)
    check_upload(profile, stored)
    return job


def _queue_ingest(source: SourceVideo, by: User | None) -> Job:
    params = {"source_video_id": str(source.pk)}
    return enqueue(profile=source.profile, kind=INGEST, params=params, subject=source.pk, by=by)


def _tidy(text: str) -> str:
    """One line of visible characters: control characters and those that turn the writing round are left away."""
    return " ".join("".join(char if char.isprintable() or char.isspace() else " " for char in text).split())


def source_update(*, profile: Profile, source_id: UUID, changes: dict[str, Any]) -> None:
    """Changes name or description."""
    with transaction.atomic():
        source = _locked(profile, source_id)
        for name, value in changes.items():
            setattr(source, name, value)
        source.search_text = searchable(source.name, source.description, source.file_name)
        source.save(update_fields=[*changes, "search_text", "updated_at"])


def source_retry(*, profile: Profile, source_id: UUID, by: User | None, once: Once) -> Job:
    """Queues the ingest again; steps that were finished are not repeated. Conflict unless it has failed, or its light
    copy was freed."""

    def start() -> Job:
        _locked(profile, source_id)
        source = described(SourceVideo.objects.for_profile(profile)).get(pk=source_id)
        if state_of(source) != FAILED and not source.is_without_proxy:
            raise Conflict("This footage is not in the state failed.", code="not_failed")
        jobs = Job.objects.for_profile(profile).filter(kind=INGEST, subject=source_id)
        last = jobs.order_by("-created_at", "-id").first()
        if last is not None and last.status in ACTIVE:  # at the light copy already
            return last
        if last is not None and last.status != Status.SUCCEEDED:
            return job_retry(profile=profile, job=last, by=by)
        return _queue_ingest(source, by)

    return once(start)


def source_delete(*, profile: Profile, source: SourceVideo) -> None:
    """Puts a source and its segments into the trash; work on them stops."""
    trash.throw_away(source)


def source_usage(*, profile: Profile, source: SourceVideo) -> tuple[int, list[Dependant]]:
    """How many segments a source has outside the trash, and what depends on any of them."""
    alive = source.segments.filter(trashed_at=None).count()
    return alive, dependants_of(profile, segment_ids_of(source), USAGE_LIMIT)


def ingest_again(source: SourceVideo) -> None:
    """After a restore: goes on with what the trash had stopped."""
    if source.state != SourceVideo.State.READY:
        _queue_ingest(source, None)


def _locked(profile: Profile, source_id: UUID) -> SourceVideo:
    rows = SourceVideo.objects.for_profile(profile).filter(pk=source_id, trashed_at=None).defer("frame_index")
    source: SourceVideo | None = rows.select_for_update(of=("self",), no_key=True).first()
    if source is None:
        raise NotFound
    return source
