"""The admin of one brand shows nothing of another, whatever is asked of it."""

from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from conftest import PASSWORD, Person
from profiles import scope
from profiles.admin_base import PeopleAdmin, ProfileAdmin
from profiles.models import Credential, Membership, Profile, Role, User
from profiles.tenancy import Guarded

pytestmark = pytest.mark.django_db


def make_credential(person: Person, kind: str) -> Credential:
    with scope.activate(person.profile.pk):
        return Credential.objects.create(profile=person.profile, kind=kind, ciphertext=b"secret", last4="1234")


@pytest.fixture
def browser(owner: Person) -> Client:
    client = Client()
    client.force_login(owner.user)
    return client


@pytest.fixture
def root(owner: Person) -> Client:
    User.objects.filter(pk=owner.user.pk).update(is_superuser=True, is_staff=True)
    client = Client()
    client.force_login(User.objects.get(pk=owner.user.pk))
    return client


def test_every_tenant_model_has_a_scoped_admin() -> None:
    without = {"IdempotencyKey", "QueueTurn"}  # book-keeping of the job engine, nothing to look at
    models = {model for model in _all_models() if issubclass(model, Guarded) and model.__name__ not in without}
    for model in models:
        assert isinstance(admin.site._registry.get(model), ProfileAdmin), model


def _all_models() -> list[Any]:
    return [model for model in apps.get_models() if model._meta.app_label not in {"auth", "admin", "sessions"}]


def test_lists_and_pages_show_the_own_brand_only(browser: Client, owner: Person, stranger: Person) -> None:
    mine, theirs = make_credential(owner, "mine"), make_credential(stranger, "theirs")
    listed = browser.get(reverse("admin:profiles_credential_changelist")).content.decode()
    assert "mine" in listed
    assert "theirs" not in listed
    own = browser.get(reverse("admin:profiles_credential_change", args=[mine.pk]))
    assert own.status_code == 200
    assert b"secret" not in own.content
    foreign = browser.get(reverse("admin:profiles_credential_change", args=[theirs.pk]))
    unknown = browser.get(reverse("admin:profiles_credential_change", args=[uuid4()]))
    assert foreign.status_code == unknown.status_code == 302


@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_a_foreign_row_looks_like_none(browser: Client, stranger: Person, page: str) -> None:
    theirs = make_credential(stranger, "theirs")
    answers = [browser.get(reverse(f"admin:profiles_credential_{page}", args=[pk])) for pk in (theirs.pk, uuid4())]
    assert answers[0].status_code == answers[1].status_code
    assert b"theirs" not in answers[0].content
    with scope.activate(stranger.profile.pk):
        assert Credential.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize(
    "query", ["profile__name__startswith=s", "profile__memberships__user__password__startswith=p", "last4=1234"]
)
def test_undeclared_lookups_are_no_filters(browser: Client, owner: Person, query: str) -> None:
    make_credential(owner, "mine")
    answer = browser.get(f"{reverse('admin:profiles_credential_changelist')}?{query}")
    assert answer.status_code in {302, 400}


def test_under_the_prefix_it_is_that_brand(browser: Client, owner: Person, stranger: Person) -> None:
    Membership.objects.create(user=owner.user, profile=stranger.profile, role=Role.OWNER)
    make_credential(stranger, "theirs")
    page = browser.get(f"/p/{stranger.profile.slug}/admin/profiles/credential/")
    assert "theirs" in page.content.decode()
    assert f"/p/{stranger.profile.slug}/admin/" in page.content.decode()
    assert stranger.profile.name in page.content.decode().replace("&#x27;", "'")


def test_a_brand_one_is_no_member_of_is_404_even_for_a_superuser(root: Client, stranger: Person) -> None:
    assert root.get(f"/p/{stranger.profile.slug}/admin/").status_code == 404


