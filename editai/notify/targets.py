"""Targets: made, changed, tried out. Owners manage all of the profile's, other members their own."""

import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from editai.notify import mail, sending
from editai.notify.events import event_named
from editai.notify.message import Message, NotDelivered
from editai.notify.models import NotifyTarget
from editai.notify.text import one_line
from profiles import outbound
from profiles.credentials import encrypt
from profiles.errors import Conflict, Forbidden, Invalid, TooMany
from profiles.models import Profile, Role, User
from profiles.tenancy import GuardedQuerySet, new_id

MAX_TARGETS = 50  # of one profile
TEST_SECONDS = 10
_MAX_ADDRESS = 1000  # characters
_MAX_EMAIL = 254
_CHECK = "Some fields need another value; see fields."
Kind = NotifyTarget.Kind


@dataclass(frozen=True)
class Trial:
    """How a trial went; `error` is for people, and empty when it went well."""

    ok: bool
    error: str = ""


def targets_of(*, profile: Profile, user: User, role: Role) -> GuardedQuerySet:
    """The targets that a member may see and manage: owners all of the profile's, others their own."""
    rows: GuardedQuerySet = NotifyTarget.objects.for_profile(profile)
    return rows if role == Role.OWNER else rows.filter(user=user)


def target_create(
    *,
    profile: Profile,
    by: User,
    role: Role,
    kind: str,
    address: str,
    is_personal: bool = True,
    events: Iterable[str] | None = None,
    is_active: bool = True,
) -> tuple[NotifyTarget, str]:
    """A new target, and the secret of a webhook (empty for e-mail), which is shown this once.

    Forbidden for what only owners may; Conflict when no mail server is set (`mail_not_configured`), for an address that
    is there already, and beyond MAX_TARGETS; Invalid for an address or event that is none.
    """
    if not is_personal and role != Role.OWNER:
        raise Forbidden("Only owners set up targets of the profile; yours are personal.")
    target = NotifyTarget(
        profile=profile,
        user=by if is_personal else None,
        kind=kind,
        address=_address(kind, address, by, role),
        events=_events(events),
        is_active=is_active,
    )
    secret = _new_secret(target) if kind == Kind.WEBHOOK else ""
    with transaction.atomic():
        Profile.objects.select_for_update(no_key=True).get(pk=profile.pk)  # they are counted one at a time
        if NotifyTarget.objects.for_profile(profile).count() >= MAX_TARGETS:
            raise Conflict(f"A profile has at most {MAX_TARGETS} targets: delete one first.", code="too_many_targets")
        _save(target)
    return target, secret


def target_update(*, profile: Profile, target: NotifyTarget, by: User, role: Role, **changes: Any) -> NotifyTarget:
    """Changes address, events or is_active. One that was switched off by itself starts anew when it is switched on."""
    if "address" in changes:
        changes["address"] = _address(target.kind, changes["address"], by, role)
    if "events" in changes:
        changes["events"] = _events(changes["events"])
    if "address" in changes or changes.get("is_active"):
        changes |= {"failures": 0, "retry_at": None, "disabled_reason": "", "last_error": ""}
    for name, value in changes.items():
        setattr(target, name, value)
    if changes:
        with transaction.atomic():
            _save(target, [*changes, "updated_at"])
    return target


def target_delete(*, profile: Profile, target: NotifyTarget) -> None:
    """Deletes it with what still waits for it."""
    with transaction.atomic():
        mine = NotifyTarget.objects.for_profile(profile).filter(pk=target.pk)
        list(mine.select_for_update())  # before its deliveries, as everywhere
        mine.delete()


def renew_secret(*, profile: Profile, target: NotifyTarget) -> str:
    """A new secret for a webhook, shown this once; the old one signs nothing from now on. Conflict for e-mail."""
    if target.kind != Kind.WEBHOOK:
        raise Conflict("Only webhooks have a secret.", code="no_secret")
    secret = _new_secret(target)
    target.save(update_fields=["ciphertext", "updated_at"])
    return secret


def target_test(*, profile: Profile, target: NotifyTarget) -> Trial:
    """Sends a message to the target here and now, within TEST_SECONDS; one trial of a profile at a time (TooMany)."""
    key = f"notify:test:{profile.pk}"
    if not cache.add(key, 1, TEST_SECONDS + 2):
        raise TooMany("Another test is under way: wait for it to end.", retry_after=TEST_SECONDS)
    try:
        result = _try_out(target, _test_message(profile))
    finally:
        cache.delete(key)
    told = {"last_ok_at": timezone.now(), "last_error": ""} if result.ok else {"last_error": result.error}
    NotifyTarget.objects.for_profile(profile).filter(pk=target.pk).update(**told)
    return result


def _try_out(target: NotifyTarget, message: Message) -> Trial:
    pool = ThreadPoolExecutor(1, thread_name_prefix="notify-test")  # a mail server may be slow at every step
    try:
        pool.submit(sending.send, message, target).result(timeout=TEST_SECONDS)
    except NotDelivered as error:
        return Trial(False, str(error))
    except TooLate:
        return Trial(False, f"No answer within {TEST_SECONDS} seconds.")
    finally:
        pool.shutdown(wait=False)
    return Trial(True)


def _test_message(profile: Profile) -> Message:
    return Message(
        delivery_id=new_id(),
        event="test",
        title="A test message",
        text="This is a test. Messages from EditAI arrive here.",
        link="",
        created_at=timezone.now(),
        profile_id=profile.pk,
        profile_name=one_line(profile.name),
    )


def _new_secret(target: NotifyTarget) -> str:
    secret = f"eaw_{secrets.token_urlsafe(32)}"
    target.ciphertext = encrypt(secret)
    return secret


def _save(target: NotifyTarget, fields: list[str] | None = None) -> None:
    try:
        with transaction.atomic():
            target.save(update_fields=fields)
    except IntegrityError as error:
        if "one_target_of" not in str(error) and "UNIQUE" not in str(error):
            raise
        raise Conflict("There is a target with this address already.", code="address_taken") from error


def _address(kind: str, address: str, by: User, role: Role) -> str:
    return _email(address, by, role) if kind == Kind.EMAIL else _url(address)


def _email(address: str, by: User, role: Role) -> str:
    """A person's own address is taken as it stands with the user; any other is an owner's word."""
    if not mail.is_configured():
        raise Conflict("This server sends no e-mail: EDITAI_SMTP_URL is not set.", code="mail_not_configured")
    try:
        validate_email(address)
    except ValidationError:
        raise Invalid(_CHECK, fields={"address": ["Enter an e-mail address."]}) from None
    if len(address) > _MAX_EMAIL:
        raise Invalid(_CHECK, fields={"address": [f"At most {_MAX_EMAIL} characters."]})
    if role != Role.OWNER and address.casefold() != by.email.casefold():
        raise Forbidden("Only owners enter other addresses than their own.")
    return address


def _url(address: str) -> str:
    try:
        checked = outbound.check(address)
    except Invalid as error:
        raise Invalid(error.message, code=error.code, fields={"address": [error.message]}) from error
    except outbound.OutboundError as error:
        raise Invalid(_CHECK, fields={"address": [str(error)]}) from error
    if len(checked) > _MAX_ADDRESS:
        raise Invalid(_CHECK, fields={"address": [f"At most {_MAX_ADDRESS} characters."]})
    return checked


def _events(names: Iterable[str] | None) -> list[str] | None:
    if names is None:
        return None
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if event_named(name) is None]:
        raise Invalid(_CHECK, fields={"events": [f"Unknown: {unknown[0][:60]}. See notify/events/."]})
    return wanted
