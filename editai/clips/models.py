"""Finished clips, and the presets they are made with."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from editai.projects.models import Project
from jobs.models import Job
from profiles.models import StoredFile, User
from profiles.trash import Trashable


class Quality(models.TextChoices):
    DRAFT = "draft", "Draft: half the size, fast"
    STANDARD = "standard", "Standard"
    BEST = "best", "Best"


class ExportPreset(models.Model):
    """What a network wants, as rows for all profiles; seeded by a migration, changed by superusers in the admin.

    The limits are facts of a day: `source` says where they were read, `checked_on` when, `note` what is doubtful.
    """

    slug = models.SlugField(primary_key=True, max_length=40)
    name = models.CharField(max_length=100)
    network = models.CharField(max_length=40)
    width = models.PositiveIntegerField(default=1080)
    height = models.PositiveIntegerField(default=1920)
    frame_rate = models.PositiveIntegerField(default=30, help_text="Frames a second.")
    min_seconds = models.PositiveIntegerField(null=True, blank=True, help_text="The network's limit; null: none known.")
    max_seconds = models.PositiveIntegerField(null=True, blank=True, help_text="The network's limit; null: none known.")
    max_bytes = models.BigIntegerField(null=True, blank=True, help_text="The network's limit; null: none known.")
    source = models.CharField(max_length=300, blank=True, help_text="Where the limits were read.")
    note = models.CharField(max_length=300, blank=True)
    checked_on = models.DateField(null=True, blank=True)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("position", "slug")
        constraints = [
            models.CheckConstraint(
                condition=Q(width__range=(16, 4320)) & Q(height__range=(16, 4320)) & Q(frame_rate__range=(1, 120)),
                name="preset_can_be_rendered",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Clip(Trashable):
    """One rendered video of a project.

    `recipe`: all that shapes it, as it was last asked for; `recipe_hash` its digest; `rendered_hash` the digest of
    what `file` was made from. The same recipe is not encoded twice. `is_stale`: the project would give another
    clip now than `file` is. A clip that is rendered anew keeps its file until the new one is there. `media`: what
    `file` is (`render.facts.describe`); null for one rendered before facts were kept. `cover`: the still that networks
    show.

    `state` says queued until a render has ended well, or badly as one of several; what has become of it in the
    meantime is in `job`. Callers read `shown_state`. A freed clip has given up its file to make room, and can be
    rendered again as it was; poster and cover it keeps.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting to be rendered"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        FREED = "freed", "File freed to make room"

    class ShownState(models.TextChoices):
        QUEUED = "queued", "Waiting to be rendered"
        RENDERING = "rendering", "Being rendered"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        FREED = "freed", "File freed to make room: render it again"

    class CoverSource(models.TextChoices):
        FRAME = "frame", "A picture of the clip"
        IMAGE = "image", "An uploaded picture"

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="clips", editable=False)
    name = models.CharField(max_length=200)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, editable=False)
    error = models.JSONField(null=True, blank=True, editable=False)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    variant = models.PositiveIntegerField(default=1, editable=False)
    preset = models.ForeignKey(ExportPreset, on_delete=models.PROTECT, related_name="+", editable=False)
    quality = models.CharField(max_length=10, choices=Quality.choices, default=Quality.STANDARD, editable=False)
    recipe = models.JSONField(default=dict, editable=False)
    recipe_hash = models.CharField(max_length=64, blank=True, editable=False)
    rendered_hash = models.CharField(max_length=64, blank=True, editable=False)
    is_selected = models.BooleanField(default=False)
    is_stale = models.BooleanField(default=False, editable=False)
    file = models.ForeignKey(StoredFile, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    poster = models.ForeignKey(StoredFile, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    cover = models.ForeignKey(StoredFile, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    cover_source = models.CharField(max_length=5, choices=CoverSource.choices, default="", blank=True, editable=False)
    cover_at_seconds = models.FloatField(null=True, editable=False, help_text="Of a picture of the clip: when.")
    media = models.JSONField(null=True, editable=False)
    duration_seconds = models.FloatField(null=True, editable=False)
    loudness_lufs = models.FloatField(null=True, editable=False, help_text="Null: silent, or not rendered yet.")
    true_peak_dbtp = models.FloatField(null=True, editable=False)
    rendered_at = models.DateTimeField(null=True, editable=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(Trashable.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="clip_tenant"),
            models.CheckConstraint(condition=~Q(name=""), name="clip_has_a_name"),
            models.CheckConstraint(condition=~Q(state="ready") | Q(file__isnull=False), name="ready_clip_has_a_file"),
            models.CheckConstraint(condition=~Q(state="freed") | Q(file__isnull=True), name="freed_clip_has_no_file"),
            models.CheckConstraint(
                condition=Q(file__isnull=True, rendered_hash="") | Q(file__isnull=False) & ~Q(rendered_hash=""),
                name="clip_knows_what_its_file_is",
            ),
            models.CheckConstraint(
                condition=Q(cover__isnull=True, cover_source="", cover_at_seconds__isnull=True)
                | Q(cover__isnull=False, cover_source="image", cover_at_seconds__isnull=True)
                | Q(cover__isnull=False, cover_source="frame", cover_at_seconds__gte=0),
                name="clip_cover_says_where_it_is_from",
            ),
        ]
        indexes = [
            models.Index(fields=["profile", "-created_at", "-id"], name="clip_newest", condition=Q(trashed_at=None)),
            models.Index(fields=["profile", "project", "-created_at", "-id"], name="clip_of_project"),
            models.Index(fields=["profile", "rendered_hash"], name="clip_rendered", condition=~Q(rendered_hash="")),
            models.Index(fields=["profile", "-trashed_at", "-id"], name="clip_trash", condition=~Q(trashed_at=None)),
        ]

    def __str__(self) -> str:
        return self.name
