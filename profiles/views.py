"""Profiles, their members and keys."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from profiles import credentials, services
from profiles.errors import Forbidden
from profiles.models import Ceiling, Credential, Invitation, Membership, Profile, Role
from profiles.requests import MemberRequest
from profiles.serializers import (
    CredentialSerializer,
    CredentialWriteSerializer,
    InvitationLinkSerializer,
    InvitationSerializer,
    InviteSerializer,
    MemberSerializer,
    ProfileSerializer,
)


class ProfileBrandViewSet(ListModelMixin, RetrieveModelMixin, GenericViewSet):
    """Your brands. A token that is bound to a profile sees only that one."""

    request: MemberRequest
    queryset = Profile.objects.filter(state=Profile.State.ACTIVE)
    serializer_class = ProfileSerializer
    lookup_url_kwarg = "profile_id"
    lookup_value_converter = "uuid"
    roles = {"create": Role.VIEWER, "set_default": Role.VIEWER, "partial_update": Role.OWNER, "destroy": Role.OWNER}

    def get_queryset(self) -> QuerySet[Profile]:
        request = self.request
        own = Membership.objects.filter(user_id=request.user.pk, profile=OuterRef("pk"))
        queryset = self.queryset.filter(memberships__user_id=request.user.pk)
        if request.token is not None and request.token.profile_id:
            queryset = queryset.filter(pk=request.token.profile_id)
        return queryset.annotate(own_role=Subquery(own.values("role")[:1]))

    def create(self, request: MemberRequest) -> Response:
        """Makes a new brand that you own."""
        _refuse_limited_token(request)
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        profile = services.profile_create(user=request.user, **serializer.validated_data)
        return Response(self._shown(profile), status=status.HTTP_201_CREATED)

    def partial_update(self, request: MemberRequest, profile_id: Any) -> Response:
        """Changes name or colour."""
        profile = self.get_object()
        serializer = self.get_serializer(profile, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        profile = services.profile_update(profile, **serializer.validated_data)
        return Response(self._shown(profile))

    def destroy(self, request: MemberRequest, profile_id: Any) -> Response:
        """Deletes the brand and everything that it owns, files included. A default cannot be deleted (409)."""
        _refuse_limited_token(request)
        services.profile_delete(user=request.user, profile=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=ProfileSerializer)
    @action(detail=True, methods=["post"], url_path="set-default")
    def set_default(self, request: MemberRequest, profile_id: Any) -> Response:
        """Makes this brand the one that requests without a named profile work in."""
        if request.ceiling == Ceiling.READ:
            raise Forbidden("This token may only read.")
        profile = self.get_object()
        services.profile_set_default(user=request.user, profile=profile)
        request.user.default_profile_id = profile.pk
        return Response(self._shown(profile))

    def _shown(self, profile: Profile) -> Any:
        return self.get_serializer(self.get_queryset().get(pk=profile.pk)).data


def _refuse_limited_token(request: MemberRequest) -> None:
    """Brands come and go only by a person, or a token that may do all that its user may."""
    if request.token is not None and request.token.is_limited:
        raise Forbidden("This token may not make or delete profiles.")


class MemberViewSet(ListModelMixin, GenericViewSet):
    """Who belongs to the profile. Owners invite, change roles and remove."""

    request: MemberRequest
    queryset = Membership.objects.select_related("user")
    serializer_class = MemberSerializer
    lookup_value_converter = "uuid"
    roles = {"create": Role.OWNER, "partial_update": Role.OWNER, "destroy": Role.VIEWER}

    def get_queryset(self) -> QuerySet[Membership]:
        return self.queryset.filter(profile_id=self.request.profile.pk)

    @extend_schema(request=InviteSerializer, responses={201: InvitationLinkSerializer})
    def create(self, request: MemberRequest, profile_id: Any) -> Response:
        """Invites a person: the answer holds a link that works once, for 7 days, and is not shown again."""
        serializer = InviteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        invitation, secret = services.invitation_create(
            profile=request.profile,
            by=request.user,
            **serializer.validated_data,
        )
        answer = InvitationLinkSerializer(invitation, context={"secret": secret, "request": request})
        return Response(answer.data, status=status.HTTP_201_CREATED)

    @extend_schema(request=MemberSerializer, responses=MemberSerializer)
    def partial_update(self, request: MemberRequest, profile_id: Any, pk: Any) -> Response:
        """Changes a member's role, or the right to approve; the last owner stays one (409)."""
        membership = self.get_object()
        serializer = self.get_serializer(membership, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        changed = services.member_update(profile=request.profile, membership=membership, **serializer.validated_data)
        return Response(self.get_serializer(changed).data)

    def destroy(self, request: MemberRequest, profile_id: Any, pk: Any) -> Response:
        """Removes a member, or leaves the profile oneself; the last owner can't (409)."""
        membership = self.get_object()
        if membership.user_id != request.user.pk or request.ceiling not in {None, Ceiling.FULL}:
            services.require_owner(request.role)
        services.member_remove(profile=request.profile, membership=membership)
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitationViewSet(ListModelMixin, GenericViewSet):
    """Invitations to the profile that were made; an owner can take an open one back."""

    request: MemberRequest
    queryset = Invitation.objects.select_related("created_by")
    serializer_class = InvitationSerializer
    lookup_value_converter = "uuid"
    roles = {"list": Role.OWNER, "destroy": Role.OWNER}

    def get_queryset(self) -> QuerySet[Invitation]:
        return self.queryset.filter(profile_id=self.request.profile.pk)

    def destroy(self, request: MemberRequest, profile_id: Any, pk: Any) -> Response:
        """Takes an invitation back: its link stops working."""
        self.get_object().delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class CredentialViewSet(GenericViewSet):
    """The profile's own keys of outside services. Write-only: reading tells whether one is set."""

    request: MemberRequest
    queryset = Credential.objects.all()
    serializer_class = CredentialSerializer
    filter_backends = ()
    roles = {"retrieve": Role.OWNER, "update": Role.OWNER, "destroy": Role.OWNER}

    def retrieve(self, request: MemberRequest, profile_id: Any, kind: str) -> Response:
        """Whether a key is set, its last four characters, and whether it worked when last checked."""
        return self._shown(kind)

    @extend_schema(request=CredentialWriteSerializer, responses=CredentialSerializer)
    def update(self, request: MemberRequest, profile_id: Any, kind: str) -> Response:
        """Stores a key (encrypted), replacing the one before.

        Its service is asked first: when that refuses the key, or can't be reached, nothing changes (400). `postiz`
        needs the `url` of your Postiz, too; whoever enters another one enters the key again.
        """
        known = credentials.kind_named(kind)
        serializer = CredentialWriteSerializer(data=request.data, context={"kind": known})
        serializer.is_valid(raise_exception=True)
        values = dict(serializer.validated_data)
        secret = values.pop("api_key")
        credentials.credential_set(profile=request.profile, kind=known, secret=secret, values=values)
        return self._shown(kind)

    @extend_schema(responses={204: OpenApiResponse(description="No key is stored any more.")})
    def destroy(self, request: MemberRequest, profile_id: Any, kind: str) -> Response:
        """Forgets the key."""
        credentials.credential_delete(profile=request.profile, kind=credentials.kind_named(kind))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self, kind: str) -> Response:
        known = credentials.kind_named(kind)
        found = credentials.credential_get(profile=self.request.profile, kind=known)
        return Response(CredentialSerializer(found, context={"kind": known}).data)
