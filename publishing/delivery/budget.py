"""The hourly budget of a profile's Postiz organisation for POST /posts: wait rather than be refused.

Postiz counts in fixed hours from the first call on, and blocks for a whole hour after one too many. So what its
headers say is believed, a margin is kept at the end of the hour, and a call in flight counts as made.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Case, F, Q, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from publishing.channels import health
from publishing.delivery import waiting
from publishing.models import PostizAccount, Publication
from publishing.postiz.replies import RateInfo
from publishing.states import State
from publishing.transitions import problem

HOUR = timedelta(hours=1)
MARGIN = timedelta(seconds=10)  # our clock, theirs, and the way in between
TURN = timedelta(seconds=10)  # until one who has to let others go first looks again


def take(account: PostizAccount, publication: Publication) -> datetime | None:
    """One call for `publication`, which is taken as made: None. Or when to ask again, because there is none left, or
    none that earlier ones do not need."""
    now = timezone.now()
    _renew(account, now)
    ahead = _ahead_of(publication, now)
    rows = PostizAccount.objects.filter(Q(blocked_until=None) | Q(blocked_until__lte=now), pk=account.pk)
    taken = rows.filter(rate_remaining__gt=ahead).update(
        rate_remaining=F("rate_remaining") - 1, rate_resets_at=Coalesce("rate_resets_at", now + HOUR + MARGIN)
    )
    if taken:
        return None
    account.refresh_from_db()
    return returns_at(account) or now + TURN


def _renew(account: PostizAccount, now: datetime) -> None:
    """A new hour begins with the first call after the end of the last."""
    over = PostizAccount.objects.filter(pk=account.pk, rate_resets_at__lte=now)
    over.update(rate_remaining=F("rate_limit"), rate_resets_at=None, blocked_until=None)


def _ahead_of(publication: Publication, now: datetime) -> int:
    """How many earlier ones wait for a call as well, those included that only wait a moment: for others, for a file."""
    key = (publication.scheduled_at, publication.created_at, publication.pk)
    wanting = Q(state=State.SCHEDULED, due_at__lte=now + TURN) | Q(state=State.UPLOADING)
    rows = Publication.objects.filter(wanting, profile_id=publication.profile_id, scheduled_at__lte=key[0])
    keys = waiting.for_postiz(rows).exclude(pk=publication.pk).values_list("scheduled_at", "created_at", "pk")
    return sum(other < key for other in keys)


def returns_at(account: PostizAccount) -> datetime | None:
    """When there will be calls again; None when there are some now. As `account` was loaded."""
    now = timezone.now()
    if account.blocked_until is not None and account.blocked_until > now:
        return account.blocked_until
    if account.rate_remaining > 0 or account.rate_resets_at is None or account.rate_resets_at <= now:
        return None
    return account.rate_resets_at


def refund(account: PostizAccount) -> None:
    """The call was not made, or did not count."""
    rows = PostizAccount.objects.filter(pk=account.pk, rate_remaining__lt=F("rate_limit"))
    with transaction.atomic():
        if health.is_current(account):
            rows.update(rate_remaining=F("rate_remaining") + 1)


def learn(account: PostizAccount, rate: RateInfo | None, publication: Publication) -> None:
    """Takes over what the headers of a reply say, less the calls that are in flight besides. Our own count stands while
    it is the lower one: a reply may be overtaken by others, and knows nothing of calls that were given out since."""
    if rate is None:
        return
    in_flight = Publication.objects.filter(profile_id=account.profile_id, state=State.SUBMITTING)
    least = max(rate.remaining - in_flight.exclude(pk=publication.pk).count(), 0)
    is_lower = When(rate_limit=rate.limit, rate_remaining__lte=rate.remaining, then=F("rate_remaining"))
    with transaction.atomic():
        if not health.is_current(account):
            return
        PostizAccount.objects.filter(pk=account.pk).update(
            rate_limit=max(rate.limit, 1),
            rate_remaining=Case(is_lower, default=least),
            rate_resets_at=timezone.now() + timedelta(seconds=rate.reset_seconds) + MARGIN,
        )


def block(account: PostizAccount, seconds: int) -> datetime:
    """A call was refused for the limit: until when nobody may call. Soon again with another key."""
    until = timezone.now() + timedelta(seconds=max(seconds, 1)) + MARGIN
    with transaction.atomic():
        if not health.is_current(account):
            return timezone.now() + TURN
        PostizAccount.objects.filter(pk=account.pk).update(blocked_until=until, rate_remaining=0, rate_resets_at=until)
    return until


def why_waiting(until: datetime) -> dict[str, object]:
    return problem("rate_limited", f"Hourly limit of Postiz reached; continues at {until:%H:%M} UTC.")
