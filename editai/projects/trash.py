"""Projects in the trash. What upper floors keep under a project goes along with it, and comes back with it."""

from collections.abc import Callable

from editai.projects.models import Project, ProjectSegment
from editai.projects.services import project_changed
from profiles.tenancy import GuardedQuerySet
from profiles.trash import TrashKind, register_trash

_companions: list[Callable[[Project], GuardedQuerySet]] = []
_on_trash: list[Callable[[Project], None]] = []
_purges: list[Callable[[Project], None]] = []


def goes_along(
    rows: Callable[[Project], GuardedQuerySet],
    *,
    on_trash: Callable[[Project], None],
    purge: Callable[[Project], None],
) -> None:
    """Registers rows of an upper floor that go to the trash with their project; `purge(project)` deletes them."""
    _companions.append(rows)
    _on_trash.append(on_trash)
    _purges.append(purge)


def _thrown(project: Project) -> None:
    for callback in _on_trash:
        callback(project)


def _restored(project: Project) -> None:
    project_changed(project, may_refuse=False)


def _purge(project: Project) -> None:
    for callback in _purges:
        callback(project)
    ProjectSegment.objects.filter(project=project).delete()
    project.delete()


def register() -> None:
    register_trash(
        TrashKind(
            name="project",
            model=Project,
            label=lambda project: str(project.name),
            purge=_purge,
            companions=lambda project: [rows(project) for rows in _companions],
            on_trash=_thrown,
            on_restore=_restored,
        )
    )
