"""The plan of what would be published: every clip to every channel with its time, its words, and what is wrong.

Nothing is written here. A plan costs the same number of queries whatever its size.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from editai.clips.models import Clip
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Invalid
from profiles.models import Profile, StoredFile
from publishing.models import Integration, Publication, PublishingSettings
from publishing.planning.captions import Words
from publishing.planning.quota import Quota, quota_of
from publishing.planning.schedule import DAY, check_future, nearby, series, zone_of
from publishing.planning.slots import next_free, slots_of, taken_times
from publishing.planning.wishes import (
    Template,
    Wish,
    Wording,
    check_networks,
    check_size,
    chosen_clips,
    chosen_integrations,
)
from publishing.preferences import preferences_of
from publishing.rules.checks import check_planned
from publishing.rules.rulebook import Finding, Findings, Level
from publishing.states import FINAL, OPEN, State

CROWDED = timedelta(minutes=15)  # posts of one channel that are closer than this are worth a word
MAX_INTERVAL = 60 * DAY  # minutes


@dataclass(frozen=True)
class Clash:
    """Why a post should not, or cannot, be made; `other` is the post that it clashes with, when there is one."""

    code: str  # clip_not_ready, clip_stale, already_open, already_published, crowded
    message: str
    is_refusal: bool
    other: Publication | None = None


@dataclass
class Planned:
    """One post of the plan. `number`: the clip's place among those published together."""

    clip: Clip
    integration: Integration
    number: int
    scheduled_at: datetime
    is_immediate: bool
    caption: str
    first_comment: str
    title: str
    template: Template
    settings: dict[str, Any] = field(default_factory=dict)
    file: StoredFile | None = None
    cover: StoredFile | None = None
    findings: Findings = field(default_factory=lambda: Findings(""))
    clashes: list[Clash] = field(default_factory=list)
    repost_of: Publication | None = None

    @property
    def failed(self) -> list[Finding]:
        return self.findings.failures

    @property
    def level(self) -> Level:
        return self.findings.level

    @property
    def is_refused(self) -> bool:
        return self.findings.failed or any(clash.is_refusal for clash in self.clashes)


@dataclass
class Plan:
    """`rows` in the order of the clips, then of the channels."""

    wish: Wish
    preferences: PublishingSettings
    rows: list[Planned]
    quota: Quota
    made_at: datetime


def make_plan(*, profile: Profile, wish: Wish, lock: bool = False) -> Plan:
    """What the wish comes to. `lock`: inside the transaction that will write it.

    Raises what makes the whole wish senseless: NotFound, Invalid (fields), Conflict (`no_free_slot`). What is wrong
    with single posts stands in their rows.
    """
    now = timezone.now()
    check_size(wish)
    _check_times(wish, now)
    integrations = chosen_integrations(profile, wish)
    clips = chosen_clips(profile, wish, lock=lock)
    preferences = preferences_of(profile)
    networks = [one.identifier for one in integrations]
    check_networks(wish, networks)
    wording = Wording(profile, wish, networks)
    rows = _rows(profile, wish, preferences, clips, integrations, wording, now)
    _find_clashes(profile, wish, rows)
    check_planned(profile, preferences, wish.settings, rows)
    return Plan(wish, preferences, rows, quota_of(profile, rows, now), now)


def _check_times(wish: Wish, now: datetime) -> None:
    if wish.schedule_date is not None:
        check_future(wish.schedule_date, now, "schedule_date")
    if wish.schedule_interval_minutes is not None and wish.use_slots:
        hint = "Give an interval or use the slots, not both."
        raise Invalid(CHECK_FIELDS, fields={"schedule_interval_minutes": [hint]})


def _rows(
    profile: Profile,
    wish: Wish,
    preferences: PublishingSettings,
    clips: Sequence[Clip],
    integrations: Sequence[Integration],
    wording: Wording,
    now: datetime,
) -> list[Planned]:
    times = _times(profile, wish, preferences, len(clips), integrations, now)
    templates = {one.identifier: wording.template(one.identifier) for one in integrations}
    zone = zone_of(preferences)
    rows = []
    for number, clip in enumerate(clips, start=1):
        for integration in integrations:
            moment = times[integration.pk][number - 1]
            template = templates[integration.identifier]
            words = Words(clip.name, clip.project.name, profile.name, moment, zone, number)
            caption, comment, title = template.text(words)
            rows.append(Planned(clip, integration, number, moment, moment == now, caption, comment, title, template))
    return rows


