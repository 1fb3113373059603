"""Projects and the order of their segments."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from editai.projects import services
from editai.projects.models import Project
from editai.projects.selectors import lineup_of, projects_alive
from editai.projects.serializers import (
    DuplicateSerializer,
    EntrySettingsSerializer,
    LineupInputSerializer,
    LineupSerializer,
    PlacedSerializer,
    ProjectSerializer,
)
from editai.projects.timeline import timeline_of
from profiles.api.viewsets import (
    CreateMixin,
    DestroyMixin,
    ListMixin,
    PatchMixin,
    ProfileViewSet,
    RetrieveMixin,
)
from profiles.errors import NotFound

ENTRY_ID = OpenApiParameter("entry_id", UUID, OpenApiParameter.PATH, description="The entry's own id.")


class ProjectViewSet(ListMixin, RetrieveMixin, CreateMixin, PatchMixin, DestroyMixin, ProfileViewSet):
    """Projects: segments in an order, each with its own crop, trim and sound."""

    queryset = Project.objects.filter(trashed_at=None)
    serializer_class = ProjectSerializer
    input_serializers = {
        "duplicate": DuplicateSerializer,
        "replace_segments": LineupInputSerializer,
        "update_entry": EntrySettingsSerializer,
    }
    filterset_fields = ("framing",)
    search_fields = ("name", "description")
    ordering_fields = ("created_at", "updated_at", "name")
    lookup_value_converter = "uuid"

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return queryset
        if self.action in {"list", "retrieve", "create", "partial_update", "duplicate"}:
            return projects_alive(self.profile)
        return queryset

    def perform_create(self, serializer: Any) -> Project:
        by: Any = self.request.user
        return self._shown(services.project_create(profile=self.profile, by=by, **serializer.validated_data))

    def perform_update(self, serializer: Any) -> Project:
        changes = serializer.validated_data
        return self._shown(
            services.project_update(profile=self.profile, project=serializer.instance, **changes)
            if changes
            else serializer.instance
        )

    def perform_destroy(self, row: Project) -> None:
        services.project_delete(profile=self.profile, project=row)

    def _shown(self, project: Project) -> Project:
        shown: Project = projects_alive(self.profile).get(pk=project.pk)
        return shown

    @extend_schema(request=DuplicateSerializer, responses={201: ProjectSerializer})
    @action(detail=True, methods=["post"])
    def duplicate(self, request: Request, pk: Any) -> Response:
        """A new project with the same segments and settings; its clips are not copied."""
        project = self.get_object()
        name = self.read_body().validated_data.get("name", "")
        by: Any = request.user
        copy = services.project_duplicate(profile=self.profile, project=project, by=by, name=name)
        return self.answer(self._shown(copy), status_code=status.HTTP_201_CREATED)

    @extend_schema(responses=LineupSerializer, parameters=[])
    @action(detail=True, methods=["get"])
    def segments(self, request: Request, pk: Any) -> Response:
        """The project's segments in order, with their settings, and the presets whose limits they exceed."""
        return self._lineup(self.get_object())

    @extend_schema(request=LineupInputSerializer, responses=LineupSerializer)
    @segments.mapping.put
    def replace_segments(self, request: Request, pk: Any) -> Response:
        """Replaces the order as a whole. One id that is not the profile's, or in the trash: 404, nothing changes."""
        project = self.get_object()
        data = self.read_body().validated_data
        if "segment_ids" in data:
            project = services.entries_replace(profile=self.profile, project=project, segment_ids=data["segment_ids"])
        else:
            project = services.entries_write(profile=self.profile, project=project, entries=data["entries"])
        return self._lineup(project)

    @extend_schema(request=EntrySettingsSerializer, responses=PlacedSerializer, parameters=[ENTRY_ID])
    @action(detail=True, methods=["patch"], url_path="segments/<uuid:entry_id>", url_name="entry")
    def update_entry(self, request: Request, pk: Any, entry_id: UUID) -> Response:
        """Changes crop, trim or sound of one entry; the shared segment stays as it is."""
        project = self.get_object()
        changes = self.read_body(partial=True).validated_data
        if changes:
            services.entry_update(profile=self.profile, project=project, entry_id=entry_id, **changes)
        placed = next((row for row in timeline_of(project) if row.entry.pk == entry_id), None)
        if placed is None:
            raise NotFound
        return Response(PlacedSerializer(placed).data)

    def _lineup(self, project: Project) -> Response:
        return Response(LineupSerializer(lineup_of(project)).data)
