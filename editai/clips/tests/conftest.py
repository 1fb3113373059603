"""Clips' tests: jobs run here and now, in a scratch folder of their own. No worker is there, so no message is sent."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from editai.clips import services
from editai.clips.models import Clip, ExportPreset
from editai.projects.models import Project
from editai.projects.tests.builders import make_project, make_segment, make_source
from jobs.execution import execute
from jobs.models import Job
from jobs.registry import kind_named
from profiles import files, scope
from profiles.models import Profile
from segments.models import SourceVideo
from segments.probe import probe
from segments.tests.footage import make_clip


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.SCRATCH_DIR = tmp_path / "attempts"
    settings.SCRATCH_DIR.mkdir(mode=0o700)
    yield
    left = [path for path in settings.SCRATCH_DIR.rglob("*") if path.is_file()]
    assert left == []


def run(job: Job | str | UUID) -> Any:
    """Runs one attempt of a waiting job as a worker's task would."""
    with scope.all_profiles("reap lost jobs"):
        row = Job.objects.get(pk=job.pk if isinstance(job, Job) else job)
    kind = kind_named(row.kind)
    assert kind is not None
    execute(kind, str(row.profile_id), str(row.pk))
    with scope.activate(row.profile_id):
        return Job.objects.select_related("output").get(pk=row.pk)


@pytest.fixture
def project(in_scope: Profile) -> Project:
    """Three segments of a source without a file: enough for all that is not rendering."""
    source = make_source(in_scope)
    return make_project(in_scope, *(make_segment(source, start, start + 2) for start in (0, 3, 6)))


@pytest.fixture
def generate(in_scope: Profile) -> Callable[..., Job]:
    """`generate(project, preset="tiktok", …)`: the service, in drafts."""

    def make(project: Project, preset: str = "tiktok", **values: Any) -> Job:
        options = {"by": None, "quality": "draft", **values}
        return services.generate(
            profile=in_scope, project=project, preset=ExportPreset.objects.get(pk=preset), **options
        )

    return make


@pytest.fixture
def footage(in_scope: Profile, tmp_path: Path) -> Callable[..., SourceVideo]:
    """`footage("name", seconds=2)`: a source with a real file in the store."""

    def make(name: str = "Beach", **options: Any) -> SourceVideo:
        path = make_clip(tmp_path / f"{name}.mp4", **{"seconds": 2, **options})
        info = probe(path)
        stored = files.store(profile=in_scope, path=path, area="sources", suffix=".original")
        return make_source(
            in_scope,
            name,
            size=stored.size,
            sha256=stored.sha256,
            duration_seconds=info.duration_seconds,
            has_audio=info.audio is not None,
            media=info.as_dict(),
            frame_index=info.frames.to_bytes(),
            original=stored,
        )

    return make


def clips_of(job: Job) -> list[Clip]:
    ids = [item["id"] for item in job.params["clips"]]
    rows = {str(clip.pk): clip for clip in Clip.objects.filter(pk__in=ids).select_related("file", "poster", "job")}
    return [rows[clip_id] for clip_id in ids]