def test_viewers_see_no_keys_and_change_nothing(viewer: Person, owner: Person) -> None:
    client = Client()
    client.force_login(viewer.user)
    make_credential(owner, "mine")
    assert client.get(reverse("admin:profiles_credential_changelist")).status_code == 403
    change = reverse("admin:profiles_profile_change", args=[owner.profile.pk])
    assert client.get(change).status_code == 200
    assert client.post(change, {"name": "Taken over", "color": "#000000"}).status_code == 403
    assert Profile.objects.get(pk=owner.profile.pk).name == "olga's brand"


def test_an_owner_renames_the_brand_here(browser: Client, owner: Person) -> None:
    change = reverse("admin:profiles_profile_change", args=[owner.profile.pk])
    answer = browser.post(change, {"name": "Renamed", "color": "#112233"})
    assert answer.status_code == 302
    assert Profile.objects.get(pk=owner.profile.pk).name == "Renamed"


def test_people_are_for_superusers(browser: Client, root: Client) -> None:
    assert isinstance(admin.site._registry[User], PeopleAdmin)
    listing = reverse("admin:profiles_user_changelist")
    assert root.get(listing).status_code == 200
    added = root.post(
        reverse("admin:profiles_user_add"),
        {"username": "added", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD},
    )
    assert added.status_code == 302
    assert Membership.objects.get(user__username="added").role == Role.OWNER
    user = User.objects.get(username="added")
    assert root.post(reverse("admin:profiles_user_delete", args=[user.pk]), {"post": "yes"}).status_code == 403


def test_ordinary_people_do_not_see_people(browser: Client) -> None:
    assert browser.get(reverse("admin:profiles_user_changelist")).status_code == 403


def test_anonymous_callers_are_led_to_the_login(db: None) -> None:
    answer = Client().get("/admin/")
    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


def test_a_bearer_token_never_opens_the_admin(owner: Person) -> None:
    assert owner.client.get("/admin/").status_code == 401


def test_the_index_shows_no_recent_actions(browser: Client) -> None:
    page = browser.get("/admin/").content.decode()
    assert "Recent actions" not in page


@pytest.mark.parametrize("deed", ["changelist", "add"])
def test_every_admin_page_opens(root: Client, owner: Person, deed: str) -> None:
    for model in admin.site._registry:
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{deed}")
        assert root.get(url).status_code in ({200} if deed == "changelist" else {200, 403}), url
        if deed == "changelist":
            assert root.get(f"{url}?q=x").status_code == 200, url


@pytest.mark.parametrize("page", ["history", "change", "delete"])
def test_who_may_not_look_learns_nothing_about_ids(viewer: Person, owner: Person, page: str) -> None:
    client = Client()
    client.force_login(viewer.user)
    rows = {"user": viewer.user.pk, "credential": make_credential(owner, "mine").pk}
    rows["membership"] = Membership.objects.get(user=viewer.user, profile=owner.profile).pk
    for model, pk in rows.items():
        answers = [client.get(reverse(f"admin:profiles_{model}_{page}", args=[key])) for key in (pk, uuid4())]
        assert [answer.status_code for answer in answers] == [403, 403], model
        assert answers[0].content == answers[1].content


def test_an_owner_gives_the_right_to_approve_and_no_more(owner: Person, viewer: Person) -> None:
    client = Client()
    client.force_login(owner.user)
    membership = Membership.objects.get(user=viewer.user, profile=owner.profile)
    address = f"/p/{owner.profile.slug}/admin/profiles/membership/{membership.pk}/change/"
    assert client.get(address).status_code == 200
    assert client.post(address, {"can_approve": "on", "role": "owner"}).status_code == 302
    membership.refresh_from_db()
    assert (membership.can_approve, membership.role) == (True, "viewer")
    own = Membership.objects.get(user=owner.user, profile=owner.profile)
    page = client.get(address.replace(str(membership.pk), str(own.pk)))
    assert b'name="can_approve"' not in page.content, "owners have it anyway"
    other = Client()
    other.force_login(viewer.user)
    assert other.post(address, {"can_approve": ""}).status_code == 403
