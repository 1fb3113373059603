"""Start, login, logout, invitation, docs: behaviour, sessions, and the policy for scripts. Attacks C6, C10, C11."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.contrib.staticfiles import finders
from django.test import Client
from rest_framework.test import APIClient

from conftest import PASSWORD, Person
from editai.csp import POLICY
from profiles.models import Profile

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(owner: Person) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner.user)
    return client


def token_in(page: Any) -> str:
    found = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', page.content)
    assert found
    return found[1].decode()


def log_in(client: Client, name: str, password: str, where: str = "/login/", **fields: str) -> Any:
    token = token_in(client.get(where))
    return client.post(where, {"username": name, "password": password, "csrfmiddlewaretoken": token, **fields})


def test_logging_in_leads_to_the_default_brand(owner: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    page = client.get("/login/")
    assert b">Username</label>" in page.content
    assert b">Password</label>" in page.content
    answer = log_in(client, "olga", PASSWORD)
    assert answer.status_code == 302
    assert answer["Location"] == f"/p/{owner.profile.slug}/"
    start = client.get(answer["Location"])
    assert start.status_code == 200
    assert str(owner.profile.pk).encode() in start.content


def test_a_wrong_password_says_so_and_opens_nothing(owner: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = log_in(client, "olga", "wrong")
    assert answer.status_code == 200
    assert b'role="alert"' in answer.content
    assert client.get("/api/v1/auth/me/").status_code == 401


def test_login_itself_needs_its_csrf_token(owner: Person) -> None:
    answer = Client(enforce_csrf_checks=True).post("/login/", {"username": "olga", "password": PASSWORD})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "csrf_failed"


def test_the_session_gets_a_new_key_and_dies_with_the_logout(owner: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    planted = client.session
    planted["x"] = 1
    planted.save()
    client.cookies["sessionid"] = str(planted.session_key)
    log_in(client, "olga", PASSWORD)
    key = client.cookies["sessionid"].value
    assert key != planted.session_key
    assert client.cookies["sessionid"]["httponly"]
    assert client.cookies["sessionid"]["samesite"] == "Lax"
    thief = Client()
    thief.cookies["sessionid"] = key
    assert thief.get("/api/v1/auth/me/").status_code == 200
    start = client.get(f"/p/{owner.profile.slug}/")
    assert client.get("/logout/").status_code == 405
    client.post("/logout/", {"csrfmiddlewaretoken": token_in(start)})
    assert thief.get("/api/v1/auth/me/").status_code == 401
    assert not Session.objects.filter(session_key=key).exists()


def test_a_new_password_ends_every_session(owner: Person, browser: Client) -> None:
    assert browser.get("/api/v1/auth/me/").status_code == 200
    owner.user.set_password("another long sentence")
    owner.user.save()
    assert browser.get("/api/v1/auth/me/").status_code == 401


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example/x", "/\\evil.example", "javascript:alert(1)", "http:///evil", ""]
)
def test_next_never_leaves_this_host(owner: Person, target: str) -> None:
    answer = log_in(Client(enforce_csrf_checks=True), "olga", PASSWORD, next=target)
    assert answer["Location"] == f"/p/{owner.profile.slug}/"


def test_next_within_this_host_is_followed(owner: Person) -> None:
    answer = log_in(Client(enforce_csrf_checks=True), "olga", PASSWORD, next="/api/v1/jobs/?page_size=5")
    assert answer["Location"] == "/api/v1/jobs/?page_size=5"


def test_the_admin_has_no_login_of_its_own(owner: Person) -> None:
    page = Client().get(f"/p/{owner.profile.slug}/admin/", follow=True)
    assert page.status_code == 200
    assert page.redirect_chain[-1][0] == f"/login/?next=/p/{owner.profile.slug}/admin/"


def test_a_bearer_token_opens_no_page(owner: Person) -> None:
    for address in ("/admin/", "/", f"/p/{owner.profile.slug}/"):
        assert owner.client.get(address).status_code == 401


def test_the_start_page_shows_ones_own_brands_only(owner: Person, stranger: Person, browser: Client) -> None:
    second = Profile.objects.create(name="Second <b>shop</b>")
    second.memberships.create(user=owner.user, role="viewer")
    page = browser.get(f"/p/{owner.profile.slug}/").content.decode()
    assert "Second &lt;b&gt;shop" in page
    assert stranger.profile.slug not in page
    assert "viewer" in browser.get(f"/p/{second.slug}/").content.decode()
    assert browser.get("/").status_code == 302
    foreign = browser.get(f"/p/{stranger.profile.slug}/")
    unknown = browser.get("/p/no-such-brand/")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


def test_a_visitor_is_told_where_to_log_in(client: Client) -> None:
    assert b'href="/login/"' in client.get("/").content
    assert client.get("/p/x/")["Location"] == "/login/?next=/p/x/"


def test_the_browsable_api_lives_under_the_brands_prefix(owner: Person, browser: Client) -> None:
    prefix = f"/p/{owner.profile.slug}"
    page = browser.get(f"{prefix}/api/v1/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert f"{prefix}/api/v1/jobs/" in page.content.decode()
    assert browser.get("/p/someone-else/api/v1/").status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/login/",
        "/invitation/",
        "/api/docs/",
        "/api/v1/",
        "/api/v1/profiles/",
        "/api/v1/auth/tokens/",
        "/api/v1/auth/me/",
        "/api/v1/health/",
        "/api/v1/jobs/",
        "/api/v1/segments/",
        "/api/v1/segments/match-srt/",
        "/api/v1/source-videos/",
        "/api/v1/projects/",
        "/api/v1/clips/",
        "/admin/",
    ],
)
def test_every_page_is_under_the_policy_and_keeps_to_it(browser: Client, address: str) -> None:
    page = browser.get(address, headers={"Accept": "text/html"}, follow=True)
    assert page.status_code in {200, 405}, page.content[:500]
    assert page["Content-Security-Policy"] == POLICY
    text = page.content.decode()
    assert "<html" in text
    assert not re.search(r"<script(?![^>]*\b(src=|type=\"application/json\"))", text)
    assert "<style" not in text
    assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", text)
    assert not re.search(r"(src|href)=\"https?://(?!testserver)", text.split('<pre class="answer">')[0])


def test_docs_and_schema_are_for_everybody_and_the_same(owner: Person, client: Client) -> None:
    page = client.get("/api/docs/")
    assert page.status_code == 200
    script = client.get("/api/docs/?script=")
    assert script["Content-Type"].startswith("application/javascript")
    assert b"/api/schema/" in script.content
    anonymous = client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    known = owner.client.get("/api/schema/", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert anonymous.status_code == 200
    assert anonymous.content == known.content


def test_api_errors_stay_json_for_browsers_too(browser: Client) -> None:
    answer = browser.get("/api/v1/nothing/", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize("header", ["X-Forwarded-Host", "Forwarded"])
def test_a_forwarded_host_is_nobodys_host(owner: Person, header: str) -> None:
    answer = owner.client.get("/api/v1/jobs/?page_size=1", headers={header: "evil.example"})
    assert b"evil" not in answer.content
    page = Client().get("/login/", headers={header: "evil.example"})
    assert b"evil" not in page.content


def test_an_invitation_is_taken_up(owner: Person, browser: Client) -> None:
    made = owner.client.post(f"/api/v1/profiles/{owner.profile.pk}/members/", {"role": "viewer"}, format="json")
    assert made.status_code == 201
    address, secret = made.json()["url"].split("#")
    page = Client().get(address.split("//", 1)[1].split("/", 1)[1].join(["/", ""]))
    assert page.status_code == 200
    assert b'data-url="/api/v1/auth/accept-invitation/"' in page.content
    joined = APIClient().post(
        "/api/v1/auth/accept-invitation/",
        {"token": secret, "username": "ben", "password": "a long enough sentence"},
        format="json",
    )
    assert joined.status_code == 201, joined.content


def test_without_its_secret_an_invitation_has_no_active_button(browser: Client) -> None:
    for page in (Client().get("/invitation/"), browser.get("/invitation/")):
        buttons = re.findall(r"<button[^>]*>\s*Join", page.content.decode())
        assert len(buttons) == 1
        assert all(" disabled" in button for button in buttons)
    script = Path(str(finders.find("editai/invitation.js"))).read_text()  # which alone sees what stands behind the #
    assert "disabled = !isComplete" in script
