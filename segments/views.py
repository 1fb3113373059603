"""Sources and segments over HTTP."""

from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from jobs.dry_run import DRY_RUN, DryRunSerializer, offers_dry_run
from jobs.idempotency import run_once, started_before
from jobs.models import Job
from jobs.selectors import jobs_of
from jobs.serializers import JobSerializer
from profiles.api.errors import CHECK_FIELDS
from profiles.api.media import media_action, serve_file
from profiles.api.viewsets import CreateMixin, DestroyMixin, ListMixin, PatchMixin, ProfileViewSet, RetrieveMixin
from profiles.errors import Conflict, Invalid
from profiles.links import check_version
from profiles.models import Role, StoredFile
from segments import selectors, services, sources
from segments.filters import SegmentFilter, SegmentsOfSourceFilter, SourceVideoFilter
from segments.frames import frame_table
from segments.match_srt import match_srt
from segments.models import Segment, SourceVideo
from segments.serializers import (
    VARIANTS,
    FavoriteSerializer,
    FramesSerializer,
    MatchAnswerSerializer,
    MatchInputSerializer,
    SegmentInputSerializer,
    SegmentSerializer,
    SegmentUpdateSerializer,
    SourceUpdateSerializer,
    SourceUploadSerializer,
    SourceVideoSerializer,
    UsageSerializer,
)
from segments.subtitles import MAX_BYTES, Subtitles, read_srt

_SOURCE_MEDIA = {
    "original": (False, ""),
    "proxy": (True, " (proxy)"),
    "poster": (True, " (poster)"),
    "filmstrip": (True, " (filmstrip)"),
    "waveform": (True, " (waveform)"),
}


def _job_answer(view: ProfileViewSet, job: Job) -> Response:
    """202 with the job as its list shows it."""
    shown = jobs_of(view.profile).get(pk=job.pk)
    data = JobSerializer(shown, context=view.get_serializer_context()).data
    return Response(data, status=status.HTTP_202_ACCEPTED)


