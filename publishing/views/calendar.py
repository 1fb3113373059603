"""The calendar, and the slots of channels."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Invalid
from publishing.models import Publication
from publishing.planning import slots
from publishing.planning.schedule import day_begins, zone_of
from publishing.preferences import preferences_of
from publishing.selectors import by_day, in_calendar, integration_named
from publishing.serializers.channels import (
    CalendarSerializer,
    NextSlotSerializer,
    SlotsAnswerSerializer,
    SlotsSerializer,
)
from publishing.views.answers import PublishingViewSet, refuse_unknown

MOST_DAYS = 100
MOST_ENTRIES = 2000
_DAY_OR_TIME = "A date (a day of the profile's time zone) or an aware time."


class CalendarViewSet(PublishingViewSet):
    """When posts go out, on the clock of the profile's time zone."""

    queryset = Publication.objects.all()
    serializer_class: Any = CalendarSerializer
    input_serializers = {"slots_put": SlotsSerializer}
    filter_backends = ()
    pagination_class = None

    @extend_schema(
        parameters=[
            OpenApiParameter("start", OpenApiTypes.STR, required=True, description=f"From when on. {_DAY_OR_TIME}"),
            OpenApiParameter(
                "end",
                OpenApiTypes.STR,
                required=True,
                description=f"Until when; a date counts as a whole. {_DAY_OR_TIME}",
            ),
            OpenApiParameter("integration", OpenApiTypes.STR, description="Only this channel."),
        ],
        responses=CalendarSerializer,
    )
    def calendar(self, request: Request) -> Response:
        """The publications of a range of at most 100 days, by local day; cancelled ones are left out."""
        refuse_unknown(request, ("start", "end", "integration"))
        preferences = preferences_of(self.profile)
        zone = zone_of(preferences)
        start, end = _moment(request, "start", zone), _moment(request, "end", zone, is_end=True)
        if not timedelta(0) < end - start <= timedelta(days=MOST_DAYS, hours=2):  # a clock may be turned back
            raise Invalid(CHECK_FIELDS, fields={"end": [f"After start, and at most {MOST_DAYS} days later."]})
        wanted = request.query_params.get("integration")
        channels = [integration_named(self.profile, wanted)] if wanted else []
        rows = list(in_calendar(self.profile, start, end, channels)[: MOST_ENTRIES + 1])
        days = by_day(rows[:MOST_ENTRIES], zone)
        answer = {
            "time_zone": zone.key,
            "start": start,
            "end": end,
            "is_cut": len(rows) > MOST_ENTRIES,
            "days": [{"date": day, "entries": entries} for day, entries in sorted(days.items())],
        }
        return Response(CalendarSerializer(answer, context={**self.get_serializer_context(), "zone": zone}).data)

    @extend_schema(
        parameters=[
            OpenApiParameter("integration", OpenApiTypes.STR, required=True, description="The id of a channel."),
            OpenApiParameter("after", OpenApiTypes.DATETIME, description="Aware; left out: now."),
        ],
        responses=NextSlotSerializer,
    )
    def next_slot(self, request: Request) -> Response:
        """The next slot of a channel at which nothing is to go out yet. 409 (`no_free_slot`) when there is none."""
        refuse_unknown(request, ("integration", "after"))
        wanted = request.query_params.get("integration")
        if not wanted:
            raise Invalid(CHECK_FIELDS, fields={"integration": ["The id of a channel is needed, as listed."]})
        integration = integration_named(self.profile, wanted)
        zone, now = zone_of(preferences_of(self.profile)), timezone.now()
        after = max(now, _time(request, "after") or now)
        known = slots.slots_of(self.profile, [integration])[integration.pk]
        taken = slots.taken_times(self.profile, [integration], after)[integration.pk]
        moment = slots.next_free(known, after, zone, taken)
        local = moment.astimezone(zone).isoformat()
        return Response(NextSlotSerializer({"scheduled_at": moment, "local": local, "time_zone": zone.key}).data)

    @extend_schema(responses=SlotsAnswerSerializer)
    def slots(self, request: Request, external_id: str) -> Response:
        """The times of the week at which the channel likes to post."""
        integration = integration_named(self.profile, external_id)
        return self._slots(slots.slots_of(self.profile, [integration])[integration.pk])

    @extend_schema(request=SlotsSerializer, responses=SlotsAnswerSerializer)
    def slots_put(self, request: Request, external_id: str) -> Response:
        """Replaces them all. Posts that are planned already stay where they are."""
        integration = integration_named(self.profile, external_id)
        wanted = self.read_body().validated_data["slots"]
        return self._slots(slots.slots_replace(profile=self.profile, integration=integration, slots=wanted))

    def _slots(self, rows: Any) -> Response:
        zone = zone_of(preferences_of(self.profile))
        return Response(SlotsAnswerSerializer({"time_zone": zone.key, "slots": rows}).data)


def _moment(request: Request, name: str, zone: ZoneInfo, *, is_end: bool = False) -> datetime:
    """A date as its first moment (as an end: the one of the day after), or an aware time."""
    text = request.query_params.get(name, "")
    day = _date(text)
    if day is None:
        moment = _time(request, name)
        if moment is None:
            raise Invalid(CHECK_FIELDS, fields={name: [_DAY_OR_TIME]})
        return moment
    if not 2000 <= day.year <= 2200:
        raise Invalid(CHECK_FIELDS, fields={name: ["Between the years 2000 and 2200."]})
    return day_begins(day + timedelta(days=1) if is_end else day, zone)


def _date(text: str) -> date | None:
    try:
        return parse_date(text) if len(text) == 10 else None
    except ValueError:
        return None


def _time(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        moment = parse_datetime(text.replace(" ", "+")[:40])  # a plus that was not escaped in the address
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 2000 <= moment.year <= 2200:
        raise Invalid(CHECK_FIELDS, fields={name: ["Enter an aware time, as in 2027-03-28T09:00:00+02:00."]})
    return moment
