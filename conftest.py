"""People and brands that every test may meet: an owner with her brand, her team, and a stranger with his."""

import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from rest_framework.test import APIClient

from profiles import scope
from profiles.models import Ceiling, Membership, Profile, Role, User
from profiles.tokens import token_create
from tests import emptying

PASSWORD = "correct horse battery"


@dataclass
class Person:
    """A user, the brand that is their default, and an API client that calls as them."""

    user: User
    profile: Profile
    client: APIClient
    token: str


def make_person(name: str, **token_options: Any) -> Person:
    user = User(username=name)
    user.set_password(PASSWORD)
    user.save()
    return person_of(user, **token_options)


def person_of(user: User, **token_options: Any) -> Person:
    _, secret = token_create(user=user, name="test", **token_options)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return Person(user, user.default_profile, client, secret)


@pytest.fixture(scope="session", autouse=True)
def _books_may_be_emptied() -> Iterator[None]:
    """Between tests with real transactions all tables are emptied, which the books of account refuse by their triggers
    (`costs.guards`); those of SQLite are made anew right afterwards, by `post_migrate`."""
    flush = connection.ops.sql_flush

    def without_guards(*args: Any, **kwargs: Any) -> list[str]:
        if connection.vendor == "postgresql":
            return ["SET LOCAL session_replication_role = replica", *flush(*args, **kwargs)]
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'costs_%'")
            guards = [name for (name,) in cursor.fetchall()]
        return [*(f"DROP TRIGGER {name}" for name in guards), *flush(*args, **kwargs)]

    with mock.patch.object(connection.ops, "sql_flush", without_guards):
        yield


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Throttle counters and the like never leak from one test into the next."""
    yield
    cache.clear()


def peak_memory() -> int:
    """The most bytes that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture(autouse=True)
def _modest_memory() -> Iterator[None]:
    """A test that takes gigabytes takes them from those beside it, and spoils what later ones measure of children."""
    before = peak_memory()
    yield
    assert peak_memory() - before < 2 * 2**30


@pytest.fixture
def owner(db: None) -> Person:
    return make_person("olga")


@pytest.fixture
def stranger(db: None) -> Person:
    """Owns a brand, and has nothing to do with Olga's."""
    return make_person("stan")


@pytest.fixture
def member(owner: Person) -> Callable[..., Person]:
    """`member("viewer")`: another person with that role in the owner's brand, which is their default."""

    def make(role: str, **token_options: Any) -> Person:
        user = make_person(f"{role}-{User.objects.count()}").user
        Membership.objects.create(user=user, profile=owner.profile, role=role)
        User.objects.filter(pk=user.pk).update(default_profile=owner.profile)
        user.refresh_from_db()
        return person_of(user, **token_options)

    return make


@pytest.fixture
def viewer(member: Callable[..., Person]) -> Person:
    return member(Role.VIEWER)


@pytest.fixture
def reader(owner: Person) -> APIClient:
    """The owner, through a token that may only read."""
    return person_of(owner.user, ceiling=Ceiling.READ).client


@pytest.fixture
def in_scope(owner: Person) -> Iterator[Profile]:
    """Runs the test inside the scope of the owner's brand."""
    with scope.activate(owner.profile.pk):
        yield owner.profile


def pytest_configure() -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # hundreds of users a run
    emptying.install()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """The test database as pytest-django makes it, and a note of what migrations put into it."""
    with django_db_blocker.unblock():
        emptying.remember_seeds()
