"""What may be spent, and how much of it is. A period is one row for each scope (a profile's day, month or job, the
server's day or month; all providers together, and each alone); it is there whether or not anybody set a budget, so
that a budget set in the middle of a month knows what the month has cost."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from profiles.tenancy import Booked, ProfileOwned, new_id

ALL_PROVIDERS = ""
MOST = 10**15  # micros
CAP = [MinValueValidator(0), MaxValueValidator(MOST)]


class Length(models.TextChoices):
    """UTC days and months; a job's budget is its own, however long it takes."""

    DAY = "day", "Day"
    MONTH = "month", "Month"
    JOB = "job", "Job"


class Budget(ProfileOwned):
    """A profile's own limit. A hard one refuses a call that could pass it; a soft one only warns."""

    period = models.CharField(max_length=5, choices=Length.choices)
    provider = models.CharField(max_length=40, blank=True, default=ALL_PROVIDERS, help_text="Empty: all together.")
    cap_micros = models.BigIntegerField(validators=CAP, help_text="Millionths of the book currency.")
    is_hard = models.BooleanField(default=True, help_text="Refuse what could pass it; else only warn.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("provider", "period")
        constraints = [
            models.UniqueConstraint(fields=["profile", "period", "provider"], name="one_budget_of_a_kind"),
            models.CheckConstraint(condition=Q(cap_micros__gte=0), name="budget_is_not_negative"),
            models.CheckConstraint(
                condition=~Q(period="job") | Q(provider=""),
                name="a_budget_of_jobs_is_for_all_providers",
                violation_error_message="A job's budget is for all providers together.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'all providers'} per {self.period}"


class ServerBudget(models.Model):
    """A limit over all profiles, set by the operator."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    period = models.CharField(max_length=5, choices=[choice for choice in Length.choices if choice[0] != "job"])
    provider = models.CharField(max_length=40, blank=True, default=ALL_PROVIDERS, help_text="Empty: all together.")
    cap_micros = models.BigIntegerField(validators=CAP, help_text="Millionths of the book currency.")
    is_hard = models.BooleanField(default=True, help_text="Refuse what could pass it; else only warn.")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("provider", "period")
        constraints = [
            models.UniqueConstraint(fields=["period", "provider"], name="one_serverbudget_of_a_kind"),
            models.CheckConstraint(
                condition=Q(cap_micros__gte=0, period__in=["day", "month"]), name="serverbudget_is_a_limit"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider or 'all providers'} per {self.period}"


class Period(models.Model):
    """`of`: which one, as in 2026-11-28, 2026-11, or the id of a job. `spent_micros` is the sum of its ledger entries,
    `reserved_micros` what open attempts may still cost."""

    period = models.CharField(max_length=5, choices=Length.choices)
    provider = models.CharField(max_length=40, blank=True, default=ALL_PROVIDERS)
    of = models.CharField(max_length=36)
    first_day = models.DateField(help_text="Its first UTC day; of a job that of its first call.")
    spent_micros = models.BigIntegerField(default=0)
    reserved_micros = models.BigIntegerField(default=0)
    calls = models.BigIntegerField(default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.period} {self.of} {self.provider}".strip()


class ProfilePeriod(Booked, Period):
    """What a profile has spent and reserved in a period."""

    class Meta(Booked.Meta):
        ordering = ("-first_day", "period", "provider")
        constraints = [
            models.UniqueConstraint(fields=["profile_id", "period", "provider", "of"], name="one_profileperiod"),
            models.CheckConstraint(condition=Q(reserved_micros__gte=0), name="profileperiod_reserves"),
        ]
        indexes = [
            models.Index(
                fields=["profile_id", "first_day", "-spent_micros"],
                condition=Q(period="job"),
                name="profileperiod_jobs",
            )
        ]


class ServerPeriod(Period):
    """The same over all profiles; of no profile."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)

    class Meta:
        ordering = ("-first_day", "period", "provider")
        constraints = [
            models.UniqueConstraint(fields=["period", "provider", "of"], name="one_serverperiod"),
            models.CheckConstraint(condition=Q(reserved_micros__gte=0), name="serverperiod_reserves"),
        ]


class ProviderSwitch(models.Model):
    """The operator's kill switch: no call to a stopped provider is begun, for anybody."""

    provider = models.CharField(max_length=40, primary_key=True)
    is_stopped = models.BooleanField(default=True)
    reason = models.CharField(max_length=200, blank=True, help_text="People read it when their job is refused.")
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("provider",)
        verbose_name_plural = "provider switches"

    def __str__(self) -> str:
        return f"{self.provider} ({'stopped' if self.is_stopped else 'running'})"
