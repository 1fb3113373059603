"""Approval: links for people without an account, and what was decided about which media and words."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from editai.clips.models import Clip
from profiles.models import User
from profiles.tenancy import ProfileOwned
from publishing.models.publication import Publication


class ReviewLink(ProfileOwned):
    """Lets whoever holds it play one clip, read its words, and approve or ask for a change. Only its hash is kept."""

    clip = models.ForeignKey(Clip, on_delete=models.CASCADE, related_name="review_links")
    token_hash = models.CharField(max_length=64, editable=False)
    note = models.CharField(max_length=200, blank=True, help_text="For whom, in your own words.")
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, editable=False)
    opened_at = models.DateTimeField(null=True, editable=False, help_text="When it was last opened.")
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="reviewlink_tenant"),
            models.UniqueConstraint(fields=["profile", "token_hash"], name="reviewlink_token_once"),
        ]
        indexes = [models.Index(fields=["profile", "clip", "-created_at", "-id"], name="reviewlink_of_clip")]

    def __str__(self) -> str:
        return self.note or "review link"


class Decision(ProfileOwned):
    """One word of a reviewer about one publication, as it was then. `fingerprint` digests the media and the words:
    the approval counts only for those."""

    class Verdict(models.TextChoices):
        APPROVED = "approved", "Approved"
        CHANGES = "changes", "A change is asked for"
        VOIDED = "voided", "Void: media or words changed"

    publication = models.ForeignKey(Publication, on_delete=models.CASCADE, related_name="decisions")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    fingerprint = models.CharField(max_length=64)
    comment = models.TextField(blank=True)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    link = models.ForeignKey(ReviewLink, null=True, on_delete=models.SET_NULL, related_name="+")
    reviewer = models.CharField(max_length=100, blank=True, help_text="The name that was given with a link.")
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        ordering = ("-at", "-id")
        constraints = [
            models.CheckConstraint(condition=~Q(fingerprint=""), name="decision_is_about_something"),
        ]
        indexes = [models.Index(fields=["profile", "publication", "-at", "-id"], name="decision_of")]

    def __str__(self) -> str:
        return self.get_verdict_display()
