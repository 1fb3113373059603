"""Channels, their slots, and the calendar over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from profiles.api.serializers import OnePageSerializer, StrictModelSerializer, StrictSerializer
from publishing.models import Integration, Slot
from publishing.planning.slots import MAX_SLOTS
from publishing.serializers.publications import PublicationSerializer

_HUES = 12


class IntegrationSerializer(StrictModelSerializer):
    """A channel. `initials` and `hue` (degrees) stand for its picture, which is not fetched from the network."""

    id = serializers.CharField(source="external_id", read_only=True)
    identifier = serializers.CharField(read_only=True, help_text="The network, as Postiz names it.")
    initials = serializers.SerializerMethodField()
    hue = serializers.SerializerMethodField(help_text="Of a colour, 0 to 359.")

    class Meta:
        model = Integration
        fields = (
            "id",
            "identifier",
            "name",
            "handle",
            "customer",
            "is_disabled",
            "is_outbox",
            "max_length",
            "initials",
            "hue",
            "seen_at",
        )
        read_only_fields = fields

    is_outbox = serializers.BooleanField(read_only=True)

    def get_initials(self, row: Integration) -> str:
        words = (row.name or row.identifier).split()
        letters = [next((char for char in word if char.isalnum()), "") for word in words]
        return "".join([letter for letter in letters if letter][:2]).upper() or "?"

    @extend_schema_field(serializers.IntegerField(min_value=0, max_value=359))
    def get_hue(self, row: Integration) -> int:
        return sum(row.external_id.encode()) % _HUES * (360 // _HUES)


class IntegrationListSerializer(OnePageSerializer):
    """All channels in one page. `refreshed_at`: when Postiz last listed them; `problem`: why it did not just now."""

    refreshed_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.DictField(allow_null=True, help_text="{code, message, next_step}")
    results = IntegrationSerializer(many=True)


class SlotSerializer(StrictModelSerializer):
    class Meta:
        model = Slot
        fields = ("weekday", "time")
        extra_kwargs = {"weekday": {"min_value": 0, "max_value": 6}}

    time = serializers.TimeField(format="%H:%M", input_formats=["%H:%M", "%H:%M:%S"], help_text="Local, as in 18:30.")


class SlotsSerializer(StrictSerializer):
    """The channel's times of the week (0 is Monday), on the clock of the profile's time zone."""

    slots = serializers.ListField(child=SlotSerializer(), max_length=MAX_SLOTS)


class SlotsAnswerSerializer(serializers.Serializer[Any]):
    time_zone = serializers.CharField()
    slots = SlotSerializer(many=True)


class NextSlotSerializer(serializers.Serializer[Any]):
    """The next free slot: the moment, and what the clock shows then."""

    scheduled_at = serializers.DateTimeField()
    local = serializers.CharField()
    time_zone = serializers.CharField()


class CalendarEntrySerializer(PublicationSerializer):
    """A publication, with its time on the profile's clock."""

    local_time = serializers.SerializerMethodField(help_text="As in 2027-03-28T09:00:00+02:00.")

    class Meta(PublicationSerializer.Meta):
        fields: tuple[str, ...] = (*PublicationSerializer.Meta.fields, "local_time")
        read_only_fields = fields

    @extend_schema_field(serializers.CharField())
    def get_local_time(self, row: Any) -> str:
        return str(row.scheduled_at.astimezone(self.context["zone"]).isoformat())


class CalendarDaySerializer(serializers.Serializer[Any]):
    date = serializers.DateField()
    entries = CalendarEntrySerializer(many=True)


class CalendarSerializer(serializers.Serializer[Any]):
    """The days that have entries, in order; [start, end) as it was understood. `is_cut`: there were more entries than
    are shown at once, ask for fewer days."""

    time_zone = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    is_cut = serializers.BooleanField()
    days = CalendarDaySerializer(many=True)
