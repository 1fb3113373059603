"""Every post at the time that was meant on the clock, over the changes of summer time; slots; placeholders."""

import itertools
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from profiles.errors import Conflict, Invalid
from profiles.models import Profile
from publishing.models import Slot
from publishing.planning import schedule, slots
from publishing.planning.captions import BadTemplate, Words, fill
from publishing.states import State
from publishing.tests.builders import make_integration, make_publication

BERLIN, NEW_YORK, APIA = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Pacific/Apia")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "local", "moment"),
    [
        (BERLIN, "2027-03-27T02:30", "2027-03-27T01:30"),
        (BERLIN, "2027-03-28T02:30", "2027-03-28T01:00"),  # leapt over: 03:00 is the next minute there is
        (BERLIN, "2027-03-28T02:00", "2027-03-28T01:00"),
        (BERLIN, "2027-03-28T03:00", "2027-03-28T01:00"),
        (BERLIN, "2027-10-31T02:30", "2027-10-31T00:30"),  # twice: the first
        (NEW_YORK, "2027-03-14T02:15", "2027-03-14T07:00"),
        (NEW_YORK, "2027-11-07T01:30", "2027-11-07T05:30"),
        (APIA, "2011-12-30T12:00", "2011-12-30T10:00"),  # a whole day that never was
    ],
)
def test_a_local_time_is_the_moment_that_the_clock_shows_it(zone: ZoneInfo, local: str, moment: str) -> None:
    assert schedule.at(datetime.fromisoformat(local), zone) == utc(moment)


@pytest.mark.parametrize(
    ("zone", "start", "clock"),
    [
        (BERLIN, "2027-03-26T17:30", time(18, 30)),
        (NEW_YORK, "2027-03-12T17:00", time(12)),
        (BERLIN, "2027-10-29T08:00", time(10)),
    ],
)
def test_an_interval_of_whole_days_keeps_the_clock(zone: ZoneInfo, start: str, clock: time) -> None:
    found = schedule.series(utc(start), 24 * 60, 5, zone)
    assert [moment.astimezone(zone).time() for moment in found] == [clock] * 5
    gaps = {later - earlier for earlier, later in itertools.pairwise(found)}
    assert gaps >= {timedelta(days=1)}
    assert len(gaps) == 2, "there was a change in between: one day had 23 or 25 hours"


def test_any_other_interval_is_that_much_time() -> None:
    found = schedule.series(utc("2027-03-28T00:30"), 90, 3, BERLIN)
    assert [later - earlier for earlier, later in itertools.pairwise(found)] == [timedelta(minutes=90)] * 2


def test_a_day_that_is_leapt_into_comes_back_to_its_clock_afterwards() -> None:
    found = schedule.series(utc("2027-03-27T01:30"), 24 * 60, 3, BERLIN)
    assert [f"{moment.astimezone(BERLIN):%d %H:%M}" for moment in found] == ["27 02:30", "28 03:00", "29 02:30"]


def test_at_once_means_the_same_moment_also_in_the_hour_that_comes_twice() -> None:
    second_time = utc("2027-10-31T01:30")  # 02:30 in Berlin, for the second time
    assert schedule.series(second_time, 0, 3, BERLIN) == [second_time] * 3


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../../etc/passwd", "europe/berlin", "Europe/Berlin\x00"])
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        schedule.zone_named(name)
    assert caught.value.fields is not None
    assert list(caught.value.fields) == ["time_zone"]


# --- slots ---------------------------------------------------------------------------------------------


def test_slots_over_a_change_of_the_clock(in_scope: Profile) -> None:
    integration = make_integration(in_scope)
    wanted = [{"weekday": day, "time": clock} for day in (5, 6) for clock in (time(2, 15), time(2, 30), time(18))]
    rows = slots.slots_replace(profile=in_scope, integration=integration, slots=wanted)
    found = [moment for moment, _ in zip(slots.upcoming(rows, utc("2027-03-26T12:00"), BERLIN), range(7), strict=False)]
    shown = [f"{moment.astimezone(BERLIN):%d %H:%M}" for moment in found]
    assert shown == ["27 02:15", "27 02:30", "27 18:00", "28 03:00", "28 18:00", "03 02:15", "03 02:30"]


def test_the_next_free_slot_skips_what_is_taken_and_nothing_else(in_scope: Profile) -> None:
    integration, other = make_integration(in_scope), make_integration(in_scope)
    rows = slots.slots_replace(profile=in_scope, integration=integration, slots=[{"weekday": 0, "time": time(9)}])
    after = utc("2030-01-01T00:00")  # a Tuesday
    first, second, third = utc("2030-01-07T08:00"), utc("2030-01-14T08:00"), utc("2030-01-21T08:00")
    make_publication(in_scope, integration=integration, scheduled_at=first + timedelta(seconds=30))
    make_publication(in_scope, integration=integration, scheduled_at=second, state=State.SCHEDULED)
    make_publication(in_scope, integration=other, scheduled_at=third)
    taken = slots.taken_times(in_scope, [integration], after)[integration.pk]
    assert slots.next_free(rows, after, BERLIN, taken) == third
    assert slots.next_free(rows, after, BERLIN, set()) == first


def test_without_slots_there_is_none_that_is_free() -> None:
    with pytest.raises(Conflict) as caught:
        slots.next_free([], timezone.now(), BERLIN, set())
    assert caught.value.code == "no_free_slot"


def test_a_slot_comes_once(in_scope: Profile) -> None:
    integration = make_integration(in_scope)
    twice = [{"weekday": 1, "time": time(9)}, {"weekday": 1, "time": time(9, 0, 30)}]
    with pytest.raises(Invalid):
        slots.slots_replace(profile=in_scope, integration=integration, slots=twice)
    assert not Slot.objects.exists()


# --- placeholders --------------------------------------------------------------------------------------

WORDS = Words("Rye", "Bread", "Olga's", utc("2027-03-28T22:30"), BERLIN, 3, ("bread", "rye"))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{clip} by {brand} ({project}) {hashtags}", "Rye by Olga's (Bread) #bread #rye"),
        ("{date} {weekday} {number}", "2027-03-29 Monday 3\n\n#bread #rye"),
        ("{{clip}} {{{clip}}} {hashtags}", "{clip} {Rye} #bread #rye"),
        ("", "#bread #rye"),
        ("%s $clip {hashtags}", "%s $clip #bread #rye"),
    ],
)
def test_a_template_is_filled_in(template: str, text: str) -> None:
    assert fill(template, WORDS) == text


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{clips}", "{clips}"),
        ("{clip.__class__}", "{clip.__class__}"),
        ("{0}", "{0}"),
        ("{}", "{}"),
        ("{clip!r}", "{clip!r}"),
        ("{clip:>1000000000}", "{clip:>1000000000}"),
        ("a { b", "brace"),
        ("a } b", "brace"),
    ],
)
def test_what_is_no_placeholder_is_named(template: str, named: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        fill(template, WORDS)
    assert named in str(caught.value)


def test_what_is_filled_in_is_not_a_template() -> None:
    words = Words("{brand} {{", "p", "b", timezone.now(), BERLIN)
    assert fill("{clip}", words) == "{brand} {{"
