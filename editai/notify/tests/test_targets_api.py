"""Targets over HTTP: who may, what is refused, secrets shown once, and the test button."""

import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from django.db import connections
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import Person, make_person
from editai.notify import targets
from editai.notify.delivery import deliver_due
from editai.notify.models import NotifyTarget
from editai.notify.tests.conftest import HAPPENED, QUIET, Receiver, add_target, fresh
from profiles import credentials, scope
from profiles.models import Membership, Role, User
from tests.stubs.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/v1/notify/targets/"
Tell = Callable[..., Any]
Joined = Callable[..., Person]


def post(person: Person | APIClient, **body: Any) -> Any:
    client = person.client if isinstance(person, Person) else person
    return client.post(URL, body, format="json")


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- making --------------------------------------------------------------------------------------------


def test_a_webhook_is_made_with_a_secret_that_is_shown_once(
    owner: Person, tell: Tell, hook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made = post(owner, kind="webhook", address=hook.url, is_personal=False)
    assert made.status_code == 201
    shown = made.json()
    secret = shown.pop("secret")
    assert len(secret) > 40
    assert (shown["user"], shown["events"], shown["is_active"], shown["address"]) == (None, None, True, hook.url)
    tell(payload={"clip": "1"})
    deliver_due()

    (sent,) = hook.posts
    parts = dict(part.split("=", 1) for part in sent.headers["x-editai-signature"].split(","))
    assert parts["t"] == sent.headers["x-editai-timestamp"]
    wanted = hmac.new(secret.encode(), parts["t"].encode() + b"." + sent.body, hashlib.sha256).hexdigest()
    assert parts["v1"] == wanted
    body = json.loads(sent.body)
    assert body["delivery"] == sent.headers["x-editai-delivery"]
    assert (body["event"], sent.headers["x-editai-event"]) == (HAPPENED.name, HAPPENED.name)
    assert (body["title"], body["text"], body["payload"]) == ("It happened", "Look.", {"clip": "1"})
    assert body["profile"] == {"id": str(owner.profile.pk), "name": owner.profile.name}
    assert body["link"].endswith("/x/")

    detail = owner.client.get(f"{URL}{shown['id']}/")
    assert detail.json()["last_ok_at"] is not None
    listed = owner.client.get(URL)
    with scope.activate(owner.profile.pk):
        row = NotifyTarget.objects.get()
        stored = repr([row, str(row), vars(row)["ciphertext"], list(NotifyTarget.objects.values())])
    browser = Client()
    browser.force_login(owner.user)
    pages: list[Any] = [browser.get(f"/admin/notify/notifytarget/{end}") for end in ("", f"{shown['id']}/change/")]
    assert [page.status_code for page in pages] == [200, 200]
    said = stored + caplog.text + "".join(one.content.decode() for one in (detail, listed, *pages))
    assert secret not in said
    assert hook.url not in caplog.text, "an address may hold a secret of its own"


def test_a_new_secret_signs_from_now_on(owner: Person, tell: Tell, hook: Receiver) -> None:
    made = post(owner, kind="webhook", address=hook.url).json()
    renewed = owner.client.post(f"{URL}{made['id']}/renew-secret/")
    assert renewed.status_code == 200
    assert renewed.json()["secret"] != made["secret"]
    tell()
    deliver_due()
    (sent,) = hook.posts
    stamp, body = sent.headers["x-editai-timestamp"], sent.body
    new, old = (
        hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        for secret in (renewed.json()["secret"], made["secret"])
    )
    assert sent.headers["x-editai-signature"] == f"t={stamp},v1={new}"
    assert new != old


def test_the_secrets_follow_the_rotation_of_the_keys(owner: Person, hook: Receiver, settings: Settings) -> None:
    target, secret = add_target(owner, hook.url)
    old = list(settings.ENCRYPTION_KEYS)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *old]
    assert credentials.rotate_encryption() == (1, 0)
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert credentials.decrypt(fresh(target).ciphertext or b"") == secret
    settings.ENCRYPTION_KEYS = old
    assert credentials.decrypt(fresh(target).ciphertext or b"") is None
    answer = owner.client.post(f"{URL}{target.pk}/test/").json()
    assert answer == {"ok": False, "error": "The secret of this webhook can't be read any more: renew it."}


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/",
        "http://[64:ff9b::7f00:1]/", "http://169.254.169.254/latest/", "https://user@example.org/", "http://localhost:80/",
    ],
)  # fmt: skip
def test_an_address_inside_is_refused(owner: Person, address: str) -> None:
    target, _ = add_target(owner, "http://192.88.98.1/hook")
    answers = [
        post(owner, kind="webhook", address=address),
        owner.client.patch(f"{URL}{target.pk}/", {"address": address}, format="json"),
    ]
    for answer in answers:
        assert error(answer) == (400, "address_not_allowed")
        assert list(answer.json()["error"]["fields"]) == ["address"]
    assert fresh(target).address == "http://192.88.98.1/hook"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "webhook", "address": "ftp://example.org/"}, "address"),
        ({"kind": "webhook", "address": "http://a\r\nHost: b/"}, "address"),
        ({"kind": "webhook", "address": "http://nobody.invalid/"}, "address"),
        ({"kind": "webhook", "address": "http://192.88.98.1/" + "x" * 1000}, "address"),
        ({"kind": "webhook", "address": "http://192.88.98.1/" + "ä" * 400}, "address"),
        ({"kind": "webhook"}, "address"),
        ({"address": "http://192.88.98.1/"}, "kind"),
        ({"kind": "pigeon", "address": "http://192.88.98.1/"}, "kind"),
        ({"kind": "webhook", "address": "http://192.88.98.1/", "events": ["nothing"]}, "events"),
        ({"kind": "webhook", "address": "http://192.88.98.1/", "user": str(uuid4())}, "user"),
        ({"kind": "webhook", "address": "http://192.88.98.1/", "secret": "mine"}, "secret"),
        ({"kind": "email", "address": "olga"}, "address"),
        ({"kind": "email", "address": "a@b.example, c@d.example"}, "address"),
        ({"kind": "email", "address": "a@b.example\nBcc: c@d.example"}, "address"),
    ],
)
def test_what_makes_no_sense_is_a_400_with_the_field(
    owner: Person, mail: SmtpServer, body: dict[str, Any], field: str
) -> None:
    answer = post(owner, **body)
    assert answer.status_code == 400, answer.content
    assert field in answer.json()["error"]["fields"]
    assert owner.client.get(URL).json()["results"] == []


