"""The one error shape, `{"error": {"code", "message", "fields"?, "details"?}}`, for every way a request can end badly.

`exception_handler` serves DRF views; `error_response` serves what lies outside them (middleware, unknown routes,
CSRF failures, crashes). No answer carries a traceback, a path or a word of the database.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
    TooManyFilesSent,
)
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import ProtectedError, RestrictedError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response

from profiles.errors import Conflict, Details, DomainError, FieldErrors, Invalid, NotFound, TooLarge

log = logging.getLogger(__name__)

NOT_FOUND = "Not found."
CHECK_FIELDS = "Some fields need another value; see fields."
_CODES = {
    400: "invalid",
    401: "not_authenticated",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "too_many",
    500: "internal",
    503: "unavailable",
    507: "disk_full",
}


class Unavailable(DomainError):
    """Something we stand on (the database) does not answer; the same call may work in a moment."""

    status = 503
    code = "unavailable"


def error_body(
    code: str, message: str, fields: FieldErrors | None = None, details: Details | None = None
) -> dict[str, Any]:
    """The shape itself; `fields` maps the name of an input field to what is wrong with it, `details` lists the rows
    that the error is about."""
    error: dict[str, Any] = {"code": code, "message": message}
    if fields:
        error["fields"] = {name: list(messages) for name, messages in fields.items()}
    if details:
        error["details"] = [dict(entry) for entry in details]
    return {"error": error}


def error_response(
    error: DomainError | int,
    code: str = "",
    message: str = "",
    fields: FieldErrors | None = None,
    request: HttpRequest | None = None,
    *,
    retry_after: int | None = None,
) -> JsonResponse:
    """An answer in the one error shape, for use outside DRF: from a DomainError, or from status, code and message.
    `retry_after`: seconds."""
    if not isinstance(error, DomainError):
        error = DomainError(
            message, code=code or _CODES.get(error, "invalid"), fields=fields, status=error, retry_after=retry_after
        )
    response = JsonResponse(_body_of(error), status=error.status)
    for name, value in _headers(error.status, error.retry_after).items():
        response[name] = value
    request_id = getattr(request, "request_id", None)
    if request_id:
        response["X-Request-Id"] = request_id
    return response


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's EXCEPTION_HANDLER. Returns None for a crash, which Django then logs and answers by `server_error`."""
    error = as_domain_error(exc)
    if error is None:
        return None
    headers = _headers(error.status, error.retry_after)
    return Response(_body_of(error), status=error.status, headers=headers)


def _body_of(error: DomainError) -> dict[str, Any]:
    return error_body(error.code, error.message, error.fields, error.details)


def as_domain_error(exc: BaseException) -> DomainError | None:
    """What `exc` means to the caller, or None when it is a crash."""
    if isinstance(exc, DomainError):
        return exc
    if isinstance(exc, Http404):
        return NotFound()
    if isinstance(exc, exceptions.ValidationError):
        return _from_details(exc.detail)
    if isinstance(exc, exceptions.APIException):
        return _from_api_exception(exc)
    if isinstance(exc, PermissionDenied):
        return DomainError("You may not do this.", code="permission_denied", status=403)
    if isinstance(exc, DjangoValidationError):
        return _from_details(exc.message_dict if hasattr(exc, "error_dict") else exc.messages)
    return _from_request(exc) or _from_database(exc)


def _from_api_exception(exc: exceptions.APIException) -> DomainError:
    status = exc.status_code
    if status == 404:
        return NotFound()
    message = str(exc.detail)
    code = _CODES.get(status, "invalid")
    if isinstance(exc, exceptions.ParseError):
        code = "malformed"
    elif isinstance(exc, exceptions.AuthenticationFailed):
        code = "authentication_failed"
    elif status == 403 and isinstance(exc.get_codes(), str) and exc.get_codes() != "permission_denied":
        code = str(exc.get_codes())
    elif isinstance(exc, exceptions.Throttled):
        wait = max(1, round(getattr(exc, "wait", None) or 1))
        message = f"Too many requests. Try again in {wait} s."
        return DomainError(message, code=code, status=status, retry_after=wait)
    return DomainError(message, code=code, status=status)


