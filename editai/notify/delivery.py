"""Sending what waits: claimed by one conditional UPDATE with a lease, sent outside any transaction, and written down.

Any process may be killed at any time. One that dies between claim and send, or between send and writing it down, leaves
a lease that runs out, and the message is sent again under the same id: at least once, and a receiver can tell.

A target that does not take a message is left alone for a while, longer each time, with all that waits for it; after
many failures in a row it is switched off and says why.
"""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from django.core.cache import cache
from django.db import connections, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from editai.notify import sending
from editai.notify.message import NotDelivered
from editai.notify.models import OPEN, Delivery, NotifyTarget
from editai.notify.recipients import refusal
from profiles import scope
from profiles.models import Profile

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=120)  # longer than the slowest send
MAX_ATTEMPTS = 10
DISABLE_AFTER = 20  # failed attempts of a target in a row: some four days
_BACK_OFF_MINUTES = 1  # after the first failure; three times as long each time
_BACK_OFF_LIMIT = timedelta(hours=6)
_RUN_SECONDS = 10.0  # a run starts no further send after that: other work shares its worker
_THREADS = 4  # one receiver that hangs does not keep the others
_RUNNING = "notify:running"
_RUNNING_SECONDS = 25  # a run that was killed keeps the next ones off for so long at most
State = Delivery.State


def deliver_due() -> int:
    """Sends what is due in all profiles, in turns; returns how many attempts were made. One run at a time: another one
    would find the same, and rows are claimed anyway."""
    if not cache.add(_RUNNING, 1, _RUNNING_SECONDS):
        return 0
    try:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="notify") as pool:
            until = time.monotonic() + _RUN_SECONDS
            return sum(pool.map(_work, [until] * _THREADS))
    finally:
        cache.delete(_RUNNING)


def _work(until: float) -> int:
    """What one thread does: a message of each profile that has one, round after round."""
    done = 0
    try:
        while waiting := _profiles_with_work():
            taken = 0
            for profile_id in waiting:
                if time.monotonic() > until:
                    return done + taken
                with scope.activate(profile_id):
                    taken += deliver_next(profile_id)
            done += taken
            if not taken:
                return done  # others are at it
        return done
    finally:
        connections.close_all()


def _profiles_with_work() -> list[UUID]:
    with scope.all_profiles("deliver notifications"):
        rows = _due(Delivery.objects.all()).filter(_profile_lives())
        return list(rows.order_by("profile_id").values_list("profile_id", flat=True).distinct())


def _due(rows: "QuerySet[Delivery]") -> "QuerySet[Delivery]":
    return rows.filter(state__in=OPEN, next_at__lte=timezone.now())


def _profile_lives() -> Exists:
    return Exists(Profile.objects.filter(pk=OuterRef("profile_id"), state=Profile.State.ACTIVE))


def deliver_next(profile_id: UUID) -> bool:
    """Sends the message of the profile that is due longest. False when there is none, or another one took it."""
    rows = _due(Delivery.objects.filter(profile_id=profile_id)).order_by("next_at", "id")
    first = rows.values_list("pk", "attempts").first()
    delivery = claim(profile_id, *first) if first else None
    if delivery is None:
        return False
    attempt(delivery)
    return True


def claim(profile_id: UUID, delivery_id: UUID, attempts: int) -> Delivery | None:
    """Takes a due delivery that was seen with so many attempts; None when somebody else was faster."""
    rows = _due(Delivery.objects.filter(profile_id=profile_id, pk=delivery_id, attempts=attempts))
    taken = rows.filter(_profile_lives()).update(
        state=State.SENDING, attempts=F("attempts") + 1, next_at=timezone.now() + LEASE
    )
    if not taken:
        return None
    mine = Delivery.objects.filter(profile_id=profile_id, pk=delivery_id, attempts=attempts + 1)
    return mine.select_related("profile", "notification", "target").first()


def attempt(delivery: Delivery) -> None:
    """One attempt of a claimed delivery, to its end."""
    target = delivery.target
    if reason := refusal(target, delivery.notification.event):
        _give_up(delivery, reason)
    elif delivery.attempts > MAX_ATTEMPTS:
        _give_up(delivery, "The server stopped each time while this was being sent.")
    else:
        try:
            sending.send(sending.message_of(delivery), target)
        except NotDelivered as error:
            _not_sent(delivery, error)
        except Exception:  # one message that cannot be sent must not keep the others
            log.exception("Notification %s could not be sent.", delivery.pk)
            _not_sent(delivery, NotDelivered("Something went wrong on our side."))
        else:
            _sent(delivery)


def _held(delivery: Delivery) -> "QuerySet[Delivery]":
    """The row, if this attempt still holds it."""
    rows = Delivery.objects.filter(profile_id=delivery.profile_id, pk=delivery.pk)
    return rows.filter(state=State.SENDING, attempts=delivery.attempts)


def _waiting(delivery: Delivery) -> "QuerySet[Delivery]":
    """What else waits for the same target."""
    rows = Delivery.objects.filter(profile_id=delivery.profile_id, target_id=delivery.target_id)
    return rows.filter(state=State.PENDING)


def _target(delivery: Delivery) -> "QuerySet[NotifyTarget]":
    return NotifyTarget.objects.filter(profile_id=delivery.profile_id, pk=delivery.target_id)


def _sent(delivery: Delivery) -> None:
    now = timezone.now()
    with transaction.atomic():  # the target first, as everywhere: two who wait for each other wait for ever
        _target(delivery).update(failures=0, retry_at=None, last_ok_at=now, last_error="")
        _held(delivery).update(state=State.SENT, sent_at=now, error="")
        if delivery.target.failures:
            _waiting(delivery).filter(next_at__gt=now).update(next_at=now)  # it takes messages again


def _not_sent(delivery: Delivery, error: NotDelivered) -> None:
    now, reason = timezone.now(), str(error)
    with transaction.atomic():
        if not _held(delivery).exists():
            return  # the lease ran out: who has it now writes
        _target(delivery).update(failures=F("failures") + 1, last_error=reason)
        failures = _target(delivery).values_list("failures", flat=True).first() or 1
        again = now + back_off(failures)
        if error.for_good or delivery.attempts >= MAX_ATTEMPTS:
            _held(delivery).update(state=State.FAILED, error=reason)
        else:
            behind = again + timedelta(seconds=1)  # the others first: the fault may lie in this one
            _held(delivery).update(state=State.PENDING, next_at=behind, error=reason)
        if failures >= DISABLE_AFTER:
            _switch_off(delivery, f"Switched off after {failures} failures in a row. The last one: {reason}")
        elif not error.for_good:
            _target(delivery).update(retry_at=again)
            _waiting(delivery).filter(next_at__lt=again).update(next_at=again)
    log.info("Notification %s was not sent (attempt %d): %s", delivery.pk, delivery.attempts, reason)


def back_off(failures: int) -> timedelta:
    """How long a target is left alone after so many failures in a row: 1 min, 3 min, 9 min … 6 h."""
    return min(_BACK_OFF_LIMIT, timedelta(minutes=_BACK_OFF_MINUTES * 3 ** min(failures - 1, 10)))


def _give_up(delivery: Delivery, reason: str) -> None:
    _held(delivery).update(state=State.FAILED, error=reason)


def _switch_off(delivery: Delivery, reason: str) -> None:
    _target(delivery).update(is_active=False, disabled_reason=reason[:200])
    _waiting(delivery).update(state=State.FAILED, error="The target was switched off.")
    log.warning("Notify target %s was switched off: %s", delivery.target_id, reason)