def test_without_a_mail_server_there_are_no_mail_targets(owner: Person) -> None:
    assert error(post(owner, kind="email", address="olga@example.org")) == (409, "mail_not_configured")


def test_one_address_is_one_target(owner: Person, hook: Receiver, mail: SmtpServer) -> None:
    for is_personal in (True, False):
        body = {"kind": "webhook", "address": hook.url, "is_personal": is_personal}
        assert post(owner, **body).status_code == 201
        assert error(post(owner, **body)) == (409, "address_taken")
    other = post(owner, kind="webhook", address=hook.url + "/2").json()["id"]
    answer = owner.client.patch(f"{URL}{other}/", {"address": hook.url}, format="json")
    assert error(answer) == (409, "address_taken")


def test_there_are_at_most_so_many(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "MAX_TARGETS", 2)
    codes = [post(owner, kind="webhook", address=f"http://192.88.98.{n}/").status_code for n in (1, 2, 3)]
    assert codes == [201, 201, 409]


# --- who may -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_others_than_owners_manage_only_their_own(
    owner: Person, member: Joined, hook: Receiver, mail: SmtpServer, role: str
) -> None:
    person = member(role)
    User.objects.filter(pk=person.user.pk).update(email="Mia@Example.org")
    assert error(post(person, kind="webhook", address=hook.url, is_personal=False)) == (403, "permission_denied")
    assert error(post(person, kind="email", address="boss@example.org")) == (403, "permission_denied")
    letters = post(person, kind="email", address="mia@example.org")
    assert (letters.status_code, letters.json()["secret"]) == (201, None)
    mine = post(person, kind="webhook", address=hook.url).json()
    assert mine["user"] == str(person.user.pk)
    patched = person.client.patch(f"{URL}{letters.json()['id']}/", {"address": "x@example.org"}, format="json")
    assert error(patched) == (403, "permission_denied")
    of_profile, _ = add_target(owner, hook.url + "/a")
    of_owner, _ = add_target(owner, hook.url + "/b", is_personal=True)
    listed = {row["id"] for row in person.client.get(URL).json()["results"]}
    assert listed == {mine["id"], letters.json()["id"]}
    nobody = person.client.get(f"{URL}{uuid4()}/")
    for target in (of_profile, of_owner):
        url = f"{URL}{target.pk}/"
        answers = [
            person.client.get(url),
            person.client.patch(url, {"is_active": False}, format="json"),
            person.client.delete(url),
            person.client.post(f"{url}test/"),
            person.client.post(f"{url}renew-secret/"),
        ]
        assert {(answer.status_code, answer.content) for answer in answers} == {(404, nobody.content)}
    assert person.client.patch(f"{URL}{mine['id']}/", {"events": []}, format="json").json()["events"] == []
    assert len(owner.client.get(URL).json()["results"]) == 4
    assert owner.client.delete(f"{URL}{mine['id']}/").status_code == 204


def test_an_owner_with_a_smaller_token_is_no_owner_here(owner: Person, reader: APIClient, hook: Receiver) -> None:
    assert error(post(reader, kind="webhook", address=hook.url)) == (403, "permission_denied")
    add_target(owner, hook.url)
    assert reader.get(URL).json()["results"] == []


