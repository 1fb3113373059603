"""What the networks want, as dated facts; and clips made over to fit them."""

from django.db import models
from django.utils import timezone

from editai.clips.models import Clip
from profiles.models import StoredFile
from profiles.tenancy import ProfileOwned


class NetworkRule(models.Model):
    """One rule of one network, for all profiles; seeded from the code, changed by superusers in the admin.

    `value` is a number or a list, in the unit that the rule's kind has (`publishing.rules.kinds`). A rule that was
    changed by hand is not seeded over.
    """

    class Certainty(models.TextChoices):
        SURE = "sure", "Sure"
        LIKELY = "likely", "Likely"
        DOUBTFUL = "doubtful", "Doubtful"

    network = models.CharField(max_length=60, help_text="As Postiz names it.")
    rule = models.CharField(max_length=60, help_text="What it is about, as in max_seconds.")
    value = models.JSONField()
    is_advice = models.BooleanField(default=False, help_text="Breaking it is worth a warning, no refusal.")
    source = models.CharField(max_length=300, help_text="Where it was read.")
    checked_on = models.DateField()
    certainty = models.CharField(max_length=10, choices=Certainty.choices, default=Certainty.LIKELY)
    note = models.CharField(max_length=300, blank=True)
    is_edited = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ("network", "rule")
        constraints = [models.UniqueConstraint(fields=["network", "rule"], name="one_rule_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.network}: {self.rule} {self.value}"


class Rendition(ProfileOwned):
    """A clip's file made over to keep a network's rules. Good while the clip still has the file it was made from."""

    clip = models.ForeignKey(Clip, on_delete=models.CASCADE, related_name="renditions")
    network = models.CharField(max_length=60)
    made_from = models.CharField(max_length=64, help_text="SHA-256 of the clip's file.")
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="+")
    media = models.JSONField(help_text="Its facts, in the shape of the clip's.")
    changes = models.JSONField(default=list, help_text="What was done, in words.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="rendition_tenant"),
            models.UniqueConstraint(fields=["profile", "clip", "network"], name="one_rendition_for_a_network"),
        ]

    def __str__(self) -> str:
        return f"for {self.network}"
