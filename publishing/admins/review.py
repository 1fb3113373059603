"""Review links and what was decided. The address of a link is not kept, so it cannot be shown."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from profiles.admin_base import HistoryAdmin
from profiles.requests import brand_of
from publishing.admins import shown
from publishing.models import Decision, ReviewLink
from publishing.review import links as review


@admin.register(ReviewLink)
class ReviewLinkAdmin(HistoryAdmin):
    list_display = ("clip", "note", "works", "created_by", "created_at", "expires_at", "revoked_at", "opened_at")
    list_filter = ("created_at", "revoked_at")
    list_select_related = ("clip", "created_by")
    search_fields = ("note", "clip__name")
    exclude = ("token_hash",)
    actions = ("revoke",)

    @admin.display(description="Works", boolean=True)
    def works(self, link: ReviewLink) -> bool:
        return review.is_current(link)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return shown.may_edit(request) or bool(getattr(request, "may_approve", False))

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, rows: "QuerySet[ReviewLink]") -> None:
        profile: Any = brand_of(request)
        shown.each(self, request, rows, lambda link: review.link_revoke(profile=profile, link=link), "revoked")


@admin.register(Decision)
class DecisionAdmin(HistoryAdmin):
    list_display = ("at", "publication", "verdict", "by", "reviewer", "comment")
    list_filter = ("verdict", "at")
    list_select_related = ("publication", "by")
    search_fields = ("=publication__id", "reviewer", "comment")
