"""What lists of footage can be filtered by."""

from typing import Any
from uuid import UUID

import django_filters as filters
from django.db.models import QuerySet

from profiles.api.filters import MAX_QUERY_LENGTH, MomentFilter, TrueFalseFilter
from profiles.tenancy import GuardedQuerySet
from segments.labels import MAX_LABEL_LENGTH, fold, words
from segments.models import Segment, SegmentLabel, SourceVideo
from segments.selectors import STATES, in_state, source_named

_SECONDS = "Seconds."


class _SearchFilter(filters.CharFilter):
    """`?q=`: every word must occur, whatever its case, diacritics and place."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_QUERY_LENGTH, **kwargs)

    def filter(self, qs: Any, value: str) -> Any:
        if not value:
            return qs
        wanted = words(value)
        if not wanted:
            return qs.none()
        for word in dict.fromkeys(wanted):
            qs = qs.filter(search_text__contains=word)
        return qs


class SourceVideoFilter(filters.FilterSet):
    q = _SearchFilter(help_text="Words that must all occur in name, description or file name.")
    state = filters.ChoiceFilter(choices=[(state, state) for state in STATES], method="by_state")
    has_audio = TrueFalseFilter(field_name="has_audio")
    min_duration = filters.NumberFilter(field_name="duration_seconds", lookup_expr="gte", help_text=_SECONDS)
    max_duration = filters.NumberFilter(field_name="duration_seconds", lookup_expr="lte", help_text=_SECONDS)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = SourceVideo
        fields: tuple[str, ...] = ()

    def by_state(self, queryset: GuardedQuerySet, name: str, value: str) -> GuardedQuerySet:
        return in_state(queryset, value)


class SegmentsOfSourceFilter(filters.FilterSet):
    q = _SearchFilter(help_text="Words that must all occur in keywords, tags or notes.")
    keyword = filters.CharFilter(method="by_keyword", max_length=MAX_LABEL_LENGTH, help_text="Exactly this keyword.")
    tag = filters.CharFilter(method="by_tag", max_length=MAX_LABEL_LENGTH, help_text="Exactly this tag.")
    is_favorite = TrueFalseFilter(field_name="is_favorite")
    favorite = TrueFalseFilter(field_name="is_favorite", help_text="The same as is_favorite.")
    min_duration = filters.NumberFilter(field_name="duration", lookup_expr="gte", help_text=_SECONDS)
    max_duration = filters.NumberFilter(field_name="duration", lookup_expr="lte", help_text=_SECONDS)
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Segment
        fields: tuple[str, ...] = ()

    def by_keyword(self, queryset: QuerySet[Segment], name: str, value: str) -> QuerySet[Segment]:
        return self._labelled(queryset, SegmentLabel.Kind.KEYWORD, value)

    def by_tag(self, queryset: QuerySet[Segment], name: str, value: str) -> QuerySet[Segment]:
        return self._labelled(queryset, SegmentLabel.Kind.TAG, value)

    def _labelled(self, queryset: QuerySet[Segment], kind: SegmentLabel.Kind, text: str) -> QuerySet[Segment]:
        """Labels are found without regard to case, diacritics and punctuation."""
        folded = fold(text) or " ".join(text.split())
        labels = SegmentLabel.objects.for_profile(self.request.profile).filter(kind=kind, folded=folded)
        return queryset.filter(pk__in=labels.values("segment"))


class SegmentFilter(SegmentsOfSourceFilter):
    source_video = filters.UUIDFilter(method="by_source", help_text="The id of a source; another profile's is a 404.")

    def by_source(self, queryset: QuerySet[Segment], name: str, value: UUID) -> QuerySet[Segment]:
        return queryset.filter(source=source_named(self.request.profile, value))
