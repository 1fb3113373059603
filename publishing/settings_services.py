"""Writes about how a profile publishes."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from profiles.models import Profile, User
from publishing.models import Publication, PublishingSettings
from publishing.planning.schedule import zone_named
from publishing.preferences import due_at
from publishing.review import approval
from publishing.rules import network_settings
from publishing.states import State


def settings_update(*, profile: Profile, by: User | None, changes: Mapping[str, Any]) -> PublishingSettings:
    """Changes what `changes` names. `network_settings` replaces the defaults of the networks in it; None removes a
    network's. Another lead counts for what is scheduled already. Raises Invalid (fields)."""
    wanted = dict(changes)
    required = wanted.pop("approval_required", None)
    if "time_zone" in wanted:
        zone_named(wanted["time_zone"])
    if "network_settings" in wanted:
        network_settings.validate_defaults({name: row for name, row in wanted["network_settings"].items() if row})
    with transaction.atomic():
        PublishingSettings.objects.get_or_create(profile=profile)
        row: PublishingSettings = PublishingSettings.objects.for_profile(profile).select_for_update().get()
        if "network_settings" in wanted:
            merged = {**row.network_settings, **wanted["network_settings"]}
            wanted["network_settings"] = {name: settings for name, settings in merged.items() if settings}
        is_other_lead = wanted.get("hand_over_minutes", row.hand_over_minutes) != row.hand_over_minutes
        for name, value in wanted.items():
            setattr(row, name, value)
        row.save(update_fields=[*wanted, "updated_at"])
        if is_other_lead:
            _due_anew(profile, row)
        if required is not None:
            row = approval.require_approval(profile=profile, by=by, required=required)
    return row


def _due_anew(profile: Profile, row: PublishingSettings) -> None:
    """What is scheduled, and does not wait for something else, is handed over as long ahead as is wanted now."""
    now = timezone.now()
    rows = Publication.objects.for_profile(profile).filter(
        state=State.SCHEDULED, error__isnull=True, scheduled_at__gt=now
    )
    later = list(rows.select_related("integration").select_for_update(of=("self",)).order_by("pk"))
    for publication in later:
        publication.due_at = due_at(publication, row, now)
    Publication.objects.bulk_update(later, ["due_at"], batch_size=500)
