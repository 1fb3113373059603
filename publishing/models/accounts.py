"""A profile's side of Postiz: its wishes, the account with its hourly budget, the channels and their slots."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from profiles.models import User
from profiles.tenancy import ProfileOwned

OUTBOX = "outbox"  # the network of the channel that every profile without Postiz has


class PublishingSettings(ProfileOwned):
    """How a profile publishes; one row each, made when first needed."""

    approval_required = models.BooleanField(default=False)
    time_zone = models.CharField(max_length=64, default="UTC", help_text="An IANA name, as in Europe/Berlin.")
    hand_over_minutes = models.PositiveIntegerField(
        default=24 * 60, help_text="How long before its time a post is handed over to Postiz."
    )
    grace_minutes = models.PositiveIntegerField(
        default=60, help_text="How late a post may still go out; after that it counts as missed and asks."
    )
    network_settings = models.JSONField(default=dict, blank=True, help_text="Default settings, by network.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(ProfileOwned.Meta):
        verbose_name_plural = "publishing settings"
        constraints = [models.UniqueConstraint(fields=["profile"], name="one_publishing_settings")]

    def __str__(self) -> str:
        return f"Publishing in {self.time_zone}"


class PostizAccount(ProfileOwned):
    """What we know of the profile's Postiz organisation: its health, its hourly budget, and when we last asked.

    The budget is for POST /posts alone. `rate_limit` and `rate_remaining` are as last told by its headers;
    `blocked_until` is set by a 429. One row each, made when a Postiz key is stored. `key_stored_at` is no column:
    `integrations.ensure_account` notes there which key was stored when the row was loaded.
    """

    key_stored_at: datetime | None = None

    base_url = models.CharField(max_length=300)
    rate_limit = models.PositiveIntegerField(default=30, help_text="Posts an hour; 30 until its headers say otherwise.")
    rate_remaining = models.PositiveIntegerField(default=30)
    rate_resets_at = models.DateTimeField(null=True, help_text="When the hour ends; null: no hour has begun.")
    blocked_until = models.DateTimeField(null=True)
    features = models.JSONField(default=dict, blank=True, help_text="What its version can do, as probed.")
    paused_at = models.DateTimeField(null=True, help_text="Set when its key is refused: nothing is sent until mended.")
    problem = models.JSONField(null=True, blank=True, help_text="{code, message, next_step}; null: none.")
    checked_at = models.DateTimeField(null=True, help_text="When it last answered at all.")
    integrations_at = models.DateTimeField(null=True, help_text="When its channels were last listed.")
    listed_at = models.DateTimeField(null=True, help_text="When its posts were last listed.")
    poked_at = models.DateTimeField(null=True, help_text="When its webhook last knocked.")
    poke_version = models.PositiveIntegerField(default=1, help_text="Raised to make a new webhook address.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["profile"], name="one_postiz_account")]

    def __str__(self) -> str:
        return self.base_url


class Integration(ProfileOwned):
    """A channel to publish to: one of the profile's Postiz organisation, or its own local outbox.

    Kept when it disappears from Postiz (`removed_at`), for the publications that went there.
    """

    external_id = models.CharField(max_length=100, help_text="Its id at Postiz; the id in our API.")
    identifier = models.CharField(max_length=60, help_text="The network, as Postiz names it.")
    name = models.CharField(max_length=200, blank=True)
    handle = models.CharField(max_length=200, blank=True)
    customer = models.CharField(max_length=200, blank=True)
    picture_url = models.CharField(max_length=1000, blank=True)
    is_disabled = models.BooleanField(default=False, help_text="Switched off in Postiz.")
    max_length = models.PositiveIntegerField(null=True, help_text="Of the text, as its network told Postiz.")
    removed_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(default=timezone.now)

    class Meta(ProfileOwned.Meta):
        ordering = ("identifier", "name", "id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="integration_tenant"),
            models.UniqueConstraint(fields=["profile", "external_id"], name="integration_once"),
            models.CheckConstraint(condition=~Q(external_id="") & ~Q(identifier=""), name="integration_is_named"),
        ]

    def __str__(self) -> str:
        return self.name or self.identifier

    @property
    def is_outbox(self) -> bool:
        return self.identifier == OUTBOX

    @property
    def is_usable(self) -> bool:
        return self.removed_at is None and not self.is_disabled


class Slot(ProfileOwned):
    """A time of the week at which a channel likes to post, in the profile's time zone."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="slots")
    weekday = models.PositiveSmallIntegerField(help_text="0 is Monday.")
    time = models.TimeField(help_text="Local time, to the minute.")

    class Meta(ProfileOwned.Meta):
        ordering = ("integration", "weekday", "time")
        constraints = [
            models.UniqueConstraint(fields=["profile", "integration", "weekday", "time"], name="slot_once"),
            models.CheckConstraint(condition=Q(weekday__lte=6), name="slot_is_on_a_weekday"),
        ]

    def __str__(self) -> str:
        return f"{self.weekday} {self.time:%H:%M}"


class MediaUpload(ProfileOwned):
    """A file that is, or is being, uploaded to Postiz: once for a profile, whatever the number of its posts."""

    class State(models.TextChoices):
        UPLOADING = "uploading", "Being uploaded"
        UPLOADED = "uploaded", "Uploaded"

    base_url = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.UPLOADING)
    claim = models.UUIDField(null=True, help_text="Who uploads it.")
    claimed_until = models.DateTimeField(null=True)
    media_id = models.CharField(max_length=200, blank=True)
    media_path = models.CharField(max_length=1000, blank=True)
    size = models.BigIntegerField(default=0)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "base_url", "sha256"], name="one_upload_of_a_file"),
            models.CheckConstraint(
                condition=Q(state="uploading") | (~Q(media_id="") & ~Q(media_path="")), name="uploaded_media_has_a_path"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.size} bytes, {self.get_state_display().lower()}"
