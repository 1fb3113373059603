"""The OpenAPI document: what the code says, completed where drf-spectacular cannot know."""

import re
from copy import deepcopy
from typing import Any

from drf_spectacular.contrib.django_filters import DjangoFilterExtension
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance, get_doc
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.fields import FileField

_HOOKS = {"create": "perform_create", "partial_update": "perform_update", "destroy": "perform_destroy"}
CREDENTIAL_KINDS = ("postiz",)  # as registered with `profiles.credentials` when the service runs
_METHODS = ("get", "post", "put", "patch", "delete")
_ERRORS = {
    "400": ("BadInput", "The input does not make sense; `fields` says where."),
    "401": ("NotSignedIn", "No valid token, link or session."),
    "403": ("NotAllowed", "Your role, or the token's ceiling, does not allow it; or the CSRF token is missing."),
    "404": ("NotFound", "There is no such thing in this profile. Things of other profiles answer the same."),
    "409": ("Conflict", "It clashes with the present state: not ready, in use, or a used idempotency key."),
    "413": ("TooLarge", "The body is larger than what is taken here."),
    "429": ("TooMany", "Too many requests; `Retry-After` says how many seconds to wait."),
}


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "profiles.api.authentication.TokenOrLinkAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "`Authorization: Bearer <token>`; a token comes from `POST /api/v1/auth/token/`.",
        }


class CookieScheme(OpenApiAuthenticationExtension):
    target_class = "profiles.api.authentication.CookieAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The browser's session; writes also need the header `X-CSRFToken`.",
        }


class EditAISchema(AutoSchema):
    """Bodies from `input_serializers`, answers from `serializer_class`, the profile header on every scoped call."""

    def get_response_serializers(self) -> Any:
        declared = getattr(self.view, "serializer_class", None)
        inputs = getattr(self.view, "input_serializers", None)
        if declared is not None and inputs is not None and self.method != "DELETE":
            return declared
        return super().get_response_serializers()

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if getattr(self.view, "profile_required", True) and not _is_public(self.view):
            parameters.append(
                OpenApiParameter(
                    "X-Profile-Id",
                    OpenApiTypes.UUID,
                    OpenApiParameter.HEADER,
                    description="The profile to work in; else the one that the token or the path names, else your "
                    "default one. Two that disagree are a 404.",
                )
            )
        return parameters

    def get_description(self) -> str:  # type: ignore[override] # as drf-spectacular has it
        """The words of the action; where a mixin is the action, those of what it calls."""
        action = getattr(self.view, "action", None) or self.method.lower()
        hook = _HOOKS.get(action)
        function = getattr(self.view, action, None)
        if hook and function is not None and not get_doc(function):
            function = getattr(self.view, hook, None)
        words: str = get_doc(function) if function is not None else ""
        return words or super().get_description()

    def get_summary(self) -> str | None:
        """The first sentence, for lists of operations."""
        sentence = re.split(r"(?<=[.:;])\s", self.get_description(), maxsplit=1)[0].rstrip(".:;")
        return sentence if len(sentence) <= 100 else None

    def map_parsers(self) -> list[Any]:
        """Forms do what JSON does; they are documented where a file is sent."""
        offered: list[Any] = super().map_parsers()
        if "application/json" in offered and not self._takes_files():
            return ["application/json"]
        return [media_type for media_type in offered if media_type != "application/x-www-form-urlencoded"]

    def _takes_files(self) -> bool:
        body = self.get_request_serializer()
        fields = getattr(force_instance(body), "fields", None) if not isinstance(body, dict) else None
        return any(isinstance(field, FileField) for field in (fields or {}).values())

    def get_auth(self) -> list[dict[str, Any]]:
        auth: list[dict[str, Any]] = super().get_auth()
        return [] if _is_public(self.view) else auth

    def _get_format_parameters(self) -> list[dict[str, Any]]:
        return []  # ?format= is there for people in browsers


def _is_public(view: Any) -> bool:
    return bool(getattr(view, "public", False))


