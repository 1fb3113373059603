from collections.abc import Iterator

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from pytest_django import Settings
from rest_framework.test import APIClient

from conftest import Person
from profiles import credentials
from profiles.credentials import CredentialKind
from profiles.errors import Conflict
from profiles.models import Credential, Profile

SECRET = "sk-very-secret-1234"
pytestmark = pytest.mark.django_db


@pytest.fixture
def kind() -> Iterator[CredentialKind]:
    made = CredentialKind("probe", "Probe service", check=lambda secret, values: secret == SECRET)
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
    credentials.credential_set(profile=in_scope, kind=kind, secret=SECRET)
    credentials.credential_set(profile=in_scope, kind=kind, secret="sk-a-wrong-one-9999")
    assert Credential.objects.count() == 1
    assert Credential.objects.get().ok is False


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
    answer = owner.client.put(url, {"api_key": SECRET}, format="json")
    assert answer.status_code == 200
    shown = owner.client.get(url)
    assert SECRET not in shown.content.decode() + answer.content.decode()
    assert {name: shown.json()[name] for name in ("configured", "last4", "ok")} == {
        "configured": True,
        "last4": "1234",
        "ok": True,
    }
    assert owner.client.delete(url).status_code == 204
    assert owner.client.get(url).json()["configured"] is False


def test_only_owners_touch_keys(owner: Person, viewer: Person, reader: APIClient, kind: CredentialKind) -> None:
    url = f"/api/v1/profiles/{owner.profile.pk}/credentials/probe/"
    for client in (viewer.client, reader):
        assert client.get(url).status_code == 403
        assert client.put(url, {"api_key": SECRET}, format="json").status_code == 403


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
