"""Telling: one message per event, written in the transaction of what happened, sent after it."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from editai.notify import bell
from editai.notify.events import event_named
from editai.notify.models import MAX_KEY, MAX_TITLE, Delivery, Notification
from editai.notify.recipients import targets_for
from editai.notify.text import lines, one_line, storable
from profiles.models import Profile

MAX_TEXT = 5000  # characters


def notify(
    *,
    profile: Profile,
    event: str,
    once_key: str,
    title: str,
    text: str,
    link: str = "",
    payload: Mapping[str, Any] | None = None,
) -> Notification | None:
    """Tells everybody who wants to know, once for each `once_key` of the profile: None when it was told before.

    Writes in the caller's transaction: what is rolled back is not told. `event` is a registered name, `link` a path on
    this server. `title`, `text` and `payload` (plain JSON) may hold words of others: what no database or mail header
    takes is left out.
    """
    known = event_named(event)
    if known is None:
        raise LookupError(f"No app has registered the event {event!r}.")
    if link and (not link.startswith("/") or link.startswith("//")):
        raise ValueError("A link is a path on this server.")
    if not 0 < len(once_key) <= MAX_KEY:
        raise ValueError(f"A once-key has 1 to {MAX_KEY} characters.")
    row = Notification(
        profile=profile,
        event=event,
        once_key=once_key,
        title=one_line(title)[:MAX_TITLE] or known.label,
        text=lines(text)[:MAX_TEXT],
        link=one_line(link),
        payload=storable(dict(payload or {})),
    )
    with transaction.atomic():
        targets = targets_for(profile, known)  # first: whoever tells something takes the locks in one order
        # waits for another transaction that is telling the very same; whose row it is then tells who was first
        Notification.objects.bulk_create([row], ignore_conflicts=True)
        if not Notification.objects.for_profile(profile).filter(pk=row.pk).exists():
            return None
        now = timezone.now()
        deliveries = [
            Delivery(profile=profile, notification=row, target=target, next_at=max(now, target.retry_at or now))
            for target in targets
        ]
        Delivery.objects.bulk_create(deliveries)
        if deliveries:
            transaction.on_commit(bell.ring, robust=True)
    return row
