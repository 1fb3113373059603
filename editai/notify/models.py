"""Who is told, what was told, and how far each message has come."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from profiles.models import User
from profiles.tenancy import ProfileOwned

MAX_KEY = 200  # characters of a once-key
MAX_TITLE = 200


class NotifyTarget(ProfileOwned):
    """Where messages go: an e-mail address or a webhook. `user`: the person it belongs to; null: the profile's own.

    `ciphertext` is the secret that a webhook's messages are signed with, encrypted. `events`: the names that it wants;
    null: those that are on by default. `failures` counts failed attempts in a row; until `retry_at` nothing is tried.
    """

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook", "Webhook"

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+", editable=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    address = models.CharField(max_length=1000, help_text="An e-mail address, or the URL of a webhook.")
    ciphertext = models.BinaryField(null=True)
    events = models.JSONField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True, help_text="Why it was switched off by itself.")
    failures = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="notifytarget_tenant"),
            models.UniqueConstraint(
                fields=["profile", "kind", "address"], condition=Q(user=None), name="one_target_of_the_profile"
            ),
            models.UniqueConstraint(fields=["profile", "user", "kind", "address"], name="one_target_of_a_person"),
            models.CheckConstraint(condition=~Q(address=""), name="notifytarget_has_an_address"),
            models.CheckConstraint(
                condition=Q(kind="email", ciphertext__isnull=True) | Q(kind="webhook", ciphertext__isnull=False),
                name="only_a_webhook_has_a_secret",
            ),
            models.CheckConstraint(condition=Q(is_active=False) | Q(disabled_reason=""), name="active_has_no_reason"),
        ]
        indexes = [models.Index(fields=["profile", "-created_at", "-id"], name="notifytarget_newest")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} target {self.pk}"  # an address may hold a secret


class Notification(ProfileOwned):
    """One thing that happened and was told, once: `once_key` names it within the profile."""

    event = models.CharField(max_length=60)
    once_key = models.CharField(max_length=MAX_KEY)
    title = models.CharField(max_length=MAX_TITLE)
    text = models.TextField(blank=True)
    link = models.CharField(max_length=500, blank=True, help_text="A path on this server.")
    payload = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="notification_tenant"),
            models.UniqueConstraint(fields=["profile", "once_key"], name="notification_once"),
            models.CheckConstraint(condition=~Q(once_key="") & ~Q(title=""), name="notification_says_something"),
        ]
        indexes = [
            models.Index(fields=["profile", "-created_at", "-id"], name="notification_newest"),
            models.Index(fields=["profile", "event", "-created_at", "-id"], name="notification_of_event"),
        ]

    def __str__(self) -> str:
        return self.title


class Delivery(ProfileOwned):
    """One notification on its way to one target. `next_at`: not before; while it is being sent, the end of the lease,
    after which somebody else may try. `attempts` is the fence: only the attempt that holds it writes."""

    class State(models.TextChoices):
        PENDING = "pending", "Waiting to be sent"
        SENDING = "sending", "Being sent"
        SENT = "sent", "Sent"
        FAILED = "failed", "Given up"

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="deliveries")
    target = models.ForeignKey(NotifyTarget, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["profile", "notification", "target"], name="one_delivery_each"),
            models.CheckConstraint(
                condition=Q(state="sent", sent_at__isnull=False) | (~Q(state="sent") & Q(sent_at__isnull=True)),
                name="a_sent_delivery_says_when",
            ),
        ]
        indexes = [
            # what is due, by profile
            models.Index(
                fields=["profile", "next_at", "id"], condition=Q(state__in=["pending", "sending"]), name="delivery_due"
            ),
            # what a target that fails, or is switched off, still has waiting
            models.Index(fields=["profile", "target"], condition=Q(state="pending"), name="delivery_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.get_state_display()}, attempt {self.attempts}"


OPEN = (Delivery.State.PENDING, Delivery.State.SENDING)
