"""How a profile's Postiz does: well, in trouble (asked again after a while), or refusing the key (paused)."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from profiles.credentials import credential_get
from publishing import news
from publishing.channels.connections import POSTIZ
from publishing.models import PostizAccount
from publishing.postiz.errors import BadKey, NoSubscription, PostizError, RateLimited
from publishing.transitions import problem

BACKOFF = tuple(timedelta(seconds=seconds) for seconds in (15, 30, 60, 120, 300, 600))
WHILE_PAUSED = timedelta(minutes=10)
_SEEN_EVERY = timedelta(minutes=1)


def as_problem(error: PostizError, *, retryable: bool | None = None) -> dict[str, Any]:
    """An error of the client in the shape of `Publication.error`."""
    again = error.retryable if retryable is None else retryable
    return problem(error.code, error.message, next_step=error.next_step, retryable=again)


def note_trouble(account: PostizAccount, error: PostizError) -> datetime:
    """Postiz did not answer as it should: what that means for the account, and when to try again."""
    if isinstance(error, BadKey | NoSubscription):
        is_paused = pause(account, as_problem(error))
        return timezone.now() + (WHILE_PAUSED if is_paused else BACKOFF[0])
    if isinstance(error, RateLimited):
        return timezone.now() + timedelta(seconds=error.retry_after)
    before = account.problem or {}
    tries = int(before.get("tries", 0)) + 1
    account.problem = {**as_problem(error), "tries": tries}
    PostizAccount.objects.filter(pk=account.pk, paused_at=None).update(problem=account.problem)
    return timezone.now() + BACKOFF[min(tries, len(BACKOFF)) - 1]


def note_fine(account: PostizAccount) -> None:
    """It answered: earlier trouble is over."""
    now = timezone.now()
    if account.problem is None and account.checked_at is not None and now - account.checked_at < _SEEN_EVERY:
        return
    if PostizAccount.objects.filter(pk=account.pk, paused_at=None).update(problem=None, checked_at=now):
        account.problem, account.checked_at = None, now


def pause(account: PostizAccount, what: dict[str, Any]) -> bool:
    """Nothing is sent any more until a key is stored; told once for each time. False when another key was stored since
    `account` was loaded: that one was not refused."""
    with transaction.atomic():
        if not is_current(account):
            return False
        account.paused_at, account.problem = timezone.now(), what
        rows = PostizAccount.objects.filter(pk=account.pk, paused_at=None)
        if rows.update(paused_at=account.paused_at, problem=what):
            news.tell_disconnected(account, what)
    return True


def is_current(account: PostizAccount) -> bool:
    """Whether the key with which `account` was loaded is still the stored one: else what a reply said is about another
    organisation. Call it in the transaction that writes down what the reply said."""
    PostizAccount.objects.select_for_update().filter(pk=account.pk).first()  # who stores a key waits, or is done
    stored = credential_get(profile=account.profile, kind=POSTIZ)
    return account.key_stored_at is None or (stored is not None and stored.updated_at == account.key_stored_at)
