"""Retention and quota in the admin: owners say how long things are kept, the operator how much there is room for."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from costs.models import StorageQuota, StorageRetention
from costs.storage.words import in_words
from profiles.admin_base import ProfileAdmin
from profiles.models import Role
from profiles.requests import brand_of


@admin.register(StorageRetention)
class StorageRetentionAdmin(ProfileAdmin):
    """New ones are set through the API (`costs/storage/`)."""

    minimum_roles = {"view": Role.VIEWER, "change": Role.OWNER, "delete": Role.OWNER}
    list_display = ("kind", "days")
    fields = ("kind", "days")
    readonly_fields = ("kind",)


@admin.register(StorageQuota)
class StorageQuotaAdmin(ProfileAdmin):
    """Members look, superusers set it. Without a row, EDITAI_STORAGE_QUOTA counts."""

    list_display = ("shown_quota", "max_bytes")
    fields = ("max_bytes",)

    def _may(self, request: HttpRequest, deed: str) -> bool:
        if deed == "view":
            return super()._may(request, deed)
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False))

    def has_add_permission(self, request: HttpRequest) -> bool:
        """One a brand."""
        return super().has_add_permission(request) and not self._known(request)

    def _known(self, request: HttpRequest) -> bool:
        return bool(StorageQuota.objects.for_profile(brand_of(request)).exists())

    @admin.display(description="Quota")
    def shown_quota(self, quota: Any) -> str:
        return in_words(quota.max_bytes) if quota.max_bytes else "No limit"
