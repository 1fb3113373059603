from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from conftest import Person
from jobs import services as job_services
from jobs.ffmpeg import FfmpegError
from jobs.models import Job, Status
from profiles import scope
from profiles.models import StoredFile
from segments import derivatives, ingest
from segments.derivatives import read_peaks
from segments.models import SourceVideo
from segments.tests.conftest import V1, content_of, fresh, latest_job, run_job, upload
from segments.tests.footage import make_silent_clip

pytestmark = pytest.mark.django_db(transaction=True)

Objects = Callable[[], set[str]]


def received(owner: Person, path: Path) -> tuple[str, Job]:
    answer = upload(owner, path)
    assert answer.status_code == 201, answer.content
    return answer.json()["id"], latest_job(owner.profile, "ingest")


def show(owner: Person, source_id: str) -> Any:
    return owner.client.get(f"{V1}/source-videos/{source_id}/").json()


def test_a_clip_becomes_ready(owner: Person, clip: Path, stored_objects: Objects, settings: Any) -> None:
    source_id, job = received(owner, clip)
    done = run_job(job)
    assert (done.status, done.error) == (Status.SUCCEEDED, None)
    assert done.result == {"source_video_id": source_id}
    assert done.cpu_seconds > 0
    shown = show(owner, source_id)
    assert (shown["state"], shown["error"], shown["is_markable"]) == ("ready", None, True)
    assert shown["duration_seconds"] == pytest.approx(2, abs=0.05)
    assert (shown["width"], shown["height"], shown["frame_rate"], shown["has_audio"]) == (160, 120, 25, True)
    assert shown["filmstrip_grid"]["tiles"] >= 4
    assert shown["media"]["video"]["codec"] == "h264"
    assert all(shown["links"].values())
    assert len(stored_objects()) == 5
    assert list(Path(settings.SCRATCH_DIR).rglob("*.mp4")) == []
    frames = owner.client.get(f"{V1}/source-videos/{source_id}/frames/").json()
    assert frames["frame_count"] == 50
    peaks = owner.client.get(shown["links"]["waveform"])
    rate, pairs = read_peaks(content_of(peaks))
    assert len(pairs) == pytest.approx(2 * rate, abs=rate / 10)


def test_without_sound_there_is_no_waveform(owner: Person, tmp_path: Path) -> None:
    source_id, job = received(owner, make_silent_clip(tmp_path / "silent.mp4", 1))
    assert run_job(job).status == Status.SUCCEEDED
    shown = show(owner, source_id)
    assert (shown["state"], shown["has_audio"], shown["links"]["waveform"]) == ("ready", False, None)


def test_running_it_again_changes_nothing(owner: Person, clip: Path, stored_objects: Objects) -> None:
    source_id, job = received(owner, clip)
    run_job(job)
    before, objects = show(owner, source_id), stored_objects()
    assert run_job(job).attempt == 1  # the message came twice
    with scope.activate(owner.profile.pk):
        job_services.enqueue(
            profile=owner.profile, kind="ingest", params={"source_video_id": source_id}, subject=job.subject
        )
    assert run_job(latest_job(owner.profile, "ingest")).status == Status.SUCCEEDED
    after = show(owner, source_id)
    assert after["state"] == "ready"
    assert after["filmstrip_grid"] == before["filmstrip_grid"]
    assert stored_objects() == objects


