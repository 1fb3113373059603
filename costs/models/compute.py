"""What costs no money but the server's time."""

from django.db import models

from profiles.tenancy import ProfileOwned


class ComputeDaily(ProfileOwned):
    """Processor time of a profile's jobs of one kind, by the UTC day in which their attempts ended."""

    day = models.DateField()
    job_kind = models.CharField(max_length=60)
    attempts = models.PositiveIntegerField(default=0, help_text="Those that took any.")
    cpu_seconds = models.FloatField(default=0)

    class Meta(ProfileOwned.Meta):
        ordering = ("-day", "job_kind")
        verbose_name_plural = "daily compute"
        constraints = [models.UniqueConstraint(fields=["profile", "day", "job_kind"], name="one_kind_of_a_day")]

    def __str__(self) -> str:
        return f"{self.day}: {self.job_kind}"
