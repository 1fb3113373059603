"""Reads about clips."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from editai.clips.models import Clip
from editai.clips.render.facts import Facts
from editai.clips.states import in_state
from editai.projects.models import Project
from profiles.api.filters import TrueFalseFilter
from profiles.errors import NotFound
from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet

# What a list does not show, and what may be long.
_HEAVY_JOB = ("job__params", "job__result", "job__traceback")
_HEAVY = ("recipe", "media")


def clips_alive(profile: Profile, *, in_detail: bool = False) -> GuardedQuerySet:
    """Clips outside the trash with all that the API shows of them, in a list or `in_detail`: one query."""
    rows: GuardedQuerySet = Clip.objects.for_profile(profile).filter(trashed_at=None)
    return rows.select_related("job", "file", "project").defer(*_HEAVY_JOB, *(() if in_detail else _HEAVY))


def media_facts(clip: Clip) -> Facts | None:
    """What the clip's file is (`render.facts.describe`); None without a file, and for one rendered before facts were
    kept: rendering it again, or `facts_of` on its file, tells."""
    facts: Facts | None = clip.media if clip.file_id is not None else None
    return facts


class ClipFilter(filters.FilterSet):
    """`state` as it is shown; `selected`, `stale`: true or false."""

    project = filters.UUIDFilter(method="by_project", help_text="The id of a project; another profile's is a 404.")
    state = filters.ChoiceFilter(choices=Clip.ShownState.choices, method="filter_state")
    selected = TrueFalseFilter(field_name="is_selected")
    stale = TrueFalseFilter(field_name="is_stale")

    class Meta:
        model = Clip
        fields = ("preset", "quality")

    def by_project(self, queryset: QuerySet[Any], name: str, value: UUID) -> QuerySet[Any]:
        if not Project.objects.for_profile(self.request.profile).filter(pk=value, trashed_at=None).exists():
            raise NotFound
        return queryset.filter(project=value)

    def filter_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(in_state(value))
