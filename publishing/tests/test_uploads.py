"""Each file once for a profile."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

from profiles import storage
from profiles.models import Profile
from publishing.channels.connections import postiz_of
from publishing.delivery import uploads
from publishing.delivery.handing_over import hand_over_due
from publishing.models import MediaUpload, Publication
from publishing.postiz.errors import Stopped
from publishing.states import State
from publishing.tests.builders import make_clip
from publishing.tests.delivering import account_of, connect, due, fresh
from tests.stubs.postiz import StubPostiz, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def test_one_upload_for_four_channels_and_for_the_next_time(profile: Profile, stub: StubPostiz) -> None:
    clip = make_clip(profile)
    rows = [due(profile, network, clip=clip) for network in ("instagram", "facebook", "threads", "bluesky")]
    hand_over_due(profile=profile)
    assert {fresh(row).state for row in rows} == {State.SUBMITTED}
    assert len(stub.of_route("POST /upload")) == 1
    Publication.objects.all().delete()
    due(profile, clip=clip)
    hand_over_due(profile=profile)
    assert len(stub.of_route("POST /upload")) == 1
    assert len(stub.posts) == 5


def test_the_name_of_the_file_tells_nothing(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    hand_over_due(profile=profile)
    [media] = stub.media
    assert media.sent_name == f"{publication.sha256[:16]}.mp4"


def test_while_another_worker_uploads_it_the_post_waits_a_little(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    row = MediaUpload.objects.create(
        profile=profile,
        base_url=account_of(profile).base_url,
        sha256=publication.sha256,
        claim=uuid4(),
        claimed_until=timezone.now() + timedelta(minutes=1),
    )
    hand_over_due(profile=profile)
    waiting = fresh(publication)
    assert (waiting.state, waiting.error["code"]) == (State.SCHEDULED, "upload_elsewhere")
    assert waiting.due_at <= timezone.now() + uploads.LOOK_AGAIN
    assert stub.of_route("POST /upload", "POST /posts") == []
    MediaUpload.objects.filter(pk=row.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    Publication.objects.update(due_at=timezone.now())
    hand_over_due(profile=profile)  # its worker is gone
    assert fresh(publication).state == State.SUBMITTED
    assert [upload.state for upload in MediaUpload.objects.all()] == ["uploaded"]


def test_a_failed_upload_leaves_no_row_that_others_wait_for(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    stub.faults.script("POST /upload", faults.drop_before_commit(), times=-1)
    hand_over_due(profile=profile)
    assert fresh(publication).state == State.SCHEDULED
    assert not MediaUpload.objects.exists()


def test_what_postiz_refuses_fails_in_its_words(profile: Profile, stub: StubPostiz) -> None:
    clip = make_clip(profile, content=b"this is no video, whatever its name says")
    publication = due(profile, clip=clip)
    hand_over_due(profile=profile)
    row = fresh(publication)
    assert (row.state, row.error["code"]) == (State.FAILED, "postiz_media_refused")
    assert row.error["message"] == "Video must be MP4, max 1 GB."


def test_a_file_that_is_gone_fails_and_is_never_replaced_by_another(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    storage.delete(publication.file.key)
    hand_over_due(profile=profile)
    assert (fresh(publication).state, fresh(publication).error["code"]) == (State.FAILED, "clip_changed")
    assert stub.of_route("POST /posts") == []


def test_a_stop_ends_the_upload_and_frees_its_row(profile: Profile, tmp_path: Path) -> None:
    clip = make_clip(profile, content=b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 2_000_000)
    assert clip.file is not None
    shares: list[float] = []
    watch = uploads.Watch(tell=shares.append, should_stop=lambda: bool(shares) and shares[-1] > 0.3)
    with pytest.raises(Stopped):
        uploads.ensure(
            profile=profile, account=account_of(profile), postiz=postiz_of(profile), file=clip.file, watch=watch
        )
    assert max(shares) < 0.5
    assert not MediaUpload.objects.exists()


def test_progress_keeps_the_claims_alive(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(profile, content=b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 1_000_000)
    assert clip.file is not None
    monkeypatch.setattr(uploads, "_BEAT", timedelta(0))
    alive: list[int] = []
    watch = uploads.Watch(alive=lambda: alive.append(1))
    uploads.ensure(profile=profile, account=account_of(profile), postiz=postiz_of(profile), file=clip.file, watch=watch)
    assert len(alive) > 5


def test_a_new_key_forgets_what_was_uploaded_with_the_old_one(profile: Profile, stub: StubPostiz) -> None:
    due(profile)
    hand_over_due(profile=profile)
    assert MediaUpload.objects.count() == 1
    connect(profile, stub)
    assert MediaUpload.objects.count() == 0
