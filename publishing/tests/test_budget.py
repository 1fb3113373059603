"""The hourly limit: waited for, learned from headers, given out in order."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from profiles.models import Profile
from publishing import periodic
from publishing.channels import integrations
from publishing.delivery import budget, uploads
from publishing.delivery.handing_over import hand_over_due
from publishing.models import PostizAccount, Publication
from publishing.postiz.replies import RateInfo
from publishing.states import State
from publishing.tests.builders import make_clip
from publishing.tests.delivering import account_of, channel, connect, due, fresh
from tests.stubs.postiz import StubPostiz, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]
HOUR = timedelta(hours=1)


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def test_120_posts_against_30_an_hour_all_go_out_in_order(profile: Profile, stub: StubPostiz) -> None:
    """The clock is advanced by as much as the waiting posts say that they wait."""
    clips = [make_clip(profile) for _ in range(30)]
    networks = ("instagram", "facebook", "threads", "bluesky")
    rows = [due(profile, network, clip=clip) for clip in clips for network in networks]
    hours: list[int] = []
    with time_machine.travel(timezone.now(), tick=True) as clock:
        for _ in range(12):
            hand_over_due(profile=profile)
            waiting = Publication.objects.filter(state=State.SCHEDULED)
            hours.append(len(stub.posts))
            if not waiting.exists():
                break
            following = waiting.order_by("due_at")[0].due_at
            assert following is not None
            clock.shift(max(following - timezone.now(), timedelta(0)) + timedelta(seconds=1))
    assert Publication.objects.filter(state=State.SUBMITTED).count() == 120, hours
    assert hours == [30, 60, 90, 120]
    assert [seen.status for seen in stub.of_route("POST /posts")] == [201] * 120  # never one too many
    assert [post.settings["client_ref"] for post in stub.posts] == [str(row.pk) for row in rows]
    assert len(stub.media) == 30
    assert stub.settle().most() == 1
    assert len(stub.ledger) == 120


def test_a_larger_limit_is_learned_from_the_first_reply(profile: Profile, stub: StubPostiz) -> None:
    stub.world.throttle.limit = 90
    PostizAccount.objects.update(rate_remaining=1)
    due(profile)
    hand_over_due(profile=profile)
    account = account_of(profile)
    assert (account.rate_limit, account.rate_remaining) == (90, 89)
    assert timedelta(minutes=59) < account.rate_resets_at - timezone.now() < timedelta(minutes=61)


def test_calls_in_flight_are_taken_off_what_the_headers_say(profile: Profile) -> None:
    account, publication = account_of(profile), due(profile)
    other = due(profile, "facebook")
    claimed = {"claim": other.pk, "claimed_until": timezone.now() + HOUR, "fingerprint_at": timezone.now()}
    Publication.objects.filter(pk=other.pk).update(state=State.UPLOADING, **claimed)
    Publication.objects.filter(pk=other.pk).update(state=State.SUBMITTING)
    budget.learn(account, RateInfo(30, 10, 600), publication)
    assert account_of(profile).rate_remaining == 9
    budget.learn(account, None, publication)
    assert account_of(profile).rate_remaining == 9


def test_calls_in_flight_that_postiz_has_counted_are_not_taken_off_twice(profile: Profile) -> None:
    """Else the count may touch zero for a moment: who asks then waits an hour, and who asks later goes first."""
    account, publication = account_of(profile), due(profile)
    other = due(profile, "facebook")
    claimed = {"claim": other.pk, "claimed_until": timezone.now() + HOUR, "fingerprint_at": timezone.now()}
    Publication.objects.filter(pk=other.pk).update(state=State.UPLOADING, **claimed)
    Publication.objects.filter(pk=other.pk).update(state=State.SUBMITTING)
    assert budget.take(account, publication) is None
    assert budget.take(account, other) is None
    budget.learn(account, RateInfo(30, 28, 600), publication)
    assert account_of(profile).rate_remaining == 28
    budget.learn(account, RateInfo(30, 29, 600), publication)
    assert account_of(profile).rate_remaining == 28
    PostizAccount.objects.update(rate_remaining=0)  # given out to others since
    budget.learn(account, RateInfo(30, 2, 600), publication)
    assert account_of(profile).rate_remaining == 0


def test_a_429_blocks_for_as_long_as_it_says_and_nothing_fails(profile: Profile, stub: StubPostiz) -> None:
    rows = [due(profile) for _ in range(3)]
    stub.faults.script("POST /posts", faults.rate_limited(1800))
    hand_over_due(profile=profile)
    account = account_of(profile)
    assert timedelta(seconds=1800) <= account.blocked_until - timezone.now() < timedelta(seconds=1815)
    assert {fresh(row).state for row in rows} == {State.SCHEDULED}
    assert {fresh(row).error["code"] for row in rows} == {"rate_limited"}
    assert {fresh(row).due_at for row in rows} == {account.blocked_until}
    assert fresh(rows[0]).fingerprint_at is None
    assert periodic.due_of(profile) is None
    with time_machine.travel(account.blocked_until + timedelta(seconds=1), tick=True):
        hand_over_due(profile=profile)
    assert {fresh(row).state for row in rows} == {State.SUBMITTED}
    assert [post.settings["client_ref"] for post in stub.posts] == [str(row.pk) for row in rows]


def test_the_last_call_is_kept_for_who_comes_first(profile: Profile) -> None:
    first, second = due(profile), due(profile)
    account = account_of(profile)
    PostizAccount.objects.update(rate_remaining=1, rate_resets_at=timezone.now() + HOUR)
    assert budget.take(account, second) is not None
    assert account_of(profile).rate_remaining == 1
    assert budget.take(account, first) is None
    assert account_of(profile).rate_remaining == 0
    Publication.objects.filter(pk=first.pk).delete()
    assert budget.take(account, second) == account_of(profile).rate_resets_at


def test_a_new_hour_fills_the_budget(profile: Profile) -> None:
    publication, account = due(profile), account_of(profile)
    PostizAccount.objects.update(rate_remaining=0, rate_limit=30, rate_resets_at=timezone.now() - HOUR)
    assert budget.take(account, publication) is None
    after = account_of(profile)
    assert after.rate_remaining == 29
    assert after.rate_resets_at > timezone.now() + timedelta(minutes=59)
    assert channel(profile).is_usable


def test_what_was_turned_away_uncounted_is_given_back(profile: Profile, stub: StubPostiz) -> None:
    due(profile)
    stub.faults.script("POST /posts", faults.empty_401())
    hand_over_due(profile=profile)
    assert account_of(profile).rate_remaining == 30


def test_who_waits_a_moment_for_a_file_keeps_its_place(profile: Profile) -> None:
    """Another worker uploads its file: the last calls of the hour are not given to later ones meanwhile."""
    first, second = due(profile), due(profile)
    Publication.objects.filter(pk=first.pk).update(due_at=timezone.now() + uploads.LOOK_AGAIN)
    PostizAccount.objects.update(rate_remaining=1, rate_resets_at=timezone.now() + HOUR)
    account = account_of(profile)
    assert budget.take(account, second) is not None
    Publication.objects.filter(pk=first.pk).update(due_at=timezone.now() + HOUR)
    assert budget.take(account, second) is None  # that one does not come so soon


def test_a_late_reply_to_the_old_key_says_nothing_of_the_new_organisation(profile: Profile, stub: StubPostiz) -> None:
    publication, old = due(profile), integrations.ensure_account(profile)
    assert old is not None
    stub.add_organisation()
    connect(profile, stub, 1)
    PostizAccount.objects.update(rate_remaining=20)
    new = account_of(profile)
    budget.learn(old, RateInfo(limit=90, remaining=3, reset_seconds=60), publication)
    budget.refund(old)
    assert budget.block(old, 1800) <= timezone.now() + budget.TURN  # not half an hour
    after = account_of(profile)
    for name in ("rate_limit", "rate_remaining", "rate_resets_at", "blocked_until"):
        assert getattr(after, name) == getattr(new, name)
    current = integrations.ensure_account(profile)
    assert current is not None
    budget.learn(current, RateInfo(limit=90, remaining=3, reset_seconds=60), publication)
    assert account_of(profile).rate_limit == 90