def test_marking_may_begin_while_it_is_processed(owner: Person, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source_id, job = received(owner, clip)
    seen: list[Any] = []

    def look(*args: Any, **kwargs: Any) -> None:
        seen.append(show(owner, source_id))
        body = {"start_time": 0.5, "end_time": 1}
        seen.append(owner.client.post(f"{V1}/source-videos/{source_id}/segments/", body, format="json").status_code)
        raise FfmpegError("invalid_media")

    monkeypatch.setattr(ingest, "write_proxy", look)
    run_job(job)
    shown, status = seen
    assert (shown["state"], shown["is_markable"], status) == ("processing", True, 201)
    assert shown["links"]["poster"]
    assert shown["links"]["proxy"] is None


def test_after_a_crash_only_the_rest_is_done(owner: Person, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source_id, job = received(owner, clip)

    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ingest, "write_proxy", killed)
        with pytest.raises(KeyboardInterrupt):
            run_job(job)
    poster = show(owner, source_id)["links"]["poster"]
    assert poster
    for name in ("probe", "write_pictures"):
        monkeypatch.setattr(ingest, name, killed)
    assert run_job(job).status == Status.SUCCEEDED
    assert show(owner, source_id)["state"] == "ready"


def test_a_broken_file_fails_with_a_reason_and_can_be_retried(
    owner: Person, clip: Path, tmp_path: Path, stored_objects: Objects
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    source_id, job = received(owner, broken)
    failed = run_job(job)
    assert failed.status == Status.FAILED
    shown = show(owner, source_id)
    assert shown["state"] == "failed"
    assert shown["error"]["code"] in {"truncated", "damaged", "not_a_video"}
    assert shown["error"] == failed.error
    assert len(stored_objects()) == 1
    assert len(owner.client.get(f"{V1}/source-videos/?state=failed").json()["results"]) == 1
    answer = owner.client.post(f"{V1}/source-videos/{source_id}/retry/")
    assert (answer.status_code, answer.json()["status"], answer.json()["id"]) == (202, "queued", str(job.pk))
    assert show(owner, source_id)["state"] != "failed"
    again = owner.client.post(f"{V1}/source-videos/{source_id}/retry/")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_failed")


def test_a_source_whose_job_was_deleted_or_cancelled_is_failed(owner: Person, clip: Path) -> None:
    source_id, job = received(owner, clip)
    with scope.activate(owner.profile.pk):
        job_services.job_cancel(profile=owner.profile, job=job)
    shown = show(owner, source_id)
    assert (shown["state"], shown["error"]["code"]) == ("failed", "not_prepared")
    with scope.activate(owner.profile.pk):
        job_services.job_delete(profile=owner.profile, job=fresh(job))
    shown = show(owner, source_id)
    assert (shown["state"], shown["ingest"]) == ("failed", None)
    assert len(owner.client.get(f"{V1}/source-videos/?state=failed").json()["results"]) == 1
    assert owner.client.post(f"{V1}/source-videos/{source_id}/retry/").status_code == 202
    assert run_job(latest_job(owner.profile, "ingest")).status == Status.SUCCEEDED


def test_a_cancelled_attempt_keeps_what_was_done_and_leaves_no_loose_file(
    owner: Person, clip: Path, monkeypatch: pytest.MonkeyPatch, stored_objects: Objects
) -> None:
    source_id, job = received(owner, clip)
    real = derivatives.write_proxy

    def cancel_then_work(*args: Any, **kwargs: Any) -> Any:
        done = real(*args, **kwargs)
        job_services.job_cancel(profile=owner.profile, job=fresh(job))
        return done

    monkeypatch.setattr(ingest, "write_proxy", cancel_then_work)
    assert run_job(job).status == Status.CANCELLED
    shown = show(owner, source_id)
    assert (shown["state"], shown["is_markable"], shown["links"]["proxy"]) == ("failed", True, None)
    assert len(stored_objects()) == 3  # original, poster, filmstrip


@pytest.mark.parametrize("purged", [False, True])
def test_a_source_thrown_away_meanwhile_stops_the_work(
    owner: Person, clip: Path, monkeypatch: pytest.MonkeyPatch, stored_objects: Objects, purged: bool
) -> None:
    from profiles import trash

    source_id, job = received(owner, clip)
    real = derivatives.write_pictures

    def throw_away(*args: Any, **kwargs: Any) -> Any:
        done = real(*args, **kwargs)
        row = SourceVideo.objects.get(pk=source_id)
        trash.throw_away(row)
        if purged:
            trash.purge(profile=owner.profile, kind_name="source_video", row_id=row.pk)
        return done

    monkeypatch.setattr(ingest, "write_pictures", throw_away)
    assert run_job(job).status == Status.CANCELLED
    assert len(stored_objects()) == (0 if purged else 1)
    with scope.activate(owner.profile.pk):
        assert StoredFile.objects.count() == (0 if purged else 1)
        assert SourceVideo.objects.count() == (0 if purged else 1)


def test_a_restored_source_goes_on(owner: Person, clip: Path) -> None:
    from profiles import trash

    source_id, job = received(owner, clip)
    assert owner.client.delete(f"{V1}/source-videos/{source_id}/").status_code == 204
    assert fresh(job).status == Status.CANCELLED
    with scope.activate(owner.profile.pk):
        trash.restore(profile=owner.profile, kind_name="source_video", row_id=UUID(source_id))
    assert show(owner, source_id)["state"] == "received"
    assert run_job(latest_job(owner.profile, "ingest")).status == Status.SUCCEEDED
    assert show(owner, source_id)["state"] == "ready"
