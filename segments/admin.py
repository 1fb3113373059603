"""Footage in the admin. Everything is written through the services, and thrown away into the trash only."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from profiles import trash
from profiles.admin_base import HistoryAdmin, ProfileAdmin
from profiles.errors import Conflict, Invalid, NotFound
from profiles.links import media_link
from profiles.models import Role
from segments import selectors, services, sources
from segments.models import Segment, SegmentLabel, SourceVideo


def _poster(request: Any) -> Callable[[SourceVideo], str]:
    """A column with the poster, by a link that is signed for this very request."""

    def poster(source: SourceVideo) -> str:
        url = media_link(request, "source-video-stream", source.pk, "poster", source.poster_id)
        return format_html('<img src="{}" height="48" alt="" loading="lazy">', url) if url else "–"

    poster.short_description = "Poster"  # type: ignore[attr-defined]
    if not hasattr(request, "poster_column"):  # the same object each time: the admin compares
        request.poster_column = poster
    column: Callable[[SourceVideo], str] = request.poster_column
    return column


class _TrashAdmin(ProfileAdmin):
    """Rows outside the trash; deleting means throwing them there."""

    minimum_roles = {"view": Role.VIEWER, "change": Role.EDITOR}
    ordering = ("-created_at", "-id")
    actions = ("move_to_trash",)

    @admin.action(description="Move to the trash", permissions=["change"])
    def move_to_trash(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        moved = 0
        for row in queryset:
            try:
                trash.throw_away(row)
                moved += 1
            except NotFound:
                continue  # somebody was faster
            except Conflict as error:
                self.message_user(request, f"{row}: {error.message}", messages.ERROR)
        self.message_user(request, f"{moved} moved to the trash.", messages.SUCCESS)


@admin.register(SourceVideo)
class SourceVideoAdmin(_TrashAdmin):
    """Footage. It is uploaded through the API or the web frontend."""

    list_display = (
        "name",
        "shown_state",
        "shown_length",
        "picture",
        "has_audio",
        "size",
        "created_at",
    )
    list_filter = ("state", "has_audio", "created_at")
    search_fields = ("name", "file_name", "description")
    fields = (
        "name",
        "description",
        "file_name",
        "shown_state",
        "shown_error",
        "shown_length",
        "picture",
        "frame_rate",
        "has_audio",
        "size",
        "sha256",
        "segment_count",
        "created_by",
        "created_at",
        "updated_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request)
        return selectors.described(rows.filter(trashed_at=None)).select_related("created_by")

    def get_list_display(self, request: HttpRequest) -> tuple[Any, ...]:
        return (*self.list_display, _poster(request))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return (*self.fields, _poster(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        return (*self.fields[2:], _poster(request))

    @admin.display(description="State")
    def shown_state(self, source: SourceVideo) -> str:
        return selectors.state_of(source)

    @admin.display(description="Error", empty_value="–")
    def shown_error(self, source: SourceVideo) -> str | None:
        error = selectors.error_of(source)
        return f"{error['message']} {error['next_step']}" if error else None

    @admin.display(description="Length", empty_value="–", ordering="duration_seconds")
    def shown_length(self, source: SourceVideo) -> str | None:
        seconds = source.duration_seconds
        return None if seconds is None else f"{int(seconds // 60)}:{seconds % 60:05.2f}"

    @admin.display(description="Picture", empty_value="–")
    def picture(self, source: SourceVideo) -> str | None:
        return f"{source.width} × {source.height}" if source.width else None

    @admin.display(description="Segments")
    def segment_count(self, source: Any) -> int:
        count: int = source.segment_count
        return count

    def save_model(self, request: Any, obj: SourceVideo, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes:
            sources.source_update(profile=request.profile, source_id=obj.pk, changes=changes)


class SegmentForm(forms.ModelForm):
    """Borders in seconds, judged together."""

    class Meta:
        model = Segment
        fields = ("start_time", "end_time", "notes", "is_favorite")

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        start, end = values.get("start_time"), values.get("end_time")
        if start is None or end is None:
            return values
        try:
            services.snapped(self.instance.source, start, end)
        except Invalid as error:
            for name, problems in (error.fields or {}).items():
                self.add_error(name, list(problems))
        return values

    def _post_clean(self) -> None:
        """The row itself is left alone: a service changes it, with the old values at hand."""


class LabelInline(admin.TabularInline):
    model = SegmentLabel
    fields = readonly_fields = ("kind", "text")
    ordering = ("kind", "position")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return getattr(request, "role", None) is not None


@admin.register(Segment)
class SegmentAdmin(_TrashAdmin):
    """Marked spans. New ones are marked under their source, through the API or the web frontend."""

    form = SegmentForm
    list_display = ("source_name", "start_time", "end_time", "duration", "labels", "is_favorite", "created_at")
    list_filter = ("is_favorite", "created_at")
    search_fields = ("notes", "search_text")
    readonly_fields = (
        "source_name",
        "first_frame",
        "end_frame",
        "duration",
        "revision",
        "is_extracted",
        "created_by",
        "created_at",
        "updated_at",
    )
    inlines = (LabelInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: Any = super().get_queryset(request)
        return selectors.with_labels(rows.filter(trashed_at=None)).select_related("created_by")

    @admin.display(description="Footage")
    def source_name(self, segment: Segment) -> str:
        return segment.source.name

    @admin.display(description="Keywords and tags")
    def labels(self, segment: Any) -> str:
        return ", ".join(label.text for label in segment.labels.all())

    @admin.display(description="Extracted", boolean=True)
    def is_extracted(self, segment: Segment) -> bool:
        return segment.has_current_file

    def save_model(self, request: Any, obj: Segment, form: Any, change: bool) -> None:
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if changes:
            services.segment_update(profile=request.profile, segment_id=obj.pk, changes=changes)


@admin.register(SegmentLabel)
class SegmentLabelAdmin(HistoryAdmin):
    """Keywords and tags; they are changed with their segment."""

    list_display = ("text", "kind", "folded", "segment")
    list_filter = ("kind",)
    search_fields = ("text", "folded")
    list_select_related = ("segment",)
