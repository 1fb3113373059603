"""Approvals and review links. To approve, and to let others do so by a link, takes the right to approve."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from editai.clips.models import Clip
from profiles.api.errors import CHECK_FIELDS
from profiles.api.media import media_action, serve_file
from profiles.api.viewsets import DestroyMixin, ListMixin, ProfileViewSet
from profiles.errors import Invalid, NotFound
from profiles.links import check_version
from profiles.models import Role
from profiles.services import require_approver
from publishing.models import Publication, ReviewLink
from publishing.review import approval
from publishing.review import links as review
from publishing.serializers.approval import (
    ApproveSerializer,
    NewReviewLinkSerializer,
    RequestChangeSerializer,
    ReviewLinkInputSerializer,
    ReviewLinkSerializer,
    WaitingSerializer,
)
from publishing.serializers.publications import PublicationSerializer
from publishing.states import State

VARIANTS = ("video", "cover")


def _require_approver(request: Request) -> None:
    require_approver(may_approve=getattr(request._request, "may_approve", False))


class ApprovalViewSet(ListMixin, ProfileViewSet):
    """What waits for a decision, the most urgent first."""

    queryset = Publication.objects.filter(state=State.AWAITING_APPROVAL)
    serializer_class = WaitingSerializer
    ordering = "scheduled_at"
    ordering_fields = ("scheduled_at", "created_at")
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().select_related("integration", "cover", "file")

    @extend_schema(parameters=[OpenApiParameter("variant", str, enum=VARIANTS, default="video")])
    @media_action(content_type="video/mp4")
    def stream(self, request: Request, pk: Any = None) -> HttpResponseBase:
        """The video that would be posted, or its cover, with one byte range if asked for."""
        variant = request.query_params.get("variant") or "video"
        if variant not in VARIANTS:
            raise Invalid(CHECK_FIELDS, fields={"variant": [f"Choose one of {', '.join(VARIANTS)}."]})
        row = self.get_object()
        file = row.file if variant == "video" else row.cover
        if file is not None:
            check_version(request, file)
        return serve_file(request, file, name=row.clip_name)


class DecisionViewSet(ProfileViewSet):
    """A reviewer's word about one publication. Members of any role may have the right; tokens need it unlimited."""

    queryset = Publication.objects.select_related("integration")
    serializer_class = PublicationSerializer
    input_serializers = {"approve": ApproveSerializer, "request_change": RequestChangeSerializer}
    roles = {"approve": Role.VIEWER, "request_change": Role.VIEWER}
    lookup_value_converter = "uuid"

    @extend_schema(request=ApproveSerializer, responses=PublicationSerializer)
    def approve(self, request: Request, pk: Any = None) -> Response:
        """Yes: it is scheduled. 409 when it waits for no decision, or is not what you saw."""
        _require_approver(request)
        row = self.get_object()
        data = self.read_body().validated_data
        by: Any = request.user
        shown = {row.pk: data["fingerprint"]} if "fingerprint" in data else None
        approval.approve(profile=self.profile, publications=[row], by=by, comment=data["comment"], shown=shown)
        return self.answer(self.get_object())

    @extend_schema(request=RequestChangeSerializer, responses=PublicationSerializer)
    def request_change(self, request: Request, pk: Any = None) -> Response:
        """Not like this: it is a draft again, and those who want to know are told what to change."""
        _require_approver(request)
        row = self.get_object()
        data = self.read_body().validated_data
        by: Any = request.user
        shown = {row.pk: data["fingerprint"]} if "fingerprint" in data else None
        approval.ask_for_change(profile=self.profile, publications=[row], by=by, comment=data["comment"], shown=shown)
        return self.answer(self.get_object())


class ReviewLinkFilter(filters.FilterSet):
    clip = filters.UUIDFilter(method="by_clip", help_text="The id of a clip; another profile's is a 404.")

    class Meta:
        model = ReviewLink
        fields = ()

    def by_clip(self, queryset: QuerySet[Any], name: str, value: UUID) -> QuerySet[Any]:
        if not Clip.objects.for_profile(self.request.profile).filter(pk=value).exists():
            raise NotFound
        return queryset.filter(clip_id=value)


class ReviewLinkViewSet(ListMixin, DestroyMixin, ProfileViewSet):
    """Links that let people without an account play a clip and decide on its posts, newest first."""

    queryset = ReviewLink.objects.select_related("clip", "created_by")
    serializer_class = ReviewLinkSerializer
    input_serializers = {"create": ReviewLinkInputSerializer}
    filterset_class = ReviewLinkFilter
    ordering_fields = ("created_at", "expires_at")
    lookup_value_converter = "uuid"
    # what counts is the right to approve: a link hands it on; editors may revoke without it
    roles = {"create": Role.VIEWER, "destroy": Role.VIEWER}

    @extend_schema(request=ReviewLinkInputSerializer, responses={201: NewReviewLinkSerializer})
    def create(self, request: Request) -> Response:
        """Makes a link for one clip: the answer holds its address, which is not shown again. It needs the right to
        approve, and stops working when you lose that."""
        _require_approver(request)
        data = self.read_body().validated_data
        by: Any = request.user
        link, url = review.link_create(
            profile=self.profile, clip=data["clip_id"], by=by, days=data["days"], note=data["note"]
        )
        shown = NewReviewLinkSerializer(link, context={**self.get_serializer_context(), "url": url})
        return Response(shown.data, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        role = getattr(request._request, "role", None)
        if role is None or Role(role).rank < Role.EDITOR.rank:
            _require_approver(request)
        return super().destroy(request, *args, **kwargs)

    def perform_destroy(self, row: ReviewLink) -> None:
        """Revokes the link: it opens nothing any more. The row stays as history. For editors, and for those who may
        approve."""
        review.link_revoke(profile=self.profile, link=row)
