"""Files that an attempt stored and nothing points to.

A file belongs to the attempt that stored it until a row points to it by a foreign key. At the end of a job,
whatever no row points to is doomed: on success the files of the other attempts, else those of all attempts.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, ForeignObjectRel, OuterRef, QuerySet
from django.utils import timezone

from jobs.models import ACTIVE, Job, Status
from profiles import scope
from profiles.files import doom
from profiles.models import StoredFile

_SWEEP_FROM, _SWEEP_TO = timedelta(hours=1), timedelta(days=7)


def unlinked(files: "QuerySet[StoredFile]") -> "QuerySet[StoredFile]":
    """Those of `files` that no foreign key of any row points to."""
    for relation in StoredFile._meta.get_fields(include_hidden=True):
        if isinstance(relation, ForeignObjectRel) and not relation.field.many_to_many:
            model: Any = relation.related_model
            files = files.filter(~Exists(model._base_manager.filter(**{relation.field.attname: OuterRef("pk")})))
    return files


def doom_leftovers(
    profile_id: UUID, job_id: UUID, *, keep_attempt: int | None = None, only_attempt: int | None = None
) -> None:
    """Dooms, in the caller's transaction, the unlinked files of a job: of all attempts, of all but one, or of one."""
    files = StoredFile.objects.filter(profile_id=profile_id, job_id=job_id).exclude(state=StoredFile.State.DOOMED)
    if keep_attempt is not None:
        files = files.exclude(attempt=keep_attempt)
    if only_attempt is not None:
        files = files.filter(attempt=only_attempt)
    doom(unlinked(files))


def sweep_leftovers() -> int:
    """Dooms what attempts stored that died after another one had finished their job. Returns how many files."""
    now = timezone.now()
    job = Job.objects.filter(pk=OuterRef("job_id"))
    with scope.all_profiles("sweep stored files"):
        files = (
            StoredFile.objects.filter(job_id__isnull=False, state=StoredFile.State.STORED)
            .filter(created_at__gt=now - _SWEEP_TO, created_at__lt=now - _SWEEP_FROM)
            .exclude(Exists(job.filter(status__in=ACTIVE)))
            .exclude(Exists(job.filter(status=Status.SUCCEEDED, attempt=OuterRef("attempt"))))
        )
        lost = list(unlinked(files)[:1000])
    by_profile: dict[UUID, list[StoredFile]] = {}
    for file in lost:
        by_profile.setdefault(file.profile_id, []).append(file)
    for profile_id, rows in by_profile.items():
        with scope.activate(profile_id), transaction.atomic():
            doom(rows)
    return len(lost)
