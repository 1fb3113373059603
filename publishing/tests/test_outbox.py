"""The local outbox: copies of its own, no orphans whatever crashes, finished by hand, thrown away with its files."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID, uuid4

import pytest
import time_machine
from django.utils import timezone

from conftest import Person
from profiles import files, storage, trash
from profiles.errors import Conflict, Invalid
from profiles.models import Profile, StoredFile
from publishing import outbox
from publishing.models import (
    Decision,
    Integration,
    OutboxItem,
    Publication,
    PublicationEvent,
    PublishingSettings,
    ReviewLink,
)
from publishing.review import approval
from publishing.review import links as review
from publishing.states import State
from publishing.tests.builders import make_clip, make_integration, make_publication

pytestmark = pytest.mark.django_db(transaction=True)


def held(profile: Profile, **fields: Any) -> tuple[Any, UUID]:
    """A publication for the outbox that a worker holds."""
    channel = Integration.objects.filter(external_id="outbox").first()
    channel = channel or make_integration(profile, "outbox", external_id="outbox")
    row = make_publication(profile, integration=channel, state=State.SCHEDULED, **fields)
    claim = uuid4()
    until = timezone.now() + timedelta(minutes=5)
    Publication.objects.filter(pk=row.pk).update(state=State.UPLOADING, claim=claim, claimed_until=until)
    return Publication.objects.get(pk=row.pk), claim


def delivered(profile: Profile, **fields: Any) -> Any:
    item = outbox.deliver(*held(profile, **fields))
    assert item is not None
    return item


def objects(profile: Profile) -> set[str]:
    return {key for key, _ in storage.keys(files.prefix_of(profile.pk))}


def content(file: StoredFile) -> bytes:
    return b"".join(files.open_range(file, 0, file.size))


def test_it_holds_copies_of_its_own(in_scope: Profile) -> None:
    cover = make_clip(in_scope, content=b"a cover").file
    item = delivered(in_scope, cover=cover)
    publication = item.publication
    assert publication.state == State.PUBLISHED
    assert publication.published_at is not None
    assert item.file.pk != publication.file.pk
    assert item.file.key != publication.file.key
    assert content(item.file) == content(publication.file)
    assert (item.file.state, item.file.sha256) == (StoredFile.State.STORED, publication.sha256)
    assert content(item.cover) == b"a cover"
    assert PublicationEvent.objects.get().why == "Put into the local outbox"


def test_it_stays_when_the_clip_is_purged(in_scope: Profile, owner: Person) -> None:
    clip = make_clip(in_scope, content=b"a film")
    item = delivered(in_scope, clip=clip)
    link, _ = review.link_create(profile=in_scope, clip=clip, by=owner.user)
    said = {"verdict": "approved", "fingerprint": "x", "reviewer": "Ann", "link": link}
    Decision.objects.create(profile=in_scope, publication=item.publication, **said)
    original = clip.file
    assert original is not None
    trash.throw_away(clip)
    trash.purge(profile=in_scope, kind_name="clip", row_id=clip.pk)
    assert not Path(storage.backend().path(original.key)).exists()
    item = OutboxItem.objects.select_related("file", "publication").get()
    assert content(item.file) == b"a film"
    assert (item.publication.clip, item.publication.clip_name) == (None, clip.name)
    assert not ReviewLink.objects.exists()
    assert Decision.objects.get().reviewer == "Ann"


def test_whoever_lost_the_claim_leaves_nothing(in_scope: Profile) -> None:
    publication, _ = held(in_scope)
    before = objects(in_scope)
    assert outbox.deliver(publication, uuid4()) is None
    assert objects(in_scope) == before
    assert not OutboxItem.objects.exists()
    assert Publication.objects.get().state == State.UPLOADING


class Killed(BaseException):
    """The process ends here: nothing of it runs any more."""


def test_a_crash_between_copy_and_row_leaves_nothing_for_ever(in_scope: Profile) -> None:
    publication, claim = held(in_scope)
    before = objects(in_scope)
    with (
        mock.patch.object(outbox, "_put", side_effect=Killed),
        mock.patch.object(files, "erase"),  # a killed process tidies nothing
        pytest.raises(Killed),
    ):
        outbox.deliver(publication, claim)
    assert len(objects(in_scope) - before) == 1
    assert files.sweep() == 0, "it may still be at work"
    with time_machine.travel(timezone.now() + timedelta(hours=25), tick=True):
        assert files.sweep() >= 1
    assert objects(in_scope) == before
    # the next worker does it all again
    assert outbox.deliver(Publication.objects.get(), claim) is not None


def test_a_crash_within_the_last_transaction_undoes_it_all(in_scope: Profile) -> None:
    publication, claim = held(in_scope)
    before = objects(in_scope)
    with mock.patch.object(OutboxItem.objects, "create", side_effect=Killed), pytest.raises(Killed):
        outbox.deliver(publication, claim)
    assert Publication.objects.get().state == State.UPLOADING
    assert objects(in_scope) == before
    assert not StoredFile.objects.filter(state=StoredFile.State.WRITING).exists()


def test_another_file_than_the_chosen_one_is_not_delivered(in_scope: Profile) -> None:
    publication, claim = held(in_scope, sha256="0" * 64)
    before = objects(in_scope)
    with pytest.raises(Conflict) as refused:
        outbox.deliver(publication, claim)
    assert refused.value.code == "clip_changed"
    assert objects(in_scope) == before
    storage.delete(publication.file.key)
    Publication.objects.update(sha256="")
    with pytest.raises(Conflict) as refused:
        outbox.deliver(Publication.objects.get(), claim)
    assert refused.value.code == "clip_changed"


def test_what_is_not_approved_gets_nowhere(in_scope: Profile) -> None:
    PublishingSettings.objects.create(profile=in_scope, approval_required=True)
    publication, claim = held(in_scope)
    with pytest.raises(approval.NotApproved):
        outbox.deliver(publication, claim)
    assert not OutboxItem.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript://x/%0aalert(1)",
        "data:text/html,x",
        "ftp://example.org/x",
        "//example.org/x",
        "example.org/x",
        "https://",
        "https://user@example.org/",
        "https://exa mple.org/",
        "https://example.org/\u202e",
        "https://example.org/" + "x" * 2000,
        "http://[::1",
        "",
    ],
)
def test_only_a_web_page_can_be_where_it_was_posted(in_scope: Profile, url: str) -> None:
    item = delivered(in_scope)
    with pytest.raises(Invalid) as refused:
        outbox.finish(profile=in_scope, item=item, by=None, url=url)
    assert "url" in (refused.value.fields or {})
    assert Publication.objects.get().release_url == ""


def test_posted_by_hand_and_undone(in_scope: Profile, owner: Person) -> None:
    item = delivered(in_scope)
    url = "https://www.tiktok.com/@me/video/1?x=1"
    later = timezone.now() + timedelta(hours=1)
    with pytest.raises(Invalid):
        outbox.finish(profile=in_scope, item=item, by=owner.user, url=url, posted_at=later)
    outbox.finish(profile=in_scope, item=item, by=owner.user, url=f" {url} ")
    row = OutboxItem.objects.select_related("publication").get()
    assert (row.publication.release_url, row.posted_by) == (url, owner.user)
    assert row.posted_at is not None
    with pytest.raises(Conflict) as refused:
        outbox.finish(profile=in_scope, item=item, by=owner.user, url="https://other.example/")
    assert refused.value.code == "already_finished"
    outbox.undo(profile=in_scope, item=item, by=owner.user)
    outbox.undo(profile=in_scope, item=item, by=owner.user)
    row = OutboxItem.objects.select_related("publication").get()
    assert (row.posted_at, row.posted_by, row.publication.release_url) == (None, None, "")
    told = [event.why for event in PublicationEvent.objects.all()]
    assert told == ["Put into the local outbox", "Posted by hand", "Not posted by hand after all"]


def test_thrown_away_with_its_files(in_scope: Profile, owner: Person) -> None:
    item = delivered(in_scope)
    key = item.file.key
    assert Path(storage.backend().path(key)).exists()
    outbox.delete(profile=in_scope, item=item, by=owner.user)
    assert not OutboxItem.objects.exists()
    assert not Path(storage.backend().path(key)).exists()
    assert Publication.objects.get().state == State.PUBLISHED
