"""Jobs: the row is the truth, a broker's message only rings for it. Rows change in `jobs.transitions` alone."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from profiles.models import StoredFile
from profiles.tenancy import ProfileOwned


class Status(models.TextChoices):
    """Where a job is in its life. The last four are at rest: nothing happens to them by itself."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"
    NEEDS_ATTENTION = "needs_attention", "Needs attention"


ACTIVE = (Status.QUEUED, Status.RUNNING)
AT_REST = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.NEEDS_ATTENTION)
_QUEUED, _RUNNING = Q(status=Status.QUEUED), Q(status=Status.RUNNING)
_ACTIVE, _AT_REST = Q(status__in=ACTIVE), Q(status__in=AT_REST)


class Job(ProfileOwned):
    """A piece of work and all that happened to it.

    `attempt` counts the claims and never goes back: it is the fence that keeps a worker which lost its
    lease from writing. `failures` and `crashes` count, since the last word of a person, the attempts that
    ended by an error and those that ended by the death of a worker; each has its own limit, because a crash
    is no fault of the job.
    """

    kind = models.CharField(max_length=60)
    queue = models.CharField(max_length=30)
    priority = models.SmallIntegerField(help_text="Within a brand, lower numbers go first.")
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.QUEUED)
    subject = models.UUIDField(null=True, blank=True, help_text="The id of what the job works on.")
    recipe_hash = models.CharField(max_length=64, blank=True, help_text="What the result depends on, hashed.")
    params = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    progress = models.PositiveSmallIntegerField(default=0, help_text="Percent.")
    step = models.CharField(max_length=200, blank=True)
    eta_seconds = models.PositiveIntegerField(null=True, blank=True)
    result = models.JSONField(null=True, blank=True)
    output = models.ForeignKey(StoredFile, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    error = models.JSONField(null=True, blank=True)
    traceback = models.TextField(blank=True, help_text="For administrators; never in the API.")

    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField()
    failures = models.PositiveSmallIntegerField(default=0)
    crashes = models.PositiveSmallIntegerField(default=0)
    worker_name = models.CharField(max_length=200, blank=True)
    run_at = models.DateTimeField(default=timezone.now, help_text="Not before.")
    rung_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was last told of it.")
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, help_text="When the latest attempt began.")
    finished_at = models.DateTimeField(null=True, blank=True)

    cpu_seconds = models.FloatField(default=0)
    cpu_seconds_booked = models.FloatField(default=0, help_text="What upper floors were told of it so far.")
    bytes_read = models.BigIntegerField(default=0)
    bytes_written = models.BigIntegerField(default=0)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(fields=["profile", "id"], name="job_tenant"),
            models.UniqueConstraint(
                fields=["profile", "kind", "subject"], condition=_ACTIVE, name="one_active_job_for_a_subject"
            ),
            models.CheckConstraint(condition=_ACTIVE | _AT_REST, name="job_status_is_known"),
            models.CheckConstraint(condition=Q(progress__lte=100), name="job_progress_is_percent"),
            models.CheckConstraint(
                condition=(_RUNNING & Q(lease_expires_at__isnull=False, started_at__isnull=False, attempt__gte=1))
                | (~_RUNNING & Q(lease_expires_at__isnull=True)),
                name="only_a_running_job_has_a_lease",
            ),
            models.CheckConstraint(condition=_QUEUED | Q(rung_at__isnull=True), name="only_a_waiting_job_is_rung"),
            models.CheckConstraint(
                condition=(_AT_REST & Q(finished_at__isnull=False)) | (_ACTIVE & Q(finished_at__isnull=True)),
                name="a_job_at_rest_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[Status.FAILED, Status.NEEDS_ATTENTION], error__isnull=False)
                | Q(status__in=[*ACTIVE, Status.SUCCEEDED, Status.CANCELLED], error__isnull=True),
                name="a_failed_job_says_why",
            ),
            models.CheckConstraint(condition=~Q(kind="") & ~Q(queue=""), name="job_kind_and_queue_are_named"),
            models.CheckConstraint(condition=Q(max_attempts__gte=1), name="job_has_an_attempt"),
        ]
        indexes = [
            models.Index(fields=["profile", "-created_at", "-id"], name="job_newest"),
            models.Index(fields=["profile", "subject", "-created_at"], name="job_of_subject"),
            # what the dispatcher picks: the first due job of a profile in a queue
            models.Index(
                fields=["queue", "profile", "priority", "run_at", "id"],
                condition=Q(status=Status.QUEUED, rung_at__isnull=True),
                name="job_waiting",
            ),
            # slots taken, by queue and profile
            models.Index(fields=["queue", "profile"], condition=_RUNNING, name="job_running"),
            models.Index(fields=["queue", "profile"], condition=Q(rung_at__isnull=False), name="job_rung"),
            models.Index(fields=["profile"], condition=_QUEUED, name="job_queued_of_profile"),
            models.Index(fields=["lease_expires_at"], condition=_RUNNING, name="job_lease"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.get_status_display().lower()})"

    @property
    def is_at_rest(self) -> bool:
        return self.status in AT_REST


