"""The demo against a real server in a thread, its jobs done by a worker in another; and what it says when it fails."""

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from conftest import Person
from editai.demo import footage
from editai.demo.client import Client, sign_in
from jobs.execution import execute
from jobs.models import Job, Status
from jobs.registry import kind_named
from profiles import scope
from profiles.api.media import download_name
from publishing.models import OutboxItem, PublishingSettings
from segments.probe import probe
from segments.tests.footage import make_clip


@pytest.fixture
def worker(settings: Any, tmp_path: Path) -> Iterator[None]:
    """Runs whatever waits, in this process."""
    settings.SCRATCH_DIR = tmp_path / "scratch"
    settings.SCRATCH_DIR.mkdir(mode=0o700)
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.1):
            with scope.all_profiles("reap lost jobs"):
                waiting = list(Job.objects.filter(status=Status.QUEUED).values_list("kind", "profile_id", "pk"))
            for kind_name, profile_id, job_id in waiting:
                kind = kind_named(kind_name)
                assert kind is not None
                execute(kind, str(profile_id), str(job_id))
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("demo", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_whole_way(live_server: Any, owner: Person, worker: None, settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    login = {"token": owner.token, "profile_id": str(owner.profile.pk), "username": "olga", "password": "x"}
    (tmp_path / "first-login.json").write_text(json.dumps(login))
    video = make_clip(tmp_path / 'quotes" and é.mp4', seconds=2, sound="tone")
    said = run(str(video), "--url", live_server.url, "--quality", "draft")
    for step in ("Uploaded", "Prepared", "Marked 3 segments", "Made the project", "Rendered", "Downloaded", "Done"):
        assert step in said
    assert "540x960 h264" in said
    assert "aac 48000 Hz" in said
    made = list((tmp_path / "demo").glob("*.mp4"))
    assert len(made) == 1
    assert str(made[0]) in said
    assert probe(made[0]).video.codec == "h264"
    assert "Published. Local outbox: not posted on any network" in said
    with scope.activate(owner.profile.pk):
        item = OutboxItem.objects.select_related("publication", "file").get()
    assert f"In the local outbox: {download_name(item.publication.clip_name, '.mp4')}, " in said
    assert said.rstrip().endswith(f"caption   {item.publication.caption}"), "it ends there"
    assert item.publication.state == "published"
    assert item.file.size == made[0].stat().st_size


@pytest.mark.django_db(transaction=True)
def test_a_brand_that_requires_approval_is_told_what_it_waits_for(
    live_server: Any, owner: Person, worker: None, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    with scope.activate(owner.profile.pk):
        PublishingSettings.objects.create(profile=owner.profile, approval_required=True)
    video = make_clip(tmp_path / "short.mp4", seconds=1, sound="tone")
    with pytest.raises(CommandError, match="waiting for approval"):
        run(str(video), "--url", live_server.url, "--token", owner.token, "--quality", "draft")


@pytest.mark.django_db(transaction=True)
def test_a_revoked_token_falls_back_to_the_password(
    live_server: Any, owner: Person, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    login = {"token": "eai_revoked", "profile_id": "", "username": "olga", "password": "correct horse battery"}
    (tmp_path / "first-login.json").write_text(json.dumps(login))
    client = Client(live_server.url)
    sign_in(client, "")
    assert client.get("auth/me/")["username"] == "olga"


@pytest.mark.django_db(transaction=True)
def test_bad_footage_is_one_clear_line(
    live_server: Any, owner: Person, worker: None, settings: Any, tmp_path: Path
) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all")
    with pytest.raises(CommandError, match="not_a_video") as failed:
        run(str(text), "--url", live_server.url, "--token", owner.token)
    assert "\n" not in str(failed.value)
    whole = make_clip(tmp_path / "whole.mp4", seconds=2)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(CommandError, match="could not be prepared"):
        run(str(broken), "--url", live_server.url, "--token", owner.token)


def test_nobody_answers(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    with pytest.raises(CommandError, match="Is EditAI running there"):
        run("--url", "http://127.0.0.1:9", "--token", "x")
    with pytest.raises(CommandError, match=r"There is no readable .*first-login.json"):
        run("--url", "http://127.0.0.1:9")
    with pytest.raises(CommandError, match="There is no file"):
        run(str(tmp_path / "none.mp4"))
    with pytest.raises(CommandError, match="is no address"):
        run("--url", "ftp://somewhere", "--token", "x")


@pytest.mark.parametrize("seconds", [0.04, 0.4, 0.5, 1.2, 12, 3600])
def test_spans_lie_inside_and_apart(seconds: float) -> None:
    found = footage.spans(seconds)
    assert 1 <= len(found) <= 3
    borders = [border for span in found for border in span]
    assert borders == sorted(borders)
    assert borders[0] >= 0
    assert borders[-1] <= seconds
    assert all(end - start <= 4 for start, end in found)


def test_own_footage(tmp_path: Path) -> None:
    path = tmp_path / "own.mp4"
    footage.make_footage(path, seconds=2)
    info = probe(path)
    assert (info.video.width, info.video.height, len(info.frames)) == (1280, 720, 60)
    assert info.audio is not None
