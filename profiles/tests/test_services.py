"""Invariants of people and profiles, one after another and all at once."""

import io
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from conftest import PASSWORD, Person, make_person
from profiles import scope, services
from profiles.erasure import erase
from profiles.errors import Conflict, Invalid, NotFound
from profiles.first_login import ensure_first_login
from profiles.models import ApiToken, Credential, Invitation, Membership, Profile, Role, User
from tests.racing import race

pytestmark = pytest.mark.django_db


def default_of(user: User) -> Profile:
    return User.objects.select_related("default_profile").get(pk=user.pk).default_profile


def joins(person: Person, profile: Profile, role: Role = Role.EDITOR) -> Membership:
    return Membership.objects.create(user=person.user, profile=profile, role=role)


def test_every_way_to_make_a_user_gives_exactly_one_default(db: None) -> None:
    plain = User.objects.create_user("plain", password=PASSWORD)
    root = User.objects.create_superuser("root", password=PASSWORD)
    call_command("create_user", "scripted", stdout=io.StringIO())
    for user in (plain, root, User.objects.get(username="scripted")):
        membership = Membership.objects.get(user=user)
        assert (membership.role, membership.profile) == (Role.OWNER, default_of(user))


def test_create_user_prints_json_and_refuses_a_taken_name(db: None) -> None:
    out = io.StringIO()
    call_command("create_user", "nora", "--json", stdout=out)
    made = json.loads(out.getvalue())
    assert set(made) == {"username", "password", "token", "profile_id"}
    assert User.objects.get(username="nora").check_password(made["password"])
    with pytest.raises(CommandError, match="exists"):
        call_command("create_user", "nora", stdout=io.StringIO())


def test_the_first_start_makes_admin_once(db: None, settings: Settings) -> None:
    settings.EMBEDDED = True
    out = io.StringIO()
    ensure_first_login(out)
    path = settings.DATA_DIR / "first-login.json"
    login = json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(login) == {"url", "username", "password", "token", "profile_id"}
    assert login["token"] in out.getvalue()
    again = io.StringIO()
    ensure_first_login(again)
    assert (again.getvalue(), User.objects.count()) == ("", 1)


def test_no_first_login_in_production(db: None, settings: Settings) -> None:
    settings.EMBEDDED = False
    ensure_first_login(io.StringIO())
    assert not User.objects.exists()


def test_a_default_cannot_be_deleted_but_another_profile_can(owner: Person) -> None:
    second = services.profile_create(user=owner.user, name="Second")
    with pytest.raises(Conflict) as caught:
        services.profile_delete(user=owner.user, profile=owner.profile)
    assert caught.value.code == "default_profile"
    services.profile_delete(user=owner.user, profile=second)
    second.refresh_from_db()
    assert second.state == "deleting"
    with pytest.raises(NotFound):
        services.profile_set_default(user=owner.user, profile=second)


def test_defaults_of_other_members_move_when_a_shared_profile_goes(owner: Person, stranger: Person) -> None:
    shared = services.profile_create(user=owner.user, name="Shared")
    joins(stranger, shared)
    services.profile_set_default(user=stranger.user, profile=shared)
    services.profile_delete(user=owner.user, profile=shared)
    assert default_of(stranger.user) == stranger.profile


def test_a_member_with_no_other_profile_gets_a_new_one(owner: Person, stranger: Person) -> None:
    shared = services.profile_create(user=owner.user, name="Shared")
    joins(stranger, shared, Role.OWNER)
    services.profile_set_default(user=stranger.user, profile=shared)
    services.profile_delete(user=stranger.user, profile=stranger.profile)
    services.profile_delete(user=owner.user, profile=shared)
    new = default_of(stranger.user)
    assert new not in {shared, stranger.profile}
    assert Membership.objects.get(user=stranger.user, profile=new).role == Role.OWNER


def test_a_removed_member_loses_the_default_and_the_bound_tokens(owner: Person, stranger: Person) -> None:
    membership = joins(stranger, owner.profile)
    services.profile_set_default(user=stranger.user, profile=owner.profile)
    ApiToken.objects.create(user=stranger.user, profile=owner.profile, name="bound", token_hash="h", hint="h")
    services.member_remove(profile=owner.profile, membership=membership)
    assert default_of(stranger.user) == stranger.profile
    assert not ApiToken.objects.filter(name="bound").exists()


def test_the_last_owner_can_neither_leave_nor_step_down(owner: Person, stranger: Person) -> None:
    own = Membership.objects.get(user=owner.user, profile=owner.profile)
    with pytest.raises(Conflict):
        services.member_remove(profile=owner.profile, membership=own)
    with pytest.raises(Conflict):
        services.member_update(profile=owner.profile, membership=own, role=Role.VIEWER)
    joins(stranger, owner.profile, Role.OWNER)
    assert services.member_update(profile=owner.profile, membership=own, role=Role.VIEWER).role == Role.VIEWER


def test_an_invitation_lets_one_person_in_once(owner: Person) -> None:
    invitation, secret = services.invitation_create(profile=owner.profile, by=owner.user, role=Role.EDITOR)
    assert secret not in Invitation.objects.get(pk=invitation.pk).token_hash
    user, membership = services.invitation_accept(secret=secret, username="ines", password=PASSWORD)
    assert (membership.profile, membership.role) == (owner.profile, Role.EDITOR)
    assert user.check_password(PASSWORD)
    with pytest.raises(NotFound):
        services.invitation_accept(secret=secret, username="other", password=PASSWORD)
    assert not User.objects.filter(username="other").exists()


