"""How things of publishing look in the admin."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin, TabularInline
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from profiles.errors import DomainError
from profiles.models import Role
from publishing.states import State

_COLORS = {
    State.DRAFT: "#868e96",
    State.AWAITING_APPROVAL: "#9c36b5",
    State.SCHEDULED: "#1971c2",
    State.UPLOADING: "#1971c2",
    State.SUBMITTING: "#1971c2",
    State.SUBMITTED: "#0c8599",
    State.PUBLISHED: "#2b8a3e",
    State.FAILED: "#c92a2a",
    State.UNCONFIRMED: "#e8590c",
    State.MISSED: "#e8590c",
    State.CANCELLED: "#868e96",
    State.REMOVED: "#c92a2a",
}


def state(value: str) -> SafeString:
    known = State(value)
    dot = '<svg width="10" height="10"><circle cx="5" cy="5" r="5" fill="{}"/></svg> {}'
    return format_html(dot, _COLORS[known], known.label)


def web_link(url: str) -> str | SafeString:
    """A link to a page outside; other kinds of address, which a network or a person may have sent, as text."""
    if not url.lower().startswith(("http://", "https://")):
        return url or "-"
    return format_html('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>', url, url)


def media(url: str | None, text: str) -> str | SafeString:
    """A link of our own to a file."""
    return format_html('<a href="{}">{}</a>', url, text) if url else "-"


def may_edit(request: HttpRequest) -> bool:
    role = getattr(request, "role", None)
    return role is not None and role.rank >= Role.EDITOR.rank


def each(
    admin: "ModelAdmin[Any]", request: HttpRequest, rows: Iterable[Any], act: Callable[[Any], Any], done: str
) -> None:
    """Does `act` with every row, and says of which it was refused and why."""
    count = 0
    for row in rows:
        try:
            act(row)
            count += 1
        except DomainError as error:
            hints = [hint for told in (error.fields or {}).values() for hint in told]
            admin.message_user(request, f"{row}: {' '.join(hints) or error.message}", messages.WARNING)
    if count:
        admin.message_user(request, f"{count} {done}.", messages.SUCCESS)


class HistoryInline(TabularInline):
    """Rows that are looked at along with what they belong to."""

    extra = 0
    can_delete = False
    show_change_link = False
    list_select_related: tuple[str, ...]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related(*self.list_select_related)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return getattr(request, "role", None) is not None
