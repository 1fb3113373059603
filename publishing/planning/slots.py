"""Slots: the times of the week at which a channel likes to post, and the next of them that is free."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, Invalid
from profiles.models import Profile
from publishing.models import Integration, Publication, Slot
from publishing.planning.schedule import at
from publishing.states import OPEN

MAX_SLOTS = 200  # of one channel
HORIZON_DAYS = 370  # how far a free one is looked for


def slots_of(profile: Profile, integrations: Collection[Integration]) -> dict[UUID, list[Slot]]:
    """The slots of these channels, by channel, in the order of the week: one query."""
    found: dict[UUID, list[Slot]] = {integration.pk: [] for integration in integrations}
    for slot in Slot.objects.for_profile(profile).filter(integration__in=list(found)).order_by("weekday", "time"):
        found[slot.integration_id].append(slot)
    return found


def slots_replace(*, profile: Profile, integration: Integration, slots: Sequence[Mapping[str, Any]]) -> list[Slot]:
    """Makes `slots` ({weekday, time}) the slots of the channel. Invalid when one comes twice."""
    wanted = [(slot["weekday"], slot["time"].replace(second=0, microsecond=0)) for slot in slots]
    if len(set(wanted)) < len(wanted):
        raise Invalid(CHECK_FIELDS, fields={"slots": ["Each time of the week may come once only."]})
    with transaction.atomic():
        # the channel's row is the lock: of two replacements at once, one wins as a whole
        Integration.objects.for_profile(profile).select_for_update(of=("self",), no_key=True).get(pk=integration.pk)
        Slot.objects.for_profile(profile).filter(integration=integration).delete()
        rows = [
            Slot(profile_id=profile.pk, integration=integration, weekday=weekday, time=clock)
            for weekday, clock in sorted(wanted)
        ]
        made: list[Slot] = Slot.objects.bulk_create(rows)
    return made


def upcoming(slots: Sequence[Slot], after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The moments (UTC) of these slots after `after`, in order, each once, as far as the horizon."""
    last = after
    today = after.astimezone(zone).date()
    # from yesterday on: a clock that leaps over midnight carries a slot into the next day
    for day in (today + timedelta(days=number) for number in range(-1, HORIZON_DAYS)):
        moments = {at(datetime.combine(day, slot.time), zone) for slot in slots if slot.weekday == day.weekday()}
        for moment in sorted(moments):
            if moment > last:
                last = moment
                yield moment


def taken_times(profile: Profile, integrations: Collection[Integration], after: datetime) -> dict[UUID, set[datetime]]:
    """The minutes at which these channels have an open post already, by channel: one query."""
    taken: dict[UUID, set[datetime]] = {integration.pk: set() for integration in integrations}
    rows = Publication.objects.for_profile(profile).filter(
        integration__in=list(taken), state__in=sorted(OPEN), scheduled_at__gt=after - timedelta(minutes=1)
    )
    for integration_id, scheduled_at in rows.order_by().values_list("integration_id", "scheduled_at"):
        taken[integration_id].add(to_minute(scheduled_at))
    return taken


def to_minute(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def next_free(slots: Sequence[Slot], after: datetime, zone: ZoneInfo, taken: Collection[datetime]) -> datetime:
    """The first slot after `after` whose minute is not taken. Conflict (`no_free_slot`) when there is none within a
    year, or the channel has no slots at all."""
    for moment in upcoming(slots, after, zone):
        if moment not in taken:
            return moment
    why = "All slots of the coming year are taken." if slots else "This channel has no slots yet: give it some first."
    raise Conflict(why, code="no_free_slot")
