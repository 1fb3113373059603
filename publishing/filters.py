"""What lists of publications may be narrowed down by."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from editai.clips.models import Clip
from profiles.api.filters import MomentFilter, TrueFalseFilter
from profiles.errors import NotFound
from publishing.models import Batch, Integration, Publication
from publishing.selectors import needing_attention
from publishing.states import State


class PublicationFilter(filters.FilterSet):
    """`status` (or `state`, its other name) may be given several times; `scheduled_after` and `scheduled_before` are
    half-open: [after, before). As in all lists, a time without an offset is UTC."""

    status = filters.MultipleChoiceFilter(field_name="state", choices=State.choices, distinct=False)
    state = filters.MultipleChoiceFilter(choices=State.choices, distinct=False)
    clip = filters.UUIDFilter(method="by_clip", help_text="The id of a clip; another profile's is a 404.")
    batch = filters.UUIDFilter(method="by_batch", help_text="The id of a batch; another profile's is a 404.")
    integration = filters.CharFilter(method="by_integration", help_text="The id of a channel, as listed.")
    network = filters.CharFilter(field_name="integration__identifier", help_text="As Postiz names it.")
    needs_attention = TrueFalseFilter(method="by_attention", label="Waiting for a person")
    scheduled_after = MomentFilter(field_name="scheduled_at", lookup_expr="gte")
    scheduled_before = MomentFilter(field_name="scheduled_at", lookup_expr="lt")

    class Meta:
        model = Publication
        fields = ()

    def by_clip(self, queryset: QuerySet[Any], name: str, value: UUID) -> QuerySet[Any]:
        # a clip in the trash still has its publications
        return self._of(Clip, queryset, "clip", pk=value)

    def by_batch(self, queryset: QuerySet[Any], name: str, value: UUID) -> QuerySet[Any]:
        return self._of(Batch, queryset, "batch", pk=value)

    def by_integration(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return self._of(Integration, queryset, "integration", external_id=value)

    def _of(self, model: Any, queryset: QuerySet[Any], column: str, **key: Any) -> QuerySet[Any]:
        row = model.objects.for_profile(self.request.profile).filter(**key).first()
        if row is None:
            raise NotFound
        return queryset.filter(**{column: row})

    def by_attention(self, queryset: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        return queryset.filter(needing_attention()) if value else queryset.exclude(needing_attention())
