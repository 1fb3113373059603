"""The viewset that every tenant resource builds on: scoped rows, declared methods, and nothing else.

    class SegmentViewSet(ListMixin, RetrieveMixin, PatchMixin, DestroyMixin, ProfileViewSet):
        queryset = Segment.objects.select_related("source")
        serializer_class = SegmentSerializer                      # what answers look like
        input_serializers = {"partial_update": SegmentInput}      # what bodies look like, by action
        roles = {"destroy": Role.OWNER}

        def perform_update(self, serializer):
            return segment_update(profile=self.profile, ...)      # a service; returns the row

PUT is offered only by an action that declares it.
"""

import hashlib
import json
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Invalid
from profiles.models import Profile
from profiles.tenancy import Guarded

MAX_IDEMPOTENCY_KEY = 200
DRY_RUN_PARAMETER = "dry_run"


class ProfileViewSet(GenericViewSet[Any]):
    """Rows of the request's profile only. Subclasses name a class-level `queryset` and a `serializer_class`."""

    http_method_names = ["get", "post", "put", "patch", "delete", "head", "options"]
    input_serializers: dict[str, type[BaseSerializer[Any]]] = {}
    roles: dict[str, Any] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        action = getattr(self, self.action or "", None)
        for name in request.query_params:
            # whoever asks for a trial must never get the real thing
            is_meant = _plain(name) == _plain(DRY_RUN_PARAMETER)
            if is_meant and (name != DRY_RUN_PARAMETER or not getattr(action, "offers_dry_run", False)):
                raise Invalid(CHECK_FIELDS, fields={name: ["This call can't be tried out in this way."]})

    @property
    def profile(self) -> Profile:
        """The profile of this request, proven by the middleware."""
        profile: Profile = self.request._request.profile  # type: ignore[attr-defined]
        return profile

    def get_queryset(self) -> QuerySet[Any]:
        queryset = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            return queryset.none()
        if issubclass(queryset.model, Guarded):
            return queryset.for_profile(self.profile)  # type: ignore[attr-defined]
        return queryset

    def get_serializer_class(self) -> Any:
        """The serializer of the body, for forms and the schema; answers go through `answer`."""
        action = _action_of(self)
        return self.input_serializers.get(action) or super().get_serializer_class()

    def answer(self, row: Any, *, many: bool = False, status_code: int = status.HTTP_200_OK) -> Response:
        """`row` in the shape of `serializer_class`."""
        serializer_class: Any = super().get_serializer_class()
        data = serializer_class(row, many=many, context=self.get_serializer_context()).data
        return Response(data, status=status_code)

    def answer_page(self, queryset: QuerySet[Any]) -> Response:
        """A page of `queryset` in the shape of `serializer_class`."""
        serializer_class: Any = super().get_serializer_class()
        page = self.paginate_queryset(queryset)
        data = serializer_class(page, many=True, context=self.get_serializer_context()).data
        return self.get_paginated_response(data)

    def read_body(self, instance: Any = None, *, partial: bool = False) -> Any:
        """The validated serializer of the body of this action."""
        serializer = self.get_serializer(instance, data=self.request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return serializer


class ListMixin:
    """GET on the collection."""

    def list(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = self.answer_page(self.filter_queryset(self.get_queryset()))
        return response


class RetrieveMixin:
    """GET on one row."""

    def retrieve(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        response: Response = self.answer(self.get_object())
        return response


class CreateMixin:
    """POST on the collection. `perform_create(serializer)` calls a service and returns the row."""

    created_status = status.HTTP_201_CREATED

    def create(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.perform_create(self.read_body())
        response: Response = self.answer(row, status_code=self.created_status)
        return response

    def perform_create(self, serializer: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must call a service here.")


class PatchMixin:
    """PATCH on one row. `perform_update(serializer)` calls a service and returns the row."""

    def partial_update(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        row = self.perform_update(self.read_body(self.get_object(), partial=True))
        response: Response = self.answer(row)
        return response

    def perform_update(self, serializer: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must call a service here.")


class DestroyMixin:
    """DELETE on one row. `perform_destroy(row)` calls a service."""

    def destroy(self: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        self.perform_destroy(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def perform_destroy(self, row: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must call a service here.")


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _action_of(view: Any) -> str:
    """The action whose body is meant; the browsable API's forms ask on behalf of another method."""
    request = getattr(view, "request", None)
    if request is not None and getattr(view, "action_map", None):
        return str(view.action_map.get((request.method or "").lower(), view.action or ""))
    return str(getattr(view, "action", "") or "")


def idempotency_key(request: Request) -> str | None:
    """The header Idempotency-Key: printable ASCII, at most 200 characters; Invalid otherwise."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key:
        return None
    if len(key) > MAX_IDEMPOTENCY_KEY or not key.isascii() or not key.isprintable():
        hint = f"Idempotency-Key: at most {MAX_IDEMPOTENCY_KEY} printable ASCII characters."
        raise Invalid(CHECK_FIELDS, code="invalid_idempotency_key", fields={"Idempotency-Key": [hint]})
    return key


def request_fingerprint(request: Request) -> str:
    """SHA-256 over method, path and body: tells a repeated call from another one with the same idempotency key.
    Files count by their content (hashed while they were received)."""
    data = request.data
    if hasattr(data, "lists"):
        body: Any = {
            name: [_digest(value) for value in values]
            for name, values in sorted(data.lists())
            if name != "csrfmiddlewaretoken"
        }
    else:
        body = data
    canonical = json.dumps([request.method, request.path, body], sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _digest(value: Any) -> Any:
    if isinstance(value, UploadedFile):
        return ["file", value.size, getattr(value, "sha256", "")]
    return value
