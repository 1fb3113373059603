"""Who gets in, as whom, and what refusals look like. Attacks C8, C12."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client, override_settings
from rest_framework.test import APIClient

from conftest import PASSWORD, Person
from profiles import scope
from profiles.models import StoredFile

pytestmark = [pytest.mark.django_db, pytest.mark.urls("profiles.tests.toys")]
TOYS = "/api/v1/toys/"


def toy_of(person: Person, key: str = "toy") -> StoredFile:
    with scope.activate(person.profile.pk):
        return StoredFile.objects.create(profile=person.profile, key=key, content_type="video/mp4", state="stored")


@pytest.fixture
def browser(owner: Person) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner.user)
    return client


def test_anonymous_gets_401_with_a_challenge() -> None:
    for method in ("get", "post", "patch", "delete", "put"):
        answer = getattr(APIClient(), method)(TOYS)
        assert answer.status_code == 401, method
        assert answer["WWW-Authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "not_authenticated"


@pytest.mark.parametrize("header", ["Bearer nonsense", "Basic b2xnYTpwdw==", "Token x", "Bearer", "Bearer  "])
def test_a_bad_proof_is_401_even_with_a_good_cookie(browser: Client, header: str) -> None:
    assert browser.get(TOYS).status_code == 200
    answer = browser.get(TOYS, headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Bearer"


def test_the_cookie_needs_its_csrf_token_for_every_write(browser: Client, owner: Person) -> None:
    toy = toy_of(owner)
    for method, url in (("post", TOYS), ("patch", f"{TOYS}{toy.pk}/"), ("delete", f"{TOYS}{toy.pk}/"), ("put", TOYS)):
        answer = getattr(browser, method)(url, "{}", content_type="application/json")
        assert answer.status_code == 403, method
        assert answer.json()["error"]["code"] == "csrf_failed"
    browser.get("/login/")
    browser.get(TOYS, headers={"Accept": "text/html"})
    token = browser.cookies["csrftoken"].value
    answer = browser.post(TOYS, '{"key": "x"}', content_type="application/json", headers={"X-CSRFToken": token})
    assert answer.status_code == 201
    answer = browser.post(TOYS, {"key": "y", "csrfmiddlewaretoken": token})
    assert answer.status_code == 201


def test_a_get_with_an_override_stays_a_get(owner: Person) -> None:
    toy = toy_of(owner)
    url = f"{TOYS}{toy.pk}/"
    assert owner.client.get(url, headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 200
    assert owner.client.post(url, {"_method": "DELETE"}).status_code == 405
    assert owner.client.get(url).status_code == 200


def test_no_origin_is_ever_allowed_in(owner: Person) -> None:
    answer = owner.client.get(TOYS, headers={"Origin": "https://evil.example"})
    assert not [name for name, _ in answer.items() if name.lower().startswith("access-control-")]


def test_roles_and_ceilings(owner: Person, viewer: Person, member: Any, reader: APIClient) -> None:
    toy = toy_of(owner)
    editor = member("editor")
    url = f"{TOYS}{toy.pk}/"
    assert viewer.client.get(TOYS).status_code == 200
    for client in (viewer.client, reader):
        refused = client.post(TOYS, {"key": "x"}, format="json")
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "permission_denied"
    assert editor.client.post(TOYS, {"key": "x"}, format="json").status_code == 201
    assert editor.client.delete(url).status_code == 403
    assert member("editor", ceiling="write").client.post(f"{url}publish/").status_code == 403
    assert member("editor", ceiling="publish").client.post(f"{url}publish/").status_code == 200
    assert owner.client.delete(url).status_code == 204


def test_another_brands_rows_are_not_there(owner: Person, stranger: Person) -> None:
    toy = toy_of(owner)
    random_id = uuid4()
    for method in ("get", "patch", "delete"):
        foreign = getattr(stranger.client, method)(f"{TOYS}{toy.pk}/", {}, format="json")
        unknown = getattr(stranger.client, method)(f"{TOYS}{random_id}/", {}, format="json")
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
    assert stranger.client.get(TOYS).json()["results"] == []
    assert owner.client.get(f"{TOYS}not-an-id/").status_code == 404


def test_undeclared_methods_are_405_and_name_the_others(owner: Person) -> None:
    toy = toy_of(owner)
    answer = owner.client.put(f"{TOYS}{toy.pk}/", {"key": "z"}, format="json")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert "PATCH" in answer["Allow"]
    assert "PUT" not in answer["Allow"]


def test_what_does_not_exist_and_what_breaks(owner: Person) -> None:
    owner.client.raise_request_exception = False
    unknown = owner.client.get("/api/v1/nothing/")
    assert unknown.status_code == 404
    assert unknown.json() == {"error": {"code": "not_found", "message": "Not found."}}
    assert owner.client.post("/api/v1/toys", {"key": "a"}, format="json").status_code == 404
    crash = owner.client.get("/api/v1/broken/")
    assert crash.status_code == 500
    assert crash.json()["error"]["code"] == "internal"
    assert b"secret" not in crash.content
    assert crash["X-Request-Id"] in crash.json()["error"]["message"]
    conflict = owner.client.get("/api/v1/broken/?how=conflict")
    assert conflict.status_code == 409
    assert conflict.json() == {"error": {"code": "conflict", "message": "Not now.", "fields": {"x": ["y"]}}}


def test_a_domain_error_out_of_a_page(client: Client) -> None:
    assert client.get("/page/").json()["error"]["code"] == "conflict"
    page = client.get("/page/", headers={"Accept": "text/html"})
    assert page.status_code == 409
    assert b"Not now." in page.content


def test_people_get_a_page_where_they_asked_for_one(client: Client) -> None:
    page = client.get("/nothing/", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert page["Content-Type"].startswith("text/html")


@override_settings(ALLOWED_HOSTS=["127.0.0.1"])
def test_a_foreign_host_is_400(owner: Person) -> None:
    answer = owner.client.get(TOYS, headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "malformed"


def test_the_browsable_api_shows_one_brand_only(owner: Person, stranger: Person, browser: Client) -> None:
    toy_of(owner, "mine-own")
    toy_of(stranger, "theirs-secret")
    page = browser.get(TOYS, headers={"Accept": "text/html"}).content.decode()
    assert "mine-own" in page
    assert "theirs-secret" not in page
    assert owner.profile.name in page.replace("&#x27;", "'")
    assert stranger.profile.name not in page.replace("&#x27;", "'")
    assert "<style" not in page
    assert "style=" not in page
    assert "onclick" not in page


def test_the_browsable_api_has_forms_for_what_one_may(owner: Person, viewer: Person, browser: Client) -> None:
    toy = toy_of(owner)
    page = browser.get(f"{TOYS}{toy.pk}/", headers={"Accept": "text/html"}).content.decode()
    assert "PATCH" in page
    assert 'data-method="DELETE"' in page
    other = Client()
    other.force_login(viewer.user)
    page = other.get(f"{TOYS}{toy.pk}/", headers={"Accept": "text/html"}).content.decode()
    assert 'data-method="DELETE"' not in page
    assert 'data-method="PATCH"' not in page


def test_markup_in_data_stays_text(owner: Person, browser: Client) -> None:
    toy_of(owner, "<img src=x onerror=alert(1)>")
    page = browser.get(TOYS, headers={"Accept": "text/html"}).content.decode()
    assert "<img" not in page


def test_password_is_no_api_proof(owner: Person) -> None:
    assert APIClient().get(TOYS, {"username": owner.user.username, "password": PASSWORD}).status_code == 401
    assert APIClient().get(TOYS, {"token": owner.token}).status_code == 401