def test_what_was_told_is_for_all_members_and_its_ways_for_those_who_may(
    owner: Person, stranger: Person, viewer: Person, tell: Tell, hook: Receiver
) -> None:
    add_target(owner, hook.url)
    mine, _ = add_target(viewer, hook.url + "/mine", is_personal=True, role=Role.VIEWER)
    tell("a")
    tell("b", event=QUIET.name)
    tell("c", event="disk_low")
    deliver_due()
    url = "/api/v1/notify/notifications/"
    of_owners, newest, first = owner.client.get(url).json()["results"]
    assert of_owners["event"] == "disk_low"
    assert [row["id"] for row in viewer.client.get(url).json()["results"]] == [newest["id"], first["id"]]
    assert (newest["event"], first["event"]) == (QUIET.name, HAPPENED.name)
    assert [row["state"] for row in first["deliveries"]] == ["sent", "sent"]
    assert newest["deliveries"] == []
    seen = viewer.client.get(url, {"event": HAPPENED.name}).json()["results"]
    assert [row["id"] for row in seen] == [first["id"]]
    assert [row["target"] for row in seen[0]["deliveries"]] == [str(mine.pk)]
    assert viewer.client.get(url, {"evnt": "x"}).status_code == 400
    assert stranger.client.get(url).json()["results"] == []


def test_the_events_are_listed(viewer: Person) -> None:
    rows = viewer.client.get("/api/v1/notify/events/").json()["results"]
    by_name = {row["name"]: row for row in rows}
    assert by_name["disk_low"]["owners_only"] is True
    assert by_name[QUIET.name] == {
        "name": QUIET.name, "title": QUIET.label, "is_default": False, "owners_only": False
    }  # fmt: skip


# --- the test button ---------------------------------------------------------------------------------------


def test_the_button_tells_how_it_went(owner: Person, hook: Receiver, mail: SmtpServer) -> None:
    webhook, _ = add_target(owner, hook.url)
    letters, _ = add_target(owner, "olga@example.org")
    for target in (webhook, letters):
        answer = owner.client.post(f"{URL}{target.pk}/test/")
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "error": ""})
        assert fresh(target).last_ok_at is not None
    assert json.loads(hook.posts[0].body)["event"] == "test"
    assert mail.letters[0].content["Subject"].endswith("A test message")
    hook.statuses, mail.behaviour.answers = [404], {"RCPT": "550 no"}
    failed = [owner.client.post(f"{URL}{target.pk}/test/").json() for target in (webhook, letters)]
    assert failed == [
        {"ok": False, "error": "The receiver answered 404."},
        {"ok": False, "error": "The mail server refused the address."},
    ]
    assert (fresh(webhook).last_error, fresh(webhook).failures) == ("The receiver answered 404.", 0)
    assert owner.client.get(f"{URL}{webhook.pk}/test/").status_code == 405


def test_the_button_does_not_wait_for_ever_and_not_twice_at_once(
    owner: Person, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "TEST_SECONDS", 2)
    target, _ = add_target(owner, hook.url)
    hook.gate.clear()
    answers: list[Any] = []

    def press() -> None:
        answers.append(owner.client.post(f"{URL}{target.pk}/test/").json())
        connections.close_all()

    first = threading.Thread(target=press)
    first.start()
    assert hook.came.wait(5)
    second = make_second(owner).client.post(f"{URL}{target.pk}/test/")
    assert error(second) == (429, "too_many")
    first.join(10)
    assert answers == [{"ok": False, "error": "No answer within 2 seconds."}]
    hook.gate.set()
    assert owner.client.post(f"{URL}{target.pk}/test/").json()["ok"] is True


def make_second(owner: Person) -> Person:
    """Another owner of the same brand."""
    person = make_person("otto")
    Membership.objects.create(user=person.user, profile=owner.profile, role=Role.OWNER)
    person.client.credentials(HTTP_AUTHORIZATION=f"Bearer {person.token}", HTTP_X_PROFILE_ID=str(owner.profile.pk))
    return person


def test_a_target_that_was_switched_off_starts_anew(owner: Person, tell: Tell, hook: Receiver) -> None:
    target, _ = add_target(owner, hook.url)
    with scope.activate(owner.profile.pk):
        NotifyTarget.objects.update(is_active=False, disabled_reason="Too bad", failures=20)
    shown = owner.client.patch(f"{URL}{target.pk}/", {"is_active": True}, format="json").json()
    assert (shown["is_active"], shown["disabled_reason"]) == (True, "")
    assert (fresh(target).failures, fresh(target).retry_at) == (0, None)
    tell()
    assert deliver_due() == 1


def test_only_webhooks_have_a_secret(owner: Person, mail: SmtpServer) -> None:
    target, secret = add_target(owner, "olga@example.org")
    assert secret == ""
    assert error(owner.client.post(f"{URL}{target.pk}/renew-secret/")) == (409, "no_secret")
