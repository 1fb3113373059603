"""Projects in the admin: looked at and renamed here; their order is changed through the API, which checks it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from editai.projects.models import Project, ProjectSegment
from editai.projects.services import project_changed
from profiles.admin_base import ProfileAdmin
from profiles.models import Role


@admin.register(Project)
class ProjectAdmin(ProfileAdmin):
    minimum_roles = {"view": Role.VIEWER, "add": Role.EDITOR, "change": Role.EDITOR}
    list_display = ("name", "framing", "target_duration", "created_at", "trashed_at")
    list_filter = ("framing",)
    search_fields = ("name", "description")
    readonly_fields = ("created_by", "created_at", "updated_at", "trashed_at")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "framing" in form.changed_data:
            project_changed(obj)


@admin.register(ProjectSegment)
class ProjectSegmentAdmin(ProfileAdmin):
    """Looking only: places are given out by the service, and clips learn of changes from it."""

    minimum_roles = {"view": Role.VIEWER}
    list_display = ("project", "position", "segment", "zoom", "volume", "is_muted")
    list_filter = ("is_muted",)
    list_select_related = ("project", "segment")
    search_fields = ("project__name",)
