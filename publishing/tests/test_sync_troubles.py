"""Posts that were moved, a list that is long, and one publication that must not keep the others."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from profiles.models import Profile
from publishing.delivery.handing_over import hand_over_due
from publishing.models import Publication
from publishing.postiz import replies
from publishing.states import State
from publishing.tests.delivering import Watched, connect, due, fresh
from publishing.tracking import take_back, verdicts
from publishing.tracking.sync import sync
from publishing.transitions import Origin, move
from tests.stubs.postiz import StubPostiz, outcomes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def moved_to_one_minute(profile: Profile, stub: StubPostiz) -> list[Any]:
    """Two publications whose posts somebody dragged to the same minute, and the posts gone from where they were."""
    rows = [due(profile, ahead=timedelta(days=3)) for _ in range(2)]
    hand_over_due(profile=profile)
    moved = (timezone.now() + timedelta(days=5)).replace(second=0, microsecond=0)
    for post in stub.posts:
        post.date = moved
    ask_now(profile)
    first = next(post for post in stub.posts if post.id == fresh(rows[0]).external_post_id)
    stub.world.delete_group(stub.organisation(), first.group)
    return rows


def ask_now(profile: Profile) -> None:
    Publication.objects.filter(next_check_at__isnull=False).update(next_check_at=timezone.now())
    assert sync(profile)


def test_the_post_of_another_that_was_moved_there_is_not_taken_for_its_own(
    profile: Profile, stub: StubPostiz, clock: Any
) -> None:
    rows = moved_to_one_minute(profile, stub)
    ask_now(profile)
    assert [fresh(row).state for row in rows] == [State.REMOVED, State.SUBMITTED]


def test_taking_it_back_leaves_the_post_of_another_alone(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    first, second = moved_to_one_minute(profile, stub)
    take_back.take_back(fresh(first), then="cancel", changes={})
    other = next(post for post in stub.posts if post.id == fresh(second).external_post_id)
    assert not other.deleted


def test_sending_it_anew_leaves_the_post_of_another_alone(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    first, second = moved_to_one_minute(profile, stub)
    take_back.take_back(fresh(first), then="change", changes={"caption": "Better"})
    Publication.objects.filter(pk=first.pk).update(due_at=timezone.now())
    hand_over_due(profile=profile)
    other = next(post for post in stub.posts if post.id == fresh(second).external_post_id)
    assert not other.deleted
    assert fresh(first).external_post_id not in {"", other.id}


def test_what_was_moved_is_taken_back_before_it_is_sent_anew(profile: Profile, stub: StubPostiz, clock: Any) -> None:
    watched = Watched(profile, clock, ahead=timedelta(days=3))
    stub.posts[0].date = (timezone.now() + timedelta(days=5)).replace(second=0, microsecond=0)
    ask_now(profile)
    what = {"code": "x", "message": "x"}
    move(watched.row, State.FAILED, why="x", origin=Origin.SYNC, error=what)
    move(watched.row, State.SCHEDULED, why="again", origin=Origin.PERSON, due_at=timezone.now())
    hand_over_due(profile=profile)
    assert [post.deleted for post in stub.posts] == [True, False]


def test_in_a_busy_organisation_what_is_gone_is_found_to_be(
    profile: Profile, stub: StubPostiz, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [due(profile, ahead=timedelta(days=3 + number)) for number in range(6)]
    hand_over_due(profile=profile)
    gone = next(post for post in stub.posts if post.id == fresh(rows[0]).external_post_id)
    stub.world.delete_group(stub.organisation(), gone.group)
    monkeypatch.setattr(replies, "MAX_ROWS", 2)
    for row in rows[1:]:
        Publication.objects.filter(pk=row.pk).update(next_check_at=timezone.now() + timedelta(days=1))
    ask_now_about(profile, rows[0])
    assert fresh(rows[0]).state == State.REMOVED


def ask_now_about(profile: Profile, publication: Any) -> None:
    Publication.objects.filter(pk=publication.pk).update(next_check_at=timezone.now())
    assert sync(profile) == 1


def test_an_error_that_may_be_live_is_noted_where_another_post_has_taken_its_place(
    profile: Profile, stub: StubPostiz, clock: Any
) -> None:
    stub.outcomes.default = outcomes.failed("The aspect ratio is wrong")
    watched = Watched(profile, clock)
    failed = watched.until(State.FAILED)
    due(profile, clip=failed.clip, state=State.DRAFT)  # its place is taken
    other = due(profile, "facebook")
    Publication.objects.filter(pk=other.pk).update(due_at=timezone.now())
    hand_over_due(profile=profile)
    stub.world.error_in_list = True
    stub.posts[0].error = "Could not confirm the post status"
    clock.shift(timedelta(hours=2))
    stub.settle()
    ask_now(profile)
    assert (fresh(failed).state, fresh(failed).may_be_live) == (State.FAILED, True)
    assert fresh(other).error_seen_at  # it had its turn


def test_one_that_cannot_be_seen_to_does_not_keep_the_others(
    profile: Profile, stub: StubPostiz, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [due(profile) for _ in range(3)]
    hand_over_due(profile=profile)
    real = verdicts.judge

    def judge(publication: Any, *rest: Any) -> Any:
        if publication.pk == rows[0].pk:
            raise ArithmeticError("unforeseen")
        return real(publication, *rest)

    monkeypatch.setattr(verdicts, "judge", judge)
    clock.shift(timedelta(minutes=5))
    stub.settle()
    ask_now(profile)
    assert [fresh(row).state for row in rows] == [State.SUBMITTED, State.PUBLISHED, State.PUBLISHED]
    assert fresh(rows[0]).next_check_at > timezone.now()
