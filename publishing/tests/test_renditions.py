"""Fixing a clip for a network: real files, real rules, and the second pre-flight passes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from editai.clips.models import Clip
from editai.clips.render.facts import facts_of
from jobs.models import Job, Status
from jobs.services import job_cancel
from profiles import files, storage
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Profile, StoredFile
from publishing.models import NetworkRule, Rendition
from publishing.renditions import encode
from publishing.renditions.files import fresh, purge
from publishing.renditions.requests import Made, put_in_place, request_fix
from publishing.rules import media_facts
from publishing.rules.preflight import check
from publishing.states import State
from publishing.tests.builders import make_clip, make_integration, make_publication
from publishing.tests.fixing import Footage, broken_clip, edit_rules, run
from publishing.transitions import Origin, move

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS: dict[str, dict[str, Any]] = {"facebook": {"post_type": "post"}, "instagram": {"post_type": "post"}}


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.SCRATCH_DIR = tmp_path / "attempts"
    settings.SCRATCH_DIR.mkdir(mode=0o700)
    yield
    assert [path for path in settings.SCRATCH_DIR.rglob("*") if path.is_file()] == []


def judge(clip: Clip, network: str) -> Any:
    integration = make_integration(clip.profile, network)
    return check(profile=clip.profile, clip=clip, integration=integration, settings=SETTINGS.get(network, {}))


def fix(clip: Clip, *networks: str) -> Any:
    return done(request_fix(profile=clip.profile, clip=clip, networks=networks, by=None))


def done(job: Job) -> Any:
    return run(job)


def stored(profile: Profile) -> set[str]:
    return {key for key, _ in storage.keys(files.prefix_of(profile.pk))}


SHORT = Footage(seconds=3)
LONG = Footage(seconds=20, size=(160, 90), fps=1, rules={"max_seconds": 18})
WRONG = Footage(
    codec="mpeg4", size=(90, 160), fps=10, audio_codec="libmp3lame", audio_rate=22_050, channels=1, volume=0.02
)


@pytest.mark.parametrize(
    ("network", "footage", "broken", "changes"),
    [
        ("youtube", LONG, {"max_seconds", "aspect_max"}, ["cut to", "black ground", "frames a second"]),
        (
            "instagram",
            WRONG,
            {"video_codecs", "min_width", "min_height", "min_fps", "audio_codecs"},
            ["H.264", "scaled", "30 frames", "AAC", "48 kHz", "stereo", "loudness"],
        ),
        (
            "threads",
            Footage(seconds=3, size=(360, 640), noise=True, rules={"max_bytes": 150_000, "min_seconds": 5}),
            {"max_bytes", "min_seconds"},
            ["held until", "below 150 kB"],
        ),
    ],
)
def test_what_is_broken_is_mended_and_the_second_check_passes(
    in_scope: Profile, tmp_path: Path, network: str, footage: Footage, broken: set[str], changes: list[str]
) -> None:
    edit_rules(network, footage.rules)
    clip = broken_clip(in_scope, tmp_path, footage)
    before = {finding.rule for finding in judge(clip, network).failures if finding.can_fix}
    assert before == broken
    job = fix(clip, network)
    assert (job.status, job.error) == (Status.SUCCEEDED, None)
    result = job.result["renditions"][0]
    assert result["state"] == "made"
    row = Rendition.objects.select_related("file").get(clip=clip)
    assert all(any(word in change for change in row.changes) for word in changes), row.changes
    assert [finding.message for finding in judge(clip, network).failures if finding.field == "clip_id"] == []
    file, media = row.file, media_facts.of_rendition(row.media)
    assert fresh(in_scope, [clip]) == {(clip.pk, network): row}
    assert job.output_id == row.file_id
    with files.local_path(file) as path:
        assert facts_of(path).items() <= row.media.items()
        assert path.read_bytes()[4:12] == b"ftypmp42"
    assert media.faststart is True


def test_a_fault_of_the_sound_alone_leaves_the_picture_as_it_is(in_scope: Profile, tmp_path: Path) -> None:
    clip = broken_clip(in_scope, tmp_path, Footage(size=(540, 960), volume=0.01, faststart=False))
    job = fix(clip, "instagram")
    row = Rendition.objects.get(clip=clip)
    assert job.status == Status.SUCCEEDED
    assert len(row.changes) == 2
    assert clip.media is not None
    assert {**row.media["video"], "bit_rate": 0} == {**clip.media["video"], "bit_rate": 0}
    assert row.media["lufs"] == pytest.approx(-14, abs=1)
    assert not judge(clip, "instagram").warnings


def test_a_clip_without_sound_stays_without(in_scope: Profile, tmp_path: Path) -> None:
    clip = broken_clip(in_scope, tmp_path, Footage(seconds=2, has_sound=False))
    edit_rules("threads", {"max_seconds": 1})
    assert fix(clip, "threads").status == Status.SUCCEEDED
    assert Rendition.objects.get(clip=clip).media["audio"] is None
    assert not judge(clip, "threads").failed


def test_several_networks_at_once_each_by_itself(in_scope: Profile, tmp_path: Path) -> None:
    edit_rules("threads", {"max_seconds": 2})
    edit_rules("x", {"video_codecs": ["av1"]})
    clip = broken_clip(in_scope, tmp_path, Footage(size=(360, 640), fps=30, has_sound=False))
    job = fix(clip, "threads", "x", "bluesky")
    assert job.status == Status.SUCCEEDED
    results = {entry["network"]: entry for entry in job.result["renditions"]}
    assert {name: entry["state"] for name, entry in results.items()} == {
        "threads": "made",
        "x": "failed",
        "bluesky": "not_needed",
    }
    assert results["x"]["error"]["code"] == "not_fixable"
    assert "av1 only; EditAI makes h264" in results["x"]["error"]["message"]


def test_what_cannot_be_mended_is_an_error_that_says_why(in_scope: Profile, tmp_path: Path) -> None:
    edit_rules("threads", {"max_bytes": 20_000})
    clip = broken_clip(in_scope, tmp_path, Footage(seconds=3, noise=True))
    job = fix(clip, "threads")
    assert job.status == Status.FAILED
    assert job.error["code"] == "not_fixable"
    assert "too little for 3 s" in job.error["message"]
    assert job.error["next_step"]
    assert not Rendition.objects.exists()


def test_asked_twice_it_is_one_job_and_made_once(in_scope: Profile, tmp_path: Path) -> None:
    edit_rules("threads", {"max_seconds": 2})
    clip = broken_clip(in_scope, tmp_path, SHORT)
    first = request_fix(profile=in_scope, clip=clip, networks=["threads", "x"], by=None)
    assert request_fix(profile=in_scope, clip=clip, networks=["x", "threads", "x"], by=None) == first
    assert request_fix(profile=in_scope, clip=clip, networks=["threads"], by=None) != first
    assert run(first).status == Status.SUCCEEDED
    row = Rendition.objects.get(clip=clip, network="threads")
    again = fix(clip, "threads", "x")
    states = {entry["network"]: entry["state"] for entry in again.result["renditions"]}
    assert states["threads"] == "kept"
    assert Rendition.objects.get(clip=clip, network="threads") == row


def test_an_edited_rule_makes_a_new_one_and_the_old_file_goes(in_scope: Profile, tmp_path: Path) -> None:
    edit_rules("threads", {"max_seconds": 2})
    clip = broken_clip(in_scope, tmp_path, SHORT)
    fix(clip, "threads")
    old = Rendition.objects.select_related("file").get(clip=clip)
    pinned = {"file": old.file, "sha256": old.file.sha256}
    published = make_publication(in_scope, clip=clip, state=State.SCHEDULED, **pinned)
    held = {"claim": uuid4(), "claimed_until": clip.created_at}
    type(published).objects.filter(pk=published.pk).update(state=State.UPLOADING, **held)
    published.refresh_from_db()
    move(published, State.PUBLISHED, why="Out", origin=Origin.WORKER)
    path = tmp_path / "useless.mp4"
    path.write_bytes(b"made from an earlier file of the clip")
    file = files.store(profile=in_scope, path=path, area="renditions", suffix=".mp4")
    useless: dict[str, Any] = {"network": "x", "made_from": "an earlier file", "file": file, "media": {}}
    Rendition.objects.create(profile=in_scope, clip=clip, **useless)
    edit_rules("threads", {"max_seconds": 1})
    assert judge(clip, "threads").failed
    assert fix(clip, "threads").status == Status.SUCCEEDED
    new = Rendition.objects.select_related("file").get(clip=clip)
    assert new.media["duration_seconds"] < 1
    assert not {old.file.key, file.key} & stored(in_scope)
    assert new.file.key in stored(in_scope)
    published.refresh_from_db()
    assert (published.state, published.file, published.sha256) == (State.PUBLISHED, None, old.file.sha256)


def test_posts_to_come_keep_the_rendition_that_they_use(in_scope: Profile, tmp_path: Path) -> None:
    edit_rules("threads", {"max_seconds": 2})
    clip = broken_clip(in_scope, tmp_path, SHORT)
    fix(clip, "threads")
    row = Rendition.objects.select_related("file").get(clip=clip)
    waiting = request_fix(profile=in_scope, clip=clip, networks=["threads"], by=None)
    post = make_publication(in_scope, clip=clip, file=row.file, sha256=row.file.sha256, state=State.SCHEDULED)
    edit_rules("threads", {"max_seconds": 1})
    with pytest.raises(Conflict) as caught:
        request_fix(profile=in_scope, clip=clip, networks=["threads", "x"], by=None)
    assert caught.value.code == "posts_to_come"
    assert [entry["id"] for entry in caught.value.details or []] == [post.pk]
    ended = done(waiting)  # asked for before the post was there
    assert (ended.status, ended.error["code"]) == (Status.FAILED, "posts_to_come")
    assert Rendition.objects.get(clip=clip) == row
    assert len(stored(in_scope)) == StoredFile.objects.count() == 2
    post.__class__.objects.filter(pk=post.pk).update(state=State.CANCELLED)
    assert fix(clip, "threads").status == Status.SUCCEEDED


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"is_stale": True}, "clip_stale"),
        ({"state": "queued"}, "clip_not_ready"),
        ({"state": "failed"}, "clip_not_ready"),
    ],
)
def test_a_clip_that_is_not_what_it_should_be_is_refused(in_scope: Profile, fields: Any, code: str) -> None:
    with pytest.raises(Conflict) as caught:
        request_fix(profile=in_scope, clip=make_clip(in_scope, **fields), networks=["x"], by=None)
    assert caught.value.code == code


@pytest.mark.parametrize("networks", [[], [""], ["x" * 61], [f"n{n}" for n in range(21)]])
def test_senseless_networks_are_refused(in_scope: Profile, networks: list[str]) -> None:
    with pytest.raises(Invalid) as caught:
        request_fix(profile=in_scope, clip=make_clip(in_scope), networks=networks, by=None)
    assert list(caught.value.fields or {}) == ["networks"]


def test_a_clip_in_the_trash_is_not_there(in_scope: Profile) -> None:
    clip = make_clip(in_scope)
    Clip.objects.filter(pk=clip.pk).update(trashed_at=clip.created_at)
    with pytest.raises(NotFound):
        request_fix(profile=in_scope, clip=clip, networks=["x"], by=None)


def test_a_cancelled_job_leaves_nothing(in_scope: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_rules("threads", {"max_seconds": 2})
    clip = broken_clip(in_scope, tmp_path, SHORT)
    job = request_fix(profile=in_scope, clip=clip, networks=["threads"], by=None)
    genuine = encode.make

    def cancelled(*args: Any) -> None:
        genuine(*args)
        job_cancel(profile=in_scope, job=job)

    monkeypatch.setattr(encode, "make", cancelled)
    assert run(job).status == Status.CANCELLED
    assert not Rendition.objects.exists()
    assert len(stored(in_scope)) == StoredFile.objects.count() == 1


def test_an_attempt_that_died_after_its_first_network_goes_on_with_the_rest(
    in_scope: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_rules("threads", {"max_seconds": 2})
    edit_rules("x", {"max_seconds": 1})
    clip = broken_clip(in_scope, tmp_path, SHORT)
    job = request_fix(profile=in_scope, clip=clip, networks=["threads", "x"], by=None)
    genuine, made = encode.make, []

    def dies(*args: Any) -> None:
        made.append(args)
        if len(made) == 2:
            raise SystemExit  # as a worker that is being stopped
        genuine(*args)

    monkeypatch.setattr(encode, "make", dies)
    with pytest.raises(SystemExit):
        run(job)
    assert Rendition.objects.get().network == "threads"
    ended = done(job)
    assert ended.status == Status.SUCCEEDED
    assert [entry["state"] for entry in ended.result["renditions"]] == ["kept", "made"]
    assert len(made) == 3


def test_a_clip_that_got_another_file_meanwhile_takes_no_old_rendition(in_scope: Profile, tmp_path: Path) -> None:
    clip, other = make_clip(in_scope), make_clip(in_scope)
    assert other.file is not None
    made = Made("x", "the sha of an older file", other.file, {}, [])
    Clip.objects.filter(pk=other.pk).update(file=clip.file)
    with transaction.atomic():
        assert put_in_place(in_scope, clip.pk, made) is None
    assert not Rendition.objects.exists()
    assert other.file.key not in stored(in_scope)
    edit_rules("threads", {"max_seconds": 2})
    real = broken_clip(in_scope, tmp_path, SHORT)
    job = request_fix(profile=in_scope, clip=real, networks=["threads"], by=None)
    Clip.objects.filter(pk=real.pk).update(file=clip.file)
    assert done(job).error["code"] == "clip_changed"


def test_purging_takes_the_files_along(in_scope: Profile, tmp_path: Path) -> None:
    edit_rules("threads", {"max_seconds": 2})
    clip = broken_clip(in_scope, tmp_path, SHORT)
    fix(clip, "threads")
    kept = Rendition.objects.create(
        profile=in_scope, clip=make_clip(in_scope), network="x", made_from="m", file=make_clip(in_scope).file, media={}
    )
    before = stored(in_scope)
    purge(in_scope, [clip.pk])
    assert list(Rendition.objects.all()) == [kept]
    assert len(before) - len(stored(in_scope)) == 1


def test_rules_that_contradict_each_other_are_named(in_scope: Profile, tmp_path: Path) -> None:
    edit_rules("threads", {"max_seconds": 2, "min_seconds": 3})
    assert NetworkRule.objects.get(network="threads", rule="max_seconds").is_edited
    job = fix(broken_clip(in_scope, tmp_path, Footage(seconds=2.5)), "threads")
    assert "contradict" in job.error["message"]
