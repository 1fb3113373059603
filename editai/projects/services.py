"""Writes about projects. Each locks the project's row, so that an order is replaced as a whole or not at all."""

from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from editai.projects.models import MAX_ENTRIES, SETTINGS, Project, ProjectSegment
from editai.projects.timeline import is_trimmed, measure
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Invalid, NotFound
from profiles.models import Profile, User
from profiles.tenancy import new_id
from profiles.trash import throw_away
from segments.models import Segment

_on_change: list[Callable[[Project, bool], None]] = []


def on_project_changed(callback: Callable[[Project, bool], None]) -> None:
    """Registers what an upper floor does, in the changing transaction, when the look of a project has changed:
    `callback(project, may_refuse)`. If it may refuse, a Conflict of its undoes the change."""
    _on_change.append(callback)


def project_changed(project: Project, *, may_refuse: bool = True) -> None:
    """Tells the upper floors; call it inside the transaction of the change. `may_refuse`: False for what must go
    through in any case, such as a restore from the trash and its emptying."""
    for callback in _on_change:
        callback(project, may_refuse)


def project_create(*, profile: Profile, by: User | None, **fields: Any) -> Project:
    project: Project = Project.objects.create(profile=profile, created_by=by, **fields)
    return project


def project_update(*, profile: Profile, project: Project, **changes: Any) -> Project:
    """Changes name, description, target duration or framing."""
    with transaction.atomic():
        locked = lock_project(profile=profile, project_id=project.pk)
        framing = locked.framing
        for name, value in changes.items():
            setattr(locked, name, value)
        locked.save(update_fields=[*changes, "updated_at"])
        if locked.framing != framing:
            project_changed(locked)
    return locked


def project_delete(*, profile: Profile, project: Project) -> None:
    """To the trash, with its clips."""
    with transaction.atomic():
        throw_away(lock_project(profile=profile, project_id=project.pk))


def project_duplicate(*, profile: Profile, project: Project, by: User | None, name: str = "") -> Project:
    """A new project with the same entries; clips are not copied. Without a `name` it is called a copy."""
    with transaction.atomic():
        original = lock_project(profile=profile, project_id=project.pk)
        copy: Project = Project.objects.create(
            profile=profile,
            name=name or f"{original.name[:190]} (copy)",
            description=original.description,
            target_duration=original.target_duration,
            framing=original.framing,
            created_by=by,
        )
        rows = list(ProjectSegment.objects.for_profile(profile).filter(project=original).order_by("position"))
        for row in rows:
            row.pk, row.project = new_id(), copy
            row._state.adding = True
        ProjectSegment.objects.bulk_create(rows)
    return copy


def lock_project(*, profile: Profile, project_id: UUID) -> Project:
    """The project's row, locked until the transaction ends; NotFound when it is in the trash."""
    rows = Project.objects.for_profile(profile).filter(pk=project_id, trashed_at=None)
    project: Project | None = rows.select_for_update(of=("self",), no_key=True).first()
    if project is None:
        raise NotFound
    return project


def entries_replace(*, profile: Profile, project: Project, segment_ids: Sequence[UUID]) -> Project:
    """Makes `segment_ids` the order of the project, all or nothing; one id may come several times.

    An entry keeps its crop, trim and sound as long as its segment stays in the project: the first occurrence takes
    over the first entry of that segment, and so on. NotFound when an id is unknown, another profile's or in the trash.
    """
    return _replace(profile, project, [(segment_id, None) for segment_id in segment_ids])


def entries_write(*, profile: Profile, project: Project, entries: Sequence[Mapping[str, Any]]) -> Project:
    """Like `entries_replace`, with the settings of each entry: `{segment_id, crop_x, …}`; left out means default.

    Invalid when trimming leaves nothing of a segment.
    """
    wanted = [(entry["segment_id"], {name: entry[name] for name in SETTINGS if name in entry}) for entry in entries]
    return _replace(profile, project, wanted)


def _replace(profile: Profile, project: Project, wanted: Sequence[tuple[UUID, dict[str, Any] | None]]) -> Project:
    if len(wanted) > MAX_ENTRIES:
        raise Invalid(f"A project has at most {MAX_ENTRIES} segments.", code="too_many_segments")
    with transaction.atomic():
        locked = lock_project(profile=profile, project_id=project.pk)
        ids = {segment_id for segment_id, _ in wanted}
        segments = Segment.objects.for_profile(profile).filter(trashed_at=None, source__trashed_at=None).in_bulk(ids)
        if len(segments) < len(ids):
            raise NotFound
        mine = ProjectSegment.objects.for_profile(profile).filter(project=locked)
        before: dict[UUID, deque[ProjectSegment]] = defaultdict(deque)
        for row in mine.order_by("position"):
            before[row.segment_id].append(row)
        rows = []
        for position, (segment_id, settings) in enumerate(wanted):
            old = before[segment_id].popleft() if before[segment_id] else None
            rows.append(_entry(locked, segments[segment_id], position, old, settings))
        measure(rows)
        for row, (_, settings) in zip(rows, wanted, strict=True):
            if settings is not None:
                _check_trim(row, f"entries[{row.position}].")
        # removed and written again under their old ids: a unique place per row allows no swapping in between
        mine.delete()
        ProjectSegment.objects.bulk_create(rows)
        locked.save(update_fields=["updated_at"])
        project_changed(locked)
    return locked


def _entry(
    project: Project, segment: Segment, position: int, old: ProjectSegment | None, settings: dict[str, Any] | None
) -> ProjectSegment:
    kept = {name: getattr(old, name) for name in SETTINGS} if old is not None and settings is None else {}
    row = ProjectSegment(
        profile_id=project.profile_id, project=project, segment=segment, position=position, **(settings or kept)
    )
    if old is not None:
        row.pk = old.pk
    return row


def _check_trim(entry: ProjectSegment, path: str = "") -> None:
    """Judges a measured entry."""
    if is_trimmed(entry) and entry.trimmed_seconds == 0:
        hint = f"Trimming leaves no frame of the segment's {entry.segment.duration:.3f} s."
        at_fault = "trim_end" if entry.trim_end else "trim_start"
        raise Invalid(CHECK_FIELDS, code="trimmed_away", fields={f"{path}{at_fault}": [hint]})


def entry_update(*, profile: Profile, project: Project, entry_id: UUID, **changes: Any) -> ProjectSegment:
    """Changes crop, trim or sound of one entry; checked on the merged values."""
    with transaction.atomic():
        locked = lock_project(profile=profile, project_id=project.pk)
        rows = ProjectSegment.objects.for_profile(profile).filter(project=locked, pk=entry_id)
        entry: ProjectSegment | None = rows.select_related("segment").first()
        if entry is None:
            raise NotFound
        for name, value in changes.items():
            setattr(entry, name, value)
        if {"trim_start", "trim_end"} & set(changes):
            measure([entry])
            _check_trim(entry)
        entry.save(update_fields=[*changes, "trimmed_seconds"])
        locked.save(update_fields=["updated_at"])
        project_changed(locked)
    return entry
