"""Erasing a deleted profile: all rows of all tenant models, all files, then the profile itself."""

import logging
from graphlib import TopologicalSorter
from typing import Any

from django.apps import apps
from django.db import transaction

from profiles import scope
from profiles.files import erase_prefix
from profiles.models import Profile
from profiles.tenancy import ProfileOwned, tenant_links

log = logging.getLogger(__name__)


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
