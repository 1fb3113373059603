"""What the tests of the door share."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from costs.errors import PaidCallUnknown
from costs.models import ProfilePeriod, UsageAttempt
from costs.services import Call, Paid, paid_call
from costs.tests.conftest import buy
from jobs.models import Job
from profiles.models import Profile


@contextmanager
def broken(call: Call, profile: Profile, expected: type[BaseException] = PaidCallUnknown) -> Iterator[Paid]:
    """The door, around a block that raises."""
    with pytest.raises(expected), paid_call(profile=profile, call=call) as paid:
        yield paid


def the_attempt() -> UsageAttempt:
    return UsageAttempt.objects.get()


def day() -> ProfilePeriod:
    return ProfilePeriod.objects.get(period="day", provider="")


def a_job(profile: Profile) -> Job:
    return Job.objects.create(profile=profile, kind="tts", queue="media", priority=1, max_attempts=3)


def pass_time(hours: float) -> None:
    """As if everything had begun that much earlier."""
    for row in UsageAttempt.objects.all():
        row.expires_at -= timedelta(hours=hours)
        row.save(update_fields=["expires_at"])


def pay(profile: Profile, call: Call, used: int = 10) -> None:
    with paid_call(profile=profile, call=call) as paid:
        buy()
        paid.settle({"credit": used})
