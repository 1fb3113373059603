"""People, brands and what lets people in. Read before any scope exists, hence unguarded: User, Profile,
Membership, Invitation, ApiToken. Guarded tenant rows: Credential, StoredFile."""

import secrets
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify

from profiles.tenancy import ProfileOwned, new_id

COLORS = ("#3b5bdb", "#c2255c", "#2b8a3e", "#e8590c", "#5f3dc4", "#0b7285", "#a61e4d", "#495057")


class Role(models.TextChoices):
    """What a member may do in a profile; each role includes the ones before it."""

    VIEWER = "viewer", "Viewer"
    EDITOR = "editor", "Editor"
    OWNER = "owner", "Owner"

    @property
    def rank(self) -> int:
        return list(Role).index(self)


class Ceiling(models.TextChoices):
    """The most that a token may do, whatever the role of its user; each includes the ones before it."""

    READ = "read", "Read"
    WRITE = "write", "Read and write"
    PUBLISH = "publish", "Read, write and publish"
    FULL = "full", "Everything its user may do"

    @property
    def rank(self) -> int:
        return list(Ceiling).index(self)

    @property
    def role(self) -> Role:
        """The highest role that a token with this ceiling acts in."""
        return {Ceiling.READ: Role.VIEWER, Ceiling.FULL: Role.OWNER}.get(self, Role.EDITOR)


class Profile(models.Model):
    """One brand. Everything else hangs on it; nothing crosses from one to another."""

    class State(models.TextChoices):
        ACTIVE = "active", "Active"
        DELETING = "deleting", "Being deleted"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=60, unique=True, editable=False)
    color = models.CharField(max_length=7, default=COLORS[0], validators=[RegexValidator(r"^#[0-9a-fA-F]{6}\Z")])
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE, editable=False)
    deleting_since = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [models.CheckConstraint(condition=~Q(name=""), name="profile_has_a_name")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.slug:
            super().save(*args, **kwargs)
            return
        base = slugify(self.name)[:50] or "brand"
        # random, so that a slug tells nothing of how many others there are
        other = f"{base}-{secrets.token_hex(3)}"
        self.slug = other if Profile.objects.filter(slug=base).exists() else base
        try:
            with transaction.atomic():
                super().save(*args, **kwargs)
        except IntegrityError:  # somebody took it this very moment
            self.slug = other
            super().save(*args, **kwargs)


class User(AbstractUser):
    """A person. `default_profile` is not null, so every user has exactly one default by construction; on
    PostgreSQL a composite key also proves that the user is a member of it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    default_profile = models.ForeignKey(Profile, on_delete=models.PROTECT, related_name="+", editable=False)

    class Meta(AbstractUser.Meta):
        ordering = ("username",)

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding or self.default_profile_id:
            super().save(*args, **kwargs)
            return
        with transaction.atomic():  # createsuperuser and the admin come this way too
            self.default_profile = Profile.objects.create(name=f"{self.username[:90]}'s brand")
            super().save(*args, **kwargs)
            Membership.objects.create(user=self, profile=self.default_profile, role=Role.OWNER)


class Membership(models.Model):
    """A person's role in a profile."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices)
    can_approve = models.BooleanField(
        default=False, help_text="May approve what is to be published, whatever the role. Owners always may."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("created_at", "id")
        constraints = [models.UniqueConstraint(fields=["user", "profile"], name="one_membership_each")]

    def __str__(self) -> str:
        return f"{self.user} in {self.profile} as {self.role}"

    @property
    def may_approve(self) -> bool:
        return self.can_approve or self.role == Role.OWNER


class Invitation(models.Model):
    """A one-time link that lets a person into a profile; only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    profile = models.ForeignKey(Profile, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=10, choices=Role.choices)
    note = models.CharField(max_length=200, blank=True, help_text="For whom, in your own words.")
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, editable=False)
    accepted_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", editable=False)

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"Invitation to {self.profile} as {self.role}"


class ApiToken(models.Model):
    """A bearer token of a user, perhaps bound to one profile and to a ceiling; only its hash is kept."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    profile = models.ForeignKey(Profile, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=100)
    ceiling = models.CharField(max_length=10, choices=Ceiling.choices, default=Ceiling.FULL)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=12, editable=False, help_text="The first characters, to recognise it by.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return f"{self.name} ({self.hint}…)"

    @property
    def is_limited(self) -> bool:
        """Whether it may do less than its user."""
        return self.profile_id is not None or self.ceiling != Ceiling.FULL

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > timezone.now())


class Credential(ProfileOwned):
    """A key of an outside service, encrypted at rest; `settings` holds what is no secret (an address)."""

    kind = models.CharField(max_length=30)
    ciphertext = models.BinaryField()
    last4 = models.CharField(max_length=4)
    settings = models.JSONField(default=dict, blank=True)
    checked_at = models.DateTimeField(null=True)
    ok = models.BooleanField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("kind",)
        constraints = [models.UniqueConstraint(fields=["profile", "kind"], name="one_credential_of_a_kind")]

    def __str__(self) -> str:
        return f"{self.kind} key …{self.last4}"


class StoredFile(ProfileOwned):
    """One object in the file storage: the row comes first, so that no object is ever without one."""

    class State(models.TextChoices):
        WRITING = "writing", "Being written"
        STORED = "stored", "Stored"
        DOOMED = "doomed", "To be deleted"

    key = models.CharField(max_length=200, unique=True)
    content_type = models.CharField(max_length=100)
    size = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WRITING)
    job_id = models.UUIDField(null=True)  # the job that wrote it; jobs live one floor up, hence no foreign key
    attempt = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [models.UniqueConstraint(fields=["profile", "id"], name="storedfile_tenant")]
        indexes = [
            models.Index(fields=["state", "created_at"], name="storedfile_sweep"),
            models.Index(fields=["profile", "job_id"], name="storedfile_job"),
            models.Index(fields=["profile", "-created_at", "-id"], name="storedfile_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.content_type}, {self.size} bytes"
