"""The price book: tables in and out, with a look at what a table would change before it does."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from costs.models import ExchangeRate, PriceOverride, PriceRule
from costs.prices import effects, tables
from profiles.admin_base import HistoryAdmin, PeopleAdmin
from profiles.errors import Invalid

_SHOWN = ("__str__", "in_words", "tier_min", "service_tier", "valid_from", "valid_to")


class _ReadOnly(PeopleAdmin):
    """Superusers look; what changes, changes by a table."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TableForm(forms.Form):
    table = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 16, "cols": 120, "spellcheck": "false"}),
        max_length=tables.MAX_BYTES,
        strip=False,
        help_text="The columns are those of the table that you can download. An empty valid_from: from now on.",
    )


@admin.register(PriceRule)
class PriceRuleAdmin(_ReadOnly):
    list_display = (*_SHOWN, "certainty", "origin")
    list_filter = ("provider", "meter", "certainty", "origin", "service_tier")
    search_fields = ("provider", "model", "source", "note")
    list_per_page = 200
    change_list_template = "admin/costs/pricerule_list.html"

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        own = [
            path("import/", wrap(self.import_table), name="costs_pricerule_import"),
            path("export/", wrap(self.export_table), name="costs_pricerule_export"),
        ]
        return [*own, *super().get_urls()]

    def export_table(self, request: HttpRequest) -> HttpResponse:
        """All prices, those of the past too, as a table."""
        self._operators_only(request)
        answer = HttpResponse(tables.write(PriceRule.objects.all()), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="prices.csv"'
        return answer

    def import_table(self, request: HttpRequest) -> HttpResponse:
        """A table is looked at first, and taken over when the look was good."""
        self._operators_only(request)
        form = TableForm(request.POST or None)
        changes: Iterable[Any] | None = None
        if request.method == "POST" and form.is_valid():
            try:
                changes = tables.plan(tables.read(form.cleaned_data["table"]))
                if "apply" in request.POST:
                    return self._apply(request, list(changes))
            except Invalid as error:
                form.add_error("table", error.message.splitlines())
        context = {
            **self.admin_site.each_context(request),
            "title": "Prices from a table",
            "opts": self.opts,
            "form": form,
            "effects": effects.effects(changes) if changes is not None and not form.errors else None,
        }
        return TemplateResponse(request, "admin/costs/price_import.html", context)

    def _apply(self, request: HttpRequest, changes: list[Any]) -> HttpResponse:
        count = tables.apply(changes)
        self.message_user(request, f"{count} prices were added.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:costs_pricerule_changelist"))

    def _operators_only(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


@admin.register(PriceOverride)
class PriceOverrideAdmin(HistoryAdmin):
    """A brand's own prices; they are entered through the API."""

    list_display = _SHOWN
    list_filter = ("provider", "meter")
    search_fields = ("provider", "model", "source")


@admin.register(ExchangeRate)
class ExchangeRateAdmin(PeopleAdmin):
    """Rates are added, never changed."""

    list_display = ("currency", "rate", "valid_from", "source")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
