"""Jobs in the admin: progress, errors with their traceback, requeue and cancel. Nothing is edited by hand."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from jobs import services
from jobs.models import IdempotencyKey, Job, JobEvent, QueueState, QueueTurn, Status, Worker
from profiles.admin_base import HistoryAdmin, PeopleAdmin
from profiles.errors import DomainError
from profiles.models import Role

_COLORS = {
    Status.QUEUED: "#868e96",
    Status.RUNNING: "#1971c2",
    Status.SUCCEEDED: "#2b8a3e",
    Status.FAILED: "#c92a2a",
    Status.CANCELLED: "#868e96",
    Status.NEEDS_ATTENTION: "#e8590c",
}


class JobEventInline(admin.TabularInline):
    model = JobEvent
    fields = readonly_fields = ("at", "event", "attempt", "detail")
    ordering = ("at", "id")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return getattr(request, "role", None) is not None


@admin.register(Job)
class JobAdmin(HistoryAdmin):
    """Read-only, but for two actions. What an action may do is what the API allows."""

    list_display = ("kind", "state", "bar", "step", "attempt", "created_at", "finished_at")
    list_filter = ("status", "kind", "queue", "created_at")
    search_fields = ("=id", "=subject", "kind", "step")
    ordering = ("-created_at", "-id")
    inlines = (JobEventInline,)
    actions = ("requeue", "cancel")
    list_select_related = ("created_by", "output")
    fieldsets = (
        (None, {"fields": ("id", "kind", "status", "step", "progress", "eta_seconds", "subject", "created_by")}),
        ("Result", {"fields": ("result", "output", "error", "traceback")}),
        ("Attempts", {"fields": ("attempt", "max_attempts", "failures", "crashes", "worker_name")}),
        (
            "Times",
            {
                "fields": (
                    "created_at",
                    "run_at",
                    "rung_at",
                    "started_at",
                    "lease_expires_at",
                    "cancel_requested_at",
                    "finished_at",
                )
            },
        ),
        ("Accounts", {"fields": ("queue", "priority", "cpu_seconds", "bytes_read", "bytes_written")}),
        ("Input", {"fields": ("params", "recipe_hash")}),
    )

    @admin.display(description="Status", ordering="status")
    def state(self, job: Job) -> str:
        color = _COLORS[Status(job.status)]
        return format_html(
            '<svg width="10" height="10"><circle cx="5" cy="5" r="5" fill="{}"/></svg> {}',
            color,
            job.get_status_display(),
        )

    @admin.display(description="Progress", ordering="progress")
    def bar(self, job: Job) -> str:
        return format_html('<progress max="100" value="{}"></progress> {} %', job.progress, job.progress)

    def has_requeue_permission(self, request: HttpRequest) -> bool:
        role = getattr(request, "role", None)
        return role is not None and role.rank >= Role.EDITOR.rank

    @admin.action(description="Queue again", permissions=["requeue"])
    def requeue(self, request: HttpRequest, jobs: "QuerySet[Job]") -> None:
        self._each(request, jobs, services.job_retry, "queued again")

    @admin.action(description="Cancel", permissions=["requeue"])
    def cancel(self, request: HttpRequest, jobs: "QuerySet[Job]") -> None:
        self._each(request, jobs, services.job_cancel, "cancelled, or asked to stop")

    def _each(self, request: Any, jobs: "QuerySet[Job]", act: Callable[..., Job], done: str) -> None:
        count = 0
        for job in jobs:
            try:
                act(profile=request.profile, job=job, by=request.user)
                count += 1
            except DomainError as error:
                self.message_user(request, f"{job}: {error.message}", messages.WARNING)
        if count:
            self.message_user(request, f"{count} {done}.", messages.SUCCESS)


@admin.register(JobEvent)
class JobEventAdmin(HistoryAdmin):
    list_display = ("at", "event", "attempt", "job")
    list_filter = ("event", "at")
    list_select_related = ("job",)
    search_fields = ("=job__id",)


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(HistoryAdmin):
    list_display = ("key", "job", "created_at")
    list_select_related = ("job",)
    search_fields = ("key",)


@admin.register(QueueTurn)
class QueueTurnAdmin(HistoryAdmin):
    list_display = ("queue", "served_at")
    list_filter = ("queue",)


class _MachineryAdmin(PeopleAdmin):
    """Belongs to no brand: for superusers, to look at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Worker)
class WorkerAdmin(_MachineryAdmin):
    list_display = ("name", "host", "pid", "queues", "slots", "started_at", "seen_at")
    search_fields = ("name",)


@admin.register(QueueState)
class QueueStateAdmin(_MachineryAdmin):
    list_display = ("queue",)
