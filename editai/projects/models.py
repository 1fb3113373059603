"""Projects: segments in an order, each with its own crop, trim and sound. The shared segment is never touched."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from profiles.models import User
from profiles.tenancy import ProfileOwned
from profiles.trash import Trashable
from segments.models import Segment

MAX_ENTRIES = 200  # segments in one project; the same one may come several times
MAX_SECONDS = 900.0  # of one clip
MAX_ZOOM = 10.0
MAX_VOLUME = 4.0


class Framing(models.TextChoices):
    """How a picture of another shape gets into the frame."""

    FILL = "fill", "Fill: crop what sticks out"
    FIT_BLUR = "fit_blur", "Fit, over a blurred copy"
    PAD = "pad", "Fit, over black"


class Project(Trashable):
    """What a clip is made of."""

    name = models.CharField(max_length=200)
    description = models.TextField(max_length=5000, blank=True)
    target_duration = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(MAX_SECONDS)], help_text="Seconds."
    )
    framing = models.CharField(max_length=10, choices=Framing.choices, default=Framing.FILL)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(Trashable.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="project_tenant"),
            models.CheckConstraint(condition=~Q(name=""), name="project_has_a_name"),
        ]
        indexes = [
            models.Index(fields=["profile", "-created_at", "-id"], name="project_newest", condition=Q(trashed_at=None)),
            models.Index(fields=["profile", "-trashed_at", "-id"], name="project_trash", condition=~Q(trashed_at=None)),
        ]

    def __str__(self) -> str:
        return self.name


class ProjectSegment(ProfileOwned):
    """A segment at a place in a project. `crop_x`, `crop_y`: where the crop lies in the room that is left, 0 left or
    top to 1 right or bottom (as CSS `object-position`); `zoom` >= 1; `trim_start`, `trim_end`: seconds taken off, on
    top of the segment's own borders; `volume`: factor; `fade_in`, `fade_out`: seconds of sound."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="entries", editable=False)
    segment = models.ForeignKey(Segment, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveIntegerField(editable=False)
    crop_x = models.FloatField(default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)])
    crop_y = models.FloatField(default=0.5, validators=[MinValueValidator(0), MaxValueValidator(1)])
    zoom = models.FloatField(default=1.0, validators=[MinValueValidator(1), MaxValueValidator(MAX_ZOOM)])
    trim_start = models.FloatField(default=0.0, validators=[MinValueValidator(0), MaxValueValidator(86_400)])
    trim_end = models.FloatField(default=0.0, validators=[MinValueValidator(0), MaxValueValidator(86_400)])
    trimmed_seconds = models.FloatField(
        null=True, editable=False, help_text="What trimming leaves, on the source's frames; null: nothing is trimmed."
    )
    volume = models.FloatField(default=1.0, validators=[MinValueValidator(0), MaxValueValidator(MAX_VOLUME)])
    is_muted = models.BooleanField(default=False)
    fade_in = models.FloatField(default=0.0, validators=[MinValueValidator(0), MaxValueValidator(60)])
    fade_out = models.FloatField(default=0.0, validators=[MinValueValidator(0), MaxValueValidator(60)])

    class Meta(ProfileOwned.Meta):
        ordering = ("position",)
        constraints = [
            models.UniqueConstraint(fields=["profile", "project", "position"], name="one_segment_at_a_place"),
            models.CheckConstraint(
                condition=Q(crop_x__range=(0, 1)) & Q(crop_y__range=(0, 1)) & Q(zoom__range=(1, 10)),
                name="crop_inside_the_picture",
            ),
            models.CheckConstraint(
                condition=Q(trim_start__gte=0) & Q(trim_end__gte=0) & Q(volume__range=(0, 4)),
                name="trim_and_volume_make_sense",
            ),
            models.CheckConstraint(condition=Q(fade_in__gte=0) & Q(fade_out__gte=0), name="fades_are_not_negative"),
        ]
        indexes = [models.Index(fields=["profile", "segment"], name="projectsegment_of_segment")]

    def __str__(self) -> str:
        return f"{self.position}: {self.segment_id}"


# What an entry has of its own, beside its segment and its place.
SETTINGS = (
    "crop_x",
    "crop_y",
    "zoom",
    "trim_start",
    "trim_end",
    "volume",
    "is_muted",
    "fade_in",
    "fade_out",
)
