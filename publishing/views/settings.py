"""How publishing stands, its settings, the channels, the networks."""

from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from profiles.api import counters
from profiles.api.serializers import one_page
from profiles.errors import Forbidden, TooMany
from profiles.models import Role
from publishing.channels import integrations, poke, status
from publishing.models import Integration, PostizAccount, PublishingSettings
from publishing.preferences import preferences_of
from publishing.rules.overview import networks
from publishing.serializers.channels import IntegrationListSerializer
from publishing.serializers.settings import (
    NetworkListSerializer,
    PublishingSettingsInputSerializer,
    PublishingSettingsSerializer,
    StatusSerializer,
)
from publishing.settings_services import settings_update
from publishing.views.answers import PublishingViewSet

REFRESHES, SECONDS = 6, 60  # of one profile, by hand


class OverviewViewSet(PublishingViewSet):
    """What there is for publishing, and how it does."""

    queryset = Integration.objects.all()
    serializer_class: Any = StatusSerializer
    filter_backends = ()
    pagination_class = None

    @extend_schema(responses=StatusSerializer)
    def status(self, request: Request) -> Response:
        """Where posts go, whether Postiz answers (asked again after five minutes), its hourly budget, and what waits
        for a person."""
        found = status.status_of(self.profile)
        found["webhook_url"] = self._webhook_url() if _is_owner(request) else None
        return Response(StatusSerializer(found).data)

    def _webhook_url(self) -> str | None:
        account = self._account()
        return settings.PUBLIC_URL + poke.path_of(account) if account is not None else None

    def _account(self) -> PostizAccount | None:
        account: PostizAccount | None = PostizAccount.objects.for_profile(self.profile).first()
        return account

    @extend_schema(
        parameters=[OpenApiParameter("refresh", OpenApiTypes.BOOL, description="1: ask Postiz now.")],
        responses=IntegrationListSerializer,
    )
    def integrations(self, request: Request) -> Response:
        """The channels to publish to, those that are switched off too: of Postiz (asked again after five minutes, or
        with `refresh=1`), or without it the local outbox."""
        force = request.query_params.get("refresh") in {"1", "true"}
        key = f"refresh-integrations:{self.profile.pk}"
        if force and not counters.admit(key, SECONDS, REFRESHES):
            wait = counters.seconds_to_wait(SECONDS, REFRESHES)
            raise TooMany(f"The channels were just listed. Again in {wait} s.", retry_after=wait)
        if force:
            integrations.refresh(self.profile, force=True)
        else:
            status.ask_gently(self.profile)
        account = self._account()
        return one_page(
            IntegrationListSerializer,
            integrations.listed(self.profile).order_by("identifier", "name", "id"),
            refreshed_at=account.integrations_at if account else None,
            problem=account.problem if account else None,
        )

    @extend_schema(responses=NetworkListSerializer)
    def networks(self, request: Request) -> Response:
        """What each network wants to know and allows, with the source, date and certainty of every rule."""
        return one_page(NetworkListSerializer, networks())


class PublishingSettingsViewSet(PublishingViewSet):
    """How the profile publishes."""

    queryset = PublishingSettings.objects.all()
    serializer_class: Any = PublishingSettingsSerializer
    input_serializers = {"partial_update": PublishingSettingsInputSerializer}
    filter_backends = ()
    pagination_class = None

    def retrieve(self, request: Request) -> Response:
        """Time zone, lead, grace, approval, and the networks' default settings."""
        return self.answer(preferences_of(self.profile))

    @extend_schema(request=PublishingSettingsInputSerializer, responses=PublishingSettingsSerializer)
    def partial_update(self, request: Request) -> Response:
        """Changes them. Whether approval is required is for owners to say."""
        wanted = self.read_body(partial=True).validated_data
        if "approval_required" in wanted and not _is_owner(request):
            raise Forbidden("This needs the role owner in this profile.")
        by: Any = request.user
        return self.answer(settings_update(profile=self.profile, by=by, changes=wanted))


def _is_owner(request: Request) -> bool:
    role = getattr(request._request, "role", None)
    return role is not None and Role(role) == Role.OWNER
