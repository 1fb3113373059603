"""Many clips to many channels: the plan, what it costs, and requests at once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from functools import partial
from itertools import pairwise
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conftest import Person, make_person, person_of
from editai.clips.models import Clip
from editai.projects.models import Project
from jobs.models import Job
from profiles import scope
from profiles.models import Profile
from publishing.models import Batch, Integration, NetworkRule, Publication, PublicationEvent, PublishingSettings, Slot
from publishing.planning import plan as planning
from publishing.planning import wishes
from publishing.states import State
from publishing.tests.api import connected
from publishing.tests.builders import make_clip, make_integration, make_publication

BULK, PUBLISH = "/api/v1/publishing/bulk-publish/", "/api/v1/publishing/publish/"
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


@pytest.fixture
def profile(in_scope: Profile) -> Profile:
    return connected(in_scope)


def body_of(clips: list[Clip], channels: list[Integration], **more: Any) -> dict[str, Any]:
    return {
        "clip_ids": [str(clip.pk) for clip in clips],
        "integration_ids": [channel.external_id for channel in channels],
        "caption": "Fresh",
        **more,
    }


def zone(profile: Profile, name: str) -> None:
    PublishingSettings.objects.create(profile=profile, time_zone=name)


# --- the plan -------------------------------------------------------------------------------------------


def test_a_dry_run_shows_everything_and_writes_nothing(owner: Person, profile: Profile) -> None:
    zone(profile, "Europe/Berlin")
    fine, stale, posted = make_clip(profile), make_clip(profile, is_stale=True), make_clip(profile)
    channel, tiktok = make_integration(profile, "threads"), make_integration(profile, "tiktok")
    far = timezone.now() + timedelta(days=9)
    known = make_publication(profile, clip=posted, integration=channel, state=State.SCHEDULED, scheduled_at=far)
    body = body_of([fine, stale, posted], [channel, tiktok], dry_run=True, schedule_interval_minutes=60)
    start = (timezone.now() + timedelta(days=1)).replace(microsecond=0)
    before = (Publication.objects.count(), PublicationEvent.objects.count(), Batch.objects.count(), Job.objects.count())
    answer = owner.client.post(BULK, body | {"schedule_date": start.isoformat()}, format="json")
    assert answer.status_code == 200, answer.json()
    plan = answer.json()
    assert plan["can_commit"] is False
    rows = {(row["clip"], row["network"]): row for row in plan["rows"]}
    assert len(rows) == 6
    first = rows[str(fine.pk), "threads"]
    assert (first["caption"], first["level"] != "fail", first["conflicts"]) == ("Fresh", True, [])
    assert datetime.fromisoformat(first["scheduled_at"]) == start
    assert first["local_time"] == start.astimezone(BERLIN).isoformat()
    later = rows[str(posted.pk), "threads"]
    assert datetime.fromisoformat(later["scheduled_at"]) == start + timedelta(hours=2)
    assert [(one["code"], one["other"]["id"]) for one in later["conflicts"]] == [("already_open", str(known.pk))]
    assert [one["code"] for one in rows[str(stale.pk), "threads"]["conflicts"]] == ["clip_stale"]
    failed = [one["field"] for one in rows[str(fine.pk), "tiktok"]["findings"] if one["level"] == "fail"]
    assert failed[0] == "settings.tiktok.privacy_level"
    assert before == (
        Publication.objects.count(),
        PublicationEvent.objects.count(),
        Batch.objects.count(),
        Job.objects.count(),
    )


def test_a_plan_tells_what_it_uses_up(owner: Person, profile: Profile) -> None:
    NetworkRule.objects.filter(network="threads", rule="daily_posts").update(value=3)
    clips, channel = [make_clip(profile) for _ in range(40)], make_integration(profile, "threads")
    start = datetime.combine(timezone.now().date() + timedelta(days=2), time(9), UTC)
    make_publication(profile, integration=channel, scheduled_at=start + timedelta(hours=9), state=State.SCHEDULED)
    body = body_of(clips, [channel], dry_run=True, schedule_date=start.isoformat())
    quota = owner.client.post(BULK, body, format="json").json()["quota"]
    # 40 in one hour, 30 of which are let through
    assert (quota["posts"], quota["rate_limit"], quota["rate_remaining"], quota["hours"]) == (40, 30, 30, 1)
    assert [(day["posts"], day["limit"], day["day"]) for day in quota["days"]] == [(41, 3, start.date().isoformat())]
    assert quota["days"][0]["source"]
    spread = body | {"schedule_interval_minutes": 24 * 60}
    assert owner.client.post(BULK, spread, format="json").json()["quota"]["days"] == []


@pytest.mark.parametrize(
    ("name", "start", "clock"),
    [
        ("Europe/Berlin", datetime(2027, 3, 26, 18, 30, tzinfo=BERLIN), "18:30"),
        ("America/New_York", datetime(2027, 3, 12, 9, 0, tzinfo=NEW_YORK), "09:00"),
        ("America/New_York", datetime(2027, 11, 5, 9, 0, tzinfo=NEW_YORK), "09:00"),
    ],
)
def test_whole_days_keep_the_clock_of_the_profile_over_a_change(
    name: str, start: datetime, clock: str, owner: Person, profile: Profile
) -> None:
    zone(profile, name)
    clips, channel = [make_clip(profile) for _ in range(5)], make_integration(profile, "threads")
    body = body_of(clips, [channel], schedule_date=start.isoformat(), schedule_interval_minutes=24 * 60)
    made = owner.client.post(BULK, body, format="json")
    assert made.status_code == 202, made.json()
    times = [datetime.fromisoformat(row["scheduled_at"]) for row in made.json()["publications"]]
    assert [f"{moment.astimezone(ZoneInfo(name)):%H:%M}" for moment in times] == [clock] * 5
    assert len({moment.astimezone(UTC).time() for moment in times}) == 2, "there was a change in between"
    range_ = {"start": start.date().isoformat(), "end": (start + timedelta(days=4)).date().isoformat()}
    shown = owner.client.get("/api/v1/publishing/calendar/", range_).json()
    assert shown["time_zone"] == name
    assert [len(day["entries"]) for day in shown["days"]] == [1] * 5
    assert {entry["local_time"][11:16] for day in shown["days"] for entry in day["entries"]} == {clock}


def test_slots_of_each_channel_are_filled_in_turn_over_a_change(owner: Person, profile: Profile) -> None:
    zone(profile, "Europe/Berlin")
    one, two = make_integration(profile, "threads"), make_integration(profile, "bluesky")
    for weekday in range(7):
        Slot.objects.create(profile=profile, integration=one, weekday=weekday, time=time(2, 30))
    Slot.objects.create(profile=profile, integration=two, weekday=0, time=time(20))
    start = datetime(2027, 3, 26, 12, 0, tzinfo=BERLIN)
    make_publication(profile, integration=one, scheduled_at=datetime(2027, 3, 27, 2, 30, tzinfo=BERLIN))
    clips = [make_clip(profile) for _ in range(2)]
    body = body_of(clips, [one, two], use_slots=True, schedule_date=start.isoformat())
    made = owner.client.post(BULK, body, format="json").json()["publications"]
    local = [f"{datetime.fromisoformat(row['scheduled_at']).astimezone(BERLIN):%m-%d %H:%M}" for row in made]
    assert local == ["03-28 03:00", "03-29 20:00", "03-29 02:30", "04-05 20:00"]
    nxt = {"integration": one.external_id, "after": "2027-03-28T00:00:00Z"}
    free = owner.client.get("/api/v1/publishing/calendar/next-slot/", nxt).json()
    assert free["local"] == "2027-03-30T02:30:00+02:00"


def test_a_slot_at_the_very_start_counts(owner: Person, profile: Profile) -> None:
    channel = make_integration(profile, "threads")
    for weekday in range(7):
        Slot.objects.create(profile=profile, integration=channel, weekday=weekday, time=time(10))
    start = (timezone.now() + timedelta(days=2)).replace(hour=10, minute=0, second=0, microsecond=0)
    body = body_of([make_clip(profile) for _ in range(2)], [channel], use_slots=True, schedule_date=start.isoformat())
    made = owner.client.post(BULK, body, format="json").json()["publications"]
    moments = [datetime.fromisoformat(row["scheduled_at"]) for row in made]
    assert moments == [start, start + timedelta(days=1)]


def test_without_slots_there_is_no_plan_by_slots(owner: Person, profile: Profile) -> None:
    body = body_of([make_clip(profile)], [make_integration(profile, "threads")], use_slots=True)
    answer = owner.client.post(BULK, body, format="json")
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["use_slots"])


# --- what it costs --------------------------------------------------------------------------------------


def cost(captured: CaptureQueriesContext) -> int:
    """The number of queries; an INSERT that SQLite cuts into pieces of 999 values counts once."""
    heads = [query["sql"].partition("(")[0] for query in captured.captured_queries]
    return sum(not (head == before and head.startswith("INSERT")) for before, head in pairwise(["", *heads]))


def test_a_request_costs_the_same_number_of_queries_for_5_clips_as_for_50(owner: Person, profile: Profile) -> None:
    channels = [make_integration(profile, name) for name in ("threads", "bluesky", "mastodon", "linkedin")]
    project = Project.objects.create(profile=profile, name="One of several")
    found: dict[str, set[int]] = {"dry run": set(), "commit": set()}
    # the first of all calls writes when the token was last used, and gives the profile its place in the queue
    assert owner.client.post(BULK, body_of([make_clip(profile)], channels[:1]), format="json").status_code == 202
    for number in (5, 50):
        clips = [make_clip(profile, **({"project": project} if i % 2 else {})) for i in range(number)]
        body = body_of(clips, channels, schedule_interval_minutes=90)
        for name in found:
            with CaptureQueriesContext(connection) as captured:
                answer = owner.client.post(BULK, body | {"dry_run": name == "dry run"}, format="json")
            assert answer.status_code == (200 if name == "dry run" else 202), answer.json()
            found[name].add(cost(captured))
    assert Publication.objects.count() == 55 * 4 + 1
    assert PublicationEvent.objects.count() == 55 * 4 + 1
    assert sorted(Batch.objects.values_list("total", flat=True)) == [1, 20, 200]
    print("\nqueries of bulk-publish, 5 × 4 and 50 × 4:", {name: sorted(counts) for name, counts in found.items()})
    assert all(len(counts) == 1 for counts in found.values()), found


# --- at once --------------------------------------------------------------------------------------------


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """The answers of requests that are sent in the same moment."""
    barrier, answers = threading.Barrier(len(calls)), []

    def run(call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            answers.append(call())
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture
def ready(transactional_db: None) -> tuple[Person, dict[str, Any]]:
    """Somebody, and what they publish; committed, so that threads see it."""
    olga = make_person("olga")
    with scope.activate(olga.profile.pk):
        profile = connected(olga.profile)
        clip, channels = make_clip(profile), [make_integration(profile, name) for name in ("threads", "bluesky")]
    body = {
        "clip_id": str(clip.pk),
        "caption": "x",
        "integration_ids": [channel.external_id for channel in channels],
    }
    return olga, body


def outcome(ready: tuple[Person, dict[str, Any]], **options: Any) -> tuple[list[int], list[str], int]:
    olga, body = ready
    clients = [person_of(olga.user).client for _ in range(4)]
    answers = at_once([partial(one.post, PUBLISH, body, format="json", **options) for one in clients])
    codes = sorted({answer.json()["error"]["code"] for answer in answers if answer.status_code == 409})
    with scope.activate(olga.profile.pk):
        return sorted(answer.status_code for answer in answers), codes, Publication.objects.count()


def test_a_double_click_makes_one_set(ready: tuple[Person, dict[str, Any]]) -> None:
    assert outcome(ready) == ([202, 409, 409, 409], ["already_open"], 2)


def test_a_replayed_request_is_one_set_with_one_answer(ready: tuple[Person, dict[str, Any]]) -> None:
    statuses, _, made = outcome(ready, headers={"Idempotency-Key": "one"})
    assert (statuses, made) == ([202] * 4, 2)


@contextmanager
def unguarded() -> Iterator[None]:
    """Nobody locks, and nobody looks at what there is."""
    choose = wishes.chosen_clips
    with (
        mock.patch.object(planning, "chosen_clips", lambda profile, wish, lock: choose(profile, wish, lock=False)),
        mock.patch.object(planning, "_of_earlier", return_value=()),
    ):
        yield


def test_without_locks_and_looking_the_database_still_refuses(ready: tuple[Person, dict[str, Any]]) -> None:
    with unguarded():
        assert outcome(ready) == ([202, 409, 409, 409], ["already_open"], 2)


def test_control_without_any_guard_there_are_several_sets(ready: tuple[Person, dict[str, Any]]) -> None:
    constraint = next(one for one in Publication._meta.constraints if one.name == "one_open_publication_of_a_clip")
    with connection.schema_editor() as editor:
        editor.remove_constraint(Publication, constraint)
    try:
        with unguarded():
            statuses, _, made = outcome(ready)
        assert (statuses, made) == ([202] * 4, 8)
    finally:
        with scope.activate(ready[0].profile.pk):
            PublicationEvent.objects.all().delete()
            Publication.objects.all().delete()
        with connection.schema_editor() as editor:
            editor.add_constraint(Publication, constraint)
