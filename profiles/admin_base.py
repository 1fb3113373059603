"""The admin, one brand at a time: each list, drop-down, search, history and bulk action stays in the profile.

What a person may do follows from their role in the profile (`request.role`), not from Django's own permissions:
viewers look, editors change, and rows that are history are read-only for everybody. Superusers see people as well,
but no brand that they are no member of.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, SuspiciousOperation, ValidationError
from django.db.models import ForeignKey, ManyToManyField, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from profiles.models import Role
from profiles.requests import brand_of
from profiles.tenancy import Guarded, GuardedQuerySet


class ScopedAdminSite(admin.AdminSite):
    site_header = site_title = "EditAI"
    index_title = "Administration"
    index_template = "admin/scoped_index.html"
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_authenticated and getattr(request, "profile", None))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """One login page for all of EditAI: it has the throttle."""
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        profile = getattr(request, "profile", None)
        context = super().each_context(request)
        if profile is not None:
            context["site_header"] = f"EditAI · {profile.name}"
        return {**context, "brand": profile}


class ScopedAdmin(admin.ModelAdmin):
    """What all admins here share: roles decide, and only declared lookups work."""

    list_per_page = 50
    show_full_result_count = False  # no COUNT over everything just to print a number
    minimum_roles = {"view": Role.VIEWER, "add": Role.EDITOR, "change": Role.EDITOR, "delete": Role.OWNER}

    def _may(self, request: HttpRequest, deed: str) -> bool:
        needed = self.minimum_roles.get(deed)
        role = getattr(request, "role", None)
        return needed is not None and role is not None and role.rank >= needed.rank

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "view")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "view")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, "delete")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """A query string, or an action on ids, that makes no sense is a 400."""
        try:
            return super().changelist_view(request, extra_context)
        except (OverflowError, ValueError, ValidationError) as error:
            raise SuspiciousOperation("This list cannot be asked for in this way.") from error

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Asked before the row is looked up, as other pages do: the answer must not tell whether there is one."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Only what the lists declare: `?user__password__startswith=` is no filter."""
        declared = {entry if isinstance(entry, str) else entry[0] for entry in self.list_filter}  # type: ignore[index]
        if self.date_hierarchy:
            declared.add(self.date_hierarchy)
        name, _, operator = lookup.partition("__")
        if name not in declared:
            return False
        return operator in {"", "exact", "in", "isnull", "gte", "lt", "year", "month", "day", "id__exact"}


class ProfileAdmin(ScopedAdmin):
    """The base of every admin over tenant rows."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset: GuardedQuerySet = super().get_queryset(request)  # type: ignore[assignment]
        return queryset.for_profile(brand_of(request))

    def formfield_for_foreignkey(self, db_field: "ForeignKey[Any, Any]", request: Any, **kwargs: Any) -> Any:
        target = db_field.related_model
        if isinstance(target, type) and issubclass(target, Guarded):
            kwargs["queryset"] = target.objects.for_profile(brand_of(request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: "ManyToManyField[Any, Any]", request: Any, **kwargs: Any) -> Any:
        raise TypeError("Tenant rows have no automatic many-to-many.")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            obj.profile = brand_of(request)
        super().save_model(request, obj, form, change)


class HistoryAdmin(ProfileAdmin):
    """For rows that must not change: looking is all there is."""

    minimum_roles = {"view": Role.VIEWER}


class PeopleAdmin(ScopedAdmin):
    """For people: superusers only."""

    def _may(self, request: HttpRequest, deed: str) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False)) and deed != "delete"
