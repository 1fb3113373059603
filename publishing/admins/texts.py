"""Texts to publish with."""

from django.contrib import admin

from profiles.admin_base import HistoryAdmin
from publishing.models import CaptionSet, HashtagSet


@admin.register(CaptionSet)
class CaptionSetAdmin(HistoryAdmin):
    """Changed through the API, which checks the placeholders and keeps one default."""

    list_display = ("name", "is_default", "hashtags", "used_at", "updated_at")
    list_filter = ("is_default",)
    list_select_related = ("hashtags",)
    search_fields = ("name", "text")


@admin.register(HashtagSet)
class HashtagSetAdmin(HistoryAdmin):
    list_display = ("name", "tags", "updated_at")
    search_fields = ("name",)
