"""Reads about publications and channels."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet

from profiles.errors import NotFound
from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet
from publishing.channels.integrations import listed
from publishing.models import Decision, Integration, Publication, PublicationEvent
from publishing.states import State

ATTENTION = frozenset({State.AWAITING_APPROVAL, State.FAILED, State.UNCONFIRMED, State.MISSED, State.REMOVED})
PAUSED = frozenset({"postiz_key_refused", "postiz_no_subscription"})  # why a post waits that only a person can end
SHOWN_IN_CALENDAR = frozenset(State) - {State.CANCELLED}


def publications_of(profile: Profile) -> GuardedQuerySet:
    """The profile's publications with all that a list shows of them: one query."""
    rows: GuardedQuerySet = Publication.objects.for_profile(profile).select_related("integration")
    return rows


def with_history(rows: "QuerySet[Publication]") -> "QuerySet[Publication]":
    """`rows` with their events, oldest first, and the decisions about them, newest first."""
    return rows.prefetch_related(
        Prefetch("events", PublicationEvent.objects.select_related("by").order_by("at", "id")),
        Prefetch("decisions", Decision.objects.select_related("by").order_by("-at", "-id")),
    )


def in_order(profile: Profile, ids: Iterable[UUID | str]) -> list[Publication]:
    """Those of these publications that are still there, in the order of the ids."""
    found = {str(row.pk): row for row in publications_of(profile).filter(pk__in=list(ids))}
    return [found[str(row_id)] for row_id in ids if str(row_id) in found]


def publication_named(profile: Profile, publication_id: UUID) -> Publication:
    row: Publication | None = publications_of(profile).filter(pk=publication_id).first()
    if row is None:
        raise NotFound
    return row


def needing_attention() -> Q:
    """Publications that wait for a person, unless a later one of the same clip and channel has taken their place."""
    later = Publication.objects.filter(
        clip=OuterRef("clip"), integration=OuterRef("integration"), created_at__gt=OuterRef("created_at")
    )
    sent_back = Decision.objects.filter(publication=OuterRef("pk"), verdict=Decision.Verdict.CHANGES)
    waits = (
        Q(state__in=sorted(ATTENTION))
        | Q(state=State.SCHEDULED, error__code__in=sorted(PAUSED))
        | Q(state=State.DRAFT) & Q(Exists(sent_back))
    )
    return waits & Q(~Exists(later.exclude(state=State.CANCELLED)))


def counts(profile: Profile) -> dict[str, int]:
    """How many publications stand where: one query."""
    rows = Publication.objects.for_profile(profile).order_by().values_list("state").annotate(number=Count("pk"))
    found = dict.fromkeys((state.value for state in State), 0)
    found.update(dict(rows))
    return found


def attention_count(profile: Profile) -> int:
    return Publication.objects.for_profile(profile).filter(needing_attention()).count()


def integration_named(profile: Profile, external_id: str) -> Integration:
    """The channel of this id (the one that the API shows); NotFound for any other's, and for one that was removed."""
    row: Integration | None = listed(profile).filter(external_id=external_id).first()
    if row is None:
        raise NotFound
    return row


def in_calendar(profile: Profile, start: datetime, end: datetime, channels: Collection[Integration] = ()) -> Any:
    """Publications whose time lies in [start, end), in the order of their times."""
    rows = publications_of(profile).filter(scheduled_at__gte=start, scheduled_at__lt=end)
    if channels:
        rows = rows.filter(integration__in=list(channels))
    return rows.filter(state__in=sorted(SHOWN_IN_CALENDAR)).order_by("scheduled_at", "id")


def by_day(rows: Iterable[Publication], zone: ZoneInfo) -> dict[date, list[Publication]]:
    """Publications by the local day of their time."""
    days: dict[date, list[Publication]] = defaultdict(list)
    for row in rows:
        days[row.scheduled_at.astimezone(zone).date()].append(row)
    return dict(days)
