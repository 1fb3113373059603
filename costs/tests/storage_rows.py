"""A brand with files of every kind, written without any encoding, and what is needed to tell what became of them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.utils import timezone

from editai.clips import services
from editai.clips.models import Clip, ExportPreset
from editai.projects.models import Project
from editai.projects.tests import builders
from jobs.models import Job
from profiles import files, storage, trash
from profiles.models import Profile, StoredFile
from publishing.models import OutboxItem, Publication, Rendition, ReviewLink
from publishing.states import State
from publishing.tests.builders import make_publication
from segments.models import Segment, SourceVideo

SIZE = 10  # bytes of each stored file


def store(profile: Profile, folder: Path, suffix: str = ".mp4", size: int = SIZE) -> StoredFile:
    path = folder / f"made{suffix}"
    path.write_bytes(uuid4().bytes * (size // 16 + 1))
    with path.open("r+b") as file:
        file.truncate(size)
    return files.store(profile=profile, path=path, area="test", suffix=suffix)


def make_source(profile: Profile, folder: Path, name: str = "Beach", **values: Any) -> SourceVideo:
    """Ready, with an original and all that is made of it."""
    made = {name: store(profile, folder, ".jpg") for name in ("poster", "filmstrip", "waveform")}
    original, proxy = store(profile, folder, ".original"), store(profile, folder)
    source = builders.make_source(profile, name, **{**made, "original": original, "proxy": proxy, **values})
    StoredFile.objects.for_profile(profile).filter(size=0).delete()  # the builder's own proxy, which nothing points to
    return source


def make_clips(project: Project, folder: Path, count: int) -> list[Clip]:
    """Clips that were rendered from the project as it is, each with a file, a poster and a cover."""
    profile = project.profile
    preset = ExportPreset.objects.get(pk="tiktok")
    services.generate(profile=profile, project=project, by=None, preset=preset, quality="draft", variant_count=count)
    Job.objects.for_profile(profile).filter(kind="render").delete()
    clips = list(Clip.objects.for_profile(profile).filter(project=project).order_by("variant"))
    for clip in clips:
        clip.refresh_from_db()
        clip.file, clip.poster = store(profile, folder), store(profile, folder, ".jpg")
        clip.cover, clip.cover_source = store(profile, folder, ".jpg"), Clip.CoverSource.IMAGE
        clip.state, clip.rendered_hash, clip.duration_seconds = Clip.State.READY, clip.recipe_hash, 6.0
        clip.save()
    return clips


def make_rendition(clip: Clip, folder: Path, network: str = "youtube") -> Rendition:
    assert clip.file is not None
    file = store(clip.profile, folder)
    row: Rendition = Rendition.objects.create(
        profile=clip.profile, clip=clip, network=network, made_from=clip.file.sha256, file=file, media={}
    )
    return row


def make_post(clip: Clip, state: State) -> Publication:
    """A publication that has come to `state` by the steps that are allowed."""
    post = make_publication(clip.profile, clip=clip, state=state if state in _FIRST else State.SCHEDULED)
    held = {"claim": uuid4(), "claimed_until": timezone.now() + timedelta(hours=1)}
    free = {"claim": None, "claimed_until": None, "error": {"code": "x"}}
    rows = Publication.objects.filter(pk=post.pk)
    if state in {State.UPLOADING, State.PUBLISHED}:
        rows.update(state=State.UPLOADING, **held)
    if state not in {*_FIRST, State.UPLOADING}:
        rows.update(state=state, **free)
    return post


_FIRST = {State.DRAFT, State.AWAITING_APPROVAL, State.SCHEDULED}


@dataclass
class Full:
    """`may_go`: the files that free-up may take, by kind."""

    profile: Profile
    source: SourceVideo
    clips: dict[str, Clip]
    may_go: dict[str, set[Any]] = field(default_factory=dict)


def full(profile: Profile, folder: Path) -> Full:
    """Everything in every state that matters. Call it in the profile's scope."""
    source = make_source(profile, folder)
    gone = make_source(profile, folder, "Old")
    segments = [builders.make_segment(source, start, start + 2) for start in (0, 3, 6)]
    for segment in segments[:2]:
        Segment.objects.filter(pk=segment.pk).update(extracted=store(profile, folder), extracted_revision=1)
    project = builders.make_project(profile, *segments)
    names = ("idle", "selected", "stale", "rendering", "planned", "draft", "reviewed", "fitted", "trashed")
    clips = dict(zip(names, make_clips(project, folder, len(names)), strict=True))
    lost = builders.make_project(profile, builders.make_segment(gone, 0, 2), name="Lost")
    clips["lost"] = make_clips(lost, folder, 1)[0]
    Clip.objects.filter(pk=clips["selected"].pk).update(is_selected=True)
    Clip.objects.filter(pk=clips["stale"].pk).update(is_stale=True)
    job = Job.objects.create(profile=profile, kind="render", queue="media", priority=1, max_attempts=1)
    Clip.objects.filter(pk=clips["rendering"].pk).update(job=job, state=Clip.State.QUEUED)
    make_publication(profile, clip=clips["planned"], state=State.SCHEDULED)
    make_publication(profile, clip=clips["draft"])
    ReviewLink.objects.create(
        profile=profile, clip=clips["reviewed"], token_hash="open", expires_at=timezone.now() + timedelta(days=1)
    )
    fitted = {name: make_rendition(clips["fitted"], folder, name) for name in ("youtube", "threads")}
    make_publication(profile, clip=clips["fitted"], file=fitted["threads"].file, state=State.AWAITING_APPROVAL)
    posted = make_post(clips["trashed"], State.PUBLISHED)
    OutboxItem.objects.create(
        profile=profile, publication=posted, file=store(profile, folder), cover=store(profile, folder, ".jpg")
    )
    make_rendition(clips["trashed"], folder)
    trash.throw_away(Clip.objects.get(pk=clips["trashed"].pk))
    trash.throw_away(SourceVideo.objects.get(pk=gone.pk))
    Clip.objects.filter(pk=clips["lost"].pk).update(is_stale=False)  # as if nobody had noticed
    Job.objects.create(
        profile=profile,
        kind="tts",
        queue="media",
        priority=1,
        max_attempts=1,
        status="succeeded",
        finished_at=timezone.now(),
        output=store(profile, folder, ".wav"),
    )
    extracts = Segment.objects.filter(extracted__isnull=False).values_list("extracted", flat=True)
    may_go = {
        "proxies": {source.proxy_id},
        "extracts": set(extracts),
        "renders": {clips["idle"].file_id},
        "renditions": {fitted["youtube"].file_id},
    }
    return Full(profile, source, {name: Clip.objects.get(pk=clip.pk) for name, clip in clips.items()}, may_go)


def stored_ids(profile: Profile) -> set[Any]:
    return set(StoredFile.objects.for_profile(profile).filter(state="stored").values_list("pk", flat=True))


def objects_of(profile: Profile) -> set[str]:
    return {key for key, _ in storage.keys(files.prefix_of(profile.pk))}


def fingerprint(profile: Profile) -> str:
    """All rows that freeing may touch, and all objects."""
    models: tuple[Any, ...] = (StoredFile, SourceVideo, Segment, Clip, Rendition, OutboxItem, Project, Job)
    rows = [sorted(map(str, model.objects.for_profile(profile).values_list())) for model in models]
    return hashlib.sha256(repr([rows, sorted(objects_of(profile))]).encode()).hexdigest()


def age(profile: Profile, ids: Any, days: float) -> None:
    """Makes stored files older."""
    StoredFile.objects.for_profile(profile).filter(pk__in=ids).update(created_at=timezone.now() - timedelta(days=days))


Make = Callable[..., Full]
