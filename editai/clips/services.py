"""Writes about clips. The project's row is the lock for everything under it, taken before a job's or a clip's."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction

from editai.clips.models import Clip, ExportPreset
from editai.clips.recipes import MAX_VARIANTS, Plan, digest_of, plan_of
from editai.clips.render.spec import SpecError
from editai.clips.staleness import refresh
from editai.clips.users import Why, ask_before_change
from editai.projects.models import MAX_SECONDS, Project
from editai.projects.services import lock_project
from editai.projects.timeline import (
    SEGMENT_MISSING,
    SOURCE_NOT_READY,
    TRIMMED_AWAY,
    Placed,
    timeline_of,
    total_seconds,
)
from jobs import services as job_services
from jobs.models import ACTIVE, Job
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Profile, User
from profiles.trash import throw_away

RENDER = "render"  # the kind of job
_SAY = {
    SEGMENT_MISSING: "Segment {number} ({name}) is in the trash: restore it, or take it out of the project.",
    SOURCE_NOT_READY: "Segment {number} ({name}): its source is not ready to be rendered.",
    TRIMMED_AWAY: "Segment {number} ({name}): trimming leaves nothing of it.",
}


@dataclass(frozen=True)
class _Wanted:
    plan: Plan
    digest: str


def generate(
    *,
    profile: Profile,
    project: Project,
    by: User | None,
    preset: ExportPreset,
    quality: str,
    variant_count: int = 1,
    name: str = "",
) -> Job:
    """The job that makes `variant_count` clips of the project as it is now.

    A clip of the same recipe and preset is taken over instead of made again: a rendered one is not encoded twice, and
    one that is under way answers with its job. Conflict (`project_empty`, `segment_missing`, `source_not_ready`,
    `trimmed_away`), Invalid (`too_long`), TooMany.
    """
    if not 1 <= variant_count <= MAX_VARIANTS:
        raise Invalid(f"One to {MAX_VARIANTS} variants at once.", code="too_many_variants")
    with transaction.atomic():
        locked = lock_project(profile=profile, project_id=project.pk)
        placed = _renderable(locked)
        numbers = range(1, variant_count + 1)
        wanted = {number: _wanted(locked, placed, preset, quality, number) for number in numbers}
        known = _known_clips(locked, preset, [item.digest for item in wanted.values()])
        clips: list[Clip] = []
        for number, item in wanted.items():
            clip = known.get(item.digest)
            if clip is None:
                clip = _new_clip(locked, item, preset, quality, number, by, _name(name or locked.name, number, numbers))
            elif clip.variant != number:  # after the segments changed places: from now on it is judged as this variant
                clip.variant, clip.recipe = number, item.plan
                clip.save(update_fields=["variant", "recipe", "updated_at"])
                refresh(locked)
            clips.append(clip)
        return _start(profile, locked, clips, by)


def _name(base: str, number: int, numbers: Sequence[int]) -> str:
    return base if len(numbers) == 1 else f"{base[:190]} · {number}"


def _renderable(project: Project) -> list[Placed]:
    """The project's entries, all of which can be rendered."""
    placed = timeline_of(project)
    if not placed:
        raise Conflict("The project has no segments yet: add some first.", code="project_empty")
    for number, item in enumerate(placed, start=1):
        if item.problem:
            name = f"{item.source.name}, {item.segment}"
            raise Conflict(_SAY[item.problem].format(number=number, name=name), code=item.problem)
    seconds = total_seconds(placed)
    if seconds > MAX_SECONDS:
        raise Invalid(f"The segments come to {seconds:.1f} s; a clip has at most {MAX_SECONDS:.0f} s.", code="too_long")
    return placed


def _wanted(project: Project, placed: Sequence[Placed], preset: ExportPreset, quality: str, variant: int) -> _Wanted:
    plan = plan_of(project, placed, preset, quality, variant)
    try:
        return _Wanted(plan, digest_of(plan, {item.source.pk: item.source for item in placed}))
    except SpecError as error:
        raise Invalid(f"This can't be rendered: {error}.", code="not_renderable") from error


def _known_clips(project: Project, preset: ExportPreset, digests: Sequence[str]) -> dict[str, Clip]:
    """The project's clips of these recipes, locked; of several the oldest."""
    rows = Clip.objects.filter(project=project, preset=preset, recipe_hash__in=digests, trashed_at=None)
    found: dict[str, Clip] = {}
    for clip in rows.order_by("created_at", "pk").defer("recipe").select_for_update(of=("self",)):
        found.setdefault(clip.recipe_hash, clip)
    return found


def _new_clip(
    project: Project, item: _Wanted, preset: ExportPreset, quality: str, variant: int, by: User | None, name: str
) -> Clip:
    clip: Clip = Clip.objects.create(
        profile_id=project.profile_id,
        project=project,
        name=name,
        variant=variant,
        preset=preset,
        quality=quality,
        recipe=item.plan,
        recipe_hash=item.digest,
        created_by=by,
    )
    return clip


