"""The webhook's address: a knock makes us look, and tells the one who knocks nothing."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from profiles.models import Profile
from publishing.channels import poke
from publishing.delivery.handing_over import hand_over_due
from publishing.models import Publication
from publishing.states import State
from publishing.tests.delivering import account_of, connect, due, fresh
from publishing.tracking.sync import sync
from publishing.views import poke as view
from tests.stubs.postiz import StubPostiz

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


class _NeverRead:
    """A body that must not be touched."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("the body was read")

    readline = read


def knock(path: str, **extra: Any) -> Any:
    return Client().generic("POST", path, b"[]", content_type="application/json", **extra)


def waiting(profile: Profile, clock: Any) -> Any:
    """A publication whose time has passed, to be asked about in a while."""
    publication = due(profile)
    hand_over_due(profile=profile)
    clock.shift(timedelta(minutes=8))
    Publication.objects.update(next_check_at=timezone.now() + timedelta(minutes=2))
    return publication


def test_a_knock_has_the_posts_looked_at(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        publication = waiting(profile, clock)
        assert sync(profile) == 0
        answer = knock(poke.path_of(account_of(profile)), **{"wsgi.input": _NeverRead()})
        assert (answer.status_code, answer.content) == (204, b"")
        assert sync(profile) == 1
        assert fresh(publication).state == State.PUBLISHED


def test_knocks_cost_postiz_one_call_a_minute(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        waiting(profile, clock)
        stub.outcomes.default = ()
        for post in stub.posts:
            post.state, post.release_url, post.release_id = "QUEUE", None, None
        stub.forget_requests()
        path = poke.path_of(account_of(profile))
        for _ in range(50):
            assert knock(path).status_code == 204
            sync(profile)
        assert len(stub.of_route("GET /posts")) == 1
        clock.shift(timedelta(seconds=61))
        knock(path)
        sync(profile)
        assert len(stub.of_route("GET /posts")) == 2


def test_a_wrong_path_is_answered_in_the_same_way_and_does_nothing(profile: Profile, stub: StubPostiz) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        waiting(profile, clock)
        right = poke.path_of(account_of(profile))
        good = poke.signature(profile.pk, 1)
        wrong = [
            right.replace(good, "0" * 64),
            right.replace(good, good[:-1] + ("0" if good[-1] != "0" else "1")),
            right.replace(good, "%C3%A9"),
            right.replace(str(profile.pk), str(uuid4())),
        ]
        answers = [knock(path) for path in wrong]
        assert {(answer.status_code, answer.content) for answer in answers} == {(204, b"")}
        assert sync(profile) == 0
        assert account_of(profile).poked_at is None


def test_a_renewed_address_makes_the_old_one_wrong(profile: Profile) -> None:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        waiting(profile, clock)
        old = poke.path_of(account_of(profile))
        poke.renew(profile)
        assert poke.path_of(account_of(profile)) != old
        knock(old)
        assert account_of(profile).poked_at is None
        knock(poke.path_of(account_of(profile)))
        assert account_of(profile).poked_at is not None


def test_a_flood_from_one_address_is_not_looked_at(
    profile: Profile, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(view, "_A_MINUTE", 3)
    path = poke.path_of(account_of(profile))
    with time_machine.travel(timezone.now(), tick=False):  # one window of the counter
        for _ in range(3):
            assert knock(path).status_code == 204
        with django_assert_max_num_queries(0):
            assert knock(path).status_code == 204


def test_signatures_differ_by_profile_and_version(owner: Any, stranger: Any) -> None:
    made = {poke.signature(person.profile.pk, version) for person in (owner, stranger) for version in (1, 2)}
    assert len(made) == 4
    assert all(len(one) == 64 for one in made)
