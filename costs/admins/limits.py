"""Budgets: a brand's by its owners, the server's and the kill switches by the operator."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from costs.admins.books import amount
from costs.models import Budget, ProviderSwitch, ServerBudget
from profiles.admin_base import PeopleAdmin, ProfileAdmin
from profiles.models import Role


@admin.register(Budget)
class BudgetAdmin(ProfileAdmin):
    """A brand's own limits. A hard one refuses what could pass it; a soft one warns."""

    minimum_roles = {"view": Role.VIEWER, "add": Role.OWNER, "change": Role.OWNER, "delete": Role.OWNER}
    list_display = ("period", "provider", "cap", "is_hard", "updated_at")
    list_filter = ("period", "is_hard")
    cap = amount("cap_micros", "Limit")


class _OperatorAdmin(PeopleAdmin):
    """Of no brand: superusers only, who may also delete."""

    def _may(self, request: HttpRequest, deed: str) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


@admin.register(ServerBudget)
class ServerBudgetAdmin(_OperatorAdmin):
    list_display = ("period", "provider", "cap", "is_hard", "updated_at")
    cap = amount("cap_micros", "Limit")


@admin.register(ProviderSwitch)
class ProviderSwitchAdmin(_OperatorAdmin):
    list_display = ("provider", "is_stopped", "reason", "changed_at")

    def save_model(self, request: HttpRequest, obj: ProviderSwitch, form: Any, change: bool) -> None:
        obj.changed_at = timezone.now()
        super().save_model(request, obj, form, change)
