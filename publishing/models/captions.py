"""Texts to publish with: named sets with placeholders, and sets of hashtags."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from profiles.tenancy import ProfileOwned


class HashtagSet(ProfileOwned):
    """A named list of hashtags, without their `#`."""

    name = models.CharField(max_length=100)
    tags = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("name", "id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="hashtagset_tenant"),
            models.UniqueConstraint(fields=["profile", "name"], name="hashtagset_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class CaptionSet(ProfileOwned):
    """A named caption with placeholders. `variants`: by network {text?, first_comment?, title?}, instead of the own."""

    name = models.CharField(max_length=100)
    text = models.TextField()
    first_comment = models.TextField(blank=True)
    title = models.CharField(max_length=200, blank=True, help_text="For networks that want one.")
    variants = models.JSONField(default=dict, blank=True)
    hashtags = models.ForeignKey(HashtagSet, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    is_default = models.BooleanField(default=False)
    used_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("name", "id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="captionset_tenant"),
            models.UniqueConstraint(fields=["profile", "name"], name="captionset_name_once"),
            models.UniqueConstraint(fields=["profile"], condition=Q(is_default=True), name="one_default_captionset"),
        ]

    def __str__(self) -> str:
        return self.name
