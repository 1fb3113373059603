"""Reading switches from the environment: a wrong value stops the start with one clear line."""

import contextlib
import os
import re
import secrets
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from profiles.private_files import write_private

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
_HOST_AND_PORT = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+):[0-9]{1,5}")
_RATE = re.compile(r"[1-9][0-9]{0,8}/[smhd][a-z]*")  # as `profiles.api.throttles.parse_rate` reads it


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def flag(name: str, *, default: bool = False) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.strip().lower() in _TRUE:
        return True
    if value.strip().lower() in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")


def number(name: str, default: int, *, low: int = 0, high: int = 2**63 - 1) -> int:
    value = os.environ.get(name, "").strip()
    if not value:
        return default
    try:
        parsed = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None
    if not low <= parsed <= high:
        raise ImproperlyConfigured(f"{name} must be between {low} and {high}, not {parsed}.")
    return parsed


def choice(name: str, default: str, *others: str) -> str:
    """One of a few words; the first is the default."""
    value = text(name).lower() or default
    if value not in {default, *others}:
        known = ", ".join([default, *others])
        raise ImproperlyConfigured(f"{name} must be one of {known}; it is {value!r}.")
    return value


def rate(name: str, default: str) -> str:
    """So many a period, as in `1200/min`: s, min, h or d."""
    value = text(name) or default
    if not _RATE.fullmatch(value):
        raise ImproperlyConfigured(f"{name} must look like {default} (s, min, h or d), not {value!r}.")
    return value


def words(name: str) -> list[str]:
    """A comma-separated list; empty parts are dropped."""
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def hosts_and_ports(name: str) -> frozenset[str]:
    """Comma-separated `host:port` (IPv6 in brackets), in lower case."""
    found = frozenset(part.lower() for part in words(name))
    for part in found:
        if not _HOST_AND_PORT.fullmatch(part):
            raise ImproperlyConfigured(f"{name} must look like postiz:5000,10.0.0.7:443, not {part!r}.")
    return found


@dataclass(frozen=True)
class MailServer:
    """An SMTP server; an empty `host`: there is none. `ssl`: TLS from the first byte; `starttls`: a little later."""

    host: str = ""
    port: int = 25
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = False
    ssl: bool = False


def mail_server(name: str) -> MailServer:
    """`smtp://user:password@host:587?tls=starttls`, `smtps://user:password@host`; user and password percent-encoded."""
    value = text(name)
    if not value:
        return MailServer()
    wrong = ImproperlyConfigured(f"{name} must look like smtp://user:password@host:587?tls=starttls, or smtps://…")
    try:
        url = urlsplit(value)
        host, port = url.hostname or "", url.port
        tls = dict(parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))).pop("tls", "none")
    except ValueError:
        raise wrong from None
    if url.scheme not in {"smtp", "smtps"} or not host or url.path.strip("/") or tls not in {"none", "starttls"}:
        raise wrong
    server = MailServer(
        host=host,
        port=port or (465 if url.scheme == "smtps" else 587 if tls == "starttls" else 25),
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        starttls=tls == "starttls",
        ssl=url.scheme == "smtps",
    )
    if server.starttls and server.ssl:
        raise wrong
    if server.password and not (server.starttls or server.ssl) and host not in {"127.0.0.1", "localhost", "::1"}:
        raise ImproperlyConfigured(f"{name} would send its password in the clear: add ?tls=starttls, or use smtps://.")
    return server


def mail_from(name: str, *, needed: bool) -> str:
    """An address as in `EditAI <editai@example.org>`; may be left out unless `needed`."""
    value = text(name)
    if (needed or value) and ("@" not in parseaddr(value)[1] or not value.isprintable()):
        raise ImproperlyConfigured(f"{name} must be an address like EditAI <editai@example.org>.")
    return value


def private_dir(path: Path) -> Path:
    """A folder that only this user may enter (0700), made when missing."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def secret_key(name: str, path: Path, *, may_create: bool) -> str:
    """The value of switch `name`, else of the private file `path`, made on first use where that is allowed."""
    if value := text(name):
        return value
    if not path.exists():
        if not may_create:
            raise ImproperlyConfigured(f"Set {name}: with DATABASE_URL no key is made up.")
        with contextlib.suppress(FileExistsError):  # another process of the same start was faster: its key counts
            write_private(path, secrets.token_urlsafe(64))
    return path.read_text().strip()
