"""Shapes of targets, events and what was told."""

from typing import Any

from rest_framework import serializers

from editai.notify.models import Delivery, Notification, NotifyTarget
from profiles.api.serializers import OnePageSerializer, StrictModelSerializer, StrictSerializer

_EVENTS = "Names from notify/events/; null: those that are on by default."


class TargetSerializer(StrictModelSerializer):
    """Where messages go. `user`: the person it belongs to; null: the profile's own."""

    user = serializers.UUIDField(source="user_id", read_only=True, allow_null=True)
    events = serializers.ListField(child=serializers.CharField(), read_only=True, allow_null=True, help_text=_EVENTS)

    class Meta:
        model = NotifyTarget
        fields: tuple[str, ...] = (
            "id",
            "user",
            "kind",
            "address",
            "events",
            "is_active",
            "disabled_reason",
            "last_ok_at",
            "last_error",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class NewTargetSerializer(TargetSerializer):
    """As it was made, with the secret that is not shown again (null for e-mail)."""

    secret = serializers.SerializerMethodField()

    class Meta(TargetSerializer.Meta):
        fields = (*TargetSerializer.Meta.fields, "secret")
        read_only_fields = fields

    def get_secret(self, target: NotifyTarget) -> str | None:
        secret: str = self.context["secret"]
        return secret or None


class TargetChangeSerializer(StrictModelSerializer):
    events = serializers.ListField(
        child=serializers.CharField(max_length=60), allow_null=True, required=False, max_length=100, help_text=_EVENTS
    )

    class Meta:
        model = NotifyTarget
        fields: tuple[str, ...] = ("address", "events", "is_active")


class TargetInputSerializer(TargetChangeSerializer):
    is_personal = serializers.BooleanField(default=True, help_text="Yours; else the profile's own, which owners make.")

    class Meta(TargetChangeSerializer.Meta):
        fields = ("kind", "is_personal", *TargetChangeSerializer.Meta.fields)


class TestResultSerializer(StrictSerializer):
    ok = serializers.BooleanField(help_text="Whether it was taken.")
    error = serializers.CharField(allow_blank=True, help_text="Why not, for people.")


class SecretSerializer(StrictSerializer):
    """Not shown again."""

    secret = serializers.CharField()


class EventSerializer(serializers.Serializer[Any]):
    """`is_default`: told to targets that name no events. `owners_only`: not told to targets of other members."""

    name = serializers.CharField()
    title = serializers.CharField(source="label")
    is_default = serializers.BooleanField()
    owners_only = serializers.BooleanField()


class EventListSerializer(OnePageSerializer):
    """All of them: there are a handful, so there is one page."""

    results = EventSerializer(many=True)


class DeliverySerializer(StrictModelSerializer):
    """How far a message has come on its way to one target. `next_at`: when it is tried (again) at the earliest."""

    target = serializers.UUIDField(source="target_id", read_only=True)
    kind = serializers.ChoiceField(source="target.kind", choices=NotifyTarget.Kind.choices, read_only=True)

    class Meta:
        model = Delivery
        fields = ("id", "target", "kind", "state", "attempts", "next_at", "sent_at", "error")
        read_only_fields = fields


class NotificationSerializer(StrictModelSerializer):
    """What was told. `deliveries`: to which of the targets that you may see."""

    payload = serializers.DictField(read_only=True, help_text="Facts for programs; depends on the event.")
    deliveries = DeliverySerializer(many=True, read_only=True)

    class Meta:
        model = Notification
        fields = ("id", "event", "title", "text", "link", "payload", "deliveries", "created_at")
        read_only_fields = fields
