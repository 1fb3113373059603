"""Clips in the trash, on their own or along with their project."""

from editai.clips.models import Clip
from editai.clips.services import stop_renders
from editai.clips.staleness import refresh
from editai.clips.users import Why, ask_before_change, tell_purged
from editai.projects.models import Project
from editai.projects.trash import goes_along
from profiles.errors import Conflict
from profiles.files import doom
from profiles.tenancy import GuardedQuerySet
from profiles.trash import TrashKind, register_trash


def _of(project: Project) -> GuardedQuerySet:
    rows: GuardedQuerySet = Clip.objects.for_profile(project.profile).filter(project=project)
    return rows


def _thrown(clip: Clip) -> None:
    ask_before_change(clip.profile, [clip.pk], Why.TRASH)
    stop_renders(clip.profile, [clip])


def _project_thrown(project: Project) -> None:
    clips = list(_of(project).defer("recipe"))
    ask_before_change(project.profile, [clip.pk for clip in clips if clip.trash_batch == project.pk], Why.TRASH)
    stop_renders(project.profile, clips)


def _restored(clip: Clip) -> None:
    project = Project.objects.select_for_update(of=("self",)).get(pk=clip.project_id)
    if project.trashed_at is not None:
        raise Conflict("Its project is in the trash: restore that first.", code="project_in_trash")
    refresh(project, may_refuse=False)


def _purge(clip: Clip) -> None:
    tell_purged(clip.profile, [clip.pk])
    _delete(clip)


def _delete(clip: Clip) -> None:
    files = [clip.file, clip.poster, clip.cover]
    clip.delete()
    doom(files)


def _purge_project(project: Project) -> None:
    clips = list(_of(project).select_related("file", "poster", "cover").defer("recipe", "media"))
    tell_purged(project.profile, [clip.pk for clip in clips])
    for clip in clips:
        _delete(clip)


def register() -> None:
    register_trash(
        TrashKind(
            name="clip",
            model=Clip,
            label=lambda clip: str(clip.name),
            purge=_purge,
            on_trash=_thrown,
            on_restore=_restored,
            rows=lambda: Clip.objects.defer("recipe", "media"),
        )
    )
    goes_along(_of, on_trash=_project_thrown, purge=_purge_project)
