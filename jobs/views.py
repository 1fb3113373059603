"""Jobs over HTTP: look, cancel, retry, delete, and fetch what they made."""

from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import dry_run, services
from jobs.dry_run import DRY_RUN, DryRunSerializer, offers_dry_run
from jobs.models import Job
from jobs.selectors import JobFilter, jobs_of, with_history
from jobs.serializers import JobDetailSerializer, JobSerializer
from profiles.api.media import media_action, serve_file
from profiles.api.viewsets import DestroyMixin, ListMixin, ProfileViewSet
from profiles.errors import NotFound


class JobViewSet(ListMixin, DestroyMixin, ProfileViewSet):
    """Pieces of work, newest first. Long actions answer 202 with one of these; poll it or the list (ETag)."""

    queryset = Job.objects.all()
    serializer_class = JobSerializer
    filterset_class = JobFilter
    ordering_fields = ("created_at",)
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return jobs_of(self.profile)

    @extend_schema(responses=JobDetailSerializer)
    def retrieve(self, request: Request, pk: Any = None) -> Response:
        """One job, with its history."""
        return self._detail(self.get_object())

    @extend_schema(request=None, responses={202: JobDetailSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: Any = None) -> Response:
        """Stops a job: at once when it waits, within seconds when it runs (`cancel_requested_at` until then). A job
        that has ended otherwise is a 409."""
        by: Any = request.user
        job = services.job_cancel(profile=self.profile, job=self.get_object(), by=by)
        return self._detail(job, status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={200: DryRunSerializer, 202: JobDetailSerializer}, parameters=[DRY_RUN])
    @action(detail=True, methods=["post"])
    @offers_dry_run
    def retry(self, request: Request, pk: Any = None) -> Response:
        """Queues a failed, cancelled or needs-attention job again. Its old error stays in `events`."""
        by: Any = request.user
        job = self.get_object()
        job = dry_run.started(lambda: services.job_retry(profile=self.profile, job=job, by=by))
        return self._detail(job, status.HTTP_202_ACCEPTED)

    @media_action(content_type="application/octet-stream")
    def download(self, request: Request, pk: Any = None) -> HttpResponseBase:
        """The file that the job made; 404 until there is one."""
        job = self.get_object()
        link = getattr(request._request, "link", None)
        if link is not None and (link.variant, link.version) != ("output", str(job.output_id)):
            raise NotFound
        return serve_file(request, job.output, name=job.kind, as_attachment=True)

    def perform_destroy(self, row: Job) -> None:
        """Removes a job that has ended, its history, and its file unless something else uses it."""
        services.job_delete(profile=self.profile, job=row)

    def _detail(self, job: Job, status_code: int = status.HTTP_200_OK) -> Response:
        shown = with_history(jobs_of(self.profile)).get(pk=job.pk)
        context = self.get_serializer_context()
        return Response(JobDetailSerializer(shown, context=context).data, status=status_code)
