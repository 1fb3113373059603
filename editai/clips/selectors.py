"""Reads about clips."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from editai.clips.models import Clip
from editai.clips.states import in_state
from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet

# What a list does not show, and what may be long.
_HEAVY = ("recipe", "job__params", "job__result", "job__traceback")


def clips_alive(profile: Profile) -> GuardedQuerySet:
    """Clips outside the trash with all that the API shows of them: one query."""
    rows: GuardedQuerySet = Clip.objects.for_profile(profile).filter(trashed_at=None)
    return rows.select_related("job", "file", "project").defer(*_HEAVY)


class ClipFilter(filters.FilterSet):
    """`state` as it is shown; `selected`, `stale`: true or false."""

    project = filters.UUIDFilter(field_name="project_id")
    state = filters.ChoiceFilter(choices=Clip.ShownState.choices, method="filter_state")
    selected = filters.BooleanFilter(field_name="is_selected")
    stale = filters.BooleanFilter(field_name="is_stale")

    class Meta:
        model = Clip
        fields = ("preset", "quality")

    def filter_state(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(in_state(value))
