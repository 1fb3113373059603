"""Serializers that take nothing they do not know: shape only, no writes, never a writable profile."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.fields import empty
from rest_framework.response import Response
from rest_framework.utils import html

from profiles.api.filters import did_you_mean
from profiles.api.parsers import check_value
from profiles.errors import NotFound
from profiles.tenancy import Guarded

MAX_LIST = 500
MAX_TEXT = 10_000
MAX_INTEGER = 2**31 - 1
MAX_FLOAT = 1e12
_IGNORED = {"csrfmiddlewaretoken"}  # the browsable API's forms carry it
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_LINE_BREAK = re.compile(r"[\t\n\r]")
_LISTS = (
    serializers.ListField,
    serializers.ListSerializer,
    serializers.ManyRelatedField,
    serializers.MultipleChoiceField,
)


class _PlainText:
    """Refuses control characters, and those that turn the writing round: a name could pose as another. Line breaks and
    tabs are allowed in texts of several lines only."""

    requires_context = True

    def __call__(self, value: str, field: serializers.Field[Any, Any, Any, Any]) -> None:
        if _CONTROL.search(value):
            raise serializers.ValidationError("Control characters are not allowed.", code="control_characters")
        many_lines = field.style.get("base_template") == "textarea.html"
        if not many_lines and _LINE_BREAK.search(value):
            raise serializers.ValidationError("This text must be one line.", code="control_characters")


def _finite(value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise serializers.ValidationError("This is no finite number.", code="not_finite")


def _storable(value: Any) -> None:
    try:
        check_value(value)
    except ParseError as error:
        raise serializers.ValidationError(str(error.detail), code="not_storable") from None


_plain_text = _PlainText()


def _tighten(field: Any) -> None:
    """Gives a field the limits that its author left out."""
    if isinstance(field, serializers.CharField):
        if getattr(field, "max_length", None) is None:
            field.max_length = MAX_TEXT
            field.validators.append(_max_length(MAX_TEXT))
        field.validators.append(_plain_text)
    elif isinstance(field, serializers.IntegerField | serializers.FloatField):
        vars(field)["to_internal_value"] = _no_boolean(field)  # of this one field, whatever its class
        bound: Any = MAX_INTEGER if isinstance(field, serializers.IntegerField) else MAX_FLOAT
        field.validators.insert(0, _finite)
        if not any(isinstance(known, MaxValueValidator) for known in field.validators):
            field.validators.append(MaxValueValidator(bound))
        if not any(isinstance(known, MinValueValidator) for known in field.validators):
            field.validators.append(MinValueValidator(-bound))
    elif isinstance(field, serializers.JSONField):
        field.validators.append(_storable)
    elif isinstance(field, serializers.ListField | serializers.DictField):
        _tighten(field.child)


def _no_boolean(field: Any) -> Any:
    """The field's reading of numbers, without Python's `float(True)`."""
    read = field.to_internal_value

    def to_internal_value(data: Any) -> Any:
        if isinstance(data, bool):
            field.fail("invalid")
        return read(data)

    return to_internal_value


def _max_length(limit: int) -> Any:
    def check(value: str) -> None:
        if len(value) > limit:
            raise serializers.ValidationError(f"At most {limit} characters.", code="max_length")

    return check


class _Strict:
    """What both bases share. `max_lists` names other limits than 500 entries: {"cues": 2000}."""

    max_lists: Mapping[str, int] = {}

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()  # type: ignore[misc]
        model = getattr(getattr(self, "Meta", None), "model", Guarded)
        for name, field in fields.items():
            if field.read_only:
                continue
            if issubclass(model, Guarded) and (field.source or name) in {"profile", "profile_id"}:
                raise ImproperlyConfigured(f"{type(self).__name__}.{name}: a profile is never written from outside.")
            _tighten(field)
        return fields

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._refuse_unknown(data)
            self._refuse_long_lists(data)
        return super().to_internal_value(data)  # type: ignore[misc]

    def _refuse_unknown(self, data: Mapping[str, Any]) -> None:
        fields: dict[str, Any] = self.fields  # type: ignore[attr-defined]
        writable = [name for name, field in fields.items() if not field.read_only]
        is_form = html.is_html_input(data)
        errors = {}
        for given in data:
            name = re.split(r"[\[.]", str(given), maxsplit=1)[0] if is_form else str(given)
            if name in writable or name in _IGNORED:
                continue
            if name in fields:
                errors[name] = ["This field is read-only."]
            else:
                errors[name[:100]] = [did_you_mean(name[:100], writable, prefix="Unknown field")]
        if errors:
            raise serializers.ValidationError(errors)

    def _refuse_long_lists(self, data: Mapping[str, Any]) -> None:
        """Before any of the entries is looked at."""
        errors = {}
        for name, field in self.fields.items():  # type: ignore[attr-defined]
            if field.read_only or not isinstance(field, _LISTS):
                continue
            value = field.get_value(data)
            limit = self.max_lists.get(name) or getattr(field, "max_length", None) or MAX_LIST
            if value is not empty and isinstance(value, list | tuple | set) and len(value) > limit:
                errors[name] = [f"At most {limit} entries."]
        if errors:
            raise serializers.ValidationError(errors)


class TenantRelatedField(serializers.PrimaryKeyRelatedField):
    """A row of the request's profile, by id. Another profile's id and one that never was give the same 404."""

    html_cutoff = 100
    html_cutoff_text = "… more than {count}: enter the id as raw data"

    def get_queryset(self) -> QuerySet[Any]:
        return _within(super().get_queryset(), self.context.get("request"))

    def to_internal_value(self, data: Any) -> Any:
        queryset = self.get_queryset()
        if not issubclass(queryset.model, Guarded):
            return super().to_internal_value(data)
        row = queryset.filter(pk=_as_uuid(data)).first()
        if row is None:
            raise NotFound
        return row


class _IdField(serializers.UUIDField):
    """REST framework's own takes numbers too."""

    def to_internal_value(self, data: Any) -> UUID:
        return _as_uuid(data)


