from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import Person
from profiles import credentials
from profiles.credentials import CredentialKind, SettingField
from profiles.errors import Conflict, Invalid
from profiles.models import Credential, Profile

SECRET = "sk-very-secret-1234"
pytestmark = pytest.mark.django_db


def _check(secret: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if secret.startswith("wrong"):
        raise Invalid("Not your key.", fields={"api_key": ["Not your key."]})
    return {"region": values["region"].lower()}


@pytest.fixture
def kind() -> Iterator[CredentialKind]:
    made = CredentialKind("probe", "Probe service", check=_check, settings=(SettingField("region", "Where it is."),))
    credentials.register_kind(made)
    yield made
    credentials._kinds.pop("probe")


def test_a_key_is_encrypted_at_rest_and_comes_back(in_scope: Profile, kind: CredentialKind) -> None:
    stored = credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    assert SECRET.encode() not in bytes(stored.ciphertext)
    assert (stored.ok, stored.last4) == (True, "1234")
    assert credentials.credential_secret(profile=in_scope, kind=kind) == SECRET
    assert SECRET not in repr(stored) + str(stored)


def test_setting_a_key_again_replaces_it(in_scope: Profile, kind: CredentialKind) -> None:
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET, values={"region": "EU"})
    credentials.credential_set(profile=in_scope, kind=kind, secret="sk-another-one-9999", values={"region": "US"})
    stored = Credential.objects.get()
    assert (stored.last4, stored.settings, stored.ok) == ("9999", {"region": "us"}, True)


@pytest.mark.parametrize("secret", ["wrong-key-123456", "sk\r\nX: y", "schlüssel-123456", "  "])
def test_a_key_that_is_refused_changes_nothing(in_scope: Profile, kind: CredentialKind, secret: str) -> None:
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET, values={"region": "eu"})
    with pytest.raises(Invalid) as caught:
        credentials.credential_set(profile=in_scope, kind=kind, secret=secret, values={"region": "us"})
    assert caught.value.fields is not None
    assert list(caught.value.fields) == ["api_key"]
    assert credentials.credential_secret(profile=in_scope, kind=kind) == SECRET
    assert Credential.objects.get().settings == {"region": "eu"}


def test_a_key_that_stops_working_is_marked(in_scope: Profile, kind: CredentialKind) -> None:
    before = credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    credentials.credential_mark(profile=in_scope, kind=kind, ok=False)
    after = Credential.objects.get()
    assert after.ok is False
    assert after.checked_at > before.checked_at


def test_rotation_keeps_the_keys_readable(in_scope: Profile, kind: CredentialKind, settings: Settings) -> None:
    old, new = settings.ENCRYPTION_KEYS, Fernet.generate_key().decode()
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    settings.ENCRYPTION_KEYS = [new, *old]
    call_command("rotate_encryption_keys")
    settings.ENCRYPTION_KEYS = [new]
    assert credentials.credential_secret(profile=in_scope, kind=kind) == SECRET


def test_a_lost_encryption_key_asks_to_enter_the_key_again(
    in_scope: Profile, kind: CredentialKind, settings: Settings
) -> None:
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(Conflict) as caught:
        credentials.credential_secret(profile=in_scope, kind=kind)
    assert caught.value.code == "credential_lost"
    assert credentials.rotate_encryption() == (0, 1)
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    assert credentials.credential_secret(profile=in_scope, kind=kind) == SECRET


def test_no_new_encryption_key_is_made_while_rows_need_the_old_one(
    in_scope: Profile, kind: CredentialKind, settings: Settings
) -> None:
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    settings.ENCRYPTION_KEYS = []
    with pytest.raises(ImproperlyConfigured, match="missing"):
        credentials.ensure_encryption_key()
    assert not settings.ENCRYPTION_KEYS_FILE.exists()


def test_the_first_encryption_key_is_private(db: None, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = []
    credentials.ensure_encryption_key()
    try:
        assert settings.ENCRYPTION_KEYS_FILE.stat().st_mode & 0o777 == 0o600
        assert len(credentials.encryption_keys()) == 1
    finally:
        settings.ENCRYPTION_KEYS_FILE.unlink()


def test_over_http_a_key_goes_in_and_never_out(owner: Person, kind: CredentialKind) -> None:
    url = f"/api/v1/profiles/{owner.profile.pk}/credentials/probe/"
    empty = owner.client.get(url).json()
    assert empty["configured"] is False
    answer = owner.client.put(url, {"api_key": SECRET, "region": "EU"}, format="json")
    assert answer.status_code == 200
    shown = owner.client.get(url)
    assert SECRET not in shown.content.decode() + answer.content.decode()
    assert {name: shown.json()[name] for name in ("configured", "last4", "ok", "region")} == {
        "configured": True,
        "last4": "1234",
        "ok": True,
        "region": "eu",
    }
    assert owner.client.delete(url).status_code == 204
    assert owner.client.get(url).json()["configured"] is False


def test_only_owners_touch_keys(owner: Person, viewer: Person, reader: APIClient, kind: CredentialKind) -> None:
    url = f"/api/v1/profiles/{owner.profile.pk}/credentials/probe/"
    for client in (viewer.client, reader):
        assert client.get(url).status_code == 403
        assert client.put(url, {"api_key": SECRET}, format="json").status_code == 403


def test_over_http_key_and_settings_come_together(owner: Person, kind: CredentialKind) -> None:
    url = f"/api/v1/profiles/{owner.profile.pk}/credentials/probe/"
    wrong = {
        "api_key": [{"region": "eu"}, {"region": "eu", "api_key": ""}, {"region": "eu", "api_key": "wrong-key-123456"}],
        "region": [{"api_key": SECRET}, {"api_key": SECRET, "region": "e\r\nu"}],
        "colour": [{"api_key": SECRET, "region": "eu", "colour": "red"}],
    }
    for name, bodies in wrong.items():
        for body in bodies:
            answer = owner.client.put(url, body, format="json")
            assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [name])
    assert owner.client.put(url, {"region": "eu"}, format="json").json()["error"]["fields"] == {
        "api_key": ["Enter the key again."]
    }
    assert owner.client.get(url).json()["configured"] is False


def test_an_unknown_kind_and_a_key_with_line_breaks_are_refused(owner: Person, kind: CredentialKind) -> None:
    base = f"/api/v1/profiles/{owner.profile.pk}/credentials"
    assert owner.client.get(f"{base}/nothing/").status_code == 404
    answer = owner.client.put(f"{base}/probe/", {"api_key": "sk-\r\nX: y"}, format="json")
    assert answer.status_code == 400


def test_a_key_that_is_entered_during_the_rotation_wins(
    in_scope: Profile, kind: CredentialKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    rotate = MultiFernet.rotate

    def slow(fernet: MultiFernet, ciphertext: bytes) -> bytes:
        rotated = rotate(fernet, ciphertext)
        credentials.credential_set(profile=in_scope, kind=kind, secret="sk-entered-meanwhile-1")
        return rotated

    monkeypatch.setattr(MultiFernet, "rotate", slow)
    assert credentials.rotate_encryption() == (0, 0)
    assert credentials.credential_secret(profile=in_scope, kind=kind) == "sk-entered-meanwhile-1"


def test_a_watcher_hears_of_every_key_that_is_stored_or_deleted(
    in_scope: Profile, kind: CredentialKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_watchers", {})
    heard: list[bool] = []
    credentials.watch(
        kind.name, lambda profile: heard.append(credentials.credential_get(profile=profile, kind=kind) is not None)
    )
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    credentials.credential_delete(profile=in_scope, kind=kind)
    assert heard == [True, False]
