"""Query strings, taken at their word: what a list does not know is refused, with the nearest name it does know.

filterset_class / filterset_fields      as in django-filter
search_fields = ("name", "notes")       gives ?q=: every word must be in one of them
query_parameters = ("variant",)         others that the view reads by itself
"""

from collections.abc import Iterable
from datetime import UTC
from difflib import get_close_matches
from functools import reduce
from operator import or_
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.forms import Select, TypedChoiceField
from django.template import loader
from django_filters import Filter, FilterSet, IsoDateTimeFilter
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework.request import Request

from profiles.api.errors import CHECK_FIELDS
from profiles.api.ordering import allowed_orderings, ordering_of
from profiles.errors import Invalid

MAX_QUERY_LENGTH = 200  # characters of ?q=
MAX_VALUE_LENGTH = 2_000
_EVERYWHERE = ("cursor", "page_size", "ordering", "format")


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "Unknown") -> str:
    """A sentence that refuses `name` and names the nearest known one."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"{prefix}. Did you mean {near[0]}?" if near else f"{prefix}."


class _YesNo(Select):
    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        value = super().value_from_datadict(data, files, name)
        return {"1": "true", "0": "false"}.get(value, value)


@extend_schema_field(OpenApiTypes.BOOL)
class TrueFalseFilter(Filter):
    """true or false, 1 or 0; anything else is refused, not ignored."""

    field_class = TypedChoiceField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        choices = [("true", "Yes"), ("false", "No")]
        super().__init__(*args, choices=choices, coerce=lambda text: text == "true", widget=_YesNo, **kwargs)


class _MomentField(IsoDateTimeField):
    def clean(self, value: Any) -> Any:
        moment = super().clean(value)
        try:
            return moment and moment.astimezone(UTC)
        except OverflowError:  # the last hours of the year 9999, seen from further east
            raise ValidationError("No such time.", code="invalid") from None


class MomentFilter(IsoDateTimeFilter):
    """A time in ISO 8601; without an offset it is UTC."""

    field_class = _MomentField


class StrictFilterBackend(DjangoFilterBackend):
    """django-filter, `?q=` and `?ordering=`, with nothing ignored."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        if getattr(view, "detail", False):
            return queryset
        self._refuse_unknown(request, queryset, view)
        queryset = super().filter_queryset(request, queryset, view)
        columns = getattr(view, "search_fields", ())
        # without them, a `q` that got this far is the filterset's own
        return _search(queryset, request.query_params.get("q", ""), columns) if columns else queryset

    def _refuse_unknown(self, request: Request, queryset: QuerySet[Any], view: Any) -> None:
        known = self.known_parameters(queryset, view)
        fields = {
            name[:100]: [did_you_mean(name[:100], known, prefix="Unknown filter")]
            for name in request.query_params
            if name not in known
        }
        for name, value in request.query_params.items():
            if name in known and (len(value) > MAX_VALUE_LENGTH or not _storable(str(value))):
                fields[name] = ["This text cannot be searched for."]
        if fields:
            raise Invalid(CHECK_FIELDS, fields=fields)

    def known_parameters(self, queryset: QuerySet[Any], view: Any) -> list[str]:
        names = [*_EVERYWHERE, *getattr(view, "query_parameters", ())]
        if getattr(view, "search_fields", ()):
            names.append("q")
        filterset: type[FilterSet] | None = self.get_filterset_class(view, queryset)
        for name, declared in (filterset.base_filters if filterset else {}).items():
            widget = declared.field.widget
            suffixes = getattr(widget, "suffixes", None)
            names += [f"{name}_{suffix}" for suffix in suffixes] if suffixes else [name]
        return names

    def to_html(self, request: Request, queryset: QuerySet[Any], view: Any) -> str:
        """The form of the browsable API."""
        filterset = self.get_filterset(request, queryset, view)
        for field in filterset.form.fields.values() if filterset else ():
            _offer_nothing(field.widget)
        context = {
            "filter": filterset,
            "searches": bool(getattr(view, "search_fields", ())),
            "q": request.query_params.get("q", ""),
            "orderings": allowed_orderings(view),
            "ordering": str(ordering_of(request, view)),
        }
        return loader.get_template("browsable/filters.html").render(context)

    def get_filterset_class(self, view: Any, queryset: Any = None) -> Any:
        if getattr(view, "action", "list") not in {"list", None} and not getattr(view, "filters_everywhere", False):
            return None  # an extra list action has rows of another kind
        return super().get_filterset_class(view, queryset)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """`q` and `ordering`; the rest is read off the filterset by `profiles.api.schema`."""
        found: list[dict[str, Any]] = []
        if getattr(view, "search_fields", ()):
            found.append(
                {
                    "name": "q",
                    "in": "query",
                    "schema": {"type": "string", "maxLength": MAX_QUERY_LENGTH},
                    "description": f"Words that must all occur in {', '.join(view.search_fields)}.",
                }
            )
        found.append(
            {
                "name": "ordering",
                "in": "query",
                "schema": {"type": "string", "enum": allowed_orderings(view)},
                "description": "Which column to sort by; a leading - turns it round.",
            }
        )
        return found


def _offer_nothing(widget: Any) -> None:
    """A drop-down starts with "any", so that a form sent as it is filters by nothing."""
    if isinstance(widget, Select) and not widget.allow_multiple_selected:
        choices = list(widget.choices)
        if not any(value in ("", None) for value, _ in choices):
            widget.choices = [("", "any"), *choices]


def _storable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return "\x00" not in text


def _search(queryset: QuerySet[Any], text: str, columns: Iterable[str]) -> QuerySet[Any]:
    if len(text) > MAX_QUERY_LENGTH:
        raise Invalid(CHECK_FIELDS, fields={"q": [f"At most {MAX_QUERY_LENGTH} characters."]})
    for word in text.split():
        queryset = queryset.filter(reduce(or_, (Q(**{f"{name}__icontains": word}) for name in columns)))
    return queryset
