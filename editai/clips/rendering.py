"""One clip within a job: claimed, rendered (or copied from a twin), stored, and put in place of what was there.

What is written is fenced twice: by the attempt's hold on the job, and by the recipe that the clip is wanted in now.
Lock order as everywhere: project, job, clip.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from editai.clips.covers import AREA as COVERS
from editai.clips.covers import frame_at
from editai.clips.models import Clip
from editai.clips.recipes import Plan, build
from editai.clips.render.facts import Facts, facts_of
from editai.clips.render.poster import poster as write_poster
from editai.clips.render.render import render
from editai.clips.staleness import refresh
from editai.clips.stills import still_of_clip
from editai.clips.users import Why, ask_before_change
from editai.projects.models import Project
from editai.projects.timeline import frame_indexes
from jobs.execution import Attempt, JobError
from jobs.models import Job, Status
from profiles.files import doom
from profiles.models import StoredFile
from segments.models import SourceVideo

T = TypeVar("T")
# What is left of a clip's share of the job after the renderer: the poster and storing.
_RENDERED = 0.96


class Claim(Enum):
    """What an attempt finds when it comes to a clip."""

    MINE = auto()  # render it
    DONE = auto()  # it is there already
    ELSEWHERE = auto()  # another running job is at it
    UNWANTED = auto()  # deleted, or wanted in another recipe by now


@dataclass(frozen=True)
class _Made:
    """A finished clip in the store, and what was measured on it."""

    file: StoredFile
    poster: StoredFile
    duration_seconds: float
    lufs: float | None
    true_peak: float | None
    facts: Facts


@dataclass(frozen=True)
class _Cover:
    """The picture of a new file that takes the place of the one of the old file at `wanted` seconds: taken at `taken`
    seconds, or None when the clip has become too short for it."""

    wanted: float
    taken: float | None = None
    file: StoredFile | None = None


def _commit(attempt: Attempt, clip_id: UUID, write: Callable[[Clip | None], T]) -> T:
    """Runs `write` with the clip locked (None when it is gone), under the project's lock and the attempt's fence."""
    project_id = Clip.objects.filter(pk=clip_id).values_list("project", flat=True).first()
    with transaction.atomic():
        if project_id is not None:
            Project.objects.filter(pk=project_id).select_for_update(of=("self",)).first()

        def locked() -> T:
            rows = Clip.objects.filter(pk=clip_id, trashed_at=None).select_for_update(of=("self",))
            return write(rows.first())

        result: T = attempt.commit(locked)
        return result


def claim(attempt: Attempt, clip_id: UUID, digest: str) -> Claim:
    """Takes a clip for this job. Raises Cancelled, LeaseLost."""

    def take(clip: Clip | None) -> Claim:
        if clip is None or clip.recipe_hash != digest:
            return Claim.UNWANTED
        if clip.file_id is not None and clip.rendered_hash == digest:
            if clip.state != Clip.State.READY:
                clip.state, clip.error = Clip.State.READY, None
                clip.save(update_fields=["state", "error", "updated_at"])
            return Claim.DONE
        others = Job.objects.filter(pk=clip.job_id, status=Status.RUNNING).exclude(pk=attempt.job.pk)
        if clip.job_id is not None and clip.state == Clip.State.QUEUED and others.exists():
            return Claim.ELSEWHERE
        clip.job, clip.state, clip.error = attempt.job, Clip.State.QUEUED, None
        clip.save(update_fields=["job", "state", "error", "updated_at"])
        return Claim.MINE

    return _commit(attempt, clip_id, take)


def render_clip(attempt: Attempt, clip_id: UUID, digest: str, span: tuple[float, float], which: str) -> None:
    """Makes the clip and puts it in place. Raises JobError, RenderError, FfmpegError, StorageFull, Cancelled,
    LeaseLost."""
    clip = Clip.objects.filter(pk=clip_id).first()
    if clip is None:
        return
    made = _copy_of_twin(attempt, clip, digest) or _rendered(attempt, clip.recipe, span, which)
    while not _commit(attempt, clip_id, partial(_put_in_place, digest, made, _new_cover(attempt, clip, made))):
        attempt.check()  # another moment was chosen for the cover meanwhile


def _new_cover(attempt: Attempt, clip: Clip, made: _Made) -> _Cover | None:
    """The cover again out of the new file, if it is a picture of the clip."""
    of_frame = Clip.objects.filter(pk=clip.pk, cover_source=Clip.CoverSource.FRAME)
    wanted = of_frame.values_list("cover_at_seconds", flat=True).first()
    if wanted is None:
        return None
    if wanted >= made.duration_seconds:
        return _Cover(wanted)
    rate = made.facts["video"]["frame_rate"]
    frame, out = frame_at(wanted, rate), attempt.scratch / "cover.jpg"
    with attempt.local(made.file) as path:
        still_of_clip(path, frame, rate, out, run=attempt.ffmpeg)
    return _Cover(wanted, round(frame / rate, 6), attempt.store(out, COVERS, ".jpg"))


def _copy_of_twin(attempt: Attempt, clip: Clip, digest: str) -> _Made | None:
    """A copy of another clip of the same recipe (in another project, say, or for another network), if there is one."""
    twins = Clip.objects.filter(profile_id=attempt.profile_id, rendered_hash=digest).exclude(pk=clip.pk)
    stored = twins.filter(file__state=StoredFile.State.STORED, poster__state=StoredFile.State.STORED)
    twin = stored.select_related("file", "poster").first()
    if twin is None or twin.file is None or twin.poster is None or twin.duration_seconds is None:
        return None
    attempt.report("Copying a clip of the same recipe")
    copies = {"clip.mp4": twin.file, "poster.jpg": twin.poster}
    try:
        for name, file in copies.items():
            with attempt.local(file) as path:
                shutil.copyfile(path, attempt.scratch / name)
    except FileNotFoundError:  # the twin is being deleted
        return None
    copy = attempt.scratch / "clip.mp4"
    facts = twin.media or facts_of(copy, should_stop=attempt.should_stop, on_usage=attempt.count)
    measured = (twin.duration_seconds, twin.loudness_lufs, twin.true_peak_dbtp, facts)
    return _store(attempt, copy, attempt.scratch / "poster.jpg", measured)


def _rendered(attempt: Attempt, plan: Plan, span: tuple[float, float], which: str) -> _Made:
    folder = attempt.scratch / "render"
    shutil.rmtree(folder, ignore_errors=True)  # of a variant that failed
    folder.mkdir(mode=0o700)
    first, last = span

    def report(step: str, fraction: float) -> None:
        attempt.check()
        attempt.report(f"{step}{f' (clip{which})' if which else ''}", first + (last - first) * _RENDERED * fraction)

    with ExitStack() as stack:
        recipe = build(plan, *_sources(attempt, plan, stack))
        out = attempt.scratch / "clip.mp4"
        found = render(recipe, out, folder, run=attempt.ffmpeg, report=report)
    shutil.rmtree(folder)
    picture = attempt.scratch / "poster.jpg"
    write_poster(out, picture, duration_seconds=found.duration_seconds, run=attempt.ffmpeg)
    attempt.report("Storing the clip", first + (last - first) * 0.98)
    return _store(attempt, out, picture, (found.duration_seconds, found.lufs, found.true_peak, found.facts))


def _store(attempt: Attempt, clip: Path, picture: Path, facts: Sequence[Any]) -> _Made:
    return _Made(attempt.store(clip, "clips", ".mp4"), attempt.store(picture, "posters", ".jpg"), *facts)


def _sources(attempt: Attempt, plan: Plan, stack: ExitStack) -> tuple[Any, Any, Any]:
    """Rows, local paths (for as long as `stack` is open) and frame times of the sources of a plan."""
    ids = {UUID(item["source"]) for item in plan["entries"]}
    rows = SourceVideo.objects.filter(pk__in=ids).select_related("original").defer("frame_index")
    sources = {row.pk: row for row in rows}
    frames = frame_indexes(ids)
    paths = {}
    for source_id in ids:
        source = sources.get(source_id)
        if source is None or source.original is None or source_id not in frames:
            raise JobError("source_missing", "A source of this clip has been deleted.", next_step="Edit the project.")
        try:
            paths[source_id] = stack.enter_context(attempt.local(source.original))
        except FileNotFoundError as error:
            raise JobError(
                "source_missing",
                f"The file of the source {source.name} is not in the store.",
                next_step="Upload it again.",
            ) from error
    return sources, paths, frames


def _put_in_place(digest: str, made: _Made, cover: _Cover | None, clip: Clip | None) -> bool:
    """False when the cover is not the one that is wanted by now: make that first."""
    prepared = cover.file if cover else None
    if clip is None or clip.recipe_hash != digest:  # deleted, or wanted otherwise: this one is nobody's
        doom([made.file, made.poster, prepared])
        return True
    if clip.cover_source != Clip.CoverSource.IMAGE and clip.cover_at_seconds != (cover.wanted if cover else None):
        doom([prepared])
        return False
    if clip.file_id is not None:
        # queued when nobody used the file; since then the edit may have been undone and a post of the file planned
        ask_before_change(clip.profile, [clip.pk], Why.RENDER)
    old = [clip.file, clip.poster]
    clip.file, clip.poster = made.file, made.poster
    clip.state, clip.error, clip.rendered_hash = Clip.State.READY, None, digest
    clip.duration_seconds = made.duration_seconds
    clip.loudness_lufs, clip.true_peak_dbtp = made.lufs, made.true_peak
    clip.media = made.facts
    if clip.cover_source == Clip.CoverSource.FRAME and cover is not None:
        old.append(clip.cover)
        clip.cover, clip.cover_at_seconds = cover.file, cover.taken
        clip.cover_source = Clip.CoverSource.FRAME if cover.file else ""
    elif prepared is not None:  # a picture was uploaded meanwhile
        old.append(prepared)
    clip.rendered_at = timezone.now()
    clip.save()
    doom(old)
    refresh(clip.project, may_refuse=False)  # the other clips of the project are not what this render is about
    return True


def mark_failed(attempt: Attempt, item: Mapping[str, str], error: Mapping[str, Any]) -> None:
    """Says on the clip why it did not come out; a file from before stays."""

    def write(clip: Clip | None) -> None:
        if clip is not None and clip.recipe_hash == item["recipe_hash"] and clip.rendered_hash != clip.recipe_hash:
            clip.state, clip.error = Clip.State.FAILED, dict(error)
            clip.save(update_fields=["state", "error", "updated_at"])

    _commit(attempt, UUID(item["id"]), write)
