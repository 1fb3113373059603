"""One message per event, none lost: retries, leases, kills, targets that fail, people who left."""

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
import time_machine
from django.core.cache import cache
from django.db import connections, transaction
from django.utils import timezone

from conftest import Person
from editai.notify import delivery as delivering
from editai.notify import sending, targets
from editai.notify.delivery import back_off, claim, deliver_due
from editai.notify.models import Delivery, Notification, NotifyTarget
from editai.notify.tests.conftest import QUIET, Receiver, add_target, deliveries, fresh, receiver
from profiles import addresses, scope
from profiles import services as people
from profiles.models import Membership, Profile, Role, User
from tests.racing import race
from tests.stubs.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

Tell = Callable[..., Any]
Joined = Callable[..., Person]


def later(**delta: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(**delta), tick=True)


def only(profile: Profile) -> Delivery:
    (found,) = deliveries(profile)
    return found


# --- told once -----------------------------------------------------------------------------------------


def test_one_message_per_event_by_each_way(
    owner: Person, tell: Tell, hook: Receiver, mail: SmtpServer, rings: list[int]
) -> None:
    add_target(owner, hook.url)
    add_target(owner, "olga@example.org")
    assert tell("post 1") is not None
    assert tell("post 1") is None
    assert rings == [1]
    assert deliver_due() == 2
    assert deliver_due() == 0
    assert (len(hook.posts), len(mail.letters)) == (1, 1)
    assert {row.state for row in deliveries(owner.profile)} == {"sent"}
    assert tell("post 2") is not None
    assert deliver_due() == 2
    assert (len(hook.posts), len(mail.letters)) == (2, 2)


def test_two_brands_may_use_the_same_key(owner: Person, stranger: Person, tell: Tell) -> None:
    assert tell("same") is not None
    assert tell("same", profile=stranger.profile) is not None


def test_what_is_rolled_back_is_not_told(owner: Person, tell: Tell, hook: Receiver, rings: list[int]) -> None:
    add_target(owner, hook.url)
    with transaction.atomic():
        tell()
        transaction.set_rollback(True)
    assert (deliver_due(), rings) == (0, [])
    assert tell() is not None
    assert deliver_due() == 1


def test_many_at_once_tell_once(owner: Person, tell: Tell, hook: Receiver) -> None:
    add_target(owner, hook.url)
    told = race(lambda number: tell("same"), 6)
    assert [isinstance(one, Exception) for one in told] == [False] * 6
    assert sum(one is not None for one in told) == 1
    assert len(deliveries(owner.profile)) == 1


def test_a_target_is_told_what_it_asked_for(owner: Person, tell: Tell, hook: Receiver) -> None:
    add_target(owner, hook.url)
    add_target(owner, hook.url + "/quiet", events=[QUIET.name])
    add_target(owner, hook.url + "/none", events=[])
    add_target(owner, hook.url + "/off", is_active=False)
    tell("a")
    tell("b", event=QUIET.name)
    deliver_due()
    assert sorted(post.path for post in hook.posts) == ["/hook", "/hook/quiet"]


def test_one_address_gets_one_letter(owner: Person, tell: Tell, mail: SmtpServer) -> None:
    add_target(owner, "olga@example.org")
    add_target(owner, "Olga@example.org", is_personal=True)
    tell()
    deliver_due()
    assert len(mail.letters) == 1


def test_wrong_calls_are_refused_before_anything_is_written(owner: Person, tell: Tell) -> None:
    for error, values in (
        (LookupError, {"event": "unheard_of"}),
        (ValueError, {"link": "https://evil.example"}),
        (ValueError, {"link": "//evil.example"}),
        (ValueError, {"once_key": ""}),
        (ValueError, {"once_key": "x" * 201}),
    ):
        with pytest.raises(error):
            tell(**values)
    assert tell() is not None


def test_words_that_no_database_takes_are_left_out(owner: Person, tell: Tell) -> None:
    row = tell(title="a\x00b\ud800\r\nc" + "x" * 300, text="l1\nl2\x00", payload={"k\x00": ["v\x00", {"n": 1}]})
    with scope.activate(owner.profile.pk):
        kept = type(row).objects.get()
    assert kept.title == "a b c" + "x" * 195
    assert kept.text == "l1\nl2 "
    assert kept.payload == {"k": ["v ", {"n": 1}]}


# --- killed at any time --------------------------------------------------------------------------------


def take(profile: Profile) -> Delivery | None:
    with scope.activate(profile.pk):
        row = Delivery.objects.get()
        return claim(profile.pk, row.pk, row.attempts)


def test_killed_between_claim_and_send_it_is_sent_when_the_lease_is_over(
    owner: Person, tell: Tell, hook: Receiver
) -> None:
    add_target(owner, hook.url)
    tell()
    dead = take(owner.profile)
    assert dead is not None
    assert (deliver_due(), hook.posts) == (0, [])
    with later(seconds=121):
        assert deliver_due() == 1
        assert deliver_due() == 0
    (post,) = hook.posts
    assert post.headers["x-editai-delivery"] == str(dead.pk)
    assert (only(owner.profile).state, only(owner.profile).attempts) == ("sent", 2)