class SourceVideoViewSet(ListMixin, RetrieveMixin, CreateMixin, PatchMixin, DestroyMixin, ProfileViewSet):
    """Footage. An upload is received at once and prepared by a job: received, processing, ready or failed. Segments
    may be marked as soon as `is_markable` says so."""

    queryset = SourceVideo.objects.all()
    serializer_class = SourceVideoSerializer
    input_serializers = {"create": SourceUploadSerializer, "partial_update": SourceUpdateSerializer}
    filterset_class = SourceVideoFilter
    ordering_fields = ("created_at", "name", "duration_seconds", "size")
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return selectors.sources(self.profile)

    def get_parsers(self) -> list[Any]:
        if getattr(self.request, "method", "") == "POST" and getattr(self, "action_map", {}).get("post") == "create":
            return [MultiPartParser()]
        return list(super().get_parsers())

    def perform_create(self, serializer: Any) -> Any:
        """Uploads a video; the answer shows it as `received`. With an Idempotency-Key, the same upload twice is one."""
        before = started_before(self.request)
        if before is not None:
            return sources.source_of(self.profile, before)
        values = serializer.validated_data
        video = values["video"]
        return sources.source_receive(
            profile=self.profile,
            by=self.request.user,  # type: ignore[arg-type]
            upload=sources.Upload(Path(video.temporary_file_path()), video.sha256, video.name or ""),
            once=partial(run_once, self.request),
            name=values["name"],
            description=values["description"],
        )

    def perform_update(self, serializer: Any) -> Any:
        source = serializer.instance
        sources.source_update(profile=self.profile, source_id=source.pk, changes=serializer.validated_data)
        return self.get_queryset().get(pk=source.pk)

    def perform_destroy(self, row: SourceVideo) -> None:
        """Puts it into the trash, with its segments. `usage/` tells first what depends on them."""
        sources.source_delete(profile=self.profile, source=row)

    @extend_schema(responses=UsageSerializer)
    @action(detail=True, methods=["get"])
    def usage(self, request: Request, pk: Any = None) -> Response:
        """How many segments would go along, and what is made from them: at most 100 entries of a kind."""
        count, dependants = sources.source_usage(profile=self.profile, source=self.get_object())
        return Response(UsageSerializer({"segment_count": count, "dependants": dependants}).data)

    @extend_schema(request=None, responses={200: DryRunSerializer, 202: JobSerializer}, parameters=[DRY_RUN])
    @action(detail=True, methods=["post"])
    @offers_dry_run
    def retry(self, request: Request, pk: Any = None) -> Response:
        """Prepares a failed source again; what was finished is kept. Also makes the light copy again when it was freed.
        409 when nothing is missing."""
        by: Any = request.user
        once = partial(run_once, request)
        return _job_answer(self, sources.source_retry(profile=self.profile, source_id=self._id(), by=by, once=once))

    @extend_schema(
        parameters=[
            OpenApiParameter("start", OpenApiTypes.FLOAT, description="Seconds of the source."),
            OpenApiParameter("end", OpenApiTypes.FLOAT, description="Seconds of the source."),
        ],
        responses=FramesSerializer,
    )
    @action(detail=True, methods=["get"])
    def frames(self, request: Request, pk: Any = None) -> Response:
        """When each frame begins. 409 until the source is markable."""
        source = selectors.source_named(self.profile, self._id(), with_frames=True)
        start, end = (_seconds(request, name) for name in ("start", "end"))
        return Response(FramesSerializer(frame_table(source, start, end)).data)

    @extend_schema(
        parameters=[OpenApiParameter("variant", OpenApiTypes.STR, enum=VARIANTS, description="Left out: the original.")]
    )
    @media_action()
    def stream(self, request: Request, pk: Any = None) -> HttpResponseBase:
        """The video as it was uploaded (always a download), or with `variant` what was made of it to look at, with one
        byte range. 409 while the variant is not made, or was freed (`file_freed`)."""
        source = self.get_object()
        variant = request.query_params.get("variant") or "original"
        if variant not in VARIANTS:
            raise Invalid(CHECK_FIELDS, fields={"variant": [f"Choose one of {', '.join(VARIANTS)}."]})
        file: StoredFile | None = getattr(source, variant)
        if file is None and variant == "proxy" and source.is_without_proxy:
            raise Conflict("The light copy was freed to make room: POST retry/ makes it again.", code="file_freed")
        if file is None:
            raise Conflict(_why_missing(source, variant), code="not_made_yet")
        check_version(request, file)
        by_us, suffix = _SOURCE_MEDIA[variant]
        name = source.file_name or source.name if variant == "original" else source.name + suffix
        return serve_file(
            request, file, name=name, by_us=by_us, as_attachment=request.query_params.get("download") == "1"
        )

    def _id(self) -> UUID:
        source_id: UUID = self.kwargs["pk"]
        return source_id


def _why_missing(source: SourceVideo, variant: str) -> str:
    if variant == "waveform" and source.has_audio is False:
        return "This footage has no sound."
    return f"The {variant} is not made yet."


def _seconds(request: Request, name: str) -> float | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        value = float(text[:30])
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise Invalid(CHECK_FIELDS, fields={name: ["Enter seconds from 0 on."]})
    return value


class SegmentsOfSourceViewSet(ListMixin, CreateMixin, ProfileViewSet):
    """The segments of one source."""

    queryset = Segment.objects.all()
    serializer_class = SegmentSerializer
    input_serializers = {"create": SegmentInputSerializer}
    filterset_class = SegmentsOfSourceFilter
    ordering_fields = ("created_at", "start_time", "duration")

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        source = selectors.source_named(self.profile, self.kwargs["source_id"])
        return selectors.segments(self.profile).filter(source_id=source.pk)

    def perform_create(self, serializer: Any) -> Segment:
        """Marks a segment; the answer gives its times as they were snapped to frames. 409 before the source is
        markable."""
        return services.segment_create(
            profile=self.profile,
            source_id=self.kwargs["source_id"],
            by=self.request.user,  # type: ignore[arg-type]
            **serializer.validated_data,
        )


