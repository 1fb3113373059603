"""Clips over HTTP: made from projects, looked at, streamed, rendered anew."""

from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from editai.clips import covers, services
from editai.clips.models import Clip, ExportPreset
from editai.clips.pictures import check_bytes
from editai.clips.selectors import ClipFilter, clips_alive
from editai.clips.serializers import (
    ClipDetailSerializer,
    ClipInputSerializer,
    ClipSerializer,
    CoverInputSerializer,
    GenerateSerializer,
    PresetListSerializer,
    SelectSerializer,
)
from editai.projects.models import Project
from jobs.dry_run import DRY_RUN, DryRunSerializer, offers_dry_run
from jobs.idempotency import run_once
from jobs.models import Job
from jobs.selectors import jobs_of
from jobs.serializers import JobSerializer
from profiles.api.errors import CHECK_FIELDS
from profiles.api.media import media_action, serve_file
from profiles.api.serializers import one_page
from profiles.api.viewsets import DestroyMixin, ListMixin, PatchMixin, ProfileViewSet
from profiles.errors import Invalid, NotFound
from profiles.links import check_version

VARIANTS = ("video", "poster")
_ALSO_LOADED = {"stream": "poster", "cover": "cover", "set_cover": "preset"}
_FORM_OVERHEAD = 2**16  # bytes of borders beside a file


def _accepted(view: ProfileViewSet, job: Job) -> Response:
    """202 with the job."""
    shown = jobs_of(view.profile).get(pk=job.pk)
    data = JobSerializer(shown, context=view.get_serializer_context()).data
    return Response(data, status=status.HTTP_202_ACCEPTED)


