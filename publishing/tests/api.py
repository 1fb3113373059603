"""For the tests of the API: a brand that has a Postiz which nobody asks."""

from django.utils import timezone

from profiles.credentials import encrypt
from profiles.models import Credential, Profile
from publishing.models import PostizAccount

URL = "https://postiz.example.org/api/public/v1"


def connected(profile: Profile) -> Profile:
    """With a key, and channels that were listed just now: no request leaves the house."""
    Credential.objects.create(
        profile=profile, kind="postiz", ciphertext=encrypt("key"), last4="", settings={"url": URL}, ok=True
    )
    PostizAccount.objects.create(
        profile=profile, base_url=URL, integrations_at=timezone.now(), checked_at=timezone.now()
    )
    return profile