def _from_request(exc: BaseException) -> DomainError | None:
    if isinstance(exc, RequestDataTooBig):
        return TooLarge("The request body is too large.")
    if isinstance(exc, TooManyFieldsSent | TooManyFilesSent):
        return Invalid("The request has too many fields or files.", code="too_many_fields")
    if isinstance(exc, MultiPartParserError):
        return Invalid("The multipart body cannot be read.", code="malformed")
    if isinstance(exc, UnreadablePostError):
        return Invalid("The request body broke off.", code="malformed")
    if isinstance(exc, SuspiciousOperation):
        return Invalid("The request cannot be served as it is.", code="malformed")
    return None


def _from_database(exc: BaseException) -> DomainError | None:
    if isinstance(exc, ProtectedError | RestrictedError):
        return Conflict("Something else still depends on this.", code="in_use")
    if isinstance(exc, IntegrityError):  # a race that a service did not foresee: worth a look, but no crash
        log.exception("integrity error reached the API")
        return Conflict("This clashes with what is stored already.")
    if isinstance(exc, DataError):
        log.exception("data error reached the API")
        return Invalid("A value cannot be stored as it is.")
    if isinstance(exc, OperationalError | InterfaceError):
        log.exception("the database does not answer")
        return Unavailable("The database does not answer. Try again in a moment.", retry_after=5)
    return None


def _from_details(detail: Any) -> DomainError:
    """DRF's and Django's nested validation details as flat `fields`."""
    fields: dict[str, list[str]] = {}
    _flatten("", detail, fields)
    general = fields.pop("", []) + fields.pop("non_field_errors", []) + fields.pop("__all__", [])
    message = " ".join(general) if general else CHECK_FIELDS
    return Invalid(message, fields=fields or None)


def _flatten(path: str, detail: Any, into: dict[str, list[str]]) -> None:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            key = str(name)
            if key in {"non_field_errors", "__all__"} and path:
                _flatten(path, inner, into)
            else:
                _flatten(f"{path}.{key}" if path else key, inner, into)
    elif isinstance(detail, Sequence) and not isinstance(detail, str):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping) or (isinstance(inner, Sequence) and not isinstance(inner, str))
            _flatten(f"{path}[{index}]" if nested else path, inner, into)
    else:
        into.setdefault(path, []).append(str(detail))


def _headers(status: int, retry_after: int | None) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


class DomainErrorMiddleware:
    """Domain errors out of pages and the admin, which DRF's handler never sees."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        return page_error(request, exception) if isinstance(exception, DomainError) else None


def page_error(request: HttpRequest, error: DomainError) -> HttpResponse:
    """A domain error as a page where one is asked for, else in the one error shape."""
    response = _answer(request, error.status, error.message, error.code)
    for name, value in _headers(error.status, error.retry_after).items():
        response[name] = value
    return response


# --- Django's own handlers, named in editai/urls.py ----------------------------------------------------


def _answer(request: HttpRequest, status: int, message: str, code: str = "") -> HttpResponse:
    code = code or _CODES[status]
    wants_page = "text/html" in request.headers.get("Accept", "") and "/api/" not in request.path
    if not wants_page:
        return error_response(status, code, message, request=request)
    context = {"status": status, "message": message, "request_id": getattr(request, "request_id", "")}
    response = render(None, "error.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    error = as_domain_error(exception)
    if error is None or error.status == 400:
        return _answer(request, 400, error.message if error else "The request cannot be read.", "malformed")
    return _answer(request, error.status, error.message, error.code)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 403, "You may not do this.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, 404, NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    request_id = getattr(request, "request_id", "")
    where = f" The log tells more under request {request_id}." if request_id else ""
    return _answer(request, 500, f"Something went wrong on our side.{where}")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """CSRF_FAILURE_VIEW: Django's own page would name the reason in detail and in HTML."""
    message = "The CSRF token is missing or wrong. Reload the page and try again."
    return _answer(request, 403, message, "csrf_failed")
