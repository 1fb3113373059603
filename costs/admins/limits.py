"""Budgets: a brand's by its owners, the server's and the kill switches by the operator."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone

from costs.admins.books import amount
from costs.models import Budget, ProviderSwitch, ServerBudget
from costs.providers import known_providers
from costs.settings_services import budget_set
from profiles.admin_base import PeopleAdmin, ProfileAdmin
from profiles.models import Role
from profiles.requests import brand_of


class _ProviderForm(forms.ModelForm):
    """A provider that there is: a misspelt one would limit, or stop, nothing."""

    allows_all = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "provider" in self.fields:
            names = sorted({*known_providers(), *([self.instance.provider] if self.instance.provider else [])})
            choices = [(name, name) for name in names]
            self.fields["provider"] = forms.ChoiceField(
                choices=[("", "all together"), *choices] if self.allows_all else choices, required=not self.allows_all
            )


class _OneProviderForm(_ProviderForm):
    allows_all = False


@admin.register(Budget)
class BudgetAdmin(ProfileAdmin):
    """A brand's own limits. A hard one refuses what could pass it; a soft one warns. Setting one that there is already
    changes it."""

    form = _ProviderForm

    minimum_roles = {"view": Role.VIEWER, "add": Role.OWNER, "change": Role.OWNER, "delete": Role.OWNER}
    list_display = ("period", "provider", "cap", "is_hard", "updated_at")
    list_filter = ("period", "is_hard")
    cap = amount("cap_micros", "Limit")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("period", "provider")

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        row = budget_set(
            profile=brand_of(request),
            period=obj.period,
            provider=obj.provider,
            cap_micros=obj.cap_micros,
            is_hard=obj.is_hard,
        )
        assert row is not None
        obj.pk = row.pk


class _OperatorAdmin(PeopleAdmin):
    """Of no brand: superusers only, who may also delete."""

    def _may(self, request: HttpRequest, deed: str) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False))


@admin.register(ServerBudget)
class ServerBudgetAdmin(_OperatorAdmin):
    form = _ProviderForm
    list_display = ("period", "provider", "cap", "is_hard", "updated_at")
    cap = amount("cap_micros", "Limit")


@admin.register(ProviderSwitch)
class ProviderSwitchAdmin(_OperatorAdmin):
    form = _OneProviderForm
    list_display = ("provider", "is_stopped", "reason", "changed_at")

    def save_model(self, request: HttpRequest, obj: ProviderSwitch, form: Any, change: bool) -> None:
        obj.changed_at = timezone.now()
        super().save_model(request, obj, form, change)
