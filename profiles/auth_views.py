"""Getting in: tokens, invitations, one's own password."""

from typing import Any

from django.contrib.auth import authenticate, update_session_auth_hash
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from profiles import services, tokens
from profiles.api.throttles import LoginThrottle
from profiles.errors import Forbidden, Invalid, NotFound, Unauthenticated
from profiles.models import ApiToken, Ceiling, Membership, Profile, Role, User
from profiles.requests import MemberRequest
from profiles.serializers import (
    AcceptInvitationSerializer,
    ApiTokenSerializer,
    LoginAnswerSerializer,
    LoginSerializer,
    MemberSerializer,
    MeSerializer,
    NewApiTokenSerializer,
    PasswordSerializer,
)


class TokenView(APIView):
    """Name and password for a bearer token (30 days)."""

    profile_required = False
    authentication_classes = ()
    public = True
    throttle_classes = (LoginThrottle,)

    @extend_schema(request=LoginSerializer, responses=LoginAnswerSerializer, auth=[])
    def post(self, request: MemberRequest) -> Response:
        serializer = LoginSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = authenticate(request._request, **serializer.validated_data)
        if not isinstance(user, User):
            raise Unauthenticated("Name or password is wrong.", code="invalid_login")
        token, secret = tokens.token_create(user=user, name="login", expires_at=timezone.now() + tokens.LOGIN_LIFETIME)
        return Response({"token": secret, "expires_at": token.expires_at})


class AcceptInvitationView(APIView):
    """Takes an invitation up: with a new name and password, or into the account that is logged in."""

    profile_required = False
    public = True
    throttle_classes = (LoginThrottle,)

    @extend_schema(request=AcceptInvitationSerializer, responses={201: MemberSerializer})
    def post(self, request: MemberRequest) -> Response:
        serializer = AcceptInvitationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        if request.token is not None and request.token.is_limited:
            raise Forbidden("This token may not join profiles.")
        user = request.user if isinstance(request.user, User) else None
        if user is None and not (data["username"] and data["password"]):
            raise Invalid(
                "Choose a name and a password.",
                fields={name: ["This field is required."] for name in ("username", "password") if not data[name]},
            )
        _, membership = services.invitation_accept(
            secret=data["token"], user=user, username=data["username"], password=data["password"]
        )
        return Response(MemberSerializer(membership).data, status=status.HTTP_201_CREATED)


class MeView(GenericAPIView):
    """Who is calling, and in which profile."""

    serializer_class = MeSerializer
    filter_backends = ()
    pagination_class = None

    @extend_schema(responses=MeSerializer)
    def get(self, request: MemberRequest) -> Response:
        return Response(self.get_serializer(request.user).data)


class PasswordView(GenericAPIView):
    """Changes one's own password: other sessions end; tokens stay until revoked."""

    serializer_class = PasswordSerializer
    throttle_classes = (LoginThrottle,)
    roles = {"post": Role.VIEWER}

    @extend_schema(request=PasswordSerializer, responses={204: None})
    def post(self, request: MemberRequest) -> Response:
        if request.token is not None and request.token.is_limited:
            raise Forbidden("This token may not change the password.")
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        user = request.user
        if not user.check_password(serializer.validated_data["old_password"]):
            raise Invalid("The old password is wrong.", fields={"old_password": ["Wrong."]})
        try:
            validate_password(serializer.validated_data["new_password"], user)
        except ValidationError as error:
            raise Invalid("The new password is too weak.", fields={"new_password": error.messages}) from error
        user.set_password(serializer.validated_data["new_password"])
        user.save(update_fields=["password"])
        if request.token is None:
            update_session_auth_hash(request._request, user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ApiTokenViewSet(ListModelMixin, GenericViewSet):
    """Your tokens. One made by a token can't do more than that token."""

    request: MemberRequest
    queryset = ApiToken.objects.all()
    serializer_class = ApiTokenSerializer
    lookup_value_converter = "uuid"
    roles = {"create": Role.VIEWER, "destroy": Role.VIEWER}

    def get_queryset(self) -> QuerySet[ApiToken]:
        request = self.request
        queryset = self.queryset.filter(user_id=request.user.pk)
        if request.token is not None and request.token.profile_id:
            queryset = queryset.filter(profile_id=request.token.profile_id)
        return queryset

    @extend_schema(responses={201: NewApiTokenSerializer})
    def create(self, request: MemberRequest) -> Response:
        """Makes a token; it is shown this once."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        data = serializer.validated_data
        token, secret = tokens.token_create(
            user=request.user,
            name=data["name"],
            profile=_own_profile(request, data["profile_id"]),
            ceiling=Ceiling(data.get("ceiling", Ceiling.FULL)),
            expires_at=data["expires_at"],
            by_token=request.token,
        )
        answer = NewApiTokenSerializer(token, context={"secret": secret})
        return Response(answer.data, status=status.HTTP_201_CREATED)

    def destroy(self, request: MemberRequest, pk: Any) -> Response:
        """Revokes a token; its row stays as history."""
        token = self.get_object()
        own = request.token
        if own is not None and own.pk != token.pk and own.ceiling != Ceiling.FULL:
            raise Forbidden("This token may revoke only itself.")
        tokens.token_revoke(token)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _own_profile(request: MemberRequest, profile_id: Any) -> Profile | None:
    if profile_id is None:
        return None
    membership = (
        Membership.objects.select_related("profile")
        .filter(user=request.user, profile_id=profile_id, profile__state=Profile.State.ACTIVE)
        .first()
    )
    if membership is None:
        raise NotFound
    return membership.profile
