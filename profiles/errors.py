"""Domain errors: what services raise and the API turns into `{"error": {code, message, fields?, details?}}`."""

from collections.abc import Mapping, Sequence
from typing import Any

FieldErrors = Mapping[str, Sequence[str]]
Details = Sequence[Mapping[str, Any]]  # what JSON can hold, UUIDs and times


class DomainError(Exception):
    """An error that a person can act on. `status` is the HTTP status it becomes.

    `fields`: what is wrong, by the name of the input field. `details`: the rows that it is about, when there are
    several to name (posts to come, say); what an entry holds depends on the code. `next_step`: who must do what, for
    an error that ends a job.
    """

    status = 400
    code = "invalid"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        fields: FieldErrors | None = None,
        details: Details | None = None,
        status: int | None = None,
        retry_after: int | None = None,
        next_step: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.status = status or type(self).status
        self.fields = dict(fields) if fields else None
        self.details = [dict(entry) for entry in details] if details else None
        self.retry_after = retry_after  # seconds
        self.next_step = next_step


class Invalid(DomainError):
    """The input does not make sense."""


class Unauthenticated(DomainError):
    status = 401
    code = "not_authenticated"


class Forbidden(DomainError):
    status = 403
    code = "permission_denied"


class NotFound(DomainError):
    """Also for rows of other profiles: one body for all, so that nothing can be learnt from it."""

    status = 404
    code = "not_found"

    def __init__(self, message: str = "Not found.") -> None:
        super().__init__(message)


class Conflict(DomainError):
    status = 409
    code = "conflict"


class TooLarge(DomainError):
    status = 413
    code = "too_large"


class TooMany(DomainError):
    status = 429
    code = "too_many"


class StorageFull(DomainError):
    status = 507
    code = "disk_full"