def test_an_old_invitation_is_worth_nothing(owner: Person) -> None:
    invitation, secret = services.invitation_create(profile=owner.profile, by=owner.user, role=Role.EDITOR)
    assert timedelta(days=6, hours=23) < invitation.expires_at - timezone.now() <= timedelta(days=7)
    Invitation.objects.update(expires_at=timezone.now())
    with pytest.raises(NotFound):
        services.invitation_accept(secret=secret, username="late", password=PASSWORD)


def test_a_weak_password_uses_no_invitation_up(owner: Person) -> None:
    _, secret = services.invitation_create(profile=owner.profile, by=owner.user, role=Role.EDITOR)
    with pytest.raises(Invalid) as caught:
        services.invitation_accept(secret=secret, username="ines", password="12345678")
    assert caught.value.fields is not None
    assert "password" in caught.value.fields
    assert services.invitation_accept(secret=secret, username="ines", password=PASSWORD)


def test_erasing_takes_all_rows_and_leaves_the_neighbour(owner: Person, stranger: Person) -> None:
    second = services.profile_create(user=owner.user, name="Second")
    for profile in (second, stranger.profile):
        with scope.activate(profile.pk):
            Credential.objects.create(profile=profile, kind="gemini", ciphertext=b"", last4="")
    with pytest.raises(ValueError, match="being deleted"):
        erase(second)
    services.profile_delete(user=owner.user, profile=second)
    erase(Profile.objects.get(pk=second.pk))
    assert not Profile.objects.filter(pk=second.pk).exists()
    with scope.activate(stranger.profile.pk):
        assert Credential.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_switches_at_once_leave_one_default_that_is_a_membership(owner: Person) -> None:
    profiles = [services.profile_create(user=owner.user, name=f"Brand {n}") for n in range(20)]
    outcomes = race(lambda n: services.profile_set_default(user=owner.user, profile=profiles[n]), 20)
    assert outcomes == [None] * 20
    assert Membership.objects.filter(user=owner.user, profile=default_of(owner.user)).count() == 1


@pytest.mark.django_db(transaction=True)
def test_control_flags_switched_without_a_lock_end_up_wrong(owner: Person) -> None:
    """The same race on the predecessor's shape, a flag on each row set after a look: it does break."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE naive_default (id integer PRIMARY KEY, is_default boolean NOT NULL)")
        for number in range(20):
            cursor.execute("INSERT INTO naive_default VALUES (%s, %s)", [number, number == 0])
    try:
        assert any(_naive_race() != 1 for _ in range(10)), "the race never happened: this test proves nothing"
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE naive_default")


def _naive_race() -> int:
    def switch(number: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM naive_default WHERE is_default")
            for (current,) in cursor.fetchall():
                cursor.execute("UPDATE naive_default SET is_default = %s WHERE id = %s", [False, current])
            cursor.execute("UPDATE naive_default SET is_default = %s WHERE id = %s", [True, number])

    race(switch, 20)
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM naive_default WHERE is_default")
        count: int = cursor.fetchone()[0]
    return count


@pytest.mark.django_db(transaction=True)
def test_removal_against_switching_never_leaves_a_default_outside(owner: Person) -> None:
    guests = [make_person(f"guest{n}") for n in range(8)]
    memberships = [joins(guest, owner.profile) for guest in guests]

    def act(number: int) -> None:
        guest = guests[number // 2]
        if number % 2:
            services.member_remove(profile=owner.profile, membership=memberships[number // 2])
        else:
            services.profile_set_default(user=guest.user, profile=owner.profile)

    outcomes = race(act, 16)
    assert all(outcome is None or isinstance(outcome, NotFound) for outcome in outcomes), outcomes
    for guest in guests:
        assert Membership.objects.filter(user=guest.user, profile=default_of(guest.user)).exists()


@pytest.mark.django_db(transaction=True)
def test_two_owners_leaving_at_once_leave_one_behind(
    owner: Person, stranger: Person, member: Callable[..., Person]
) -> None:
    joins(stranger, owner.profile, Role.OWNER)
    both = list(Membership.objects.filter(profile=owner.profile, role=Role.OWNER))
    race(lambda n: services.member_remove(profile=owner.profile, membership=both[n]), 2)
    assert Membership.objects.filter(profile=owner.profile, role=Role.OWNER).count() == 1


def test_a_first_login_that_cannot_be_written_down_is_none(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: object, content: str) -> None:
        raise OSError(28, "No space left on device")

    settings.EMBEDDED = True
    monkeypatch.setattr("profiles.first_login.write_private", full)
    with pytest.raises(OSError, match="No space"):
        ensure_first_login(io.StringIO())
    assert not User.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_many_brands_of_one_name_at_once(owner: Person) -> None:
    made = race(lambda _: services.profile_create(user=owner.user, name="Shoes").slug, 6)
    assert len({slug for slug in made if isinstance(slug, str)}) == 6
    assert "shoes" in made
