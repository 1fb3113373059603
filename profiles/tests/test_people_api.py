import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from conftest import PASSWORD, Person, person_of
from profiles.models import Invitation, Membership, Profile, Role, User

pytestmark = pytest.mark.django_db


def url(profile: Profile, rest: str = "") -> str:
    return f"/api/v1/profiles/{profile.pk}/{rest}"


def test_a_new_brand_is_owned_by_who_made_it(owner: Person) -> None:
    answer = owner.client.post("/api/v1/profiles/", {"name": "Sourdough & Sons"}, format="json")
    assert answer.status_code == 201
    made = answer.json()
    assert (made["slug"], made["role"], made["is_default"]) == ("sourdough-sons", "owner", False)
    assert len(owner.client.get("/api/v1/profiles/").json()["results"]) == 2


def test_two_brands_of_one_name_get_two_slugs(owner: Person, stranger: Person) -> None:
    slugs = {
        person.client.post("/api/v1/profiles/", {"name": "Same"}, format="json").json()["slug"]
        for person in (owner, stranger)
    }
    assert len(slugs) == 2


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 101}, {"name": "ok", "color": "red"}])
def test_a_bad_brand_is_refused(owner: Person, body: dict[str, str]) -> None:
    before = Profile.objects.count()
    answer = owner.client.post("/api/v1/profiles/", body, format="json")
    assert (answer.status_code, Profile.objects.count()) == (400, before)
    assert answer.json()["error"]["fields"]


@pytest.mark.parametrize("field", ["user", "owner", "is_default", "slug", "id", "state", "role"])
def test_what_is_not_ones_to_set_is_refused(owner: Person, field: str) -> None:
    answer = owner.client.patch(url(owner.profile), {"name": "Renamed", field: "x"}, format="json")
    assert answer.status_code == 400
    owner.profile.refresh_from_db()
    assert owner.profile.name == "olga's brand"


def test_switching_the_default_over_http(owner: Person) -> None:
    second = owner.client.post("/api/v1/profiles/", {"name": "Second"}, format="json").json()
    answer = owner.client.post(f"/api/v1/profiles/{second['id']}/set-default/")
    assert (answer.status_code, answer.json()["is_default"]) == (200, True)
    shown = owner.client.get("/api/v1/profiles/").json()["results"]
    assert [row["id"] for row in shown if row["is_default"]] == [second["id"]]


def test_the_default_cannot_be_deleted_over_http(owner: Person) -> None:
    answer = owner.client.delete(url(owner.profile))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "default_profile")


def test_an_invitation_from_the_link_to_the_first_call(owner: Person) -> None:
    answer = owner.client.post(url(owner.profile, "members/"), {"role": "editor", "note": "Ines"}, format="json")
    assert answer.status_code == 201
    secret = answer.json()["url"].partition("#")[2]
    assert secret not in owner.client.get(url(owner.profile, "invitations/")).content.decode()
    body = {"token": secret, "username": "ines", "password": PASSWORD}
    accepted = APIClient().post("/api/v1/auth/accept-invitation/", body, format="json")
    assert (accepted.status_code, accepted.json()["role"]) == (201, "editor")
    assert APIClient().post("/api/v1/auth/accept-invitation/", body, format="json").status_code == 404
    names = {row["username"] for row in owner.client.get(url(owner.profile, "members/")).json()["results"]}
    assert names == {"olga", "ines"}


def test_a_logged_in_person_joins_with_their_own_account(owner: Person, stranger: Person) -> None:
    link = owner.client.post(url(owner.profile, "members/"), {"role": "viewer"}, format="json").json()["url"]
    body = {"token": link.partition("#")[2]}
    assert stranger.client.post("/api/v1/auth/accept-invitation/", body, format="json").status_code == 201
    assert Membership.objects.filter(user=stranger.user, profile=owner.profile).exists()


def test_an_invitation_can_be_taken_back(owner: Person) -> None:
    made = owner.client.post(url(owner.profile, "members/"), {"role": "viewer"}, format="json").json()
    assert owner.client.delete(url(owner.profile, f"invitations/{made['id']}/")).status_code == 204
    assert not Invitation.objects.exists()