def _start(profile: Profile, project: Project, clips: Sequence[Clip], by: User | None) -> Job:
    """The job that sees to these clips: the one that is at all of them already, else a new one. Whoever uses a file
    that will be replaced is asked."""
    todo = [clip for clip in clips if not _is_rendered(clip)]
    ask_before_change(profile, [clip.pk for clip in todo if clip.file_id is not None], Why.RENDER)
    # a job that has given up on a clip may go on with others
    active = _active_jobs(profile, [clip for clip in todo if clip.state == Clip.State.QUEUED])
    mine = [clip.pk for clip in todo if clip.job_id not in active or clip.state == Clip.State.FAILED]
    if len(todo) == len(clips) and not mine and len(active) == 1:
        return next(iter(active.values()))
    # one clip: nothing else may render it meanwhile; several: the same order for the same clips is one job
    subject = clips[0].pk if len(clips) == 1 else uuid5(project.pk, ",".join(str(clip.pk) for clip in clips))
    job = job_services.enqueue(
        profile=profile,
        kind=RENDER,
        params={
            "project": str(project.pk),
            "clips": [{"id": str(clip.pk), "recipe_hash": clip.recipe_hash} for clip in clips],
        },
        subject=subject,
        by=by,
        recipe_hash=hashlib.sha256("".join(clip.recipe_hash for clip in clips).encode()).hexdigest(),
    )
    Clip.objects.filter(pk__in=mine).update(job=job, state=Clip.State.QUEUED, error=None)
    return job


def _active_jobs(profile: Profile, clips: Sequence[Clip]) -> dict[UUID, Job]:
    """Jobs of these clips that go on: queued or running, and nobody has asked them to stop."""
    ids = {clip.job_id for clip in clips if clip.job_id is not None}
    jobs = Job.objects.for_profile(profile).filter(pk__in=ids, status__in=ACTIVE, cancel_requested_at=None)
    return {job.pk: job for job in jobs}


def _is_rendered(clip: Clip) -> bool:
    """Whether its file is what was asked for."""
    return clip.file_id is not None and clip.rendered_hash == clip.recipe_hash


def clip_request_render(*, profile: Profile, clip: Clip, by: User | None) -> Job:
    """The job that renders the clip from its project as it is now; nothing is encoded when that changes nothing.

    An older render of the clip with another recipe is superseded. Raises like `generate`, and Conflict when somebody
    still uses the file that it would replace.
    """
    with transaction.atomic():
        project = lock_project(profile=profile, project_id=clip.project_id)
        locked = lock_clip(profile=profile, clip_id=clip.pk)
        placed = _renderable(project)
        item = _wanted(project, placed, locked.preset, locked.quality, locked.variant)
        if locked.recipe_hash != item.digest:
            locked.recipe, locked.recipe_hash = item.plan, item.digest
            locked.job = None  # what is under way is another recipe: it finds this out before it writes
            locked.save(update_fields=["recipe", "recipe_hash", "job", "updated_at"])
        if _is_rendered(locked) and locked.state != Clip.State.READY:
            locked.state, locked.error = Clip.State.READY, None
            locked.save(update_fields=["state", "error", "updated_at"])
        return _start(profile, project, [locked], by)


def lock_clip(*, profile: Profile, clip_id: UUID) -> Clip:
    """The clip's row, locked until the transaction ends; NotFound when it is in the trash."""
    rows = Clip.objects.for_profile(profile).filter(pk=clip_id, trashed_at=None).select_related("preset")
    clip: Clip | None = rows.select_for_update(of=("self",)).first()
    if clip is None:
        raise NotFound
    return clip


def clip_update(*, profile: Profile, clip: Clip, **changes: Any) -> Clip:
    """Renames or selects a clip."""
    for name, value in changes.items():
        setattr(clip, name, value)
    clip.save(update_fields=[*changes, "updated_at"])
    return clip


def clip_delete(*, profile: Profile, clip: Clip) -> None:
    """To the trash; a render of it stops. Conflict when somebody still uses it."""
    with transaction.atomic():
        lock_project(profile=profile, project_id=clip.project_id)
        throw_away(lock_clip(profile=profile, clip_id=clip.pk))


def stop_renders(profile: Profile, clips: Sequence[Clip]) -> None:
    """Cancels the jobs that make nothing but these clips."""
    ids = {str(clip.pk) for clip in clips}
    for job in _active_jobs(profile, clips).values():
        if {item["id"] for item in job.params["clips"]} <= ids and job.subject is not None:
            job_services.stop_all(profile=profile, subject=job.subject)


def project_changed(project: Project, may_refuse: bool) -> None:
    """What clips do when their project looks otherwise."""
    refresh(project, may_refuse=may_refuse)
