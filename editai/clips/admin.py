"""Clips and presets in the admin. A clip comes out of a render, so only its name and mark can be changed."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from editai.clips.models import Clip, ExportPreset
from profiles.admin_base import ProfileAdmin, ScopedAdmin
from profiles.models import Role


@admin.register(Clip)
class ClipAdmin(ProfileAdmin):
    minimum_roles = {"view": Role.VIEWER, "change": Role.EDITOR}
    list_display = ("name", "project", "variant", "preset", "quality", "state", "is_selected", "is_stale", "created_at")
    list_filter = ("state", "is_selected", "is_stale", "quality")
    list_select_related = ("project", "preset")
    search_fields = ("name", "project__name")
    fields = (
        "name",
        "is_selected",
        "project",
        "variant",
        "preset",
        "quality",
        "state",
        "error",
        "is_stale",
        "duration_seconds",
        "loudness_lufs",
        "true_peak_dbtp",
        "media",
        "cover_source",
        "cover_at_seconds",
        "recipe",
        "recipe_hash",
        "rendered_hash",
        "rendered_at",
        "created_by",
        "created_at",
        "trashed_at",
    )
    readonly_fields = tuple(name for name in fields if name not in {"name", "is_selected"})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows if request.resolver_match and request.resolver_match.kwargs else rows.defer("recipe", "media")


@admin.register(ExportPreset)
class ExportPresetAdmin(ScopedAdmin):
    """The same for all brands: everybody looks, superusers change. Clips made before stay as they are."""

    list_display = ("name", "network", "width", "height", "frame_rate", "min_seconds", "max_seconds", "checked_on")
    list_filter = ("network",)
    search_fields = ("name", "network")

    def _may(self, request: HttpRequest, deed: str) -> bool:
        if deed == "view":
            return super()._may(request, deed)
        is_superuser = bool(request.user.is_active and getattr(request.user, "is_superuser", False))
        return deed in {"add", "change"} and is_superuser
