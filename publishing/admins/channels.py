"""A profile's wishes, its Postiz organisation with the hourly budget, its channels, and what was uploaded there."""

from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from profiles.admin_base import HistoryAdmin
from profiles.models import Role
from publishing.models import Integration, MediaUpload, PostizAccount, PublishingSettings, Slot
from publishing.rules.facts import name_of


@admin.register(PublishingSettings)
class PublishingSettingsAdmin(HistoryAdmin):
    """Changed through the API: requiring approval holds what is scheduled."""

    list_display = ("approval_required", "time_zone", "hand_over_minutes", "grace_minutes", "updated_at")


@admin.register(PostizAccount)
class PostizAccountAdmin(HistoryAdmin):
    minimum_roles = {"view": Role.OWNER}
    list_display = ("base_url", "health", "budget", "checked_at", "integrations_at", "listed_at")
    readonly_fields = ("health", "budget")

    @admin.display(description="State")
    def health(self, account: PostizAccount) -> str:
        if account.paused_at is None and not account.problem:
            return "Fine"
        return str((account.problem or {}).get("message", "Paused"))

    @admin.display(description="Posts left this hour")
    def budget(self, account: PostizAccount) -> SafeString:
        now = timezone.now()
        is_over = account.rate_resets_at is None or account.rate_resets_at <= now
        left: Any = account.rate_limit if is_over else min(account.rate_remaining, account.rate_limit)
        if account.blocked_until is not None and account.blocked_until > now:
            left = 0
        return format_html(
            '<progress max="{}" value="{}"></progress> {} of {}', account.rate_limit, left, left, account.rate_limit
        )


@admin.register(Integration)
class IntegrationAdmin(HistoryAdmin):
    list_display = ("name", "network", "handle", "customer", "is_disabled", "removed_at", "seen_at")
    list_filter = ("identifier", "is_disabled")
    search_fields = ("name", "handle", "=external_id")

    @admin.display(description="Network", ordering="identifier")
    def network(self, row: Integration) -> str:
        return name_of(row.identifier)


@admin.register(Slot)
class SlotAdmin(HistoryAdmin):
    list_display = ("integration", "weekday", "time")
    list_filter = ("weekday",)
    list_select_related = ("integration",)


@admin.register(MediaUpload)
class MediaUploadAdmin(HistoryAdmin):
    list_display = ("sha256", "state", "size", "base_url", "by", "created_at")
    list_filter = ("state",)
    list_select_related = ("by",)
    search_fields = ("=sha256", "=media_id")