def _times(
    profile: Profile,
    wish: Wish,
    preferences: PublishingSettings,
    count: int,
    integrations: Sequence[Integration],
    now: datetime,
) -> dict[UUID, list[datetime]]:
    """When the clips go to each channel, in the order of the clips. What is to go out at once has the time `now`."""
    zone = zone_of(preferences)
    start = wish.schedule_date or now
    if not wish.use_slots:
        times = series(start, wish.schedule_interval_minutes or 0, count, zone)
        if times[-1] > start:
            check_future(times[-1], now, "schedule_interval_minutes")
        return {integration.pk: times for integration in integrations}
    slots = slots_of(profile, integrations)
    taken = taken_times(profile, integrations, start)
    _check_slots(integrations, slots)
    # a slot at the very moment that was asked for is one; `now` itself is over
    after = start - timedelta(microseconds=1) if wish.schedule_date is not None else now
    found = {}
    for integration in integrations:
        times, last = [], after
        for _ in range(count):
            last = next_free(slots[integration.pk], last, zone, taken[integration.pk])
            times.append(last)
        found[integration.pk] = times
    return found


def _check_slots(integrations: Sequence[Integration], slots: dict[UUID, Any]) -> None:
    without = [str(one) for one in integrations if not slots[one.pk]]
    if without:
        hint = f"No slots yet: {', '.join(without)}. Give these channels some, or use an interval."
        raise Invalid(CHECK_FIELDS, code="no_slots", fields={"use_slots": [hint]})


# --- clashes --------------------------------------------------------------------------------------------


def _find_clashes(profile: Profile, wish: Wish, rows: list[Planned]) -> None:
    earlier = _earlier(profile, rows)
    channel_times = _channel_times(profile, rows)
    for row in rows:
        row.clashes += _of_clip(row.clip)
        row.clashes += _of_earlier(row, wish, earlier[row.clip.pk, row.integration.pk])
    for row in rows:
        others = channel_times[row.integration.pk]
        if len(nearby(others, row.scheduled_at, CROWDED)) > 1:  # its own time is among them
            text = f"Another post of this channel is less than {CROWDED.seconds // 60} minutes away."
            row.clashes.append(Clash("crowded", text, is_refusal=False))


def _of_clip(clip: Clip) -> Iterator[Clash]:
    if clip.file_id is None or clip.state != Clip.State.READY:
        yield Clash("clip_not_ready", f"{clip.name} is not rendered yet.", is_refusal=True)
    elif clip.is_stale:
        text = f"{clip.name} is out of date: its project has changed since. Render it again first."
        yield Clash("clip_stale", text, is_refusal=True)


def _earlier(profile: Profile, rows: list[Planned]) -> dict[tuple[UUID, UUID], list[Publication]]:
    """What there is already of these clips on these channels, the newest first: one query."""
    found: dict[tuple[UUID, UUID], list[Publication]] = defaultdict(list)
    clips, channels = {row.clip.pk for row in rows}, {row.integration.pk for row in rows}
    known = Publication.objects.for_profile(profile).filter(clip__in=clips, integration__in=channels)
    for one in known.exclude(state=State.CANCELLED).select_related("integration").order_by("-created_at", "-id"):
        if one.clip_id is not None:
            found[one.clip_id, one.integration_id].append(one)
    return found


def _of_earlier(row: Planned, wish: Wish, earlier: list[Publication]) -> Iterator[Clash]:
    for one in earlier:
        if one.state in OPEN:
            text = f"{row.clip.name} has a post for {row.integration} already: {one.get_state_display().lower()}."
            yield Clash("already_open", text, is_refusal=True, other=one)
            return
    out = next((one for one in earlier if one.state in FINAL and _may_be_out(one)), None)
    if out is None:
        return
    row.repost_of = out
    when = out.published_at or out.scheduled_at
    verb = "was published to" if out.state == State.PUBLISHED else "may be live on"
    text = f"{row.clip.name} {verb} {row.integration} on {when:%Y-%m-%d %H:%M} UTC."
    if not wish.repost:
        text += " Send repost: true to publish it again."
    yield Clash("already_published", text, is_refusal=not wish.repost, other=out)


def _may_be_out(one: Publication) -> bool:
    return one.state == State.PUBLISHED or one.may_be_live


def _channel_times(profile: Profile, rows: list[Planned]) -> dict[UUID, list[datetime]]:
    """The times of these channels, planned and open: one query."""
    times: dict[UUID, list[datetime]] = defaultdict(list)
    for row in rows:
        times[row.integration.pk].append(row.scheduled_at)
    moments = [row.scheduled_at for row in rows]
    known = Publication.objects.for_profile(profile).filter(
        integration__in=list(times),
        state__in=sorted(OPEN - {State.MISSED, State.DRAFT}),
        scheduled_at__gt=min(moments) - CROWDED,
        scheduled_at__lt=max(moments) + CROWDED,
    )
    for integration_id, moment in known.order_by().values_list("integration_id", "scheduled_at"):
        times[integration_id].append(moment)
    return times
