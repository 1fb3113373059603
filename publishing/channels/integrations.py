"""A profile's channels: those of its Postiz organisation, kept fresh, or its own local outbox."""

from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils import timezone

from profiles import credentials
from profiles.errors import DomainError
from profiles.models import Profile
from publishing.channels import health
from publishing.channels.connections import POSTIZ, postiz_of
from publishing.channels.texts import clean, clean_name
from publishing.models import Integration, MediaUpload, PostizAccount, Publication
from publishing.models.accounts import OUTBOX
from publishing.postiz.client import Postiz
from publishing.postiz.errors import PostizError
from publishing.postiz.replies import MAX_ROWS, Channel
from publishing.preferences import due_at, preferences_of
from publishing.states import OUTSIDE, State

FRESH_FOR = timedelta(minutes=5)
_LONGEST_ID = 100


def register() -> None:
    credentials.watch(POSTIZ.name, credential_changed)


def has_postiz(profile: Profile) -> bool:
    return credentials.credential_get(profile=profile, kind=POSTIZ) is not None


def ensure_account(profile: Profile) -> PostizAccount | None:
    """The row of the profile's Postiz, whose address follows the stored one; None without Postiz."""
    stored = credentials.credential_get(profile=profile, kind=POSTIZ)
    if stored is None:
        return None
    url = str(stored.settings["url"])
    account: PostizAccount
    account, _ = PostizAccount.objects.get_or_create(profile=profile, defaults={"base_url": url})
    if account.base_url != url:  # another organisation, of which nothing is known yet
        account.base_url, account.integrations_at = url, None
        account.rate_remaining, account.rate_resets_at, account.blocked_until = account.rate_limit, None, None
        account.save(update_fields=["base_url", "integrations_at", "rate_remaining", "rate_resets_at", "blocked_until"])
    account.key_stored_at = stored.updated_at
    return account


def credential_changed(profile: Profile) -> None:
    """A key was stored or deleted: what stopped is tried again; what is known of the organisation may not hold."""
    MediaUpload.objects.for_profile(profile).delete()
    account = ensure_account(profile)
    if account is None:
        PostizAccount.objects.for_profile(profile).delete()
        return
    PostizAccount.objects.filter(pk=account.pk).update(paused_at=None, problem=None, integrations_at=None)
    preferences, now = preferences_of(profile), timezone.now()
    waiting = Publication.objects.for_profile(profile).filter(state=State.SCHEDULED, error__isnull=False)
    for publication in waiting.select_related("integration"):
        due, error = due_at(publication, preferences, now), publication.error or {}
        kept = error if "grace_from" in error else None  # since when it is late stands there
        Publication.objects.filter(pk=publication.pk, state=State.SCHEDULED).update(due_at=due, error=kept)
    # those that nobody could ask about, perhaps
    given_up = Publication.objects.for_profile(profile).filter(state__in=sorted(OUTSIDE), next_check_at=None)
    given_up.update(next_check_at=now)


def ensure_outbox(profile: Profile) -> Integration:
    """The profile's own channel, for when it has no Postiz."""
    outbox: Integration
    outbox, _ = Integration.objects.get_or_create(
        profile=profile, external_id=OUTBOX, defaults={"identifier": OUTBOX, "name": "Local outbox"}
    )
    return outbox


def listed(profile: Profile) -> "QuerySet[Integration]":
    """The channels that there are, disabled ones too: those of Postiz, or the outbox without it."""
    rows: QuerySet[Integration] = Integration.objects.for_profile(profile).filter(removed_at=None)
    if has_postiz(profile):
        return rows.exclude(identifier=OUTBOX)
    ensure_outbox(profile)
    return rows.filter(identifier=OUTBOX)


def usable(profile: Profile) -> "QuerySet[Integration]":
    """The channels that may be published to."""
    return listed(profile).filter(is_disabled=False)


def refresh(profile: Profile, *, force: bool = False, retries: int = 0) -> bool:
    """Lists the channels at Postiz unless that was done in the last five minutes. False when it can't be asked now:
    the account says why then, and what was known before still stands. True without Postiz: there is the outbox."""
    account = ensure_account(profile)
    if account is None:
        ensure_outbox(profile)
        return True
    if not force and is_fresh(account):
        return True
    if account.paused_at is not None:
        return False
    try:
        ask(profile, account, postiz_of(profile, retries=retries))
    except PostizError as error:
        health.note_trouble(account, error)
        return False
    except DomainError:  # its key can't be read any more; the credential says so
        return False
    return True


def is_fresh(account: PostizAccount) -> bool:
    return account.integrations_at is not None and timezone.now() - account.integrations_at < FRESH_FOR


def ask(profile: Profile, account: PostizAccount, postiz: Postiz) -> frozenset[str]:
    """Lists the channels and takes them over; gives their ids: those that this very client may ask about, whatever key
    is stored by now. Raises PostizError; nothing changes then."""
    began = timezone.now()
    channels = postiz.integrations()
    _take_over(profile, channels, began)
    health.note_fine(account)
    account.integrations_at = began
    PostizAccount.objects.filter(pk=account.pk).update(integrations_at=began)
    return frozenset(channel.id for channel in channels)


def _take_over(profile: Profile, channels: list[Channel], began: datetime) -> None:
    rows = {channel.id: _row(profile, channel, began) for channel in channels if _is_sound(channel)}
    Integration.objects.bulk_create(
        rows.values(),
        update_conflicts=True,
        unique_fields=["profile", "external_id"],
        update_fields=[
            "identifier", "name", "handle", "customer", "picture_url", "is_disabled", "removed_at", "seen_at"
        ],
    )  # fmt: skip
    if len(channels) < MAX_ROWS:  # else the list was cut
        # by their ids: another worker's list, begun earlier, may have set `seen_at` back meanwhile
        gone = Integration.objects.for_profile(profile).filter(removed_at=None, seen_at__lt=began)
        gone.exclude(external_id__in=[OUTBOX, *rows]).update(removed_at=began)


def _is_sound(channel: Channel) -> bool:
    """Not one that would look like the outbox, nor one that can't be addressed."""
    is_short = channel.id.isprintable() and len(channel.id) <= _LONGEST_ID
    return is_short and bool(channel.network) and OUTBOX not in {channel.id, channel.network}


def _row(profile: Profile, channel: Channel, began: datetime) -> Integration:
    return Integration(
        profile=profile,
        external_id=channel.id,
        identifier=clean(channel.network, 60),
        name=clean_name(channel.name, 200),
        handle=clean_name(channel.handle, 200),
        customer=clean_name(channel.customer, 200),
        picture_url=clean(channel.picture, 1000),
        is_disabled=channel.disabled,
        removed_at=None,
        seen_at=began,
    )
