"""Notifications in the admin: to look at. Targets are set up over the API, which checks their addresses."""

from django.contrib import admin

from editai.notify.models import Delivery, Notification, NotifyTarget
from profiles.admin_base import HistoryAdmin
from profiles.models import Role


@admin.register(NotifyTarget)
class NotifyTargetAdmin(HistoryAdmin):
    minimum_roles = {"view": Role.OWNER}
    list_display = ("kind", "address", "user", "is_active", "failures", "last_ok_at", "last_error", "created_at")
    list_filter = ("kind", "is_active")
    list_select_related = ("user",)
    search_fields = ("address", "user__username")
    exclude = ("ciphertext",)


@admin.register(Notification)
class NotificationAdmin(HistoryAdmin):
    list_display = ("title", "event", "created_at")
    list_filter = ("event", "created_at")
    search_fields = ("title", "event")


@admin.register(Delivery)
class DeliveryAdmin(HistoryAdmin):
    minimum_roles = {"view": Role.OWNER}
    list_display = ("notification", "target", "state", "attempts", "next_at", "sent_at", "error")
    list_filter = ("state",)
    list_select_related = ("notification", "target")
    search_fields = ("notification__title",)