class FilterScheme(DjangoFilterExtension):
    """django-filter's own parameters, and those of StrictFilterBackend beside them."""

    target_class = "profiles.api.filters.StrictFilterBackend"
    priority = 1

    def get_schema_operation_parameters(self, auto_schema: AutoSchema, *args: Any, **kwargs: Any) -> list[Any]:
        own = self.target.get_schema_operation_parameters(auto_schema.view)
        found: list[Any] = super().get_schema_operation_parameters(auto_schema, *args, **kwargs)
        return [*found, *own]


# --- hooks over the finished document -------------------------------------------------------------------


def responses_are_complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Answers always carry every field, so a client may count on each; what may be empty says `nullable`."""
    for name, schema in result.get("components", {}).get("schemas", {}).items():
        if schema.get("type") == "object" and not name.endswith("Request") and schema.get("properties"):
            schema["required"] = sorted(schema["properties"])
    return result


def name_credentials(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """One address for each kind of key that there is, as callers write it, instead of a placeholder."""
    paths = result.get("paths", {})
    for path in [path for path in paths if path.endswith("/credentials/{kind}/")]:
        general = paths.pop(path)
        for kind in CREDENTIAL_KINDS:
            named = paths[path.replace("{kind}", kind)] = deepcopy(general)
            for operation in named.values():
                operation["operationId"] += f"_{kind}"
                operation["parameters"] = [one for one in operation["parameters"] if one["name"] != "kind"]
    result["paths"] = dict(sorted(paths.items()))
    return result


def document_errors(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Adds the error shape, and to each operation the errors that it can answer with."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = _error_schema()
    responses = components.setdefault("responses", {})
    for status, (name, description) in _ERRORS.items():
        responses[name] = _error_answer(status, description)
    for path, operations in result.get("paths", {}).items():
        for method, operation in operations.items():
            if method in _METHODS:
                _add_errors(operation, method, path)
    return result


def _add_errors(operation: dict[str, Any], method: str, path: str) -> None:
    known = operation.setdefault("responses", {})
    wanted = {"400", "429"}
    if operation.get("security"):
        wanted |= {"401", "403"}
    if operation.get("security") or "{" in path:
        wanted.add("404")
    if method != "get":
        wanted |= {"409"}
    if operation.get("requestBody"):
        wanted.add("413")
    for status in sorted(wanted - set(known)):
        known[status] = {"$ref": f"#/components/responses/{_ERRORS[status][0]}"}
    operation["responses"] = dict(sorted(known.items()))


def _error_schema() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Every answer from 400 on.",
        "required": ["error"],
        "properties": {
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string", "description": "For programs; does not change."},
                    "message": {"type": "string", "description": "For people."},
                    "fields": {
                        "type": "object",
                        "description": "What is wrong, by the name of the input field.",
                        "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    },
                    "details": {
                        "type": "array",
                        "description": "The rows that the error is about, when there are several to name; what an "
                        "entry holds depends on the code (`posts_to_come`: the posts that must be cancelled first).",
                        "items": {"type": "object", "additionalProperties": {}},
                    },
                },
            }
        },
    }


def _error_answer(status: str, description: str) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": description,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": {"error": _EXAMPLES[status]},
            }
        },
    }
    if status == "429":
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return answer


_EXAMPLES: dict[str, dict[str, Any]] = {
    "400": {
        "code": "invalid",
        "message": "Some fields need another value; see fields.",
        "fields": {"strat_time": ["Unknown field. Did you mean start_time?"]},
    },
    "401": {"code": "not_authenticated", "message": "Sign in, or send Authorization: Bearer <token>."},
    "403": {"code": "permission_denied", "message": "This needs the role editor in this profile."},
    "404": {"code": "not_found", "message": "Not found."},
    "409": {"code": "not_ready", "message": "The source is still being prepared."},
    "413": {"code": "too_large", "message": "A JSON body may have 1048576 bytes."},
    "429": {"code": "too_many", "message": "Too many requests. Try again in 12 s."},
}
