"""The books of account. They outlive their profile; entries of the ledger are never changed nor deleted, by anybody:
the database refuses it (`costs.guards`). Money is in integer micros of the book currency (`costs.money`)."""

from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from costs.models.prices import Meter
from profiles.tenancy import Booked

NOBODY = UUID(int=0)  # in columns that are part of a key, where a project could be


class UsageAttempt(Booked):
    """One physical call to a provider that costs money, from the reservation to its end. There is a row before the
    call leaves; what kills the process cannot lose it.

    `call_key` says what is paid for, `attempt_no` counts the calls for it. `estimate` and `usage`: quantities by meter,
    as decimal text. `reserved_micros`: the most that it may cost; `server_reserved_micros`: by the common prices alone,
    for the budgets of the server, which no price of a profile's own may move. `occurred_at`: the moment of the
    reservation; it decides the price and the day. `expires_at`: when the sweeper looks after it.
    """

    class State(models.TextChoices):
        RESERVED = "reserved", "Reserved"
        SENT = "sent", "Sent"
        SETTLED = "settled", "Settled"
        RELEASED = "released", "Released"
        UNKNOWN = "unknown", "Unknown"

    call_key = models.CharField(max_length=64, help_text="What is paid for, hashed.")
    attempt_no = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.RESERVED)
    provider = models.CharField(max_length=40)
    model_requested = models.CharField(max_length=100)
    model_billed = models.CharField(max_length=100, blank=True, help_text="As the provider named it in its answer.")
    service_tier = models.CharField(max_length=20, default="standard")
    operation = models.CharField(max_length=40)
    job_id = models.UUIDField(null=True, blank=True)
    job_kind = models.CharField(max_length=60, blank=True)
    project_id = models.UUIDField(null=True, blank=True)
    estimate = models.JSONField(default=dict)
    usage = models.JSONField(null=True, blank=True)
    reserved_micros = models.BigIntegerField(default=0)
    server_reserved_micros = models.BigIntegerField(default=0)
    is_unpriced = models.BooleanField(default=False, help_text="No rule had a price for all that was to be used.")
    request_id = models.CharField(max_length=200, blank=True)
    occurred_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    needs_reconciliation = models.BooleanField(default=False, help_text="Compare it with the provider's own account.")
    reconciled_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta(Booked.Meta):
        ordering = ("-occurred_at", "-id")
        verbose_name = "paid call"
        constraints = [
            models.UniqueConstraint(fields=["profile_id", "id"], name="usageattempt_tenant"),
            models.UniqueConstraint(fields=["profile_id", "call_key", "attempt_no"], name="one_row_for_an_attempt"),
            models.CheckConstraint(
                condition=Q(reserved_micros__gte=0, server_reserved_micros__gte=0, attempt_no__gte=1),
                name="usageattempt_counts",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["reserved", "released"])
                | Q(state__in=["sent", "settled", "unknown"], sent_at__isnull=False),
                name="what_was_sent_says_when",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["settled", "released"], ended_at__isnull=False)
                | Q(state__in=["reserved", "sent", "unknown"], ended_at__isnull=True),
                name="an_ended_attempt_says_when",
            ),
        ]
        indexes = [
            models.Index(fields=["profile_id", "-occurred_at", "-id"], name="usageattempt_newest"),
            models.Index(
                fields=["expires_at"], condition=Q(state__in=["reserved", "sent", "unknown"]), name="usageattempt_open"
            ),
            models.Index(
                fields=["profile_id", "-occurred_at", "-id"],
                condition=Q(needs_reconciliation=True),
                name="usageattempt_to_reconcile",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.operation}, {self.get_state_display().lower()}"


class LedgerEntry(Booked):
    """One amount. `lines`: how a charge comes about, one line a meter, each with its rule. `key` makes it happen once.

    `is_unpriced`: a part of it, or all, had no price; `is_estimated`: the reservation, because no figures came.
    `server_micros`: what counts against the budgets of the server, by the common prices.
    """

    class Kind(models.TextChoices):
        CHARGE = "charge", "Charge"
        ADJUSTMENT = "adjustment", "Adjustment"
        REFUND = "refund", "Refund"

    key = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    attempt = models.ForeignKey(UsageAttempt, on_delete=models.PROTECT, related_name="entries")
    amount_micros = models.BigIntegerField()
    server_micros = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100)
    operation = models.CharField(max_length=40)
    job_id = models.UUIDField(null=True)
    project_id = models.UUIDField(null=True)
    usage = models.JSONField(default=dict)
    lines = models.JSONField(default=list)
    is_unpriced = models.BooleanField(default=False)
    is_estimated = models.BooleanField(default=False)
    occurred_at = models.DateTimeField()
    day = models.DateField(help_text="UTC.")
    created_at = models.DateTimeField(default=timezone.now)
    booked_by = models.UUIDField(null=True, help_text="The person, for what was entered by hand.")
    note = models.CharField(max_length=300, blank=True)

    class Meta(Booked.Meta):
        ordering = ("-occurred_at", "-id")
        verbose_name_plural = "ledger entries"
        constraints = [
            models.UniqueConstraint(fields=["profile_id", "key"], name="ledgerentry_once"),
            models.CheckConstraint(
                condition=Q(kind="charge", amount_micros__gte=0)
                | Q(kind="refund", amount_micros__lte=0)
                | Q(kind="adjustment"),
                name="ledgerentry_has_its_sign",
            ),
        ]
        indexes = [
            models.Index(fields=["profile_id", "-occurred_at", "-id"], name="ledgerentry_newest"),
            models.Index(fields=["profile_id", "day"], name="ledgerentry_of_day"),
            models.Index(fields=["profile_id", "job_id"], name="ledgerentry_of_job"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount_micros} micros"


class CostDaily(Booked):
    """The roll-up: what a profile spent in a UTC day, by what for. Written with each entry, in its transaction."""

    day = models.DateField()
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100)
    operation = models.CharField(max_length=40)
    project_id = models.UUIDField(default=NOBODY)
    amount_micros = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0)
    unpriced_calls = models.BigIntegerField(default=0)
    estimated_calls = models.BigIntegerField(default=0)
    cache_hits = models.BigIntegerField(default=0, help_text="Answers from our own store: nothing was paid.")
    saved_micros = models.BigIntegerField(default=0, help_text="What those would have cost.")

    class Meta(Booked.Meta):
        ordering = ("-day", "provider", "model", "operation")
        verbose_name_plural = "daily costs"
        constraints = [
            models.UniqueConstraint(
                fields=["profile_id", "day", "provider", "model", "operation", "project_id"], name="one_row_of_a_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.provider} {self.operation}"


class UnitsDaily(Booked):
    """How much a profile used in a UTC day, by meter."""

    day = models.DateField()
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100)
    meter = models.CharField(max_length=20, choices=Meter.choices)
    quantity = models.DecimalField(max_digits=24, decimal_places=6, default=0)
    amount_micros = models.BigIntegerField(default=0, help_text="Of what had a price.")

    class Meta(Booked.Meta):
        ordering = ("-day", "provider", "model", "meter")
        verbose_name_plural = "daily units"
        constraints = [
            models.UniqueConstraint(
                fields=["profile_id", "day", "provider", "model", "meter"], name="one_meter_of_a_day"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.provider} {self.get_meter_display()}"
