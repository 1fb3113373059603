"""What lists of money may be narrowed down by."""

from typing import Any

from django_filters import rest_framework as filters

from costs.models import LedgerEntry, UsageAttempt
from profiles.api.filters import MomentFilter, TrueFalseFilter


class _WhatFor(filters.FilterSet):
    """Ids of jobs and projects are taken as they are: books outlive what they are about, so one that finds nothing is
    an empty list, whoever's it may be."""

    provider = filters.CharFilter()
    operation = filters.CharFilter()
    job = filters.UUIDFilter(field_name="job_id", label="The id of a job")
    project = filters.UUIDFilter(field_name="project_id", label="The id of a project")
    occurred_after = MomentFilter(field_name="occurred_at", lookup_expr="gte")
    occurred_before = MomentFilter(field_name="occurred_at", lookup_expr="lt")


class EntryFilter(_WhatFor):
    kind = filters.ChoiceFilter(choices=LedgerEntry.Kind.choices)
    model = filters.CharFilter()
    call = filters.UUIDFilter(field_name="attempt_id", label="The id of a call")
    is_unpriced = TrueFalseFilter(label="A part of it had no price")
    is_estimated = TrueFalseFilter(label="Charged as reserved")

    class Meta:
        model = LedgerEntry
        fields: tuple[Any, ...] = ()


class CallFilter(_WhatFor):
    state = filters.MultipleChoiceFilter(choices=UsageAttempt.State.choices, distinct=False)
    needs_reconciliation = TrueFalseFilter(label="To be compared with the provider's account")

    class Meta:
        model = UsageAttempt
        fields: tuple[Any, ...] = ()
