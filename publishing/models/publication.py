"""Publications: what goes where and when, what became of it, and every step on the way."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from editai.clips.models import Clip
from profiles.models import StoredFile, User
from profiles.tenancy import ProfileOwned
from publishing.models.accounts import Integration
from publishing.states import FINAL, OPEN, State


class Batch(ProfileOwned):
    """Publications that were planned together; its end is told once."""

    total = models.PositiveIntegerField()
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        verbose_name_plural = "batches"
        constraints = [models.UniqueConstraint(fields=["profile", "id"], name="batch_tenant")]
        indexes = [
            models.Index(fields=["profile", "-created_at", "-id"], name="batch_newest"),
            models.Index(fields=["created_at"], condition=Q(finished_at__isnull=True), name="batch_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.total} publications"


class Publication(ProfileOwned):
    """One clip on its way to one channel. `state` changes in `publishing.transitions` alone.

    While it is open (not final) there is no other of the same clip and channel. `file` and `sha256` are the media
    that was chosen with it: nothing else is ever sent under this row. `fingerprint_at` is the date that is sent to
    Postiz, unique to the millisecond for its channel: with it a post is found again whose reply was lost; those of
    earlier attempts stay in `earlier_fingerprints`. `due_at`: when a worker is to take it up; `next_check_at`: when
    Postiz is to be asked about it. `claim` and `claimed_until`: the attempt that holds it.
    """

    clip = models.ForeignKey(Clip, null=True, on_delete=models.PROTECT, related_name="publications", editable=False)
    clip_name = models.CharField(max_length=200, help_text="Kept for when the clip is gone.", editable=False)
    integration = models.ForeignKey(Integration, on_delete=models.PROTECT, related_name="publications", editable=False)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.SET_NULL, related_name="publications", editable=False)
    repost_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    state = models.CharField(max_length=20, choices=State.choices, default=State.DRAFT, editable=False)
    caption = models.TextField(blank=True)
    first_comment = models.TextField(blank=True)
    settings = models.JSONField(default=dict, blank=True, help_text="What the network wants to know.")
    file = models.ForeignKey(StoredFile, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    sha256 = models.CharField(max_length=64, editable=False, help_text="Of the video.")
    cover = models.ForeignKey(StoredFile, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    is_immediate = models.BooleanField(default=False, editable=False, help_text="As soon as possible.")
    scheduled_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, editable=False)
    approved_at = models.DateTimeField(null=True, editable=False)

    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    fingerprint_at = models.DateTimeField(null=True, editable=False)
    earlier_fingerprints = models.JSONField(default=list, blank=True, editable=False)
    submitting_since = models.DateTimeField(null=True, editable=False)
    submitted_at = models.DateTimeField(null=True, editable=False)
    external_post_id = models.CharField(max_length=100, blank=True, editable=False)
    external_group = models.CharField(max_length=100, blank=True, editable=False)
    next_check_at = models.DateTimeField(null=True, editable=False)
    checks = models.PositiveIntegerField(default=0, editable=False)
    error_seen_at = models.DateTimeField(null=True, editable=False, help_text="Since when Postiz reports an error.")

    published_at = models.DateTimeField(null=True, editable=False)
    release_url = models.CharField(max_length=2000, blank=True, editable=False)
    release_id = models.CharField(max_length=500, blank=True, editable=False)
    error = models.JSONField(null=True, blank=True, editable=False, help_text="{code, message, next_step, retryable}")
    may_be_live = models.BooleanField(default=False, editable=False, help_text="It may be on the network all the same.")
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="publication_tenant"),
            models.UniqueConstraint(
                fields=["profile", "clip", "integration"],
                condition=Q(state__in=sorted(OPEN)),
                name="one_open_publication_of_a_clip",
            ),
            models.UniqueConstraint(
                fields=["profile", "integration", "fingerprint_at"], name="fingerprint_of_one_publication"
            ),
            models.CheckConstraint(condition=Q(state__in=sorted(State)), name="publication_state_is_known"),
            models.CheckConstraint(
                condition=~Q(state__in=["submitting", "submitted"]) | Q(fingerprint_at__isnull=False),
                name="sent_publication_has_a_fingerprint",
            ),
            models.CheckConstraint(
                condition=~Q(state="submitted") | ~Q(external_post_id=""), name="submitted_publication_is_known_outside"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["failed", "unconfirmed", "missed"]) | Q(error__isnull=False),
                name="publication_in_trouble_says_why",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["uploading", "submitting"], claim__isnull=False, claimed_until__isnull=False)
                | (~Q(state__in=["uploading", "submitting"]) & Q(claim__isnull=True, claimed_until__isnull=True)),
                name="publication_on_its_way_is_held",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(FINAL)) | Q(clip__isnull=False), name="open_publication_has_a_clip"
            ),
        ]
        indexes = [
            models.Index(fields=["profile", "-created_at", "-id"], name="publication_newest"),
            models.Index(fields=["profile", "scheduled_at", "id"], name="publication_calendar"),
            models.Index(fields=["profile", "clip", "integration"], name="publication_of_clip"),
            models.Index(fields=["due_at"], condition=Q(state="scheduled"), name="publication_due"),
            models.Index(fields=["claimed_until"], condition=Q(claim__isnull=False), name="publication_held"),
            models.Index(fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="publication_check"),
        ]

    def __str__(self) -> str:
        return f"{self.clip_name} ({self.get_state_display().lower()})"


class PublicationEvent(ProfileOwned):
    """One line of a publication's history: who, when, why. Written with the change it tells of."""

    class Origin(models.TextChoices):
        PERSON = "person", "A person"
        REVIEW = "review", "A review link"
        WORKER = "worker", "Handing over"
        SYNC = "sync", "Asking Postiz"
        SYSTEM = "system", "The system"

    publication = models.ForeignKey(Publication, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now, editable=False)
    origin = models.CharField(max_length=10, choices=Origin.choices)
    by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    from_state = models.CharField(max_length=20, blank=True)
    to_state = models.CharField(max_length=20, choices=State.choices)
    why = models.CharField(max_length=500)
    detail = models.JSONField(default=dict, blank=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("at", "id")
        indexes = [models.Index(fields=["profile", "publication", "at", "id"], name="publicationevent_of")]

    def __str__(self) -> str:
        return f"{self.from_state or '–'} → {self.to_state}: {self.why}"


class OutboxItem(ProfileOwned):
    """What a profile without Postiz published: the file and the words, for a person to post by hand."""

    publication = models.OneToOneField(Publication, on_delete=models.CASCADE, related_name="outbox_item")
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="+")
    cover = models.ForeignKey(StoredFile, null=True, on_delete=models.PROTECT, related_name="+")
    posted_at = models.DateTimeField(null=True, help_text="When a person said that it was posted.")
    posted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        indexes = [models.Index(fields=["profile", "-created_at", "-id"], name="outboxitem_newest")]

    def __str__(self) -> str:
        return "posted by hand" if self.posted_at else "to be posted by hand"
