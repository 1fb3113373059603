"""Reads about projects."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce

from editai.projects.models import Project, ProjectSegment
from editai.projects.timeline import Placed, timeline_of, total_seconds
from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet

_limits: list[Callable[[float], list[dict[str, Any]]]] = []


def register_limits(limits: Callable[[float], list[dict[str, Any]]]) -> None:
    """`limits(seconds)`: what an upper floor says a clip of that length exceeds, as JSON values."""
    _limits.append(limits)


def projects_alive(profile: Profile) -> GuardedQuerySet:
    """Projects outside the trash, each with `segment_count` and `planned_seconds` (as in the lineup)."""
    entries = ProjectSegment.objects.filter(project=OuterRef("pk")).order_by().values("project")
    is_there = Q(segment__trashed_at=None, segment__source__trashed_at=None)
    seconds = Sum(Coalesce(F("trimmed_seconds"), F("segment__duration")), filter=is_there)
    rows: GuardedQuerySet = Project.objects.for_profile(profile).filter(trashed_at=None)
    return rows.annotate(
        segment_count=Coalesce(Subquery(entries.annotate(n=Count("pk")).values("n")), 0),
        planned_seconds=Coalesce(Subquery(entries.annotate(n=seconds).values("n")), 0.0),
    )


def names_of(profile: Profile, ids: Collection[UUID]) -> dict[UUID, str]:
    """What those of these projects are called that are still there, in the trash or not."""
    return dict(Project.objects.for_profile(profile).filter(pk__in=ids).values_list("pk", "name"))


@dataclass(frozen=True)
class Lineup:
    """A project's entries in order, and what they come to."""

    project: Project
    entries: list[Placed]
    exceeded_limits: list[dict[str, Any]]

    @property
    def total_duration(self) -> float:
        return total_seconds(self.entries)


def lineup_of(project: Project) -> Lineup:
    """A constant number of queries."""
    entries = timeline_of(project)
    seconds = total_seconds(entries)
    return Lineup(project, entries, [limit for limits in _limits for limit in limits(seconds)])
