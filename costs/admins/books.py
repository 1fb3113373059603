"""The books of a brand, to look at; and for the operator the sums of all brands."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path

from costs import overview
from costs.admins import charts
from costs.books import charging
from costs.models import ComputeDaily, CostDaily, LedgerEntry, ProfilePeriod, ServerPeriod, UnitsDaily, UsageAttempt
from costs.money import shown
from profiles.admin_base import HistoryAdmin, PeopleAdmin
from profiles.models import Role
from profiles.requests import brand_of

NO_BREAK = "\N{NO-BREAK SPACE}"


def amount(column: str, label: str) -> Any:
    """A column of micros as an amount of the book currency."""

    @admin.display(description=label, ordering=column)
    def show(self: Any, row: Any) -> str:
        return shown(getattr(row, column)).replace(" ", NO_BREAK)

    return show


@admin.register(LedgerEntry)
class LedgerEntryAdmin(HistoryAdmin):
    list_display = ("occurred_at", "amount", "kind", "provider", "operation", "is_unpriced", "is_estimated")
    list_filter = ("kind", "provider", "operation", "is_unpriced", "is_estimated", "day")
    search_fields = ("=job_id", "=project_id", "=id", "model")
    list_select_related = ("attempt",)
    amount = amount("amount_micros", "Amount")


@admin.register(UsageAttempt)
class UsageAttemptAdmin(HistoryAdmin):
    """Calls that cost money. What no price was known for is priced anew here, once there is one."""

    list_display = ("occurred_at", "state", "reserved", "attention", "provider", "operation")
    list_filter = ("state", "provider", "operation", "is_unpriced", "needs_reconciliation", "occurred_at")
    search_fields = ("=job_id", "=project_id", "=id", "request_id")
    actions = ("price_anew",)
    reserved = amount("reserved_micros", "At most")

    @admin.display(description="Look into it", boolean=True, ordering="needs_reconciliation")
    def attention(self, row: UsageAttempt) -> bool:
        return not row.needs_reconciliation

    def has_price_permission(self, request: HttpRequest) -> bool:
        role = getattr(request, "role", None)
        return role is not None and role.rank >= Role.OWNER.rank

    @admin.action(description="Price anew, by the prices known now", permissions=["price"])
    def price_anew(self, request: Any, rows: "QuerySet[UsageAttempt]") -> None:
        changed = [charging.reprice(row, by=request.user.pk) for row in rows]
        count = sum(entry is not None for entry in changed)
        self.message_user(request, f"{count} of {len(changed)} cost something else now.", messages.SUCCESS)


@admin.register(CostDaily)
class CostDailyAdmin(HistoryAdmin):
    """The roll-up, with a picture of the last thirty days above it."""

    change_list_template = "admin/costs/costdaily_list.html"
    list_display = ("day", "provider", "model", "operation", "amount", "calls", "unpriced_calls", "cache_hits")
    list_filter = ("provider", "operation", "day")
    search_fields = ("model", "=project_id")
    amount = amount("amount_micros", "Amount")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        chart = charts.of_days(brand_of(request))
        return super().changelist_view(request, {**(extra_context or {}), "chart": chart})


@admin.register(UnitsDaily)
class UnitsDailyAdmin(HistoryAdmin):
    list_display = ("day", "provider", "model", "meter", "quantity", "amount")
    list_filter = ("provider", "meter", "day")
    search_fields = ("model",)
    amount = amount("amount_micros", "Amount")


@admin.register(ComputeDaily)
class ComputeDailyAdmin(HistoryAdmin):
    list_display = ("day", "job_kind", "attempts", "cpu_seconds")
    list_filter = ("job_kind", "day")


@admin.register(ProfilePeriod)
class ProfilePeriodAdmin(HistoryAdmin):
    list_display = ("of", "period", "provider", "spent", "reserved", "calls")
    list_filter = ("period", "provider", "first_day")
    search_fields = ("=of",)
    spent = amount("spent_micros", "Spent")
    reserved = amount("reserved_micros", "Reserved")


@admin.register(ServerPeriod)
class ServerPeriodAdmin(PeopleAdmin):
    """All brands together; from here to the sums by brand."""

    list_display = ("of", "period", "provider", "spent", "reserved", "calls")
    list_filter = ("period", "provider", "first_day")
    change_list_template = "admin/costs/serverperiod_list.html"
    spent = amount("spent_micros", "Spent")
    reserved = amount("reserved_micros", "Reserved")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        page = self.admin_site.admin_view(self.all_brands)
        return [path("all-brands/", page, name="costs_all_brands"), *super().get_urls()]

    def all_brands(self, request: HttpRequest) -> HttpResponse:
        """What each brand spent this month, and those before; who looks is noted in the log."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Costs of all brands",
            "opts": self.opts,
            "months": overview.by_month(request.user),
        }
        return TemplateResponse(request, "admin/costs/all_brands.html", context)
