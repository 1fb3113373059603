"""How a profile publishes, how its Postiz does, and what is known of the networks, over HTTP."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from profiles.api.serializers import OnePageSerializer, StrictModelSerializer, StrictSerializer
from publishing.models import NetworkRule, PublishingSettings
from publishing.serializers.fields import ByNetworkField

MAX_MINUTES = 30 * 24 * 60


class PublishingSettingsSerializer(StrictModelSerializer):
    network_settings = serializers.DictField(read_only=True, help_text="Default settings, by network.")

    class Meta:
        model = PublishingSettings
        fields = ("approval_required", "time_zone", "hand_over_minutes", "grace_minutes", "network_settings")
        read_only_fields = fields


class PublishingSettingsInputSerializer(StrictSerializer):
    """What is left out stays. `approval_required` is the owners' to change. `network_settings` replaces the defaults of
    the networks that it names; null removes those of a network."""

    approval_required = serializers.BooleanField(required=False)
    time_zone = serializers.CharField(max_length=64, required=False, help_text="An IANA name, as in Europe/Berlin.")
    hand_over_minutes = serializers.IntegerField(min_value=0, max_value=MAX_MINUTES, required=False)
    grace_minutes = serializers.IntegerField(min_value=5, max_value=7 * 24 * 60, required=False)
    network_settings = ByNetworkField(child=serializers.DictField(allow_null=True), required=False)


class ProblemSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()
    next_step = serializers.CharField()


class RateSerializer(serializers.Serializer[Any]):
    """Posts an hour that Postiz takes. `returns_at`: null while there are some left."""

    limit = serializers.IntegerField()
    remaining = serializers.IntegerField()
    resets_at = serializers.DateTimeField(allow_null=True)
    returns_at = serializers.DateTimeField(allow_null=True)


class CountsSerializer(serializers.Serializer[Any]):
    """How many publications stand where. `needs_attention`: those that wait for a person."""

    draft = serializers.IntegerField()
    awaiting_approval = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="Scheduled, or being handed over.")
    submitted = serializers.IntegerField(help_text="At Postiz, until their time has come.")
    failed = serializers.IntegerField()
    unconfirmed = serializers.IntegerField()
    missed = serializers.IntegerField()
    removed = serializers.IntegerField()
    needs_attention = serializers.IntegerField()


CONNECTIONS = ("none", "ok", "trouble", "paused")


class StatusSerializer(serializers.Serializer[Any]):
    """`connection`: none (no Postiz: the local outbox takes its place), ok, trouble (asked again after a while), paused
    (nothing is sent until a key is stored). `webhook_url`: to enter in Postiz, for owners only."""

    configured = serializers.BooleanField()
    connection = serializers.ChoiceField(choices=CONNECTIONS)
    label = serializers.CharField(help_text="Where posts go, for people.")  # type: ignore[assignment]
    address = serializers.CharField(allow_null=True)
    problem = ProblemSerializer(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)
    rate = RateSerializer(allow_null=True)
    counts = CountsSerializer()
    webhook_url = serializers.CharField(allow_null=True)


class NetworkRuleSerializer(serializers.Serializer[Any]):
    rule = serializers.CharField()
    value = serializers.JSONField()
    unit = serializers.CharField()
    sentence = serializers.CharField()
    is_advice = serializers.BooleanField()
    source = serializers.CharField()  # type: ignore[assignment]
    checked_on = serializers.DateField(allow_null=True)
    certainty = serializers.ChoiceField(choices=NetworkRule.Certainty.choices)
    note = serializers.CharField()


class NetworkFieldSerializer(serializers.Serializer[Any]):
    """One setting. `looked_up`: the method by which Postiz lists an account's choices; null: typed in."""

    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    required = serializers.BooleanField()  # type: ignore[assignment]
    values = serializers.SerializerMethodField(help_text="What may be chosen; null: anything of its type.")
    looked_up = serializers.CharField(allow_null=True)

    @extend_schema_field(serializers.ListField(child=serializers.CharField(), allow_null=True))
    def get_values(self, field: dict[str, Any]) -> list[str] | None:
        values: list[str] | None = field["values"]
        return values


class NetworkSerializer(serializers.Serializer[Any]):
    """A network, as Postiz names it: the JSON Schema of its settings, and its rules with source, date and certainty."""

    network = serializers.CharField()
    name = serializers.CharField()
    schema = serializers.DictField()
    defaults = serializers.DictField()
    settings = NetworkFieldSerializer(source="fields", many=True)
    rules = NetworkRuleSerializer(many=True)


class NetworkListSerializer(OnePageSerializer):
    """All networks in one page."""

    results = NetworkSerializer(many=True)
