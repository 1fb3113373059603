"""Taken back is what the list does not have any more, in time."""

import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from jobs.execution import JobError
from profiles import credentials, erasure
from profiles.models import Profile
from publishing.channels.connections import POSTIZ
from publishing.delivery import claims
from publishing.delivery.handing_over import hand_over_due
from publishing.models import Publication, PublishingSettings
from publishing.states import State
from publishing.tests.delivering import connect, due, fresh, told
from publishing.tracking import rhythm, take_back
from publishing.tracking.sync import sync
from publishing.transitions import Origin, move
from tests.stubs.postiz import StubPostiz, faults, outcomes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]
DAY = timedelta(days=1)


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def handed_over(profile: Profile, **fields: Any) -> Any:
    publication = due(profile, **{"ahead": DAY, **fields})
    hand_over_due(profile=profile)
    row = fresh(publication)
    assert row.state == State.SUBMITTED
    return row


def test_cancelled_after_the_list_has_said_so(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    stub.forget_requests()
    take_back.take_back(publication, then="cancel", changes={})
    assert fresh(publication).state == State.CANCELLED
    assert [seen.route for seen in stub.requests] == [
        "GET /posts",
        "DELETE /posts/group/:group",
        "GET /posts",
        "GET /posts",
    ]
    assert stub.settle().most() == 0
    take_back.take_back(fresh(publication), then="cancel", changes={})  # a job that runs twice


def test_changed_it_goes_out_once_with_the_new_words(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    at = timezone.now() + 2 * DAY
    job = take_back.request(
        profile, publication, then="change", changes={"caption": "Better", "scheduled_at": at}, by=None
    )
    assert (job.kind, job.subject) == ("take_back", publication.pk)
    take_back.take_back(publication, then=job.params["then"], changes=job.params["changes"])
    row = fresh(publication)
    assert (row.state, row.caption, row.scheduled_at) == (State.SCHEDULED, "Better", at)
    assert (row.external_post_id, row.fingerprint_at) == ("", None)
    assert row.earlier_fingerprints[0]["is_void"]
    assert at - DAY - timedelta(minutes=1) < row.due_at <= at - DAY
    Publication.objects.update(due_at=timezone.now())
    hand_over_due(profile=profile)
    assert [(post.content, post.deleted) for post in stub.posts] == [("Look at this", True), ("Better", False)]
    assert stub.settle().most() == 1


def test_changed_words_need_a_new_approval(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    PublishingSettings.objects.create(profile=profile, approval_required=True)
    take_back.take_back(publication, then="change", changes={"caption": "Better"})
    assert fresh(publication).state == State.AWAITING_APPROVAL


@pytest.mark.parametrize("route", ["DELETE /posts/group/:group", "GET /posts"])
def test_what_cannot_be_verified_may_still_go_live(profile: Profile, stub: StubPostiz, route: str) -> None:
    publication = handed_over(profile)
    if route.startswith("GET"):  # the first list tells that it is there; those after the deletion fail
        stub.on(
            "DELETE /posts/group/:group", "received", lambda _: stub.faults.script(route, faults.html_502(), times=-1)
        )
    else:
        stub.faults.script(route, faults.html_502(), times=-1)
    with pytest.raises(JobError, match="take_back_unverified"):
        take_back.take_back(publication, then="cancel", changes={})
    row = fresh(publication)
    assert (row.state, row.may_be_live) == (State.UNCONFIRMED, True)
    assert "may still go live" in row.error["message"]
    assert told(publication) == ["publication_unconfirmed"]
    stub.faults.clear()
    Publication.objects.update(next_check_at=timezone.now())
    sync(profile)
    # whatever is true by then: deleted after all, or still there
    assert fresh(publication).state == (State.CANCELLED if route.startswith("GET") else State.SUBMITTED)
    assert stub.settle().most() == (0 if route.startswith("GET") else 1)


def test_trouble_before_anything_was_touched_changes_nothing(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    stub.faults.script("GET /posts", faults.html_502(), times=-1)
    with pytest.raises(JobError) as error:
        take_back.take_back(publication, then="cancel", changes={})
    assert error.value.data.again
    assert fresh(publication).state == State.SUBMITTED
    assert stub.of_route("DELETE /posts/group/:group") == []


def test_in_its_last_seconds_it_may_be_on_its_way(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        stub.outcomes.default = outcomes.published(30)
        publication = handed_over(profile)
        clock.shift(publication.fingerprint_at - timezone.now() + timedelta(seconds=2))
        with pytest.raises(JobError, match="take_back_too_late"):
            take_back.take_back(publication, then="cancel", changes={})
        row = fresh(publication)
        assert (row.state, row.may_be_live) == (State.UNCONFIRMED, True)
    assert len(stub.settle().cancelled_in_flight) == 1  # and so it was


def test_published_it_cannot_be_taken_back(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    stub.publish(stub.posts[0].id)
    with pytest.raises(JobError, match="already_published"):
        take_back.take_back(publication, then="cancel", changes={})
    row = fresh(publication)
    assert (row.state, bool(row.release_url)) == (State.PUBLISHED, True)
    assert stub.of_route("DELETE /posts/group/:group") == []


def test_moved_in_postiz_it_is_found_by_its_id(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    stub.posts[0].date += 9 * DAY
    take_back.take_back(publication, then="cancel", changes={})
    assert fresh(publication).state == State.CANCELLED
    assert stub.posts[0].deleted


def test_a_job_that_died_after_deleting_goes_on(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    stub.world.delete_group(stub.organisation(), stub.posts[0].group)
    take_back.request(profile, publication, then="cancel", changes={}, by=None)
    Publication.objects.update(next_check_at=timezone.now())
    sync(profile)
    assert fresh(publication).state == State.SUBMITTED  # our own doing is not called "removed"
    take_back.take_back(fresh(publication), then="cancel", changes={})
    assert fresh(publication).state == State.CANCELLED


def test_an_unconfirmed_one_is_cancelled_only_once_it_was_shown_to_be_missing(
    profile: Profile, stub: StubPostiz
) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = due(profile, ahead=DAY)
        stub.faults.script("POST /posts", faults.late_commit(260))
        hand_over_due(profile=profile)
        with pytest.raises(JobError, match="not_certain_yet"):
            take_back.take_back(fresh(publication), then="cancel", changes={})
        assert fresh(publication).state == State.UNCONFIRMED
        clock.shift(rhythm.PROOF_AFTER)
        take_back.take_back(fresh(publication), then="cancel", changes={})
        row = fresh(publication)
        assert row.state == State.CANCELLED
        clock.shift(row.next_check_at - timezone.now() + timedelta(seconds=1))
        sync(profile)  # it turned up meanwhile
        assert [post.deleted for post in stub.posts] == [True]
        assert told(publication)[-1] == "publication_unconfirmed"
        sync(profile)
    assert stub.settle().most() == 0


def test_all_is_taken_back_before_a_profile_is_erased(profile: Profile, stub: StubPostiz) -> None:
    rows = [handed_over(profile) for _ in range(3)]
    Profile.objects.filter(pk=profile.pk).update(state=Profile.State.DELETING, deleting_since=timezone.now())
    profile.refresh_from_db()
    assert erasure.may_be_erased(profile)
    assert {fresh(row).state for row in rows} == {State.CANCELLED}
    assert stub.settle().most() == 0


def test_erasing_waits_for_who_is_in_the_middle_of_it(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    claims.take(fresh(publication))
    assert not take_back.before_erasing(profile)
    Profile.objects.filter(pk=profile.pk).update(state=Profile.State.DELETING)
    Publication.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert take_back.before_erasing(profile)
    hand_over_due(profile=profile)  # a worker that has not heard of it yet
    assert fresh(publication).state == State.SCHEDULED
    assert stub.of_route("POST /upload", "POST /posts") == []


def test_erasing_waits_for_a_postiz_that_is_away(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    stub.faults.script("GET /posts", faults.html_502(), times=-1)
    assert not take_back.before_erasing(profile)
    stub.faults.clear()
    assert take_back.before_erasing(profile)
    assert fresh(publication).state == State.CANCELLED
    other = handed_over(profile)
    credentials.credential_delete(profile=profile, kind=POSTIZ)
    assert take_back.before_erasing(profile)  # nobody could
    assert fresh(other).state == State.SUBMITTED


def test_a_change_in_doubt_that_came_to_nothing_is_told(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    stub.on(
        "DELETE /posts/group/:group",
        "received",
        lambda _: stub.faults.script("GET /posts", faults.html_502(), times=-1),
    )
    with pytest.raises(JobError, match="take_back_unverified"):
        take_back.take_back(publication, then="change", changes={"caption": "Better"})
    stub.faults.clear()
    Publication.objects.update(next_check_at=timezone.now())
    sync(profile)
    row = fresh(publication)  # it was wanted, with other words: that nothing goes out is no cancellation
    assert (row.state, row.error["code"]) == (State.REMOVED, "change_not_made")
    assert told(row) == ["publication_unconfirmed", "publication_removed"]


def test_what_became_unconfirmed_before_its_change_is_void_afterwards(profile: Profile, stub: StubPostiz) -> None:
    publication = handed_over(profile)
    PublishingSettings.objects.create(profile=profile, approval_required=True)
    what = {"code": "x", "message": "x"}
    move(publication, State.UNCONFIRMED, why="x", origin=Origin.SYNC, error=what)
    take_back.take_back(fresh(publication), then="change", changes={"caption": "Better"})
    row = fresh(publication)
    assert (row.state, row.earlier_fingerprints[0]["is_void"]) == (State.AWAITING_APPROVAL, True)


def test_before_erasing_one_that_fails_does_not_keep_the_others(
    profile: Profile, stub: StubPostiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [handed_over(profile, ahead=DAY * number) for number in (1, 2)]
    tried: list[Any] = []

    def fails(publication: Any, **_: Any) -> None:
        tried.append(publication.pk)
        time.sleep(0.2)
        raise JobError("postiz_unavailable", "It is away.")

    monkeypatch.setattr(take_back, "take_back", fails)
    monkeypatch.setattr(take_back, "_ERASE_SECONDS", 0.1)
    assert not take_back.before_erasing(profile)
    assert not take_back.before_erasing(profile)
    assert tried == [row.pk for row in rows]


def test_a_cancelled_one_that_went_out_is_not_called_deleted(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = due(profile)
        stub.faults.script("POST /posts", faults.late_commit(260))
        hand_over_due(profile=profile)
        clock.shift(rhythm.PROOF_AFTER)
        take_back.take_back(fresh(publication), then="cancel", changes={})
        clock.shift(timedelta(minutes=10))
        stub.settle()
        sync(profile)
    row = fresh(publication)
    assert (row.state, row.may_be_live, row.next_check_at) == (State.CANCELLED, True, None)
    assert stub.posts[0].release_url in row.events.last().why
    assert not stub.posts[0].deleted
    assert told(row)[-1] == "publication_unconfirmed"


@pytest.mark.parametrize("ahead", [120, 95])
def test_by_the_clock_of_postiz_it_may_be_on_its_way(profile: Profile, stub: StubPostiz, ahead: int) -> None:
    """Its clock is ahead of ours: what is to come here is out there, or will be in a moment."""
    stub.clock.advance(ahead)
    stub.outcomes.default = outcomes.published(30)
    publication = due(profile)
    hand_over_due(profile=profile)
    with pytest.raises(JobError, match="take_back_too_late"):
        take_back.take_back(fresh(publication), then="cancel", changes={})
    row = fresh(publication)
    assert (row.state, row.may_be_live) == (State.UNCONFIRMED, True)
    Publication.objects.update(next_check_at=timezone.now())
    sync(profile)
    assert (fresh(publication).state, fresh(publication).may_be_live) == (State.REMOVED, True)


def test_what_is_gone_may_be_out_by_the_clock_of_postiz(profile: Profile, stub: StubPostiz) -> None:
    """It was deleted over there, while it was published, before anybody here asked about it."""
    stub.clock.advance(120)
    stub.outcomes.default = outcomes.published(30)
    publication = due(profile)
    hand_over_due(profile=profile)
    stub.world.delete_group(stub.organisation(), stub.posts[0].group)
    with pytest.raises(JobError, match="removed_in_postiz"):
        take_back.take_back(fresh(publication), then="cancel", changes={})
    assert (fresh(publication).state, fresh(publication).may_be_live) == (State.REMOVED, True)


def test_what_could_not_be_verified_is_not_cancelled_once_its_time_has_come_over_there(
    profile: Profile, stub: StubPostiz
) -> None:
    stub.clock.advance(120)
    stub.outcomes.default = outcomes.published(30)
    publication = due(profile)
    hand_over_due(profile=profile)
    stub.on(
        "DELETE /posts/group/:group",
        "received",
        lambda _: stub.faults.script("GET /posts", faults.html_502(), times=-1),
    )
    with pytest.raises(JobError, match="take_back_unverified"):
        take_back.take_back(fresh(publication), then="cancel", changes={})
    stub.faults.clear()
    Publication.objects.update(next_check_at=timezone.now())
    sync(profile)
    assert (fresh(publication).state, fresh(publication).may_be_live) == (State.REMOVED, True)