class TenantIdsField(serializers.ListField):
    """An ordered list of ids of the profile's rows, read in one query, given on as the rows themselves.

    One id that is not the profile's makes the whole call a 404. `unique=True` refuses an id that comes twice.
    """

    child = _IdField()

    def __init__(self, *, queryset: QuerySet[Any], unique: bool = False, **kwargs: Any) -> None:
        self.queryset, self.unique = queryset, unique
        kwargs.setdefault("max_length", MAX_LIST)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        ids: list[UUID] = super().to_internal_value(data)
        if self.unique and len(set(ids)) < len(ids):
            raise serializers.ValidationError("Each id may come once only.", code="duplicate")
        rows = _within(self.queryset.all(), self.context.get("request")).in_bulk(list(set(ids)))
        if len(rows) < len(set(ids)):
            raise NotFound
        return [rows[row_id] for row_id in ids]

    def to_representation(self, data: Iterable[Any]) -> list[Any]:
        return [str(item.pk if isinstance(item, Model) else item) for item in data]


class StrictSerializer(_Strict, serializers.Serializer[Any]):
    """The base of every serializer that is no model's."""


class OnePageSerializer(serializers.Serializer[Any]):
    """The base of a list that is always whole, in the shape of all lists; a subclass brings `results`."""

    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)


def one_page(serializer_class: type[OnePageSerializer], results: Iterable[Any], **more: Any) -> Response:
    """All `results` as the answer, and what else the serializer has beside them."""
    return Response(serializer_class({"next": None, "previous": None, **more, "results": results}).data)


class StrictModelSerializer(_Strict, serializers.ModelSerializer[Any]):
    """The base of every model's serializer."""

    serializer_related_field = TenantRelatedField


def _within(queryset: Any, request: Any) -> Any:
    """`queryset` inside the request's profile."""
    if queryset is None:
        return None  # a field that is only read
    if not issubclass(queryset.model, Guarded):
        return queryset
    profile = getattr(getattr(request, "_request", request), "profile", None)
    if profile is None:
        return queryset.none()
    return queryset.filter(profile_id=profile.pk)


def _as_uuid(data: Any) -> UUID:
    try:
        if not isinstance(data, str | UUID):
            raise ValueError
        return data if isinstance(data, UUID) else UUID(data)
    except ValueError:
        raise serializers.ValidationError("This is no id.", code="invalid") from None