def test_a_process_that_is_killed_while_it_sends(owner: Person, tell: Tell, hook: Receiver) -> None:
    """SIGKILL while the receiver has the message and has not answered: sent again, under the same id."""
    add_target(owner, hook.url)
    tell()
    hook.gate.clear()
    connections.close_all()
    child = os.fork()
    if child == 0:
        deliver_due()
        os._exit(0)
    assert hook.came.wait(10)
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    hook.gate.set()
    assert only(owner.profile).state == "sending"
    assert deliver_due() == 0
    cache.delete("notify:running")  # by itself within half a minute
    with later(seconds=121):
        assert deliver_due() == 1
    assert len({post.headers["x-editai-delivery"] for post in hook.posts}) == 1
    assert len(hook.posts) == 2
    assert only(owner.profile).state == "sent"


def test_an_attempt_that_lost_its_lease_writes_nothing(owner: Person, tell: Tell, hook: Receiver) -> None:
    add_target(owner, hook.url)
    tell()
    slow = take(owner.profile)
    assert slow is not None
    with later(seconds=121):
        assert deliver_due() == 1
    hook.statuses = [500]
    with scope.activate(owner.profile.pk):
        delivering.attempt(slow)
    assert only(owner.profile).state == "sent"
    assert fresh(slow.target).failures == 0


def test_of_many_only_one_claims(owner: Person, tell: Tell, hook: Receiver) -> None:
    add_target(owner, hook.url)
    tell()
    row = only(owner.profile)

    def careless(number: int) -> bool:
        with scope.activate(owner.profile.pk):
            seen = Delivery.objects.get(pk=row.pk).state == "pending"
            barrier.wait(10)
            return seen

    barrier = threading.Barrier(4)
    assert race(careless, 4) == [True] * 4, "looking before leaping: all of them would send"

    def careful(number: int) -> bool:
        with scope.activate(owner.profile.pk):
            return claim(owner.profile.pk, row.pk, row.attempts) is not None

    assert sorted(map(bool, race(careful, 4))) == [False, False, False, True]


def test_a_message_that_kills_its_sender_each_time_is_given_up(owner: Person, tell: Tell, hook: Receiver) -> None:
    add_target(owner, hook.url)
    tell()
    with scope.activate(owner.profile.pk):
        Delivery.objects.update(attempts=10, state="sending", next_at=timezone.now())
    assert deliver_due() == 1
    assert (only(owner.profile).state, hook.posts) == ("failed", [])
    assert "stopped each time" in only(owner.profile).error


def test_a_profile_that_is_being_deleted_tells_nothing_more(owner: Person, tell: Tell, hook: Receiver) -> None:
    add_target(owner, hook.url)
    tell()
    Profile.objects.filter(pk=owner.profile.pk).update(state="deleting")
    assert (deliver_due(), hook.posts) == (0, [])


# --- receivers that fail -------------------------------------------------------------------------------


def test_it_is_tried_again_later_and_then_counts_as_well(owner: Person, tell: Tell, hook: Receiver) -> None:
    target, _ = add_target(owner, hook.url)
    hook.statuses = [500]
    tell()
    assert deliver_due() == 1
    row = only(owner.profile)
    assert (row.state, row.attempts, row.error) == ("pending", 1, "The receiver answered 500.")
    assert timedelta(seconds=55) < row.next_at - timezone.now() < timedelta(seconds=65)
    assert (fresh(target).failures, fresh(target).last_error) == (1, "The receiver answered 500.")
    assert deliver_due() == 0
    with later(seconds=65):
        assert deliver_due() == 1
    assert (only(owner.profile).state, only(owner.profile).error) == ("sent", "")
    healthy = fresh(target)
    assert (healthy.failures, healthy.retry_at, healthy.last_error) == (0, None, "")
    assert healthy.last_ok_at is not None


def test_it_is_left_alone_longer_each_time() -> None:
    minutes = [back_off(failures) / timedelta(minutes=1) for failures in (1, 2, 3, 4, 5, 6, 7, 8, 500)]
    assert minutes == [1, 3, 9, 27, 81, 243, 360, 360, 360]


def test_after_ten_attempts_it_is_given_up(owner: Person, tell: Tell, hook: Receiver) -> None:
    add_target(owner, hook.url)
    hook.statuses = [503] * 20
    tell()
    now = timezone.now()
    for number in range(12):
        with time_machine.travel(now + timedelta(hours=7 * number), tick=True):
            deliver_due()
    assert (only(owner.profile).state, only(owner.profile).attempts, len(hook.posts)) == ("failed", 10, 10)


def test_a_failing_target_is_left_alone_with_all_that_waits_for_it(owner: Person, tell: Tell, hook: Receiver) -> None:
    add_target(owner, hook.url)
    tell("a")
    tell("b")
    hook.statuses = [500]
    with mock.patch.object(delivering, "_THREADS", 1):
        deliver_due()
    tell("c")
    deliver_due()
    assert len(hook.posts) == 1
    with later(seconds=65):
        deliver_due()
    assert {row.state for row in deliveries(owner.profile)} == {"sent"}
    assert len(hook.posts) == 4


