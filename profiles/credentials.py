"""Keys of outside services: encrypted at rest, write-only, one of a kind for each profile.

Apps register the kinds that they use (`register_kind`), with a check that asks the service whether the key works.
Losing the encryption key loses the keys, not the rows: such a credential reads as not `ok` and asks to be entered
again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from profiles import scope
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Credential, Profile
from profiles.private_files import write_private
from profiles.tenancy import ProfileOwned

Check = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
Watcher = Callable[[Profile], None]


@dataclass(frozen=True)
class SettingField:
    """A text that belongs to a key and is no secret (an address): entered with the key, stored in the clear, shown."""

    name: str
    help_text: str
    max_length: int = 500
    required: bool = True


@dataclass(frozen=True)
class CredentialKind:
    """`check(secret, settings)` asks the service when a key is stored, and gives the settings as they are to be stored.

    It raises Invalid with the field that is wrong, and nothing is stored. It runs outside of any transaction and must
    end within seconds: a person waits. Without a check nothing is known of the key (`ok` null).
    """

    name: str
    label: str
    check: Check | None = None
    settings: tuple[SettingField, ...] = ()


_kinds: dict[str, CredentialKind] = {}
_watchers: dict[str, Watcher] = {}
_encrypted: list[tuple[type[ProfileOwned], str]] = [(Credential, "ciphertext")]


def register_kind(kind: CredentialKind) -> None:
    _kinds[kind.name] = kind


def watch(kind: str, watcher: Watcher) -> None:
    """`watcher(profile)` is called whenever the profile's key of this kind was stored or deleted, in that transaction.
    It neither waits nor calls anybody. A second one for the same kind replaces the first."""
    _watchers[kind] = watcher


def _tell(profile: Profile, kind: CredentialKind) -> None:
    if kind.name in _watchers:
        _watchers[kind.name](profile)


def known_settings() -> dict[str, SettingField]:
    """The settings of all kinds, by name."""
    return {one.name: one for kind in _kinds.values() for one in kind.settings}


def kind_named(name: str) -> CredentialKind:
    if name not in _kinds:
        raise NotFound
    return _kinds[name]


def register_encrypted(model: type[ProfileOwned], column: str) -> None:
    """Another column that holds what `encrypt` gave (or null): it takes part in the rotation of the keys."""
    if (model, column) not in _encrypted:
        _encrypted.append((model, column))


def encryption_keys() -> list[str]:
    """The Fernet keys, newest first: from the switch, else from the key file; an empty list when there is none."""
    if settings.ENCRYPTION_KEYS:
        return list(settings.ENCRYPTION_KEYS)
    if settings.ENCRYPTION_KEYS_FILE.exists():
        return settings.ENCRYPTION_KEYS_FILE.read_text().split()
    return []


def ensure_encryption_key() -> None:
    """Makes the first key file; refuses when keys are missing that rows need."""
    if encryption_keys():
        return
    with scope.all_profiles("rotate encryption keys"):
        if any(_encrypted_rows(model, column).exists() for model, column in _encrypted):
            raise ImproperlyConfigured(
                f"The database holds encrypted keys, but {settings.ENCRYPTION_KEYS_FILE.name} and "
                "EDITAI_ENCRYPTION_KEYS are missing. Bring the key back from your backup; no new one was made."
            )
    write_private(settings.ENCRYPTION_KEYS_FILE, Fernet.generate_key().decode() + "\n")


def _fernet() -> MultiFernet:
    keys = encryption_keys()
    if not keys:
        raise ImproperlyConfigured("No encryption key: set EDITAI_ENCRYPTION_KEYS or start with ./run once.")
    return MultiFernet([Fernet(key) for key in keys])


def encrypt(secret: str) -> bytes:
    """`secret` as it may lie in the database; see `register_encrypted`."""
    return _fernet().encrypt(secret.encode())


def decrypt(ciphertext: bytes | memoryview) -> str | None:
    """What `encrypt` was given; None when no key opens it any more."""
    try:
        return _fernet().decrypt(bytes(ciphertext)).decode()
    except InvalidToken:
        return None


def credential_set(
    *, profile: Profile, kind: CredentialKind, secret: str, values: Mapping[str, Any] | None = None
) -> Credential:
    """Stores a key with its settings, after asking the service when the kind has a check; Invalid when that says no.

    `values` are always those entered with this very key: a stored key never goes to a new address.
    """
    if not secret.isprintable() or not secret.isascii() or not secret.strip():
        raise Invalid("The key contains characters that no key has.", fields={"api_key": ["Not a key."]})
    kept: Mapping[str, Any] = {one.name: (values or {}).get(one.name, "") for one in kind.settings}
    checked: dict[str, Any] = {"checked_at": None, "ok": None}
    if kind.check is not None:
        kept = kind.check(secret, kept)
        checked = {"ok": True, "checked_at": timezone.now()}
    with transaction.atomic():
        credential, _ = Credential.objects.update_or_create(
            profile=profile,
            kind=kind.name,
            defaults={
                "ciphertext": encrypt(secret),
                "last4": secret[-4:] if len(secret) >= 12 else "",
                "settings": dict(kept),
                **checked,
            },
        )
        _tell(profile, kind)
    return credential


def credential_get(*, profile: Profile, kind: CredentialKind) -> Credential | None:
    return Credential.objects.for_profile(profile).filter(kind=kind.name).first()


def credential_delete(*, profile: Profile, kind: CredentialKind) -> None:
    with transaction.atomic():
        Credential.objects.for_profile(profile).filter(kind=kind.name).delete()
        _tell(profile, kind)


def credential_secret(*, profile: Profile, kind: CredentialKind) -> str:
    """The key itself, for a call to its service. Conflict when there is none, or when it can't be read any more."""
    credential = credential_get(profile=profile, kind=kind)
    if credential is None:
        raise Conflict(f"No key for {kind.label} is set.", code="credential_missing")
    secret = _decrypt(credential)
    if secret is None:
        raise Conflict(f"The key for {kind.label} can't be read any more: enter it again.", code="credential_lost")
    return secret


def credential_mark(*, profile: Profile, kind: CredentialKind, ok: bool) -> None:
    """Notes whether the key worked when it was last used (`ok`, `checked_at`)."""
    Credential.objects.for_profile(profile).filter(kind=kind.name).update(ok=ok, checked_at=timezone.now())


def is_readable(credential: Credential) -> bool:
    return _decrypt(credential) is not None


def _decrypt(credential: Credential) -> str | None:
    return decrypt(credential.ciphertext)


def _encrypted_rows(model: type[ProfileOwned], column: str) -> "QuerySet[Any]":
    return model.objects.filter(**{f"{column}__isnull": False}).order_by("id")


def rotate_encryption() -> tuple[int, int]:
    """Encrypts every key anew under the newest encryption key. Returns how many were, and how many are lost."""
    done, lost = 0, 0
    with scope.all_profiles("rotate encryption keys"):
        for model, column in _encrypted:
            changed, unreadable = _rotate(model, column)
            done, lost = done + changed, lost + unreadable
    return done, lost


def _rotate(model: type[ProfileOwned], column: str) -> tuple[int, int]:
    fernet, done, lost = _fernet(), 0, 0
    for pk, before in _encrypted_rows(model, column).values_list("pk", column).iterator(chunk_size=200):
        try:
            rotated = fernet.rotate(bytes(before))
        except InvalidToken:
            lost += 1
            continue
        unchanged = model.objects.filter(pk=pk, **{column: before})
        done += unchanged.update(**{column: rotated})  # one that was entered meanwhile is newer than ours
    return done, lost
