"""The address that Postiz' webhook may knock at: a reason to look, never data.

Its body is not read: Postiz does not sign it, and most versions send an empty one. The path can't be guessed, and one
that is wrong is answered in the same way.
"""

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from profiles import scope
from profiles.models import Profile
from publishing.models import PostizAccount, Publication
from publishing.states import State

AT_MOST_EVERY = timedelta(minutes=1)


def signature(profile_id: UUID, version: int) -> str:
    """256 bits that only this server can make."""
    return salted_hmac("publishing.poke", f"{profile_id}:{version}", algorithm="sha256").hexdigest()


def path_of(account: PostizAccount) -> str:
    """The path to enter in Postiz (Settings → Webhooks), without host."""
    profile_id = account.profile_id
    return reverse("publishing-poke", args=[profile_id, signature(profile_id, account.poke_version)])


def renew(profile: Profile) -> None:
    """The old address knocks in vain from now on."""
    account = PostizAccount.objects.for_profile(profile).first()
    if account is not None:
        rows = PostizAccount.objects.filter(pk=account.pk, poke_version=account.poke_version)
        rows.update(poke_version=account.poke_version + 1)


def poked(profile_id: UUID, given: str) -> bool:
    """Has the posts that are due asked about at the next opportunity, at most once a minute. Whether it was."""
    now = timezone.now()
    with scope.activate(profile_id):
        account = PostizAccount.objects.filter(profile_id=profile_id).first()
        # compared in any case: how long it takes does not tell whether there is such a profile
        expected = signature(profile_id, account.poke_version if account is not None else 0)
        if not constant_time_compare(expected, given) or account is None:
            return False
        long_ago = Q(poked_at=None) | Q(poked_at__lte=now - AT_MOST_EVERY)
        unlisted = Q(listed_at=None) | Q(listed_at__lte=now - AT_MOST_EVERY)
        if not PostizAccount.objects.filter(long_ago, unlisted, pk=account.pk).update(poked_at=now):
            return False
        waiting = Publication.objects.filter(state=State.SUBMITTED, fingerprint_at__lte=now, next_check_at__gt=now)
        return bool(waiting.update(next_check_at=now))