class SegmentViewSet(ListMixin, RetrieveMixin, PatchMixin, DestroyMixin, ProfileViewSet):
    """Segments of all sources. They are made under `source-videos/{id}/segments/`."""

    queryset = Segment.objects.all()
    serializer_class = SegmentSerializer
    input_serializers = {
        "partial_update": SegmentUpdateSerializer,
        "favorite": FavoriteSerializer,
        "match_srt": MatchInputSerializer,
    }
    roles = {"match_srt": Role.VIEWER}  # it only looks
    filterset_class = SegmentFilter
    ordering_fields = ("created_at", "start_time", "duration")
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset()
        return selectors.segments(self.profile)

    def perform_update(self, serializer: Any) -> Segment:
        """Times are judged together with the ones that stay. Moved borders count up `revision`, drop the extracted
        file and make clips out of date."""
        changes = dict(serializer.validated_data)
        revision = changes.pop("revision", None)
        return services.segment_update(
            profile=self.profile, segment_id=serializer.instance.pk, changes=changes, revision=revision
        )

    def perform_destroy(self, row: Segment) -> None:
        """Puts it into the trash."""
        services.segment_delete(profile=self.profile, segment=row)

    @extend_schema(request=FavoriteSerializer, responses=SegmentSerializer)
    @action(detail=True, methods=["post"])
    def favorite(self, request: Request, pk: Any = None) -> Response:
        """Sets the favourite mark, or turns it over when the body does not say."""
        wanted = self.read_body().validated_data["is_favorite"]
        segment = services.segment_set_favorite(profile=self.profile, segment_id=pk, is_favorite=wanted)
        return self.answer(segment)

    @extend_schema(request=None, responses={200: DryRunSerializer, 202: JobSerializer}, parameters=[DRY_RUN])
    @action(detail=True, methods=["post"])
    @offers_dry_run
    def extract(self, request: Request, pk: Any = None) -> Response:
        """Cuts the segment into a file of its own, exact to the frame. For borders that were cut already, the answer
        is the job that did it."""
        by: Any = request.user
        once = partial(run_once, request)
        job = services.segment_extract(profile=self.profile, segment_id=self.kwargs["pk"], by=by, once=once)
        return _job_answer(self, job)

    @media_action()
    def stream(self, request: Request, pk: Any = None) -> HttpResponseBase:
        """The extracted file, with one byte range; `?download=1` makes it a download. 409 until `extract/` has cut the
        borders as they are now. (To look at a segment, play its source's proxy between its times.)"""
        segment = self.get_object()
        if not segment.has_current_file:
            raise Conflict("This segment has no file yet: POST extract/ first.", code="not_extracted")
        check_version(request, segment.extracted)
        download = request.query_params.get("download") == "1"
        return serve_file(request, segment.extracted, name=_file_name(segment), as_attachment=download)

    @extend_schema(
        request={"multipart/form-data": MatchInputSerializer, "application/json": MatchInputSerializer},
        responses=MatchAnswerSerializer,
    )
    @action(detail=False, methods=["post"], url_path="match-srt")
    def match_srt(self, request: Request) -> Response:
        """Which segments fit which subtitle, by their keywords. Writes nothing; every match says why."""
        values = self.read_body().validated_data
        chosen = values.get("source_ids")
        found = match_srt(
            profile=self.profile,
            subtitles=_subtitles(values),
            source_ids=[source.pk for source in chosen] if chosen else None,
            min_confidence=values["min_confidence"],
            max_matches=values["max_matches"],
        )
        return Response(found)  # plain values in that shape: serializers would take seconds for 10,000 subtitles


def _subtitles(values: dict[str, Any]) -> Subtitles:
    if "srt_text" in values:
        return read_srt(values["srt_text"], field="srt_text")
    return read_srt(values["srt"].read(MAX_BYTES + 1))


def _file_name(segment: Segment) -> str:
    return f"{segment.source.name} {segment.start_time:.2f}-{segment.end_time:.2f}"
