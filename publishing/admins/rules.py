"""The networks' rules: the same for all brands, changed by superusers."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from profiles.admin_base import ScopedAdmin
from publishing.models import NetworkRule
from publishing.rules.kinds import KINDS, fault_of, shown


class RuleForm(forms.ModelForm):
    """The value must be one for its kind of rule."""

    rule = forms.ChoiceField(choices=[(name, f"{name} ({kind.unit})") for name, kind in sorted(KINDS.items())])

    class Meta:
        model = NetworkRule
        fields = ("network", "rule", "value", "is_advice", "source", "checked_on", "certainty", "note")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if "rule" in cleaned and "value" in cleaned and (fault := fault_of(cleaned["rule"], cleaned["value"])):
            self.add_error("value", fault)
        return cleaned


@admin.register(NetworkRule)
class NetworkRuleAdmin(ScopedAdmin):
    """What is changed or added here is kept when the rules are seeded anew; a deleted one of ours comes back then."""

    form = RuleForm
    list_display = ("network", "rule", "shown_value", "is_advice", "certainty", "source", "checked_on", "is_edited")
    list_filter = ("network", "certainty", "is_advice", "is_edited")
    search_fields = ("network", "rule", "source", "note")
    readonly_fields = ("is_edited",)
    list_per_page = 100

    @admin.display(description="Value", ordering="value")
    def shown_value(self, row: NetworkRule) -> str:
        if fault_of(row.rule, row.value):
            return f"{row.value} (does not fit)"
        return f"{shown(row.rule, row.value)} {'' if 'bytes' in row.rule else KINDS[row.rule].unit}".strip()

    def save_model(self, request: HttpRequest, obj: NetworkRule, form: Any, change: bool) -> None:
        obj.is_edited = True
        super().save_model(request, obj, form, change)

    def _may(self, request: HttpRequest, deed: str) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False))
