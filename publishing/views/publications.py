"""Publications: listed, looked at, changed, called off, sent again."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.idempotency import run_once
from profiles.api.viewsets import ListMixin
from publishing import changes
from publishing.filters import PublicationFilter
from publishing.models import Publication
from publishing.selectors import publications_of, with_history
from publishing.serializers.publications import (
    JobWithPublicationsSerializer,
    PublicationChangeSerializer,
    PublicationDetailSerializer,
    PublicationSerializer,
    RescheduleSerializer,
    ResendSerializer,
    RetrySerializer,
)
from publishing.views.answers import SENDS, PublishingViewSet

_NOW_OR_LATER = {200: PublicationSerializer, 202: JobWithPublicationsSerializer}


class PublicationViewSet(ListMixin, PublishingViewSet):
    """What was published, what is still to come, and what became of it."""

    queryset = Publication.objects.all()
    input_serializers = {
        "partial_update": PublicationChangeSerializer,
        "reschedule": RescheduleSerializer,
        "retry": RetrySerializer,
        "resend": ResendSerializer,
    }
    filterset_class = PublicationFilter
    ordering_fields = ("created_at", "scheduled_at")
    lookup_value_converter = "uuid"
    ceilings = dict.fromkeys(("partial_update", "cancel", "retry", "reconcile", "resend", "reschedule"), SENDS)

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        rows = publications_of(self.profile)
        if self.action == "list":
            return rows
        return with_history(rows.select_related("clip")) if self.action == "retrieve" else rows.select_related("clip")

    @extend_schema(responses=PublicationDetailSerializer)
    def retrieve(self, request: Request, pk: Any = None) -> Response:
        """One publication, with its history and what reviewers said."""
        data = PublicationDetailSerializer(self.get_object(), context=self.get_serializer_context()).data
        return Response(data)

    @extend_schema(request=PublicationChangeSerializer, responses=_NOW_OR_LATER)
    def partial_update(self, request: Request, pk: Any = None) -> Response:
        """Changes words, settings or time. 200 while it is in hand; 202 with a job that takes it back from Postiz
        first; 409 while it is being handed over. Other words need another approval."""
        row, by = self.get_object(), self._by(request)
        wanted = self.read_body(partial=True).validated_data
        job = changes.publication_change(profile=self.profile, publication=row, by=by, changes=wanted)
        return self.now_or_later(row, job)

    @extend_schema(request=RescheduleSerializer, responses=_NOW_OR_LATER)
    @action(detail=True, methods=["post"])
    def reschedule(self, request: Request, pk: Any = None) -> Response:
        """Moves it to another time, as PATCH does; one that was missed is on its way again with that."""
        row, by = self.get_object(), self._by(request)
        wanted = self.read_body().validated_data
        job = changes.publication_change(profile=self.profile, publication=row, by=by, changes=wanted)
        return self.now_or_later(row, job)

    @extend_schema(request=None, responses=_NOW_OR_LATER)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: Any = None) -> Response:
        """Calls it off. 200 when nothing of it was outside; 202 with a job that takes it back from Postiz. What can't
        be verified as taken back ends as `unconfirmed`: it may still go live."""
        row, by = self.get_object(), self._by(request)
        job = changes.publication_cancel(profile=self.profile, publication=row, by=by)
        return self.now_or_later(row, job)

    @extend_schema(request=RetrySerializer, responses={202: JobWithPublicationsSerializer})
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: Any = None) -> Response:
        """Sends a draft, a missed one, or one that failed on its way, with the clip's file as it is now. 409
        (`may_be_live`) when something of it may be out: repost that as a new publication, once you have looked."""
        row, by, values = self.get_object(), self._by(request), self.read_body().validated_data
        job = run_once(
            request,
            lambda: changes.publication_retry(profile=self.profile, publication=row, by=by, **values),
        )
        return self.accepted_with(job)

    @extend_schema(request=ResendSerializer, responses={202: JobWithPublicationsSerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: Any = None) -> Response:
        """Sends an unconfirmed one again, which Postiz was shown not to have. `understood: true` is your word that you
        know: the first may still turn up."""
        row, by, values = self.get_object(), self._by(request), self.read_body().validated_data
        job = run_once(
            request,
            lambda: changes.publication_resend(profile=self.profile, publication=row, by=by, **values),
        )
        return self.accepted_with(job)

    @extend_schema(
        request=None,
        responses={202: OpenApiResponse(JobWithPublicationsSerializer, description="The job that asks.")},
    )
    @action(detail=True, methods=["post"])
    def reconcile(self, request: Request, pk: Any = None) -> Response:
        """Asks Postiz now what became of it."""
        row, by = self.get_object(), self._by(request)
        job = run_once(
            request,
            lambda: changes.publication_reconcile(profile=self.profile, publication=row, by=by),
        )
        return self.accepted_with(job, [row])

    def _by(self, request: Request) -> Any:
        return request.user
