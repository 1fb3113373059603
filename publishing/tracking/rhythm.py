"""When Postiz is asked about a post again."""

from datetime import datetime, timedelta

from publishing.models import Publication

_AFTER_ITS_DATE = tuple(timedelta(seconds=seconds) for seconds in (20, 40, 60, 120, 300, 600, 1200, 2400))
_AFTER_THE_CALL = tuple(timedelta(seconds=seconds) for seconds in (5, 30, 120, 195, 600, 1200, 2400))
_HOUR = timedelta(hours=1)
_BEFORE_ITS_DATE = timedelta(hours=6)  # it may be moved or removed there
WATCHED_FOR = timedelta(hours=49)  # Postiz itself takes up to 48 hours to start what it forgot
PROOF_AFTER = timedelta(seconds=70 + 120)  # the call's own time out, and time for what it left running over there


def next_check(date: datetime, now: datetime) -> datetime | None:
    """For a post that Postiz has, of this date; None when it is not worth asking any more."""
    if now < date:
        return min(date + _AFTER_ITS_DATE[0], now + _BEFORE_ITS_DATE)
    return _next(date, now, _AFTER_ITS_DATE)


def next_search(since: datetime, date: datetime, now: datetime) -> datetime | None:
    """For a post that was sent, or not, at `since`."""
    if now > date and now - since > WATCHED_FOR:
        return None
    return _next(since, now, _AFTER_THE_CALL) or now + _HOUR


def _next(start: datetime, now: datetime, offsets: tuple[timedelta, ...]) -> datetime | None:
    later = next((start + offset for offset in offsets if start + offset > now), None)
    if later is not None:
        return later
    hours = (now - start) // _HOUR + 1
    return start + hours * _HOUR if hours * _HOUR <= WATCHED_FOR else None


def is_proven(publication: Publication, now: datetime) -> bool:
    """Whether a list without it, asked for now, proves that Postiz does not have it: whatever the call set off over
    there must have come to its end."""
    since = publication.submitting_since
    return since is not None and now >= since + PROOF_AFTER