def test_a_target_that_fails_for_days_is_switched_off_and_says_why(owner: Person, tell: Tell, hook: Receiver) -> None:
    target, _ = add_target(owner, hook.url)
    with scope.activate(owner.profile.pk):
        NotifyTarget.objects.update(failures=19)
    hook.statuses = [500]
    tell("a")
    tell("b")
    with mock.patch.object(delivering, "_THREADS", 1):
        deliver_due()
    off = fresh(target)
    assert not off.is_active
    assert off.disabled_reason == "Switched off after 20 failures in a row. The last one: The receiver answered 500."
    tell("c")
    with later(days=2):
        deliver_due()
    assert (len(hook.posts), {row.state for row in deliveries(owner.profile)}) == (1, {"failed"})


def test_one_brands_dead_receiver_does_not_delay_anothers(
    owner: Person, stranger: Person, tell: Tell, hook: Receiver
) -> None:
    with receiver() as other:
        add_target(owner, hook.url)
        add_target(stranger, other.url)
        hook.gate.clear()
        for number in range(3):
            tell(str(number))
        tell("x", profile=stranger.profile)
        run = threading.Thread(target=deliver_due)
        run.start()
        assert hook.came.wait(10)
        assert other.came.wait(5)
        hook.gate.set()
        run.join(30)
    assert only(stranger.profile).state == "sent"


def test_a_crash_on_our_side_is_a_failed_attempt(
    owner: Person, tell: Tell, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_target(owner, hook.url)
    tell()
    monkeypatch.setattr(sending, "send", mock.Mock(side_effect=KeyError("x")))
    assert deliver_due() == 1
    assert (only(owner.profile).state, only(owner.profile).error) == ("pending", "Something went wrong on our side.")


# --- people who may not know -----------------------------------------------------------------------------


def test_a_removed_member_gets_nothing_any_more(owner: Person, tell: Tell, hook: Receiver, member: Joined) -> None:
    editor = member("editor")
    add_target(editor, hook.url, is_personal=True, role=Role.EDITOR)
    tell("before")
    people.member_remove(
        profile=owner.profile, membership=Membership.objects.get(user=editor.user, profile=owner.profile)
    )
    tell("after")
    deliver_due()
    assert hook.posts == []
    assert (only(owner.profile).state, only(owner.profile).error) == ("failed", "This person is no longer a member.")


def test_who_may_not_sign_in_gets_nothing(owner: Person, tell: Tell, hook: Receiver, member: Joined) -> None:
    editor = member("editor")
    add_target(editor, hook.url, is_personal=True, role=Role.EDITOR)
    tell("before")
    User.objects.filter(pk=editor.user.pk).update(is_active=False)
    tell("after")
    deliver_due()
    assert (hook.posts, only(owner.profile).state) == ([], "failed")


def test_a_target_that_is_deleted_meanwhile_undoes_nothing_of_what_happened(
    owner: Person, tell: Tell, hook: Receiver
) -> None:
    target, _ = add_target(owner, hook.url)
    told, deleted = threading.Event(), threading.Event()

    def delete() -> None:
        told.wait(10)
        with scope.activate(owner.profile.pk):
            targets.target_delete(profile=owner.profile, target=target)
        deleted.set()
        connections.close_all()

    deleting = threading.Thread(target=delete)
    deleting.start()
    with transaction.atomic():
        tell()
        told.set()
        assert not deleted.wait(1), "it must wait until the message is written"
    deleting.join(20)
    assert deleted.is_set()
    assert deliveries(owner.profile) == []
    with scope.activate(owner.profile.pk):
        assert Notification.objects.count() == 1


def test_a_target_that_was_switched_off_meanwhile_gets_nothing(owner: Person, tell: Tell, hook: Receiver) -> None:
    target, _ = add_target(owner, hook.url)
    tell()
    with scope.activate(owner.profile.pk):
        targets.target_update(profile=owner.profile, target=target, by=owner.user, role=Role.OWNER, is_active=False)
    deliver_due()
    assert (hook.posts, only(owner.profile).state) == ([], "failed")


def test_a_name_that_points_inwards_by_now_is_not_called(
    owner: Person, tell: Tell, hook: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [["93.184.215.14"], ["127.0.0.1"]]
    monkeypatch.setattr(addresses, "resolve", lambda host, seconds: answers.pop(0))
    settings.ALLOW_PRIVATE_HOSTS = False
    add_target(owner, f"http://hook.example.org:{hook.port}/hook")
    tell()
    assert deliver_due() == 1
    assert (hook.posts, answers) == ([], [])
    assert only(owner.profile).error == "This address is not allowed."


def test_a_redirect_is_not_followed(owner: Person, tell: Tell, hook: Receiver) -> None:
    with receiver() as elsewhere:
        add_target(owner, hook.url)
        hook.statuses, hook.location = [302], elsewhere.url
        tell()
        deliver_due()
        assert elsewhere.posts == []
    assert only(owner.profile).error == "The receiver answered 302."
