"""Targets and what was told, over HTTP. Owners manage all targets of the profile, other members their own."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView

from editai.notify import targets
from editai.notify.events import events
from editai.notify.models import Notification, NotifyTarget
from editai.notify.selectors import NotificationFilter, notifications_of
from editai.notify.serializers import (
    EventListSerializer,
    NewTargetSerializer,
    NotificationSerializer,
    SecretSerializer,
    TargetChangeSerializer,
    TargetInputSerializer,
    TargetSerializer,
    TestResultSerializer,
)
from profiles.api.serializers import one_page
from profiles.api.viewsets import DestroyMixin, ListMixin, PatchMixin, ProfileViewSet, RetrieveMixin
from profiles.models import Role
from profiles.requests import MemberRequest


class NotifyTargetViewSet(ListMixin, RetrieveMixin, PatchMixin, DestroyMixin, ProfileViewSet):
    """Where messages go, newest first: those that you may manage."""

    queryset = NotifyTarget.objects.all()
    serializer_class = TargetSerializer
    input_serializers = {"create": TargetInputSerializer, "partial_update": TargetChangeSerializer}
    roles = dict.fromkeys(("create", "partial_update", "destroy", "test", "renew_secret"), Role.VIEWER)  # one's own
    ordering_fields = ("created_at",)
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return targets.targets_of(profile=self.profile, **self._member("user"))

    def _member(self, name: str = "by") -> dict[str, Any]:
        request: Any = self.request
        return {name: request.user, "role": Role(request._request.role)}

    @extend_schema(request=TargetInputSerializer, responses={201: NewTargetSerializer})
    def create(self, request: MemberRequest) -> Response:
        """Makes a target: yours, or (owners) one of the profile. The answer holds a webhook's secret, shown only now.
        E-mail on a server without a mail server is a 409; an address that may not be called a 400."""
        values = self.read_body().validated_data
        target, secret = targets.target_create(profile=self.profile, **self._member(), **values)
        context = {**self.get_serializer_context(), "secret": secret}
        return Response(NewTargetSerializer(target, context=context).data, status=status.HTTP_201_CREATED)

    def perform_update(self, serializer: Any) -> NotifyTarget:
        """Changes address, events or whether it is active. One that was switched off by itself starts anew."""
        return targets.target_update(
            profile=self.profile, target=serializer.instance, **self._member(), **serializer.validated_data
        )

    def perform_destroy(self, row: NotifyTarget) -> None:
        """Deletes a target, with what still waits for it."""
        targets.target_delete(profile=self.profile, target=row)

    @extend_schema(request=None, responses=TestResultSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: MemberRequest, pk: Any = None) -> Response:
        """Sends a test message now, and tells within ten seconds whether it was taken."""
        result = targets.target_test(profile=self.profile, target=self.get_object())
        return Response(TestResultSerializer({"ok": result.ok, "error": result.error}).data)

    @extend_schema(request=None, responses=SecretSerializer)
    @action(detail=True, methods=["post"], url_path="renew-secret")
    def renew_secret(self, request: MemberRequest, pk: Any = None) -> Response:
        """Gives a webhook a new secret, shown only now; the old one signs nothing any more."""
        secret = targets.renew_secret(profile=self.profile, target=self.get_object())
        return Response(SecretSerializer({"secret": secret}).data)


class NotifyEventsView(APIView):
    """What can be told."""

    @extend_schema(responses=EventListSerializer)
    def get(self, request: MemberRequest) -> Response:
        """The events that a target may ask for."""
        return one_page(EventListSerializer, events())


class NotificationViewSet(ListMixin, ProfileViewSet):
    """What was told in the profile, newest first, and how far it has come."""

    queryset = Notification.objects.all()
    serializer_class = NotificationSerializer
    filterset_class = NotificationFilter
    ordering_fields = ("created_at",)

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        request: Any = self.request
        return notifications_of(profile=self.profile, user=request.user, role=Role(request._request.role))
