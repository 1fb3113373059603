"""One trash for everything that can be thrown away."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from profiles import trash
from profiles.api.errors import CHECK_FIELDS
from profiles.api.filters import did_you_mean
from profiles.api.paging import TimeCursorPagination, page_size_of
from profiles.errors import Invalid
from profiles.models import Profile, Role
from profiles.tenancy import GuardedQuerySet
from profiles.trash_serializers import RestoredSerializer, TrashItemSerializer

_PARAMETERS = ("kind", "cursor", "page_size", "format")
_KIND = OpenApiParameter("kind", OpenApiTypes.STR, description="Only this kind of thing: source_video, segment, …")


class _MergedPagination(TimeCursorPagination):
    """One page over several tables: a page of each, merged. As many queries as tables, however deep the page."""

    def paginate_tables(self, tables: list[GuardedQuerySet], request: Request, view: Any) -> list[Any]:
        rows: list[Any] = []
        before = after = False
        size = page_size_of(request)
        for table in tables:
            rows += self.paginate_queryset(table, request, view)
            before, after = before or self.has_previous, after or self.has_next
        backwards = self.came_by is not None and self.came_by.backwards
        rows.sort(key=lambda row: (row.trashed_at, row.pk), reverse=True)
        if len(rows) > size:
            rows = rows[-size:] if backwards else rows[:size]
            before, after = (True, after) if backwards else (before, True)
        self.rows, self.has_previous, self.has_next = rows, before, after
        self.display_page_controls = before or after
        return rows


class TrashViewSet(GenericViewSet[Any]):
    """What was thrown away, the latest first. It comes back with its links and files, or goes for good."""

    queryset = Profile.objects.none()  # its rows come from many tables
    serializer_class = TrashItemSerializer
    filter_backends = ()
    pagination_class = _MergedPagination
    ordering = "-trashed_at"
    roles = {"destroy": Role.OWNER}

    @property
    def profile(self) -> Profile:
        profile: Profile = self.request._request.profile  # type: ignore[attr-defined]
        return profile

    @extend_schema(parameters=[_KIND], responses=TrashItemSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Rows that went along with another one are counted there and not listed."""
        kinds = _kinds(request)
        paginator: _MergedPagination = self.paginator  # type: ignore[assignment]
        tables = [trash.thrown_away(self.profile, kind) for kind in kinds]
        rows = paginator.paginate_tables(tables, request, self)
        context = {
            "kinds": {kind.model: kind for kind in kinds},
            "went_along": trash.companions_of(self.profile, [row.pk for row in rows]),
        }
        return paginator.get_paginated_response(TrashItemSerializer(rows, many=True, context=context).data)

    @extend_schema(request=None, responses=RestoredSerializer)
    def restore(self, request: Request, kind: str, row_id: UUID) -> Response:
        """Takes it out of the trash, with all that went along. 409 when what it belongs to is still in there."""
        row = trash.restore(profile=self.profile, kind_name=kind, row_id=row_id)
        known = trash.kind_of(row)
        return Response(RestoredSerializer({"kind": known.name, "id": row.pk, "name": known.label(row)}).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, kind: str, row_id: UUID) -> Response:
        """Deletes it for good, with its files."""
        trash.purge(profile=self.profile, kind_name=kind, row_id=row_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _kinds(request: Request) -> list[trash.TrashKind]:
    """The kinds that `?kind=` asks for."""
    unknown = {
        name[:100]: [did_you_mean(name[:100], _PARAMETERS, prefix="Unknown filter")]
        for name in request.query_params
        if name not in _PARAMETERS
    }
    if unknown:
        raise Invalid(CHECK_FIELDS, fields=unknown)
    wanted = request.query_params.get("kind", "")
    kinds = [kind for kind in trash.kinds() if wanted in {"", kind.name}]
    if not kinds and wanted:
        names = ", ".join(kind.name for kind in trash.kinds())
        raise Invalid(CHECK_FIELDS, fields={"kind": [f"Choose one of {names}."]})
    return kinds
