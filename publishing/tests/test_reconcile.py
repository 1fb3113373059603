"""What nobody knows is found out by looking, and never by sending again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from profiles import credentials
from profiles.models import Profile
from publishing import actions
from publishing.channels.connections import POSTIZ, postiz_of
from publishing.delivery import fingerprints, outcomes
from publishing.delivery.handing_over import hand_over_due
from publishing.models import MediaUpload, Publication
from publishing.postiz.client import Postiz, PostRequest
from publishing.postiz.replies import Media
from publishing.states import State
from publishing.tests.delivering import SETTINGS, account_of, connect, due, fresh, told
from publishing.tracking import reconcile, rhythm
from publishing.tracking.sync import check, sync
from publishing.transitions import Origin, move
from tests.stubs.postiz import Fault, StubPostiz, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def lost(profile: Profile, stub: StubPostiz, fault: Fault, **fields: Any) -> Any:
    """A publication whose reply was lost."""
    publication = due(profile, **fields)
    stub.faults.script("POST /posts", fault)
    hand_over_due(profile=profile)
    row = fresh(publication)
    assert row.state == State.UNCONFIRMED
    return row


def look(publication: Any, clock: Any = None) -> Any:
    """Asks when it is time to; the row then."""
    at = fresh(publication).next_check_at
    assert at is not None
    if clock is not None:
        clock.shift(max(at - timezone.now(), timedelta(0)) + timedelta(milliseconds=10))
    else:
        Publication.objects.filter(pk=publication.pk).update(next_check_at=timezone.now())
    assert sync(publication.profile) == 1
    return fresh(publication)


@pytest.mark.parametrize(
    "fault",
    [faults.drop_after_commit, faults.error_500_after, faults.truncated_json, faults.empty_list, faults.invalid_utf8],
    ids=lambda make: make.__name__,
)
def test_what_had_arrived_is_adopted(profile: Profile, stub: StubPostiz, fault: Callable[[], Fault]) -> None:
    publication = lost(profile, stub, fault())
    row = look(publication)
    assert (row.state, row.external_post_id) == (State.SUBMITTED, stub.posts[0].id)
    assert row.external_group == stub.posts[0].group
    assert not row.may_be_live
    assert row.error is None
    assert told(publication) == []
    assert len(stub.of_route("POST /posts")) == 1
    assert stub.settle().most() == 1


def test_what_had_not_arrived_is_shown_to_be_missing_after_a_while(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = lost(profile, stub, faults.drop_before_commit())
        looks: list[tuple[int, str]] = []
        for _ in range(4):
            row = look(publication, clock)
            looks.append((round((timezone.now() - row.submitting_since).total_seconds()), row.error["code"]))
            if row.error["code"] == "absent":
                break
            assert not actions.is_proven_absent(row)
            assert told(publication) == []
        assert looks == [(5, "outcome_unknown"), (30, "outcome_unknown"), (120, "outcome_unknown"), (195, "absent")]
        assert row.state == State.UNCONFIRMED
        assert actions.is_proven_absent(row)
        assert row.error["checks"] == 4
        assert told(publication) == ["publication_unconfirmed"]
        look(publication, clock)
        assert told(publication) == ["publication_unconfirmed"]
        hand_over_due(profile=profile)
    assert len(stub.of_route("POST /posts")) == 1


def test_it_is_looked_for_until_49_hours_have_passed(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = lost(profile, stub, faults.drop_before_commit())
        times = 0
        while fresh(publication).next_check_at is not None:
            look(publication, clock)
            times += 1
            assert times < 70
        since = timezone.now() - fresh(publication).submitting_since
    assert timedelta(hours=48) < since < timedelta(hours=50)
    assert 50 < times < 60


def test_a_late_commit_is_adopted_however_late(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = lost(profile, stub, faults.late_commit(300), ahead=timedelta(days=1))
        for _ in range(4):
            row = look(publication, clock)
        assert row.error["code"] == "absent"
        row = look(publication, clock)
        assert row.state == State.SUBMITTED
    assert stub.settle().most() == 1


def test_a_list_that_fails_proves_nothing(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = lost(profile, stub, faults.drop_before_commit())
        clock.shift(timedelta(minutes=10))
        stub.faults.script("GET /posts", faults.html_502(), times=2)
        assert sync(profile) == 1
        row = fresh(publication)
        assert row.error["code"] == "outcome_unknown"
        assert row.next_check_at > timezone.now()
        assert told(publication) == ["publication_unconfirmed"]  # ten minutes in the dark
        assert look(publication, clock).error["code"] == "absent"
        assert told(publication) == ["publication_unconfirmed"]


def resend(publication: Any) -> None:
    """As `changes.publication_resend` does it."""
    row = fresh(publication)
    assert actions.is_proven_absent(row)
    now = timezone.now()
    move(
        row, State.SCHEDULED, why="on a person's word", origin=Origin.PERSON, due_at=now, scheduled_at=now,
        is_immediate=True,
    )  # fmt: skip


def absent(profile: Profile, stub: StubPostiz, clock: Any, fault: Fault | None = None) -> Any:
    publication = lost(profile, stub, fault or faults.drop_before_commit(), ahead=timedelta(days=1))
    clock.shift(rhythm.PROOF_AFTER + timedelta(seconds=1))
    row = look(publication)
    assert row.error["code"] == "absent"
    return row


def test_resent_it_gets_a_new_fingerprint_and_the_old_one_is_remembered(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = absent(profile, stub, clock)
        resend(publication)
        assert fresh(publication).fingerprint_at is None
        stub.forget_requests()
        hand_over_due(profile=profile)
        row = fresh(publication)
        assert row.state == State.SUBMITTED
        assert [at for at, _ in fingerprints.earlier(row)] == [publication.fingerprint_at]
        assert row.fingerprint_at != publication.fingerprint_at
        assert [seen.route for seen in stub.requests if "posts" in seen.route] == ["GET /posts", "POST /posts"]
    assert stub.settle().most() == 1


def test_resent_after_the_first_turned_up_the_first_is_adopted(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = absent(profile, stub, clock, faults.late_commit(300))
        resend(publication)
        clock.shift(timedelta(seconds=200))
        hand_over_due(profile=profile)
        row = fresh(publication)
        assert (row.state, row.external_post_id) == (State.SUBMITTED, stub.posts[0].id)
        assert row.fingerprint_at == publication.fingerprint_at
        assert len(stub.of_route("POST /posts")) == 1
    assert stub.settle().most() == 1


def test_earlier_attempts_that_cannot_be_looked_for_hold_the_next_one_up(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = absent(profile, stub, clock)
        resend(publication)
        stub.faults.script("GET /posts", faults.html_502(), times=-1)
        hand_over_due(profile=profile)
        row = fresh(publication)
        assert (row.state, row.error["code"]) == (State.SCHEDULED, "postiz_unavailable")
        assert len(stub.of_route("POST /posts")) == 1


def test_of_two_the_oldest_stays_and_the_other_is_taken_back(profile: Profile, stub: StubPostiz) -> None:
    publication = lost(profile, stub, faults.drop_after_commit(), ahead=timedelta(days=1))
    again_like(profile, publication)
    assert len(stub.posts) == 2
    row = look(publication)
    assert row.state == State.SUBMITTED
    assert [post.deleted for post in stub.posts].count(True) == 1
    assert next(post for post in stub.posts if not post.deleted).id == row.external_post_id
    assert told(publication) == ["publication_unconfirmed"]
    assert stub.settle().most() == 1


def again_like(profile: Profile, publication: Any) -> None:
    """The same request once more, as a careless proxy might repeat it."""
    request = PostRequest(
        channel_id=publication.integration.external_id,
        network="instagram",
        text=publication.caption,
        media=[],
        date=publication.fingerprint_at,
        settings=SETTINGS["instagram"],
        client_ref=str(publication.pk),
    )
    postiz_of(profile, retries=0).create_post(request_with_media(request, profile))


def request_with_media(request: PostRequest, profile: Profile) -> PostRequest:
    row = MediaUpload.objects.get()
    assert profile == row.profile
    return replace(request, media=[Media(row.media_id, row.media_path)])


def test_a_post_of_another_channel_or_moment_is_never_adopted(profile: Profile, stub: StubPostiz) -> None:
    publication = lost(profile, stub, faults.drop_before_commit())
    at = publication.fingerprint_at
    other = due(profile, "facebook")
    Publication.objects.filter(pk=other.pk).update(due_at=None)
    make = stub.organisation()
    media = [stub.media[0].path]
    for network, date in (("facebook", at), ("instagram", at + timedelta(milliseconds=1))):
        create(stub, make.integration(network).id, network, date, media[0], make.key)
    row = look(publication)
    assert (row.state, row.external_post_id) == (State.UNCONFIRMED, "")


def create(stub: StubPostiz, channel_id: str, network: str, date: Any, path: str, key: str) -> None:
    request = PostRequest(channel_id, network, "By somebody else", [Media("m1", path)], date, SETTINGS[network])
    Postiz(f"{stub.url}/api/public/v1", key, retries=0).create_post(request)


def test_without_postiz_nobody_can_ask_and_that_is_said(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile, ahead=timedelta(days=1))
    hand_over_due(profile=profile)
    assert account_of(profile).listed_at is None
    credentials.credential_delete(profile=profile, kind=POSTIZ)
    assert not check(profile, [fresh(publication)])
    row = fresh(publication)
    assert (row.state, row.error["code"], row.may_be_live) == (State.UNCONFIRMED, "postiz_not_connected", True)
    connect(profile, stub)
    assert check(profile, [fresh(publication)])
    assert fresh(publication).state == State.SUBMITTED


def test_a_list_that_was_asked_for_too_early_proves_nothing(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = lost(profile, stub, faults.drop_before_commit())
        clock.shift(rhythm.PROOF_AFTER - timedelta(seconds=10))
        stub.on("GET /posts", "received", lambda _: clock.shift(20))
        row = look(publication)
        assert timezone.now() > row.submitting_since + rhythm.PROOF_AFTER
        assert row.error["code"] == "outcome_unknown"


def test_what_is_found_out_about_one_attempt_is_not_said_of_the_next(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        before = absent(profile, stub, clock)  # as a slow process loaded it
        resend(before)
        stub.faults.script("POST /posts", faults.drop_before_commit())
        hand_over_due(profile=profile)
        row = fresh(before)
        assert (row.state, row.error["code"]) == (State.UNCONFIRMED, "outcome_unknown")
        reconcile.not_found(before, timezone.now())
        reconcile.not_asked([before], timezone.now() + timedelta(days=1))
        what = {"code": "x", "message": "x"}
        assert not outcomes.remove(before, what, may_be_live=False)
        after = fresh(before)
        assert (after.state, after.error) == (row.state, row.error)


def test_who_was_overtaken_deletes_nothing(profile: Profile, stub: StubPostiz) -> None:
    publication = lost(profile, stub, faults.drop_after_commit(), ahead=timedelta(days=1))
    again_like(profile, publication)
    stale = fresh(publication)
    first, second = postiz_of(profile, retries=0).list_posts(
        publication.fingerprint_at - timedelta(seconds=1), publication.fingerprint_at + timedelta(seconds=1)
    )
    mine, other = sorted((first, second), key=lambda post: post.id)
    assert reconcile.adopt(fresh(publication), other)  # by one that saw only this
    assert not reconcile.adopt(stale, mine)
    assert not any(post.deleted for post in stub.posts)
    look(publication)
    assert [post.id for post in stub.posts if not post.deleted] == [other.id]
    assert stub.settle().most() == 1


def test_an_extra_that_cannot_be_deleted_does_not_keep_the_others(profile: Profile, stub: StubPostiz) -> None:
    twice = lost(profile, stub, faults.drop_after_commit(), ahead=timedelta(days=1))
    again_like(profile, twice)
    other = lost(profile, stub, faults.drop_after_commit(), ahead=timedelta(days=2))
    stub.faults.script("DELETE /posts/group/:group", faults.html_502(), times=-1)
    Publication.objects.filter(pk=other.pk).update(next_check_at=timezone.now())
    look_at(profile, twice)
    assert fresh(other).state == State.SUBMITTED
    stub.faults.clear()
    look_at(profile, twice)  # it is tried again
    assert [post.deleted for post in stub.posts].count(True) == 1


def look_at(profile: Profile, publication: Any) -> None:
    Publication.objects.filter(pk=publication.pk).update(next_check_at=timezone.now() - timedelta(seconds=1))
    assert sync(profile)
