"""What a brand keeps: for how long what can be made again, and how much in all."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from profiles.tenancy import ProfileOwned

MAX_DAYS = 36_500


class StorageRetention(ProfileOwned):
    """Files of this kind (`costs.storage.kinds`) that are older go by themselves, as far as they can be made again.
    No row: they stay until somebody frees them."""

    kind = models.CharField(max_length=30, editable=False)
    days = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(MAX_DAYS)], help_text="Since the file was made."
    )

    class Meta(ProfileOwned.Meta):
        ordering = ("kind",)
        constraints = [
            models.UniqueConstraint(fields=["profile", "kind"], name="one_retention_of_a_kind"),
            models.CheckConstraint(condition=Q(days__range=(1, MAX_DAYS)), name="retention_is_some_days"),
            models.CheckConstraint(condition=~Q(kind=""), name="retention_names_its_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.days} days"


class StorageQuota(ProfileOwned):
    """How much the operator lets a brand keep. No row: what EDITAI_STORAGE_QUOTA says."""

    max_bytes = models.BigIntegerField(
        validators=[MinValueValidator(0)], help_text="Bytes of stored files, the trash among them; 0: no limit."
    )

    class Meta(ProfileOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["profile"], name="one_storage_quota"),
            models.CheckConstraint(condition=Q(max_bytes__gte=0), name="storage_quota_is_a_size"),
        ]

    def __str__(self) -> str:
        return f"{self.max_bytes} bytes" if self.max_bytes else "no limit"
