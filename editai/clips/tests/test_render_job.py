"""The render job on real, tiny footage: happy, twice, cancelled, superseded, with a bad source."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Person
from editai.clips import rendering, services
from editai.clips.models import Clip
from editai.clips.render.poster import poster as write_poster
from editai.clips.render.render import render
from editai.clips.tests.conftest import clips_of, run
from editai.projects.models import Project, ProjectSegment
from editai.projects.services import entries_replace, entry_update
from editai.projects.tests.builders import make_project, make_segment
from jobs.execution import JobError
from jobs.models import Job, Status
from jobs.services import job_cancel, job_retry
from profiles import files, storage
from profiles.models import Profile, StoredFile
from profiles.storage import backend
from profiles.trash import purge, throw_away
from segments.models import SourceVideo
from segments.probe import probe

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def real(in_scope: Profile, footage: Callable[..., SourceVideo]) -> Project:
    """0.5 s of one source and 0.68 s of another, without sound, of another size and rate: 35 frames of the output."""
    first = footage("One", sound="tone")
    second = footage("Two", size=(240, 320), fps=25, audio=False)
    return make_project(in_scope, make_segment(first, 0.5, 1), make_segment(second, 0.2, 0.88))


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The recipes that were really encoded."""
    seen: list[Any] = []
    genuine = render

    def counted(recipe: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(recipe)
        return genuine(recipe, *args, **kwargs)

    monkeypatch.setattr(rendering, "render", counted)
    return seen


def stored(profile: Profile) -> set[str]:
    """Keys of all objects of the profile."""
    return {key for key, _ in storage.keys(files.prefix_of(profile.pk))}


def test_a_clip_comes_out(real: Project, generate: Callable[..., Job], in_scope: Profile) -> None:
    job = run(generate(real))
    assert (job.status, job.error) == (Status.SUCCEEDED, None)
    clip = clips_of(job)[0]
    facts = {"id": str(clip.pk), "name": "Summer", "variant": 1, "state": "ready"}
    assert job.result == {"clips": [facts]}
    assert (clip.state, clip.is_stale, clip.rendered_hash) == (Clip.State.READY, False, clip.recipe_hash)
    assert clip.duration_seconds == pytest.approx(1.18, abs=1 / 30)
    assert clip.loudness_lufs == pytest.approx(-14, abs=1)
    assert clip.true_peak_dbtp is not None
    assert clip.true_peak_dbtp <= -1
    assert job.output_id == clip.file_id
    assert clip.file is not None
    assert clip.poster is not None
    assert (clip.file.job_id, clip.file.attempt, clip.poster.content_type) == (job.pk, 1, "image/jpeg")
    with files.local_path(clip.file) as path:
        info = probe(path)
    assert (info.video.width, info.video.height, info.video.codec) == (540, 960, "h264")  # a draft
    assert len(info.frames) == 35
    assert job.cpu_seconds > 0


def test_the_same_recipe_is_not_encoded_twice(
    real: Project, generate: Callable[..., Job], renders: list[Any], in_scope: Profile
) -> None:
    first = run(generate(real))
    file = clips_of(first)[0].file_id
    second = run(generate(real))
    assert second.pk != first.pk
    assert (second.status, second.result) == (Status.SUCCEEDED, first.result)
    third = run(services.clip_request_render(profile=in_scope, clip=clips_of(first)[0], by=None))
    assert third.result == first.result
    assert Clip.objects.get().file_id == file
    assert len(renders) == 1


def test_the_same_recipe_elsewhere_is_copied(
    real: Project, generate: Callable[..., Job], renders: list[Any], in_scope: Profile
) -> None:
    run(generate(real))
    run(generate(real, preset="instagram-reels"))
    segments = [entry.segment for entry in ProjectSegment.objects.order_by("position").select_related("segment")]
    run(generate(make_project(in_scope, *segments, name="Other")))
    clips = list(Clip.objects.select_related("file"))
    assert len(renders) == 1
    assert len({clip.file_id for clip in clips}) == 3
    assert len({clip.file.sha256 for clip in clips if clip.file}) == 1
    assert {clip.loudness_lufs for clip in clips} != {None}


def test_variants_in_one_job(real: Project, generate: Callable[..., Job], renders: list[Any]) -> None:
    job = run(generate(real, variant_count=2))
    assert job.status == Status.SUCCEEDED
    assert job.result is not None
    assert [row["state"] for row in job.result["clips"]] == ["ready", "ready"]
    assert [row["id"] for row in job.result["clips"]] == [str(clip.pk) for clip in clips_of(job)]
    assert job.output is None
    first, second = ([entry.sha256 for entry in recipe.entries] for recipe in renders)
    assert first == second[::-1]


def test_variants_that_change_places(
    real: Project, generate: Callable[..., Job], renders: list[Any], in_scope: Profile
) -> None:
    """Turned round, the project's first variant is what the second was: taken over, and not stale."""
    run(generate(real, variant_count=2))
    order = list(ProjectSegment.objects.order_by("-position").values_list("segment", flat=True))
    entries_replace(profile=in_scope, project=real, segment_ids=order)
    assert Clip.objects.filter(is_stale=True).count() == 2
    job = run(generate(real, variant_count=2))
    assert job.status == Status.SUCCEEDED
    assert len(renders) == 2
    assert Clip.objects.count() == 2
    assert [(clip.variant, clip.is_stale, clip.state) for clip in clips_of(job)] == [
        (1, False, "ready"),
        (2, False, "ready"),
    ]


def test_a_render_anew_replaces_the_file(
    real: Project, generate: Callable[..., Job], in_scope: Profile, renders: list[Any]
) -> None:
    clip = clips_of(run(generate(real)))[0]
    before = stored(in_scope)
    entry = ProjectSegment.objects.get(project=real, position=0)
    entry_update(profile=in_scope, project=real, entry_id=entry.pk, zoom=2.0)
    clip.refresh_from_db()
    assert clip.is_stale
    job = services.clip_request_render(profile=in_scope, clip=clip, by=None)
    clip.refresh_from_db()
    assert (clip.state, clip.is_stale, clip.file_id is not None) == (Clip.State.QUEUED, True, True)
    assert run(job).status == Status.SUCCEEDED
    old = clip.file_id
    clip.refresh_from_db()
    assert (clip.state, clip.is_stale) == (Clip.State.READY, False)
    assert clip.file_id != old
    assert not StoredFile.objects.filter(pk=old).exists()
    assert len(stored(in_scope)) == len(before)
    assert len(renders) == 2


def test_a_change_while_it_is_rendered_leaves_it_stale(
    real: Project, generate: Callable[..., Job], in_scope: Profile
) -> None:
    job = generate(real)
    entry = ProjectSegment.objects.get(project=real, position=0)
    entry_update(profile=in_scope, project=real, entry_id=entry.pk, zoom=2.0)
    clip = clips_of(run(job))[0]
    assert (clip.state, clip.is_stale) == (Clip.State.READY, True)


def test_a_bad_source_fails_the_clip_and_keeps_the_file(
    real: Project, generate: Callable[..., Job], in_scope: Profile, owner: Person
) -> None:
    clip = clips_of(run(generate(real)))[0]
    file = clip.file_id
    entry = ProjectSegment.objects.get(project=real, position=0)
    entry_update(profile=in_scope, project=real, entry_id=entry.pk, zoom=2.0)
    key = SourceVideo.objects.select_related("original").get(name="One").original.key
    path = Path(backend().path(key))
    path.write_bytes(b"\0" * 2000)
    job = run(services.clip_request_render(profile=in_scope, clip=clip, by=None))
    while job.status == Status.QUEUED:  # a failure of ffmpeg is tried again
        Job.objects.filter(pk=job.pk).update(run_at=job.created_at)
        job = run(job)
    assert job.status == Status.FAILED
    assert job.error["code"] in {"invalid_media", "ffmpeg_failed"}
    assert str(path.parent) not in str(job.error)
    shown = owner.client.get(f"/api/v1/clips/{clip.pk}/").json()
    assert (shown["state"], shown["is_stale"], shown["error"]["code"]) == ("failed", True, job.error["code"])
    assert Clip.objects.get().file_id == file
    assert owner.client.get(shown["links"]["video"]).status_code == 200
    assert len(stored(in_scope)) == 4  # two sources, the clip and its poster


def test_a_source_whose_file_is_gone(real: Project, generate: Callable[..., Job]) -> None:
    key = SourceVideo.objects.select_related("original").get(name="Two").original.key
    backend().delete(key)
    job = run(generate(real))
    assert (job.status, job.error["code"], job.attempt) == (Status.FAILED, "source_missing", 1)
    assert "Two" in job.error["message"]


def test_one_bad_variant_fails_only_itself(
    real: Project, generate: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, owner: Person
) -> None:
    genuine = render

    def sometimes(recipe: Any, *args: Any, **kwargs: Any) -> Any:
        if recipe.entries[0].audio is None:  # the second variant opens with the silent source
            raise JobError("bad_luck", "It did not work.")
        return genuine(recipe, *args, **kwargs)

    monkeypatch.setattr(rendering, "render", sometimes)
    job = run(generate(real, variant_count=2))
    assert job.status == Status.SUCCEEDED
    assert [row["state"] for row in job.result["clips"]] == ["ready", "failed"]
    assert job.result["clips"][1]["error"]["code"] == "bad_luck"
    failed = clips_of(job)[1]
    shown = owner.client.get(f"/api/v1/clips/{failed.pk}/").json()
    assert (shown["state"], shown["error"]["code"]) == ("failed", "bad_luck")
    monkeypatch.setattr(rendering, "render", genuine)
    again = owner.client.post(f"/api/v1/clips/{failed.pk}/render/", {}, format="json").json()
    assert run(again["id"]).status == Status.SUCCEEDED
    assert owner.client.get(f"/api/v1/clips/{failed.pk}/").json()["state"] == "ready"


def test_all_variants_bad_fails_the_job_and_a_retry_mends_it(
    real: Project, generate: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, in_scope: Profile
) -> None:
    def never(*args: Any, **kwargs: Any) -> Any:
        raise JobError("bad_luck", "It did not work.", retryable=True, by_hand=True)

    with monkeypatch.context() as patched:
        patched.setattr(rendering, "render", never)
        job = run(generate(real, variant_count=2))
    assert (job.status, job.error["code"]) == (Status.FAILED, "bad_luck")
    assert {clip.state for clip in clips_of(job)} == {Clip.State.FAILED}
    assert run(job_retry(profile=in_scope, job=job)).status == Status.SUCCEEDED
    assert {clip.state for clip in clips_of(job)} == {Clip.State.READY}


class _Interrupt:
    """Does something in the middle of a render."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, deed: Callable[[], Any]) -> None:
        genuine = write_poster

        def poster(*args: Any, **kwargs: Any) -> Any:
            deed()
            return genuine(*args, **kwargs)

        monkeypatch.setattr(rendering, "write_poster", poster)


def test_cancelled_in_the_middle(
    real: Project, generate: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, in_scope: Profile, owner: Person
) -> None:
    before = stored(in_scope)
    job = generate(real)
    _Interrupt(monkeypatch, lambda: job_cancel(profile=in_scope, job=job))
    assert run(job).status == Status.CANCELLED
    clip = clips_of(job)[0]
    assert clip.file_id is None
    assert owner.client.get(f"/api/v1/clips/{clip.pk}/").json()["state"] == "failed"
    assert stored(in_scope) == before
    monkeypatch.undo()
    assert run(job_retry(profile=in_scope, job=job)).status == Status.SUCCEEDED
    assert owner.client.get(f"/api/v1/clips/{clip.pk}/").json()["state"] == "ready"


def test_deleted_in_the_middle(
    real: Project, generate: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, in_scope: Profile
) -> None:
    before = stored(in_scope)
    job = generate(real, variant_count=2)
    doomed = clips_of(job)[0]
    _Interrupt(monkeypatch, lambda: throw_away(doomed) if doomed.trashed_at is None else None)
    assert run(job).status == Status.SUCCEEDED
    doomed.refresh_from_db()
    assert doomed.file_id is None
    assert len(stored(in_scope)) == len(before) + 2  # the other one and its poster


def test_wanted_otherwise_in_the_middle(
    real: Project, generate: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, in_scope: Profile
) -> None:
    job = generate(real, variant_count=2)
    clip = clips_of(job)[0]
    entry = ProjectSegment.objects.get(project=real, position=0)
    later: list[Job] = []

    def change() -> None:
        if not later:
            entry_update(profile=in_scope, project=real, entry_id=entry.pk, zoom=2.0)
            later.append(services.clip_request_render(profile=in_scope, clip=clip, by=None))

    _Interrupt(monkeypatch, change)
    first = run(job)
    assert [row["state"] for row in first.result["clips"]] == ["superseded", "ready"]
    monkeypatch.undo()
    assert run(later[0]).status == Status.SUCCEEDED
    clip.refresh_from_db()
    assert (clip.state, clip.is_stale, clip.job_id) == (Clip.State.READY, False, later[0].pk)
    assert len(stored(in_scope)) == 6  # two sources, two clips, two posters


def test_a_crash_between_storing_and_the_end(
    real: Project, generate: Callable[..., Job], renders: list[Any], monkeypatch: pytest.MonkeyPatch, in_scope: Profile
) -> None:
    """The worker dies after the clip was put in place: the next attempt finds it there."""
    job = generate(real)
    with monkeypatch.context() as patched:
        patched.setattr("jobs.transitions.finish", _die)
        with pytest.raises(KeyboardInterrupt):
            run(job)
    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert run(job).status == Status.SUCCEEDED
    assert len(renders) == 1
    assert len(stored(in_scope)) == 4


def _die(*args: Any, **kwargs: Any) -> Iterator[None]:
    raise KeyboardInterrupt


def test_two_jobs_with_a_clip_in_common_encode_it_once(
    real: Project, generate: Callable[..., Job], renders: list[Any]
) -> None:
    one, many = generate(real), generate(real, variant_count=2)
    assert run(many).status == Status.SUCCEEDED
    assert run(one).status == Status.SUCCEEDED
    assert len(renders) == 2
    assert {clip.state for clip in Clip.objects.all()} == {Clip.State.READY}


def test_nothing_is_left_in_scratch_when_the_disk_is_full(
    real: Project, generate: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, in_scope: Profile
) -> None:
    before = stored(in_scope)

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "put", full)
    job = run(generate(real))
    assert (job.status, job.error["code"]) == (Status.FAILED, "disk_full")
    assert stored(in_scope) == before


def test_purging_takes_the_files_along(real: Project, generate: Callable[..., Job], in_scope: Profile) -> None:
    before = stored(in_scope)
    run(generate(real))
    throw_away(real)
    assert Clip.objects.get().trashed_at is not None
    purge(profile=in_scope, kind_name="project", row_id=real.pk)
    assert not Clip.objects.exists()
    assert not Project.objects.exists()
    assert stored(in_scope) == before


@pytest.mark.soak
def test_a_hundred_segments(
    footage: Callable[..., SourceVideo], generate: Callable[..., Job], in_scope: Profile
) -> None:
    sources = [footage(f"Source {n}", seconds=4, fps=(25, 30)[n % 2]) for n in range(5)]
    segments = [make_segment(sources[n % 5], n * 0.03, n * 0.03 + 0.4) for n in range(100)]
    project = make_project(in_scope, *segments)
    job = run(generate(project))
    assert job.status == Status.SUCCEEDED
    wanted = sum(segment.duration for segment in segments)
    assert clips_of(job)[0].duration_seconds == pytest.approx(wanted, abs=1 / 30)
    print(f"100 segments, {wanted:.1f} s: {job.cpu_seconds:.1f} CPU seconds")
