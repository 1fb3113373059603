"""Publishing: one clip, many clips, the check beforehand, the upload ahead of time."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from editai.clips.models import Clip
from jobs.dry_run import DRY_RUN, DryRunSerializer, offers_dry_run
from jobs.idempotency import run_once
from jobs.serializers import JobSerializer
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, Invalid, NotFound
from publishing import services
from publishing.channels import integrations
from publishing.channels.status import ask_gently
from publishing.delivery import uploads
from publishing.models import Publication
from publishing.planning.plan import make_plan
from publishing.planning.schedule import zone_of
from publishing.planning.wishes import Wish, chosen_integrations
from publishing.renditions.requests import request_fix
from publishing.serializers.publications import JobWithPublicationsSerializer
from publishing.serializers.requests import (
    BulkPublishSerializer,
    FixSerializer,
    PlanSerializer,
    PreflightAnswerSerializer,
    PreflightSerializer,
    PublishSerializer,
    UploadSerializer,
)
from publishing.views.answers import SENDS, PublishingViewSet


class PublishViewSet(PublishingViewSet):
    """What goes out, and where to."""

    queryset = Publication.objects.all()
    input_serializers = {
        "upload": UploadSerializer,
        "publish": PublishSerializer,
        "bulk_publish": BulkPublishSerializer,
        "preflight": PreflightSerializer,
        "fix": FixSerializer,
    }
    ceilings = {"upload": SENDS, "publish": SENDS, "bulk_publish": SENDS}

    @extend_schema(
        request=PublishSerializer,
        responses={200: DryRunSerializer, 202: JobWithPublicationsSerializer},
        parameters=[DRY_RUN],
    )
    @offers_dry_run
    def publish(self, request: Request) -> Response:
        """Publishes one clip to several channels: 202 with the job and one publication for each channel. All of it is
        checked before anything is written."""
        return self._publish(request, self._wish(self.read_body().validated_data))

    @extend_schema(request=BulkPublishSerializer, responses={200: PlanSerializer, 202: JobWithPublicationsSerializer})
    def bulk_publish(self, request: Request) -> Response:
        """Publishes many clips to many channels: 202 with the job and all publications. With `dry_run`, 200 with the
        plan: times, words, broken rules, conflicts and quota; nothing is written."""
        values = dict(self.read_body().validated_data)
        dry_run = values.pop("dry_run")
        wish = self._wish(values)
        if not dry_run:
            return self._publish(request, wish)
        plan = make_plan(profile=self.profile, wish=wish)
        return Response(PlanSerializer(plan, context={"zone": zone_of(plan.preferences)}).data)

    def _publish(self, request: Request, wish: Wish) -> Response:
        by: Any = request.user
        job = run_once(request, lambda: services.publish(profile=self.profile, wish=wish, by=by))
        return self.accepted_with(job)

    def _wish(self, values: Any) -> Wish:
        """The body as a wish; channels that nobody has seen yet are asked for at Postiz first, with no transaction
        open."""
        values = dict(values)
        bulk = "clip_ids" in values
        clip_ids = values.pop("clip_ids") if bulk else [values.pop("clip_id")]
        wish = Wish(clip_ids=clip_ids, bulk=bulk, **values)
        ask_gently(self.profile)
        return wish

    @extend_schema(request=PreflightSerializer, responses=PreflightAnswerSerializer)
    def preflight(self, request: Request) -> Response:
        """What each channel's network would say about this post: pass, warn or fail for each rule, with its source."""
        wish = self._wish({**self.read_body().validated_data, "repost": True})
        plan = make_plan(profile=self.profile, wish=wish)
        return Response(PreflightAnswerSerializer({"results": plan.rows}).data)

    @extend_schema(request=FixSerializer, responses={200: DryRunSerializer, 202: JobSerializer}, parameters=[DRY_RUN])
    @offers_dry_run
    def fix(self, request: Request) -> Response:
        """Makes renditions of the clip that keep the networks' rules: length, size, codec, loudness. They are used
        from then on when the clip is published there. 202 with the job."""
        values = self.read_body().validated_data
        by: Any = request.user
        clip, networks = self._clip(values["clip_id"]), self._networks(values)
        job = run_once(
            request,
            lambda: request_fix(profile=self.profile, clip=clip, networks=networks, by=by),
        )
        return self.accepted(job)

    def _networks(self, values: Any) -> list[str]:
        if ("networks" in values) == ("integration_ids" in values):
            hint = "Give either networks or integration_ids."
            raise Invalid(CHECK_FIELDS, fields={"networks": [hint]})
        networks: list[str] = values.get("networks", [])
        if "integration_ids" in values:
            wish = Wish(clip_ids=[values["clip_id"]], integration_ids=values["integration_ids"])
            networks = [one.identifier for one in chosen_integrations(self.profile, wish)]
        if not networks:
            raise Invalid(CHECK_FIELDS, fields={"networks": ["Choose at least one network."]})
        return list(dict.fromkeys(networks))

    def _clip(self, clip_id: UUID) -> Clip:
        rows = Clip.objects.for_profile(self.profile).filter(pk=clip_id, trashed_at=None).select_related("file")
        clip: Clip | None = rows.first()
        if clip is None:
            raise NotFound
        return clip

    @extend_schema(
        request=UploadSerializer, responses={200: DryRunSerializer, 202: JobSerializer}, parameters=[DRY_RUN]
    )
    @offers_dry_run
    def upload(self, request: Request) -> Response:
        """Uploads a clip to Postiz ahead of its posts, which is otherwise done with the first of them: 202 with the
        job. 409 without Postiz."""
        clip = self._clip(self.read_body().validated_data["clip_id"])
        by: Any = request.user
        if not integrations.has_postiz(self.profile):
            raise Conflict("No Postiz is connected: enter its address and API key.", code="postiz_not_connected")
        job = run_once(request, lambda: uploads.request_upload(profile=self.profile, clip=clip, by=by))
        return self.accepted(job)
