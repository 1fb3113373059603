"""Erasing a deleted profile: what it has out in the world first, then all rows of all tenant models, all files, and
the profile itself.

register_before_erasing("posts to come", hook)
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from graphlib import TopologicalSorter
from typing import Any

from django.apps import apps
from django.db import transaction
from django.utils import timezone

from profiles import scope
from profiles.files import erase_prefix
from profiles.models import Profile
from profiles.tenancy import ProfileOwned, tenant_links

log = logging.getLogger(__name__)

# What could not be taken back by then stays where it is: a brand that was deleted must not be kept for ever.
DEADLINE = timedelta(hours=1)

_before: dict[str, Callable[[Profile], bool]] = {}


def register_before_erasing(name: str, hook: Callable[[Profile], bool]) -> None:
    """Registers what an upper floor sees to while the rows of a deleted profile are still there. `name` says what it
    takes care of, for the log; a second registration under the same name replaces the first.

    `hook(profile)` is called in the profile's scope, outside any transaction, once no job of it runs any more: True
    when nothing is left to do, False to be called again in the next round, some seconds later. An exception counts as
    False. A call should take a few seconds at most; several processes may make it at once.
    """
    _before[name] = hook


def may_be_erased(profile: Profile) -> bool:
    """Whether the upper floors are done with a profile in state `deleting`, or have had DEADLINE for it. Call it in
    the scope of the profile."""
    left = [name for name, hook in _before.items() if not _is_done(name, hook, profile)]
    if not left:
        return True
    if timezone.now() < _deleting_since(profile) + DEADLINE:
        log.info("Profile %s is not erased yet: %s.", profile.pk, ", ".join(left))
        return False
    log.error("Profile %s is erased after its deadline although this was not done: %s.", profile.pk, ", ".join(left))
    return True


def _is_done(name: str, hook: Callable[[Profile], bool], profile: Profile) -> bool:
    try:
        return hook(profile)
    except Exception:  # the others have their turn, and this one its next
        log.exception("Before profile %s is erased: %s failed.", profile.pk, name)
        return False


def _deleting_since(profile: Profile) -> datetime:
    """The deadline of a profile that was deleted before times were noted begins when it is first seen."""
    if profile.deleting_since is None:
        profile.deleting_since = timezone.now()
        Profile.objects.filter(pk=profile.pk, deleting_since=None).update(deleting_since=profile.deleting_since)
    return profile.deleting_since


def tenant_models() -> list[type[ProfileOwned]]:
    """Every tenant model, children before the parents that they point at."""
    models = [model for model in apps.get_models() if issubclass(model, ProfileOwned)]
    order: TopologicalSorter[Any] = TopologicalSorter()
    for model in models:
        order.add(model)
        for link in tenant_links(model):
            if link.related_model is not model:
                order.add(link.related_model, model)
    return list(order.static_order())


def erase(profile: Profile) -> None:
    """Erases everything that a profile in state `deleting` owned. Safe to run again after a crash.

    Files go after the rows: an attempt that still stores something then finds no row to point to it.
    """
    if profile.state != Profile.State.DELETING:
        raise ValueError("Only a profile that is being deleted can be erased.")
    with scope.activate(profile.pk):
        with transaction.atomic():
            for model in tenant_models():
                rows = model.objects.filter(profile_id=profile.pk)
                rows._raw_delete(rows.db)
        erase_prefix(profile.pk)
        with transaction.atomic():
            Profile.objects.filter(pk=profile.pk).delete()
    log.info("Profile %s and everything it owned were erased.", profile.pk)
