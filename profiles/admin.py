"""Brands, members, tokens and keys in the admin. Secrets never appear: there is nothing to show but a hint."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from profiles import services
from profiles.admin_base import HistoryAdmin, PeopleAdmin, ScopedAdmin
from profiles.models import ApiToken, Credential, Invitation, Membership, Profile, Role, StoredFile, User
from profiles.requests import brand_of

admin.site.unregister(Group)  # roles in brands are what counts here


@admin.register(User)
class PersonAdmin(PeopleAdmin, UserAdmin):
    """People are switched off (`active`), not deleted: what they made stays."""

    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("May", {"fields": ("is_active", "is_superuser")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()


@admin.register(Profile)
class BrandAdmin(ScopedAdmin):
    """The brand one is in; brands are made and deleted through the API, which erases all that they own."""

    minimum_roles = {"view": Role.VIEWER, "change": Role.OWNER}
    list_display = ("name", "slug", "swatch", "created_at")
    search_fields = ("name", "slug")
    readonly_fields = ("slug", "state", "created_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Profile]:
        return super().get_queryset(request).filter(pk=brand_of(request).pk)

    @admin.display(description="Colour")
    def swatch(self, profile: Profile) -> str:
        return format_html('<svg width="16" height="16"><rect width="16" height="16" fill="{}"/></svg>', profile.color)


class _OfTheBrand(ScopedAdmin):
    """Rows about people in this brand: looked at here, changed through the API, whose rules count owners."""

    minimum_roles = {"view": Role.OWNER}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(profile_id=brand_of(request).pk)


@admin.register(Membership)
class MembershipAdmin(_OfTheBrand):
    """Roles change through the API; the right to approve can be given here too."""

    minimum_roles = {"view": Role.OWNER, "change": Role.OWNER}
    list_display = ("user", "role", "approves", "created_at")
    list_filter = ("role",)
    list_select_related = ("user",)
    search_fields = ("user__username",)
    fields = ("user", "role", "can_approve", "created_at")

    @admin.display(description="May approve", boolean=True)
    def approves(self, membership: Membership) -> bool:
        return membership.may_approve

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        is_owner = obj is not None and obj.role == Role.OWNER  # who has the right anyway
        return ("user", "role", "created_at", *(("can_approve",) if is_owner else ()))

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if "can_approve" in form.changed_data:
            services.member_update(profile=brand_of(request), membership=obj, can_approve=obj.can_approve)


@admin.register(Invitation)
class InvitationAdmin(_OfTheBrand):
    list_display = ("note", "role", "created_by", "expires_at", "accepted_at")
    list_filter = ("role",)
    list_select_related = ("created_by", "profile")
    search_fields = ("note",)
    exclude = ("token_hash",)


@admin.register(ApiToken)
class ApiTokenAdmin(_OfTheBrand):
    """Tokens that are bound to this brand."""

    list_display = ("name", "user", "ceiling", "hint", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("ceiling",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    exclude = ("token_hash",)


@admin.register(Credential)
class CredentialAdmin(HistoryAdmin):
    minimum_roles = {"view": Role.OWNER}
    list_display = ("kind", "last4", "ok", "checked_at", "updated_at")
    list_filter = ("kind", "ok")
    search_fields = ("kind",)
    exclude = ("ciphertext",)


@admin.register(StoredFile)
class StoredFileAdmin(HistoryAdmin):
    list_display = ("content_type", "size", "state", "created_at")
    list_filter = ("state", "content_type")
    search_fields = ("=sha256",)
    exclude = ("key",)
