"""What every log line carries: the profile and the request it belongs to, and never a second, forged line."""

import logging
import re
from contextvars import ContextVar

from profiles import scope

request_id: ContextVar[str] = ContextVar("editai_request_id", default="")
# The profile of the request of this thread: it outlives the scope, for what Django has to say of the answer.
request_profile: ContextVar[str] = ContextVar("editai_request_profile", default="")

_SECRETS = re.compile(r"((?:[?&;]|\b)(?:sig|X-Amz-[A-Za-z-]+|token|api_key)=)[^&\s\"']+", re.IGNORECASE)
# whoever knows the address of a review link may decide, and that of a webhook may knock
_IN_PATH = re.compile(r"(/(?:review|poke)/[^/\s\"'?]+/)[^/\s\"'?]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u0085\u2028\u2029\ud800-\udfff]")


def redact(text: str) -> str:
    """`text` without the values of signatures and keys in query strings, nor the secrets that stand in paths."""
    return redact_path(_SECRETS.sub(r"\1[redacted]", text))


def redact_path(text: str) -> str:
    """`text` without the secrets of review links and webhooks, which stand in the path."""
    return _IN_PATH.sub(r"\1[redacted]", text)


def one_line(text: str) -> str:
    """`text` with line breaks and control characters written out."""
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


class ContextFilter(logging.Filter):
    """Adds `profile` and `request_id`, and their tags: `[Profile <id>] `, `[Request <id>] `, or nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        active = scope.current()
        profile = str(active.profile_id) if active and active.profile_id else request_profile.get()
        record.profile = profile
        record.profile_tag = f"[Profile {profile}] " if profile else ""
        request = request_id.get()
        record.request_id = request
        record.request_tag = f"[Request {request}] " if request else ""
        record.msg, record.args = one_line(redact(record.getMessage())), None
        return True


class OneLineFormatter(logging.Formatter):
    """The plain format; a traceback follows on indented lines, so that it cannot pass for a record."""

    def formatException(self, ei: object) -> str:
        text = super().formatException(ei)  # type: ignore[arg-type]
        printable = text.encode("utf-8", "backslashreplace").decode()
        return "\n".join(f"    {redact(line)}" for line in printable.splitlines())
