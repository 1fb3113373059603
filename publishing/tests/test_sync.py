"""What Postiz lists becomes the state, with all its traps."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from editai.notify.models import Notification
from profiles.models import Profile
from publishing.delivery import batches
from publishing.delivery.handing_over import hand_over_due
from publishing.models import Batch, Publication
from publishing.states import State
from publishing.tests.delivering import Watched, account_of, connect, due, fresh, told
from publishing.tracking import rhythm, verdicts
from publishing.tracking.sync import sync
from publishing.transitions import Origin, move
from tests.stubs.postiz import StubPostiz, faults, outcomes
from tests.stubs.postiz.outcomes import Outcome, Step

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def test_published_at_the_first_look_with_its_link(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    watched = Watched(profile, clock)
    row = watched.look()
    [live] = stub.ledger
    assert row.state == State.PUBLISHED
    assert timedelta(seconds=20) <= watched.late < timedelta(seconds=22)
    assert row.release_url == stub.posts[0].release_url
    assert row.release_id == stub.posts[0].release_id
    assert row.next_check_at is None
    assert live.at >= row.fingerprint_at
    assert timedelta(0) <= row.published_at - row.fingerprint_at < timedelta(seconds=1)
    assert sync(profile) == 0


def test_the_rhythm_of_the_looks(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.stuck()
    watched = Watched(profile, clock)
    seconds: list[int] = []
    while watched.look().state == State.SUBMITTED:
        seconds.append(round(watched.late.total_seconds()))
    assert seconds[:8] == [20, 40, 60, 120, 300, 600, 1200, 2400]
    assert seconds[8:] == [3600 * hour for hour in range(1, 49)]
    row = watched.row
    assert (row.state, row.error["code"], row.may_be_live) == (State.UNCONFIRMED, "stuck_at_postiz", False)
    assert row.error["message"] == "Accepted but not published by Postiz (worker/Temporal?)."
    assert told(row) == ["publication_unconfirmed"]
    assert row.next_check_at is None


def test_after_an_hour_it_says_that_postiz_is_late(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.swept(5400)
    watched = Watched(profile, clock)
    while watched.late < timedelta(minutes=39):
        assert watched.look().error is None
    assert watched.look().error["code"] == "stuck_at_postiz"
    assert watched.row.state == State.SUBMITTED
    row = watched.until(State.PUBLISHED)
    assert row.error is None
    assert told(row) == []


def test_an_error_is_believed_after_ten_minutes_with_its_reason(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.failed("The aspect ratio is wrong")
    watched = Watched(profile, clock)
    seen = watched.look()
    assert (seen.state, seen.error) == (State.SUBMITTED, None)
    row = watched.until(State.FAILED)
    assert timedelta(minutes=10) <= timezone.now() - row.error_seen_at < timedelta(minutes=11)
    assert row.error["message"] == "An error occurred while posting on instagram: The aspect ratio is wrong"
    assert not row.may_be_live
    assert told(row) == ["publication_failed"]


def test_an_error_without_a_reason_is_believed_after_an_hour(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = (Step(5, "ERROR"),)
    watched = Watched(profile, clock)
    watched.look()
    row = watched.until(State.FAILED)
    assert timedelta(minutes=60) <= timezone.now() - row.error_seen_at < timedelta(minutes=62)
    assert row.may_be_live


def test_the_reason_of_newer_versions_is_taken_from_the_list(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.world.error_in_list = True
    stub.outcomes.default = (Step(5, "ERROR", error="Too many tags"),)
    row = Watched(profile, clock).until(State.FAILED)
    assert row.error["message"] == "Too many tags"
    assert stub.of_route("GET /notifications") == []


def test_an_error_that_turns_into_a_success_was_none(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.failed_then_published(again=45)
    row = Watched(profile, clock).until(State.PUBLISHED)
    assert row.error_seen_at is None
    assert told(row) == []


def test_a_failed_one_that_goes_out_after_all_is_published(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.failed_then_published(again=5 * 3600)
    watched = Watched(profile, clock)
    watched.until(State.FAILED)
    row = watched.until(State.PUBLISHED)
    assert row.release_url
    assert not row.may_be_live
    assert watched.late < timedelta(hours=7)


def again(row: Any) -> None:
    """A person tries a failed one again."""
    now = timezone.now()
    move(row, State.SCHEDULED, why="again", origin=Origin.PERSON, due_at=now, scheduled_at=now, is_immediate=True)
    hand_over_due(profile=row.profile)


def test_tried_again_what_failed_is_deleted_first_and_its_file_uploaded_anew(
    profile: Profile, stub: StubPostiz, clock: Any
) -> None:
    stub.outcomes.script(outcomes.failed("The file is gone"))
    watched = Watched(profile, clock)
    again(watched.until(State.FAILED))
    row = watched.row
    assert (row.state, row.external_post_id) == (State.SUBMITTED, stub.posts[1].id)
    assert [post.deleted for post in stub.posts] == [True, False]
    assert len(stub.of_route("POST /upload")) == 2
    assert watched.until(State.PUBLISHED).release_url
    assert stub.settle().most() == 1


def test_tried_again_what_went_out_meanwhile_is_adopted(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.failed("A hiccup")
    watched = Watched(profile, clock)
    failed = watched.until(State.FAILED)
    stub.publish(stub.posts[0].id)
    again(failed)
    assert (watched.row.state, watched.row.external_post_id) == (State.SUBMITTED, stub.posts[0].id)
    sync(profile)
    assert watched.row.state == State.PUBLISHED
    assert len(stub.of_route("POST /posts")) == 1
    assert stub.settle().most() == 1


def test_tried_again_what_cannot_be_deleted_is_not_sent(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.failed("A hiccup")
    watched = Watched(profile, clock)
    failed = watched.until(State.FAILED)
    stub.faults.script("DELETE /posts/group/:group", faults.reply_with(200, {"error": True}), times=-1)
    again(failed)
    row = watched.row
    assert (row.state, row.error["code"], row.may_be_live) == (State.FAILED, "earlier_attempt_alive", True)
    assert len(stub.of_route("POST /posts")) == 1


def test_a_link_counts_more_than_the_word_error(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.failed_but_live()
    row = Watched(profile, clock).look()
    assert (row.state, row.error["code"]) == (State.PUBLISHED, "error_but_live")
    assert row.release_url == stub.posts[0].release_url


@pytest.mark.parametrize("live", [True, False])
def test_could_not_confirm_may_be_live(profile: Profile, stub: StubPostiz, clock: Any, live: bool) -> None:
    stub.outcomes.default = outcomes.unconfirmed(live=live)
    row = Watched(profile, clock).look()
    assert (row.state, row.error["code"], row.may_be_live) == (State.UNCONFIRMED, "may_be_live", True)
    assert told(row) == ["publication_unconfirmed"]
    sync(profile)
    assert stub.ledger.most() <= 1
    assert len(stub.of_route("POST /posts")) == 1


def test_a_refused_thumbnail_leaves_the_video_on_youtube(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    text = "We have uploaded your video but the thumbnail is too large"
    stub.outcomes.default = outcomes.failed(text)
    row = Watched(profile, clock, "youtube").look()
    assert (row.state, row.error["code"]) == (State.PUBLISHED, "thumbnail_refused")
    assert text in row.error["message"]


def test_the_inbox_of_tiktok_asks_to_be_finished(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.tiktok_inbox()
    row = Watched(profile, clock).look()
    assert (row.state, row.error["code"]) == (State.PUBLISHED, "tiktok_inbox")
    assert "24 hours" in row.error["next_step"]
    assert row.release_id == ""


RECONNECT: Outcome = (Step(5, "ERROR", notice=outcomes.RECONNECT),)


def test_a_dead_token_asks_to_reconnect_the_channel(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = RECONNECT
    row = Watched(profile, clock).until(State.FAILED)
    assert row.error["code"] == "channel_disconnected"
    assert "need to reconnect" in row.error["message"]


def test_a_script_is_no_link(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    stub.outcomes.default = outcomes.published(url="javascript:alert(1)")
    row = Watched(profile, clock).look()
    assert (row.state, row.release_url) == (State.PUBLISHED, "")


def test_moved_in_postiz_it_is_followed(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    watched = Watched(profile, clock, ahead=timedelta(days=3))
    moved = (timezone.now() + timedelta(days=10)).replace(second=0, microsecond=0)
    stub.posts[0].date = moved
    stub.world.life.start(stub.posts[0], moved)
    watched.look()
    assert watched.row.state == State.SUBMITTED
    assert watched.row.scheduled_at == moved
    assert abs(watched.row.fingerprint_at - moved) < timedelta(milliseconds=2)
    assert watched.row.events.filter(why__startswith="Moved in Postiz").count() == 1
    assert watched.until(State.PUBLISHED).release_url
    assert watched.row.events.filter(why__startswith="Moved in Postiz").count() == 1


def test_two_that_were_moved_to_one_minute_are_told_apart(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    rows = [due(profile, ahead=timedelta(days=3)) for _ in range(2)]
    hand_over_due(profile=profile)
    moved = (timezone.now() + timedelta(days=5)).replace(second=0, microsecond=0)
    for post in stub.posts:
        post.date = moved
    Publication.objects.update(next_check_at=timezone.now())
    sync(profile)
    assert [fresh(row).scheduled_at for row in rows] == [moved, moved]
    assert len({fresh(row).fingerprint_at for row in rows}) == 2


def test_deleted_in_postiz_it_is_removed(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    watched = Watched(profile, clock, ahead=timedelta(days=3))
    stub.world.delete_group(stub.organisation(), stub.posts[0].group)
    row = watched.look()
    assert (row.state, row.error["code"], row.may_be_live) == (State.REMOVED, "removed_in_postiz", False)
    assert told(row) == ["publication_removed"]
    assert row.next_check_at is None


def test_in_another_organisation_it_is_not_called_removed(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    watched = Watched(profile, clock, ahead=timedelta(days=3))
    stub.add_organisation()
    connect(profile, stub, 1)
    row = watched.look()
    assert (row.state, row.error["code"], row.may_be_live) == (State.UNCONFIRMED, "channel_gone", True)


def test_one_list_for_all_of_a_profile(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    for hours in range(20):
        due(profile, ahead=timedelta(hours=hours + 1))
    hand_over_due(profile=profile)
    clock.shift(timedelta(hours=30))
    stub.forget_requests()
    assert sync(profile) == 20
    assert [seen.route for seen in stub.requests] == ["GET /posts"]
    assert Publication.objects.filter(state=State.PUBLISHED).count() == 20
    assert stub.settle().most() == 1


def test_two_processes_do_not_ask_about_the_same(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    watched = Watched(profile, clock)
    clock.shift(timedelta(minutes=3))
    asked: list[int] = []
    stub.on("GET /posts", "received", lambda seen: asked.append(1))
    assert sync(profile) == 1
    assert sync(profile) == 0
    assert len(asked) == 1
    assert watched.row.state == State.PUBLISHED


def test_trouble_is_backed_off_and_changes_nothing(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    watched = Watched(profile, clock)
    stub.faults.script("GET /posts", faults.html_502(), times=-1)
    waits: list[float] = []
    for _ in range(7):
        row = watched.look()
        assert row.state == State.SUBMITTED
        waits.append(round((row.next_check_at - timezone.now()).total_seconds()))
    assert waits == [15, 30, 60, 120, 300, 600, 600]
    assert account_of(profile).problem["code"] == "postiz_unavailable"
    stub.faults.clear()
    assert watched.look().state == State.PUBLISHED
    assert account_of(profile).problem is None


def test_a_refused_key_pauses_and_is_told_once(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    watched = Watched(profile, clock)
    stub.organisation().key = "another-key-0000"
    watched.look()
    assert account_of(profile).paused_at is not None
    stub.forget_requests()
    watched.look()
    assert stub.requests == []
    assert watched.row.state == State.SUBMITTED


def test_the_end_of_a_batch_is_told_once(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    batch = Batch.objects.create(profile=profile, total=2)
    rows = [due(profile, batch=batch), due(profile, "facebook", batch=batch, settings={"post_type": "nonsense"})]
    assert batches.finish_batches(profile) == 0
    hand_over_due(profile=profile)
    assert [fresh(row).state for row in rows] == [State.SUBMITTED, State.FAILED]
    assert batches.finish_batches(profile) == 0
    clock.shift(timedelta(minutes=5))
    sync(profile)
    assert batches.finish_batches(profile) == 1
    assert batches.finish_batches(profile) == 0
    batch.refresh_from_db()
    assert batch.finished_at is not None
    [notice] = Notification.objects.filter(event="batch_finished")
    assert notice.payload["states"] == {"published": 1, "failed": 1}


def test_the_next_look_at_a_post_to_come_is_at_its_time_or_in_six_hours() -> None:
    now = timezone.now()
    assert rhythm.next_check(now + timedelta(hours=1), now) == now + timedelta(hours=1, seconds=20)
    assert rhythm.next_check(now + timedelta(days=9), now) == now + timedelta(hours=6)
    assert rhythm.next_check(now - timedelta(hours=50), now) is None
    assert verdicts.WITH_REASON < verdicts.WITHOUT_REASON