class ClipViewSet(ListMixin, PatchMixin, DestroyMixin, ProfileViewSet):
    """Finished clips, newest first, and those on their way."""

    queryset = Clip.objects.filter(trashed_at=None)
    serializer_class = ClipSerializer
    input_serializers = {
        "partial_update": ClipInputSerializer,
        "select": SelectSerializer,
        "set_cover": CoverInputSerializer,
    }
    filterset_class = ClipFilter
    search_fields = ("name", "project__name")
    ordering_fields = ("created_at", "name", "duration_seconds")
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        rows = clips_alive(self.profile, in_detail=self.action in {"retrieve", "set_cover"})
        more = _ALSO_LOADED.get(self.action)
        return rows.select_related(more) if more else rows

    @extend_schema(responses=ClipDetailSerializer)
    def retrieve(self, request: Request, pk: Any = None) -> Response:
        """One clip, with its recipe."""
        data = ClipDetailSerializer(self.get_object(), context=self.get_serializer_context()).data
        return Response(data)

    def perform_update(self, serializer: Any) -> Clip:
        return services.clip_update(profile=self.profile, clip=serializer.instance, **serializer.validated_data)

    def perform_destroy(self, row: Clip) -> None:
        services.clip_delete(profile=self.profile, clip=row)

    @extend_schema(request=SelectSerializer, responses=ClipSerializer)
    @action(detail=True, methods=["post"])
    def select(self, request: Request, pk: Any = None) -> Response:
        """Marks a clip as chosen, or takes the mark off."""
        clip = self.get_object()
        chosen = self.read_body().validated_data["is_selected"]
        return self.answer(services.clip_update(profile=self.profile, clip=clip, is_selected=chosen))

    @extend_schema(request=None, responses={200: DryRunSerializer, 202: JobSerializer}, parameters=[DRY_RUN])
    @action(detail=True, methods=["post"])
    @offers_dry_run
    def render(self, request: Request, pk: Any = None) -> Response:
        """Renders the clip from its project as it is now. When nothing has changed, the job ends at once and nothing
        is encoded; while the same is being rendered already, the answer is that job."""
        clip = self.get_object()
        by: Any = request.user
        job = run_once(request, lambda: services.clip_request_render(profile=self.profile, clip=clip, by=by))
        return _accepted(self, job)

    @extend_schema(parameters=[OpenApiParameter("variant", str, enum=VARIANTS, default="video")])
    @media_action(content_type="video/mp4")
    def stream(self, request: Request, pk: Any = None) -> HttpResponseBase:
        """The clip, or its poster, with one byte range if asked for. A clip that is rendered anew keeps its old file
        until the new one is there."""
        variant = request.query_params.get("variant") or "video"
        if variant not in VARIANTS:
            raise Invalid(CHECK_FIELDS, fields={"variant": [f"Choose one of {', '.join(VARIANTS)}."]})
        clip = self.get_object()
        file = clip.file if variant == "video" else clip.poster
        if file is not None:
            check_version(request, file)
        return serve_file(request, file, name=clip.name)

    @media_action(content_type="image/jpeg")
    def cover(self, request: Request, pk: Any = None) -> HttpResponseBase:
        """The still that networks show for the clip: a JPEG. 404 when there is none."""
        clip = self.get_object()
        if clip.cover is not None:
            check_version(request, clip.cover)
        return serve_file(request, clip.cover, name=clip.name)

    @extend_schema(request=CoverInputSerializer, responses=ClipSerializer)
    @cover.mapping.put
    @cover.mapping.post
    def set_cover(self, request: Request, pk: Any = None) -> Response:
        """Sets the cover: an uploaded picture, cropped to the clip's shape, or with `at_seconds` the picture on screen
        then. A render keeps an uploaded one, and takes one of the clip anew at the same moment."""
        clip = self.get_object()
        check_bytes(int(request.META.get("CONTENT_LENGTH") or 0) - _FORM_OVERHEAD)  # before it is received
        body = self.read_body().validated_data
        give_back = covers.SLOTS.take(request._request)
        try:
            if "image" in body:
                path = Path(body["image"].temporary_file_path())
                covers.cover_set_image(profile=self.profile, clip=clip, path=path)
            else:
                covers.cover_set_frame(profile=self.profile, clip=clip, at_seconds=body["at_seconds"])
        finally:
            give_back()
        return self.answer(self.get_queryset().get(pk=clip.pk))

    @extend_schema(request=None, responses={204: None})
    @cover.mapping.delete
    def remove_cover(self, request: Request, pk: Any = None) -> Response:
        """Removes the cover; networks choose one themselves then. 404 when there is none."""
        covers.cover_remove(profile=self.profile, clip=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ProjectClipsViewSet(ListMixin, ProfileViewSet):
    """What is made from one project."""

    queryset = Clip.objects.filter(trashed_at=None)
    serializer_class = ClipSerializer
    input_serializers = {"generate": GenerateSerializer}
    filterset_class = ClipFilter
    search_fields = ("name",)
    ordering_fields = ("created_at", "name", "duration_seconds")

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return clips_alive(self.profile).filter(project=self._project())

    def _project(self) -> Project:
        rows = Project.objects.for_profile(self.profile).filter(pk=self.kwargs["pk"], trashed_at=None)
        project: Project | None = rows.first()
        if project is None:
            raise NotFound
        return project

    @extend_schema(
        request=GenerateSerializer, responses={200: DryRunSerializer, 202: JobSerializer}, parameters=[DRY_RUN]
    )
    @offers_dry_run
    def generate(self, request: Request, pk: Any = None) -> Response:
        """Makes clips of the project as it is now: 202 with one job for all variants, whose `result.clips` lists them.
        What is rendered already is not encoded again; what is under way answers with its job."""
        project = self._project()
        data = self.read_body().validated_data
        by: Any = request.user
        job = run_once(request, lambda: services.generate(profile=self.profile, project=project, by=by, **data))
        return _accepted(self, job)


class PresetView(GenericAPIView[ExportPreset]):
    """What clips can be made for, the same for all profiles."""

    queryset = ExportPreset.objects.all()
    serializer_class = PresetListSerializer
    filter_backends = ()
    pagination_class = None

    @extend_schema(responses=PresetListSerializer)
    def get(self, request: Request) -> Response:
        """The export presets with the networks' limits."""
        return one_page(PresetListSerializer, self.get_queryset())