def test_editors_manage_nobody_but_may_leave(owner: Person, viewer: Person) -> None:
    members = viewer.client.get(url(owner.profile, "members/")).json()["results"]
    own = next(row["id"] for row in members if row["username"] == viewer.user.username)
    boss = next(row["id"] for row in members if row["username"] == "olga")
    raise_self = viewer.client.patch(url(owner.profile, f"members/{own}/"), {"role": "owner"}, format="json")
    assert raise_self.status_code == 403
    assert viewer.client.delete(url(owner.profile, f"members/{boss}/")).status_code == 403
    assert viewer.client.post(url(owner.profile, "members/"), {"role": "owner"}, format="json").status_code == 403
    assert viewer.client.delete(url(owner.profile, f"members/{own}/")).status_code == 204
    assert Membership.objects.filter(profile=owner.profile).count() == 1


def test_the_last_owner_stays(owner: Person) -> None:
    (own,) = owner.client.get(url(owner.profile, "members/")).json()["results"]
    for answer in (
        owner.client.delete(url(owner.profile, f"members/{own['id']}/")),
        owner.client.patch(url(owner.profile, f"members/{own['id']}/"), {"role": "viewer"}, format="json"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "last_owner")


def test_changing_the_password_ends_other_sessions(owner: Person) -> None:
    here, elsewhere = Client(), Client()
    for browser in (here, elsewhere):
        browser.force_login(owner.user)
    body = {"old_password": PASSWORD, "new_password": "an even better one 9"}
    answer = here.post("/api/v1/auth/password/", body, content_type="application/json")
    assert answer.status_code == 204
    assert here.get("/api/v1/auth/me/").status_code == 200
    assert elsewhere.get("/api/v1/auth/me/").status_code == 401


@pytest.mark.parametrize(("old", "new"), [("wrong", "an even better one 9"), (PASSWORD, "123")])
def test_a_wrong_or_weak_password_changes_nothing(owner: Person, old: str, new: str) -> None:
    answer = owner.client.post("/api/v1/auth/password/", {"old_password": old, "new_password": new}, format="json")
    assert answer.status_code == 400
    assert User.objects.get(pk=owner.user.pk).check_password(PASSWORD)


def test_lists_cost_a_constant_number_of_queries(owner: Person) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert owner.client.get(url(owner.profile, "members/")).status_code == 200
            assert owner.client.get("/api/v1/profiles/").status_code == 200
        return len(captured)

    count()
    few = count()
    for number in range(10):
        user = User.objects.create_user(f"member{number}")
        Membership.objects.create(user=user, profile=owner.profile, role=Role.VIEWER)
        owner.client.post("/api/v1/profiles/", {"name": f"Brand {number}"}, format="json")
    assert count() == few


def test_the_right_to_approve_is_given_by_owners_and_theirs_by_nature(owner: Person, viewer: Person) -> None:
    rows = owner.client.get(url(owner.profile, "members/")).json()["results"]
    rights = {row["username"]: row["can_approve"] for row in rows}
    assert rights == {"olga": True, viewer.user.username: False}
    ids = {row["username"]: row["id"] for row in rows}
    theirs, boss = url(owner.profile, f"members/{ids[viewer.user.username]}/"), ids["olga"]
    assert viewer.client.patch(theirs, {"can_approve": True}, format="json").status_code == 403
    assert viewer.client.get("/api/v1/auth/me/").json()["can_approve"] is False
    given = owner.client.patch(theirs, {"can_approve": True}, format="json")
    assert (given.json()["can_approve"], given.json()["role"]) == (True, "viewer")
    assert viewer.client.get("/api/v1/auth/me/").json()["can_approve"] is True
    kept = owner.client.patch(theirs, {"role": "editor"}, format="json")
    assert (kept.json()["can_approve"], kept.json()["role"]) == (True, "editor")
    refused = owner.client.patch(url(owner.profile, f"members/{boss}/"), {"can_approve": False}, format="json")
    assert refused.status_code == 400
    assert "can_approve" in refused.json()["error"]["fields"]


@pytest.mark.parametrize(("ceiling", "may"), [("read", False), ("write", False), ("publish", False), ("full", True)])
def test_no_limited_token_carries_the_right_to_approve(owner: Person, ceiling: str, may: bool) -> None:
    client = person_of(owner.user, ceiling=ceiling).client
    assert client.get("/api/v1/auth/me/").json()["can_approve"] is may
