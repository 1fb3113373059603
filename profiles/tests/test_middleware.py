"""Which profile a request works in, and that no source of it can be used to look into another."""

import logging
import time
from uuid import uuid4

import pytest
from django.test import Client

from conftest import Person, person_of
from editai.settings.logs import logging_config
from profiles import links, scope, services
from profiles.logs import ContextFilter, OneLineFormatter, request_id
from profiles.models import Membership, Profile, Role

pytestmark = pytest.mark.django_db
ME = "/api/v1/auth/me/"


@pytest.fixture
def second(owner: Person) -> Profile:
    return services.profile_create(user=owner.user, name="Second brand")


def test_without_a_word_it_is_the_default(owner: Person, second: Profile) -> None:
    answer = owner.client.get(ME)
    assert answer.json()["profile"] == answer["X-Profile-Id"] == str(owner.profile.pk)


def test_header_path_prefix_and_binding_each_name_it(owner: Person, second: Profile) -> None:
    bound = person_of(owner.user, profile=second)
    for answer in (
        owner.client.get(ME, headers={"X-Profile-Id": str(second.pk)}),
        owner.client.get(f"/p/{second.slug}{ME}"),
        owner.client.get(f"/api/v1/profiles/{second.pk}/"),
        bound.client.get(ME),
    ):
        assert (answer.status_code, answer["X-Profile-Id"]) == (200, str(second.pk))


def test_sources_that_disagree_are_404(owner: Person, second: Profile) -> None:
    bound = person_of(owner.user, profile=second)
    header = {"X-Profile-Id": str(owner.profile.pk)}
    for answer in (
        bound.client.get(ME, headers=header),
        owner.client.get(f"/p/{second.slug}{ME}", headers=header),
        owner.client.get(f"/api/v1/profiles/{second.pk}/", headers=header),
        bound.client.get(f"/p/{owner.profile.slug}{ME}"),
    ):
        assert answer.status_code == 404


def test_a_foreign_profile_and_one_that_never_was_look_the_same(owner: Person, stranger: Person) -> None:
    foreign = owner.client.get(ME, headers={"X-Profile-Id": str(stranger.profile.pk)})
    unknown = owner.client.get(ME, headers={"X-Profile-Id": str(uuid4())})
    slug = owner.client.get(f"/p/{stranger.profile.slug}{ME}")
    no_slug = owner.client.get(f"/p/no-such-brand{ME}")
    assert {answer.status_code for answer in (foreign, unknown, slug, no_slug)} == {404}
    assert foreign.content == unknown.content == slug.content == no_slug.content


