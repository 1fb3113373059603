"""Times as people mean them: on the clock of the profile's time zone, whatever the summer does to it.

A local time that does not exist (the clock leaps over it) means the next minute that does; one that comes twice means
the first. An interval of whole days keeps the time on the clock; any other is that much time.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Invalid
from publishing.models import PublishingSettings

DAY = 24 * 60  # minutes
MAX_AHEAD = timedelta(days=730)


def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name; Invalid (field `time_zone`) for any other."""
    # ZoneInfo itself would read any file below its folders, and takes names in any case on some systems
    if name not in available_timezones():
        hint = "This is no time zone: use an IANA name, as in Europe/Berlin."
        raise Invalid(CHECK_FIELDS, fields={"time_zone": [hint]})
    return ZoneInfo(name)


def zone_of(settings: PublishingSettings) -> ZoneInfo:
    """The profile's zone; UTC when the zone was dropped from the time zone data since it was chosen."""
    try:
        return ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def at(local: datetime, zone: ZoneInfo) -> datetime:
    """The moment (UTC) at which the clock of `zone` shows the naive time `local`."""
    before = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if before.astimezone(zone).replace(tzinfo=None, fold=0) == local.replace(fold=0):
        return before
    return _leap(local, zone)


def _leap(local: datetime, zone: ZoneInfo) -> datetime:
    """When the clock leapt over `local`, to the second."""
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    late = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    offset = late.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late.replace(microsecond=0)


def series(start: datetime, minutes: int, count: int, zone: ZoneInfo) -> list[datetime]:
    """`count` moments from `start` (aware) on, `minutes` apart; UTC."""
    if not minutes or minutes % DAY:
        return [start.astimezone(UTC) + timedelta(minutes=minutes * number) for number in range(count)]
    local = start.astimezone(zone)
    clock = local.replace(tzinfo=None, fold=0)
    later = [at(clock + timedelta(minutes=minutes * number), zone) for number in range(1, count)]
    return [start.astimezone(UTC), *later][:count]


def day_begins(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a local day; UTC."""
    return at(datetime.combine(day, time.min), zone)


def check_future(value: datetime, now: datetime, field: str) -> None:
    """Invalid for a time that has passed, or that is too far off to be meant."""
    if value <= now:
        raise Invalid(CHECK_FIELDS, code="past_date", fields={field: ["This time has passed."]})
    if value > now + MAX_AHEAD:
        hint = f"At most {MAX_AHEAD.days} days ahead."
        raise Invalid(CHECK_FIELDS, code="too_far_ahead", fields={field: [hint]})


def nearby(times: Sequence[datetime], moment: datetime, within: timedelta) -> list[datetime]:
    """Those of `times` that are less than `within` from `moment`."""
    return [known for known in times if abs(known - moment) < within]
