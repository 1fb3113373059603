"""What was freed is really made again: light copy, extracted segment, clip, and a file that a network takes."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from conftest import Person
from costs.storage.freeing import free_up
from editai.clips.models import Clip
from editai.projects.tests.builders import make_project
from jobs.execution import execute
from jobs.models import Job
from jobs.registry import kind_named
from profiles import files
from profiles.models import Profile
from segments.models import Segment, SourceVideo
from segments.probe import probe
from segments.tests.footage import make_clip

pytestmark = pytest.mark.django_db(transaction=True)
V1 = "/api/v1"


def run(answer: Any) -> Job:
    """Runs the job of a 202, as a worker would."""
    assert answer.status_code == 202, answer.content
    return _run(Job.objects.get(pk=answer.json()["id"]))


def _run(job: Job) -> Job:
    kind = kind_named(job.kind)
    assert kind is not None
    execute(kind, str(job.profile_id), str(job.pk))
    done: Job = Job.objects.get(pk=job.pk)
    assert (done.status, done.error) == ("succeeded", None)
    return done


def seconds_of(file: Any) -> float:
    with files.local_path(file) as path:
        return probe(path).duration_seconds


def test_all_of_it(owner: Person, in_scope: Profile, tmp_path: Path) -> None:
    call = owner.client
    film = make_clip(tmp_path / "film.mp4", 1, (160, 120), 25)
    upload = SimpleUploadedFile("film.mp4", film.read_bytes(), "video/mp4")
    source_id = call.post(f"{V1}/source-videos/", {"video": upload}, format="multipart").json()["id"]
    _run(Job.objects.get(kind="ingest"))
    marked = {"start_time": 0.2, "end_time": 0.8}
    segment_id = call.post(f"{V1}/source-videos/{source_id}/segments/", marked, format="json").json()["id"]
    run(call.post(f"{V1}/segments/{segment_id}/extract/"))
    project = make_project(in_scope, Segment.objects.get())
    run(call.post(f"{V1}/projects/{project.pk}/generate/", {"quality": "draft"}, format="json"))
    before = {kind["kind"]: kind for kind in call.get(f"{V1}/costs/storage/").json()["kinds"]}
    digest = Clip.objects.get().rendered_hash

    done = call.post(f"{V1}/costs/storage/free-up/", {"dry_run": False}, format="json").json()
    assert [kind["goes"]["files"] for kind in done["kinds"]] == [1, 1, 1, 0]
    assert done["before_bytes"] - done["after_bytes"] == sum(
        before[name]["freeable_bytes"] for name in ("proxies", "extracts", "renders")
    )
    assert call.get(f"{V1}/segments/{segment_id}/stream/").status_code == 409
    assert call.get(f"{V1}/source-videos/{source_id}/stream/?variant=proxy").status_code == 409

    run(call.post(f"{V1}/source-videos/{source_id}/retry/"))
    run(call.post(f"{V1}/segments/{segment_id}/extract/"))
    clip = Clip.objects.get()
    run(call.post(f"{V1}/clips/{clip.pk}/render/"))
    source = SourceVideo.objects.select_related("proxy").get()
    segment = Segment.objects.select_related("extracted").get()
    clip = Clip.objects.select_related("file").get()
    assert (source.state, segment.has_current_file, clip.state) == ("ready", True, "ready")
    assert (clip.rendered_hash, clip.is_stale, clip.media is not None) == (digest, False, True)
    assert seconds_of(source.proxy) == pytest.approx(1, abs=0.1)
    assert seconds_of(segment.extracted) == seconds_of(clip.file) == pytest.approx(0.6, abs=0.1)
    after = {kind["kind"]: kind["files"] for kind in call.get(f"{V1}/costs/storage/").json()["kinds"]}
    assert after == {name: kind["files"] for name, kind in before.items()}
    again = free_up(profile=in_scope)
    assert sum(kind.goes.files for kind in again.kinds) == 3
