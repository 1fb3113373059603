"""Reads with thought in them."""

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django_filters import rest_framework as filters

from jobs.models import ACTIVE, Job, JobEvent, Status
from profiles.api.filters import MomentFilter, TrueFalseFilter
from profiles.models import Profile
from profiles.tenancy import GuardedQuerySet

# What a list does not show, and what may be long.
_HEAVY = ("params", "traceback")


def jobs_of(profile: Profile) -> GuardedQuerySet:
    """The profile's jobs with what the API shows of each: a constant number of queries."""
    jobs: GuardedQuerySet = Job.objects.for_profile(profile).select_related("output").defer(*_HEAVY)
    return jobs


def with_history(jobs: "QuerySet[Job]") -> "QuerySet[Job]":
    """`jobs` with their events, oldest first."""
    return jobs.prefetch_related(Prefetch("events", JobEvent.objects.order_by("at", "id")))


def has_active_job() -> Exists:
    """The condition on rows of any tenant table: a job about the row waits or runs."""
    return Exists(Job.objects.filter(profile_id=OuterRef("profile_id"), subject=OuterRef("pk"), status__in=ACTIVE))


class JobFilter(filters.FilterSet):
    """`status` may be given several times."""

    # not `distinct`: one column of the row itself finds none twice, and all of them would be sorted to make sure
    status = filters.MultipleChoiceFilter(choices=Status.choices, distinct=False)
    active = TrueFalseFilter(method="filter_active", label="Waiting or running")
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Job
        fields = ("kind", "subject")

    def filter_active(self, queryset: "QuerySet[Job]", name: str, value: bool) -> "QuerySet[Job]":
        return queryset.filter(status__in=ACTIVE) if value else queryset.exclude(status__in=ACTIVE)
