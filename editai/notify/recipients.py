"""Who gets what: targets that are switched on, of people who are members still and may sign in."""

from uuid import UUID

from django.db.models import QuerySet

from editai.notify.events import Event, event_named
from editai.notify.models import NotifyTarget
from profiles.models import Membership, Profile, Role


def targets_for(profile: Profile, event: Event) -> list[NotifyTarget]:
    """The targets that want `event` and may be told; an e-mail address comes once, the profile's own first.

    Locks them until the caller's transaction ends: a target that is deleted meanwhile would undo what is told to it.
    """
    roles = dict(_members(profile).values_list("user_id", "role"))
    found, addresses = [], set()
    rows = NotifyTarget.objects.for_profile(profile).filter(is_active=True)
    rows = rows.select_for_update(no_key=True).order_by("pk")
    for target in sorted(rows, key=lambda row: (row.user_id is not None, row.created_at, row.pk)):
        if not _wants(target, event) or not _may_know(target, event, roles.get(target.user_id)):
            continue
        address = target.address.casefold()
        if target.kind == NotifyTarget.Kind.EMAIL and address in addresses:
            continue
        addresses.add(address)
        found.append(target)
    return found


def refusal(target: NotifyTarget, event_name: str) -> str:
    """Why `target` may not be told of the event (any more), for a person; empty when it may."""
    if not target.is_active:
        return "This target is switched off."
    if target.user_id is None:
        return ""
    role = _members(target.profile_id).filter(user_id=target.user_id).values_list("role").first()
    if role is None:
        return "This person is no longer a member."
    event = event_named(event_name)
    if event is not None and not _may_know(target, event, role[0]):
        return "Only owners are told of this."
    return ""


def _members(profile: Profile | UUID) -> "QuerySet[Membership]":
    return Membership.objects.filter(profile=profile, user__is_active=True)


def _wants(target: NotifyTarget, event: Event) -> bool:
    return event.is_default if target.events is None else event.name in target.events


def _may_know(target: NotifyTarget, event: Event, role: str | None) -> bool:
    if target.user_id is None:
        return True
    return role is not None and (not event.owners_only or role == Role.OWNER)