class JobEvent(ProfileOwned):
    """One line of a job's history: errors of earlier attempts stay here when it is tried again."""

    class Kind(models.TextChoices):
        QUEUED = "queued", "Queued"
        STARTED = "started", "Started"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        WILL_RETRY = "will_retry", "Failed, will be tried again"
        LOST = "lost", "Worker lost"
        RELEASED = "released", "Given back by a stopping worker"
        CANCEL_REQUESTED = "cancel_requested", "Cancel requested"
        CANCELLED = "cancelled", "Cancelled"
        SUPERSEDED = "superseded", "Superseded by a newer job"
        RETRIED = "retried", "Queued again by hand"
        NEEDS_ATTENTION = "needs_attention", "Needs attention"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now, editable=False)
    event = models.CharField(max_length=30, choices=Kind.choices)
    attempt = models.PositiveIntegerField(default=0)
    detail = models.JSONField(default=dict, blank=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("at", "id")
        indexes = [models.Index(fields=["profile", "job", "at", "id"], name="jobevent_of_job")]

    def __str__(self) -> str:
        return f"{self.get_event_display()} (attempt {self.attempt})"


class IdempotencyKey(ProfileOwned):
    """A key that a caller sent along with a request, and the job that it started."""

    key = models.CharField(max_length=200)
    request_hash = models.CharField(max_length=64)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(ProfileOwned.Meta):
        ordering = ("-created_at", "-id")
        constraints = [models.UniqueConstraint(fields=["profile", "key"], name="idempotency_key_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotencykey_age")]

    def __str__(self) -> str:
        return self.key


class QueueTurn(ProfileOwned):
    """When a profile was last served in a queue: who has waited longest goes first."""

    queue = models.CharField(max_length=30)
    served_at = models.DateTimeField(null=True, blank=True)

    class Meta(ProfileOwned.Meta):
        ordering = ("queue", "served_at", "id")
        constraints = [models.UniqueConstraint(fields=["profile", "queue"], name="one_turn_in_a_queue")]
        indexes = [models.Index(fields=["queue", "profile"], name="queueturn_of_queue")]

    def __str__(self) -> str:
        return f"{self.queue}, served {self.served_at}"


class QueueState(models.Model):
    """One row a queue, which the dispatcher locks while it deals out slots. Belongs to no profile."""

    queue = models.CharField(max_length=30, primary_key=True)

    def __str__(self) -> str:
        return self.queue


class Worker(models.Model):
    """A worker process and when it last gave a sign of life. Belongs to no profile."""

    name = models.CharField(max_length=200, primary_key=True)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    queues = models.JSONField(default=list)
    slots = models.PositiveSmallIntegerField(help_text="How many jobs it runs at once; 0 while it stops.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
