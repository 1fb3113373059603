"""Publications with their history, batches, and the local outbox."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from profiles.admin_base import HistoryAdmin
from profiles.links import media_link
from profiles.requests import brand_of
from publishing import changes, outbox
from publishing.admins import shown
from publishing.models import Batch, Decision, OutboxItem, Publication, PublicationEvent, Rendition
from publishing.review import approval
from publishing.rules.facts import name_of

_TIMES = ("is_immediate", "scheduled_at", "due_at", "approved_at", "submitted_at", "published_at")


class EventInline(shown.HistoryInline):
    model = PublicationEvent
    fields = readonly_fields = ("at", "origin", "by", "from_state", "to_state", "why")
    list_select_related = ("by",)
    ordering = ("at", "id")


class DecisionInline(shown.HistoryInline):
    model = Decision
    fields = readonly_fields = ("at", "verdict", "by", "reviewer", "link", "comment")
    list_select_related = ("by", "link")
    ordering = ("-at", "-id")


@admin.register(Publication)
class PublicationAdmin(HistoryAdmin):
    """Looked at; what can be done to a publication here is what the API does."""

    list_display = ("clip_name", "integration", "status", "scheduled_at", "live", "created_by", "created_at")
    list_display_links = ("clip_name",)
    list_filter = ("state", "integration", "scheduled_at")
    list_select_related = ("integration", "created_by")
    search_fields = ("clip_name", "caption", "=id")
    ordering = ("-created_at", "-id")
    date_hierarchy = "scheduled_at"
    inlines = (EventInline, DecisionInline)
    actions = ("approve", "cancel")
    readonly_fields = ("status", "problem", "maybe_live", "live", "video")
    fieldsets = (
        (None, {"fields": ("clip_name", "clip", "integration", "status", "problem", "maybe_live", "live", "video")}),
        ("Words", {"fields": ("caption", "first_comment", "settings", "cover")}),
        (
            "Times",
            {"fields": _TIMES},
        ),
        (
            "At Postiz",
            {
                "fields": (
                    "fingerprint_at",
                    "earlier_fingerprints",
                    "submitting_since",
                    "external_post_id",
                    "external_group",
                    "release_id",
                    "next_check_at",
                    "checks",
                    "error_seen_at",
                    "claim",
                    "claimed_until",
                )
            },
        ),
        ("Made", {"fields": ("id", "sha256", "batch", "repost_of", "created_by", "created_at", "updated_at")}),
    )

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        row = super().get_object(request, *args, **kwargs)
        if row is not None:
            row.admin_request = request  # a display method gets the row alone
        return row

    @admin.display(description="State", ordering="state")
    def status(self, row: Publication) -> SafeString:
        return shown.state(row.state)

    @admin.display(description="Error")
    def problem(self, row: Publication) -> str:
        told = row.error or {}
        return " ".join(filter(None, (told.get("message"), told.get("next_step")))) or "-"

    @admin.display(description="May be live")
    def maybe_live(self, row: Publication) -> str:
        return "Yes: look at the network before it is posted again" if row.may_be_live else "No"

    @admin.display(description="Live post")
    def live(self, row: Publication) -> str | SafeString:
        return shown.web_link(row.release_url)

    @admin.display(description="Video")
    def video(self, row: Publication) -> str | SafeString:
        if row.clip is None or row.clip.file_id is None:
            return "-"
        request = row.admin_request  # type: ignore[attr-defined]
        return shown.media(media_link(request, "clip-stream", row.clip.pk, "video", row.clip.file_id), "Play the clip")

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return bool(getattr(request, "may_approve", False))

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return shown.may_edit(request)

    @admin.action(description="Approve", permissions=["approve"])
    def approve(self, request: HttpRequest, rows: "QuerySet[Publication]") -> None:
        profile, by = brand_of(request), request.user

        def yes(row: Publication) -> None:
            approval.approve(profile=profile, publications=[row], by=by)  # type: ignore[arg-type]

        shown.each(self, request, rows, yes, "approved")

    @admin.action(description="Cancel", permissions=["cancel"])
    def cancel(self, request: HttpRequest, rows: "QuerySet[Publication]") -> None:
        profile, by = brand_of(request), request.user

        def stop(row: Publication) -> None:
            changes.publication_cancel(profile=profile, publication=row, by=by)  # type: ignore[arg-type]

        shown.each(self, request, rows, stop, "cancelled, or being taken back")


@admin.register(PublicationEvent)
class PublicationEventAdmin(HistoryAdmin):
    list_display = ("at", "publication", "from_state", "to_state", "why", "origin", "by")
    list_filter = ("to_state", "origin", "at")
    list_select_related = ("publication", "by")
    search_fields = ("=publication__id", "why")


@admin.register(Batch)
class BatchAdmin(HistoryAdmin):
    list_display = ("created_at", "total", "created_by", "finished_at")
    list_select_related = ("created_by",)


class PostedForm(ActionForm):
    """Beside the choice of an action: where the item was posted."""

    url = forms.CharField(max_length=2000, required=False, label="Posted at https://…")


@admin.register(OutboxItem)
class OutboxItemAdmin(HistoryAdmin):
    """Not posted on any network, until somebody says so, here or through the API."""

    actions = ("finish", "undo")
    action_form = PostedForm

    list_display = ("name", "caption", "posted_at", "posted_by", "live", "created_at")
    list_filter = ("posted_at", "created_at")
    list_select_related = ("publication", "posted_by")
    search_fields = ("publication__clip_name", "publication__caption")
    fields = readonly_fields = (
        "label",
        "name",
        "video",
        "cover_picture",
        "caption",
        "first_comment",
        "settings",
        "publication",
        "posted_at",
        "posted_by",
        "live",
        "created_at",
    )

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        item = super().get_object(request, *args, **kwargs)
        if item is not None:
            item.admin_request = request
        return item

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return shown.may_edit(request)

    @admin.action(description="Posted by hand, at the address beside", permissions=["settle"])
    def finish(self, request: HttpRequest, items: "QuerySet[OutboxItem]") -> None:
        profile, by, url = brand_of(request), request.user, request.POST.get("url", "")
        if len(items) != 1:
            self.message_user(request, "Each was posted somewhere else: choose one item.", messages.WARNING)
            return

        def done(item: OutboxItem) -> None:
            outbox.finish(profile=profile, item=item, by=by, url=url)  # type: ignore[arg-type]

        shown.each(self, request, items, done, "finished")

    @admin.action(description="Not posted after all", permissions=["settle"])
    def undo(self, request: HttpRequest, items: "QuerySet[OutboxItem]") -> None:
        profile, by = brand_of(request), request.user

        def back(item: OutboxItem) -> None:
            outbox.undo(profile=profile, item=item, by=by)  # type: ignore[arg-type]

        shown.each(self, request, items, back, "taken back")

    @admin.display(description="What this is")
    def label(self, item: OutboxItem) -> str:
        return outbox.LABEL

    @admin.display(description="Clip", ordering="publication__clip_name")
    def name(self, item: OutboxItem) -> str:
        return item.publication.clip_name

    @admin.display(description="Caption")
    def caption(self, item: OutboxItem) -> str:
        return item.publication.caption

    @admin.display(description="First comment")
    def first_comment(self, item: OutboxItem) -> str:
        return item.publication.first_comment or "-"

    @admin.display(description="Settings")
    def settings(self, item: OutboxItem) -> str:
        return ", ".join(f"{name}: {value}" for name, value in sorted(item.publication.settings.items())) or "-"

    @admin.display(description="Posted where")
    def live(self, item: OutboxItem) -> str | SafeString:
        return shown.web_link(item.publication.release_url)

    @admin.display(description="File")
    def video(self, item: OutboxItem) -> str | SafeString:
        request = item.admin_request  # type: ignore[attr-defined]
        link = media_link(request, "outbox-stream", item.pk, "video", item.file_id, attachment=True)
        return shown.media(link, f"Download the video, {item.file.size / 1e6:.1f} MB")

    @admin.display(description="Cover")
    def cover_picture(self, item: OutboxItem) -> str | SafeString:
        request = item.admin_request  # type: ignore[attr-defined]
        return shown.media(media_link(request, "outbox-stream", item.pk, "cover", item.cover_id), "Look at the cover")


@admin.register(Rendition)
class RenditionAdmin(HistoryAdmin):
    list_display = ("clip", "network_name", "changes", "created_at")
    list_filter = ("network",)
    list_select_related = ("clip",)
    search_fields = ("clip__name",)

    @admin.display(description="Network", ordering="network")
    def network_name(self, row: Rendition) -> str:
        return name_of(row.network)