def test_a_malformed_header_is_400(owner: Person) -> None:
    answer = owner.client.get(ME, headers={"X-Profile-Id": "1; DROP TABLE"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_profile_id")


def test_a_profile_that_is_being_deleted_is_404(owner: Person, second: Profile) -> None:
    services.profile_delete(user=owner.user, profile=second)
    assert owner.client.get(f"/api/v1/profiles/{second.pk}/").status_code == 404


def test_a_removed_member_is_a_stranger_at_once(owner: Person, stranger: Person) -> None:
    membership = Membership.objects.create(user=stranger.user, profile=owner.profile, role=Role.EDITOR)
    url = f"/api/v1/profiles/{owner.profile.pk}/"
    assert stranger.client.get(url).status_code == 200
    services.member_remove(profile=owner.profile, membership=membership)
    assert stranger.client.get(url).status_code == 404


def test_the_scope_is_gone_after_the_request(owner: Person) -> None:
    owner.client.get(ME)
    assert scope.current() is None


def test_a_cookie_works_only_with_the_csrf_token_for_writes(owner: Person) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(owner.user)
    assert browser.get(ME).status_code == 200
    refused = browser.post("/api/v1/profiles/", {"name": "New"}, content_type="application/json")
    assert refused.status_code == 403
    assert Profile.objects.filter(name="New").count() == 0


def test_answers_are_private_and_etags_do_not_cross_over(owner: Person, second: Profile) -> None:
    url = "/api/v1/auth/tokens/"
    first = owner.client.get(url)
    assert first["Cache-Control"] == "private, no-cache"
    for name in ("Authorization", "Cookie", "X-Profile-Id"):
        assert name.lower() in first["Vary"].lower()
    etag = {"If-None-Match": first["ETag"]}
    assert owner.client.get(url, headers=etag).status_code in {200, 304}
    answer = owner.client.get(url, headers={**etag, "X-Profile-Id": str(second.pk)})
    assert answer.status_code == 200


def test_a_repeated_read_is_304(owner: Person) -> None:
    url = f"/api/v1/profiles/{owner.profile.pk}/"
    etag = owner.client.get(url)["ETag"]
    answer = owner.client.get(url, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_request_ids_come_back_unless_they_are_forged(owner: Person) -> None:
    assert owner.client.get(ME, headers={"X-Request-Id": "abc-1"})["X-Request-Id"] == "abc-1"
    assert owner.client.get(ME, headers={"X-Request-Id": "a\n[Profile x]"})["X-Request-Id"].isalnum()


def test_each_log_line_names_its_profile_and_stays_one_line(owner: Person) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "got %s?sig=abc&a=1", ("a\n[Profile forged] b",), None)
    with scope.activate(owner.profile.pk):
        ContextFilter().filter(record)
    line = OneLineFormatter("%(profile_tag)s%(message)s").format(record)
    assert line == f"[Profile {owner.profile.pk}] got a\\n[Profile forged] b?sig=[redacted]&a=1"


def test_the_plain_log_names_the_request_that_an_answer_names() -> None:
    def line() -> str:
        record = logging.LogRecord("x", logging.INFO, "f", 1, "broke", (), None)
        ContextFilter().filter(record)
        return OneLineFormatter(logging_config(json_lines=False, level="INFO")["formatters"]["plain"]["format"]).format(
            record
        )

    token = request_id.set("")
    try:
        assert "[Request" not in line()
        request_id.set("abc-1")
        assert line().endswith("[Request abc-1] broke")
    finally:
        request_id.reset(token)


def test_what_django_logs_of_a_request_names_its_profile(owner: Person, caplog: pytest.LogCaptureFixture) -> None:
    handler_filter = ContextFilter()
    caplog.handler.addFilter(handler_filter)
    with caplog.at_level(logging.WARNING, logger="django.request"):
        owner.client.get(f"/api/v1/auth/tokens/{uuid4()}/")
        Client().get("/api/v1/nothing/")
    caplog.handler.removeFilter(handler_filter)
    assert [record.profile for record in caplog.records] == [str(owner.profile.pk), ""]  # type: ignore[attr-defined]


def link(person: Person, **changes: str) -> str:
    url = links.sign(user=person.user, profile=person.profile, path=ME, variant="video", version="v1")
    for old, new in changes.items():
        url = url.replace(old, new)
    return url


def test_a_signed_link_opens_its_own_path_only(owner: Person) -> None:
    anonymous = Client()
    assert anonymous.get(link(owner)).status_code == 200
    assert anonymous.head(link(owner)).status_code == 200
    assert anonymous.post(link(owner)).status_code == 404
    for changed in (
        link(owner, video="original"),
        link(owner).replace(ME, "/api/v1/profiles/"),
        link(owner) + "x",
        link(owner) + "&download=1",
    ):
        assert anonymous.get(changed).status_code == 404


def test_a_signed_link_ends_with_time_and_with_membership(
    owner: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    membership = Membership.objects.create(user=stranger.user, profile=owner.profile, role=Role.VIEWER)
    url = links.sign(user=stranger.user, profile=owner.profile, path=ME, variant="video", version="v1")
    assert Client().get(url).status_code == 200
    later = time.time() + 601
    monkeypatch.setattr(time, "time", lambda: later)
    assert Client().get(url).status_code == 404
    monkeypatch.undo()
    services.member_remove(profile=owner.profile, membership=membership)
    assert Client().get(url).status_code == 404


def test_a_token_in_the_query_is_no_token(owner: Person) -> None:
    for name in ("token", "access_token", "authorization"):
        assert Client().get(f"{ME}?{name}={owner.token}").status_code == 401
