"""Before a deleted profile is erased, upper floors take back what it has out in the world; attack C14."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from conftest import Person
from jobs.tasks import erase_deleted_profiles
from profiles import erasure, scope
from profiles.models import Credential, Profile
from profiles.services import profile_create, profile_delete

pytestmark = pytest.mark.django_db(transaction=True)


class Hook:
    """Answers with `answers`, one a call, and remembers for which profiles it was asked."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers, self.asked = list(answers), list[UUID]()

    def __call__(self, profile: Profile) -> bool:
        assert not connection.in_atomic_block
        assert {row.profile_id for row in Credential.objects.all()} <= {profile.pk}  # its scope is active
        self.asked.append(profile.pk)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`hook(True, False, …)` takes the place of all hooks."""
    monkeypatch.setattr(erasure, "_before", {})

    def register(*answers: bool | Exception, name: str = "posts to come") -> Hook:
        made = Hook(*answers)
        erasure.register_before_erasing(name, made)
        return made

    return register


@pytest.fixture
def deleted(owner: Person) -> Profile:
    second = profile_create(user=owner.user, name="Second")
    profile_delete(user=owner.user, profile=second)
    second.refresh_from_db()
    return second


def _is_there(profile: Profile) -> bool:
    return Profile.objects.filter(pk=profile.pk).exists()


def test_a_profile_is_kept_until_its_posts_are_taken_back(deleted: Profile, hook: Any) -> None:
    posts = hook(False, OSError("no answer"), True)
    assert [erase_deleted_profiles() for _ in range(3)] == [0, 0, 1]
    assert posts.asked == [deleted.pk] * 3
    assert not _is_there(deleted)


def test_one_that_breaks_does_not_keep_the_others_from_their_turn(
    deleted: Profile, hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    hook(OSError("no answer"), name="first")
    second = hook(True, name="second")
    assert erase_deleted_profiles() == 0
    assert second.asked == [deleted.pk]
    assert "first failed" in caplog.text


def test_it_is_not_kept_for_ever(deleted: Profile, hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    hook(False, False, name="posts to come")
    hook(True, True, name="something else")
    since = deleted.deleting_since
    assert since is not None
    with time_machine.travel(since + erasure.DEADLINE - timedelta(seconds=1), tick=False):
        assert erase_deleted_profiles() == 0
    with time_machine.travel(since + erasure.DEADLINE, tick=False):
        assert erase_deleted_profiles() == 1
    assert not _is_there(deleted)
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == [f"Profile {deleted.pk} is erased after its deadline although this was not done: posts to come."]


def test_a_profile_deleted_before_times_were_noted_has_its_hour_too(deleted: Profile, hook: Any) -> None:
    hook(False, False)
    Profile.objects.filter(pk=deleted.pk).update(deleting_since=None)
    assert erase_deleted_profiles() == 0
    with time_machine.travel(timezone.now() + erasure.DEADLINE, tick=False):
        assert erase_deleted_profiles() == 1


def test_living_profiles_are_not_asked_about(owner: Person, hook: Any) -> None:
    posts = hook()
    assert erase_deleted_profiles() == 0
    assert posts.asked == []
    with scope.activate(owner.profile.pk):
        assert owner.profile.deleting_since is None
