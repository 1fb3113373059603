"""Shapes of profiles, people and tokens over HTTP. A key of an outside service never comes out again."""

from typing import Any

from django.conf import settings
from django.urls import reverse
from rest_framework import serializers

from profiles.api.serializers import StrictModelSerializer, StrictSerializer
from profiles.credentials import CredentialKind, SettingField, is_readable, known_settings
from profiles.models import ApiToken, Ceiling, Credential, Invitation, Membership, Profile, Role, User


class LoginSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False, style={"input_type": "password"})


class LoginAnswerSerializer(StrictSerializer):
    token = serializers.CharField()
    expires_at = serializers.DateTimeField()


class ProfileSerializer(StrictModelSerializer):
    role = serializers.SerializerMethodField()
    is_default = serializers.SerializerMethodField()

    class Meta:
        model = Profile
        fields = ("id", "name", "slug", "color", "role", "is_default", "created_at")
        read_only_fields = ("id", "slug", "created_at")

    def get_role(self, profile: Profile) -> Role | None:
        """The caller's role; the queryset brings it along as `own_role`."""
        return getattr(profile, "own_role", None)

    def get_is_default(self, profile: Profile) -> bool:
        return self.context["request"].user.default_profile_id == profile.pk


class MemberSerializer(StrictModelSerializer):
    """`can_approve`: the right to approve what is to be published; owners always have it."""

    username = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = Membership
        fields = ("id", "username", "role", "can_approve", "created_at")
        read_only_fields = ("id", "created_at")

    def to_representation(self, instance: Membership) -> dict[str, Any]:
        return {**super().to_representation(instance), "can_approve": instance.may_approve}


class InviteSerializer(StrictSerializer):
    role = serializers.ChoiceField(choices=Role.choices)
    note = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")


class InvitationSerializer(StrictModelSerializer):
    created_by = serializers.CharField(source="created_by.username", read_only=True)

    class Meta:
        model = Invitation
        fields = ("id", "role", "note", "created_by", "created_at", "expires_at", "accepted_at")
        read_only_fields = fields


class InvitationLinkSerializer(InvitationSerializer):
    """The answer to an invitation: the only time that its link is shown."""

    url = serializers.SerializerMethodField()

    class Meta(InvitationSerializer.Meta):
        fields = (*InvitationSerializer.Meta.fields, "url")  # type: ignore[assignment]

    def get_url(self, invitation: Invitation) -> str:
        return f"{settings.PUBLIC_URL}{reverse('accept-invitation-page')}#{self.context['secret']}"


class AcceptInvitationSerializer(StrictSerializer):
    """`username` and `password` are for people without an account; leave them out when logged in."""

    token = serializers.CharField(max_length=100)
    username = serializers.CharField(max_length=150, required=False, default="")
    password = serializers.CharField(
        max_length=1000, required=False, default="", trim_whitespace=False, style={"input_type": "password"}
    )


class ApiTokenSerializer(StrictModelSerializer):
    """`profile`: bound to this profile; `ceiling`: the most that it may do."""

    profile = serializers.UUIDField(source="profile_id", required=False, allow_null=True, default=None)
    expires_at = serializers.DateTimeField(required=False, allow_null=True, default=None)

    class Meta:
        model = ApiToken
        fields = ("id", "name", "profile", "ceiling", "hint", "created_at", "expires_at", "last_used_at", "revoked_at")
        read_only_fields = ("id", "hint", "created_at", "last_used_at", "revoked_at")


class NewApiTokenSerializer(ApiTokenSerializer):
    """The answer to a new token: the only time that the token itself is shown."""

    token = serializers.SerializerMethodField()

    class Meta(ApiTokenSerializer.Meta):
        fields = (*ApiTokenSerializer.Meta.fields, "token")  # type: ignore[assignment]

    def get_token(self, token: ApiToken) -> str:
        secret: str = self.context["secret"]
        return secret


class PasswordSerializer(StrictSerializer):
    old_password = serializers.CharField(max_length=1000, trim_whitespace=False, style={"input_type": "password"})
    new_password = serializers.CharField(max_length=1000, trim_whitespace=False, style={"input_type": "password"})


class MeSerializer(StrictModelSerializer):
    default_profile = serializers.UUIDField(source="default_profile_id", read_only=True)
    profile = serializers.SerializerMethodField(help_text="The profile of this very request.")
    ceiling = serializers.SerializerMethodField()
    can_approve = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ("id", "username", "default_profile", "profile", "ceiling", "can_approve")
        read_only_fields = fields

    def get_profile(self, user: User) -> str:
        return str(self.context["request"].profile.pk)

    def get_ceiling(self, user: User) -> Ceiling | None:
        """What the token in use allows at most; null for a browser session."""
        ceiling: Ceiling | None = self.context["request"].ceiling
        return ceiling

    def get_can_approve(self, user: User) -> bool:
        """Whether this very request could approve what is to be published."""
        may: bool = self.context["request"].may_approve
        return may


class _WithSettings(serializers.Serializer[Any]):
    """Has the settings of the kind in the context as fields; in the API's schema, where there is none, those of all."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        kind: CredentialKind | None = self.context.get("kind")
        settings = kind.settings if kind else known_settings().values()
        return {**super().get_fields(), **{one.name: self._setting(one, certain=kind is not None) for one in settings}}

    def _setting(self, one: SettingField, *, certain: bool) -> serializers.CharField:
        return serializers.CharField(
            max_length=one.max_length, required=certain and one.required, help_text=one.help_text
        )


class CredentialSerializer(_WithSettings):
    """What can be known of a key: never the key. `needs_reentry`: the server can't read it any more."""

    configured = serializers.BooleanField()
    last4 = serializers.CharField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    ok = serializers.BooleanField(allow_null=True)
    needs_reentry = serializers.BooleanField()

    def _setting(self, one: SettingField, *, certain: bool) -> serializers.CharField:
        return serializers.CharField(required=False, allow_null=True, help_text=one.help_text)

    def to_representation(self, instance: Credential | None) -> dict[str, Any]:
        kind: CredentialKind = self.context["kind"]
        readable = instance is not None and is_readable(instance)
        return {
            "configured": instance is not None,
            "last4": instance.last4 if instance else None,
            "checked_at": instance.checked_at if instance else None,
            "ok": (instance.ok if readable else False) if instance else None,
            "needs_reentry": instance is not None and not readable,
            **{one.name: instance.settings.get(one.name) if instance else None for one in kind.settings},
        }


class CredentialWriteSerializer(StrictSerializer, _WithSettings):
    """The key and what belongs to it, always together: the stored key goes to no other address."""

    api_key = serializers.CharField(
        max_length=500,
        write_only=True,
        style={"input_type": "password"},
        error_messages={"required": "Enter the key again.", "blank": "Enter the key again."},
    )
