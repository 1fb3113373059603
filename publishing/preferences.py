"""How a profile publishes, and what follows from it for the time at which a publication is taken up."""

from datetime import datetime, timedelta

from profiles.models import Profile
from publishing.models import Publication, PublishingSettings


def preferences_of(profile: Profile) -> PublishingSettings:
    """The profile's row; the defaults, unsaved, when it has none yet."""
    row: PublishingSettings | None = PublishingSettings.objects.for_profile(profile).first()
    return row or PublishingSettings(profile=profile)


def due_at(publication: Publication, preferences: PublishingSettings, now: datetime) -> datetime:
    """When a worker is to take it up: as long before its time as the profile wants posts handed over, because Postiz
    keeps them until then. The local outbox keeps nothing back: what goes there is due at its time."""
    if publication.is_immediate:
        return now
    lead = timedelta(0) if publication.integration.is_outbox else timedelta(minutes=preferences.hand_over_minutes)
    return max(now, publication.scheduled_at - lead)
