"""How gunicorn serves the web application; read by `gunicorn --config python:editai.gunicorn`.

Threads, because a request mostly waits for the database or for a client that takes a long file. The access log names
the profile of every request and never shows what would open a signed link.
"""

import ctypes
import json
import os
import re
import signal
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from django.utils.module_loading import import_string
from gunicorn.glogging import Logger

from editai.settings.logs import logging_config
from profiles.logs import ContextFilter, redact_path

PR_SET_PDEATHSIG = 1
_SECRET_NAMES = r"(sig|signature|token|api_key|awsaccesskeyid|x-amz-[a-z-]+)"
_SECRET_NAME = re.compile(_SECRET_NAMES, re.IGNORECASE)
_SECRET_WITHIN = re.compile(rf"[?&]{_SECRET_NAMES}=", re.IGNORECASE)  # a link as the value: ?next=/media/1/?sig=…


def _address() -> str:
    host = os.environ.get("EDITAI_BIND", "").strip() or "127.0.0.1"
    port = os.environ.get("EDITAI_PORT", "").strip() or "8000"
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name, "").strip() or default)


def _wants_json() -> bool:
    return os.environ.get("EDITAI_LOG_FORMAT", "").strip().lower() == "json"


def redacted(address: str) -> str:
    """`address` (a path with query, or a whole URL) with the values of the secret query parameters blanked, and the
    secret of a review link in its path.

    Names are compared as the application will read them: decoded and without regard to case.
    """
    path, mark, query = address.partition("?")
    decoded = unquote(path)
    if redact_path(decoded) != decoded:
        path = redact_path(decoded)
    return path + mark + redacted_query(query) if mark else path


def redacted_query(query: str) -> str:
    """`query` (without its `?`) with the values of the secret parameters blanked."""
    parts = []
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        secret = _SECRET_NAME.fullmatch(unquote(name).strip()) or _SECRET_WITHIN.search(unquote(value))
        parts.append(f"{name}=[redacted]" if equals and secret else part)
    return "&".join(parts)


class RedactingLogger(Logger):
    """One line a request: the profile, who asked for what, status, bytes, time; JSON with EDITAI_LOG_FORMAT=json.

    What gunicorn itself has to say takes the same shape, its addresses blanked too.
    """

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        formatters = logging_config(json_lines=_wants_json(), level="INFO")["formatters"]
        options = formatters["json" if _wants_json() else "plain"]
        formatter = import_string(options["()"])(options["format"])
        for handler in self.error_log.handlers:
            handler.addFilter(ContextFilter())
            handler.setFormatter(formatter)

    def atoms(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> dict[str, Any]:
        environ = dict(environ)
        for name in ("RAW_URI", "HTTP_REFERER"):
            if name in environ:
                environ[name] = redacted(environ[name])
        environ["QUERY_STRING"] = redacted_query(environ.get("QUERY_STRING", ""))
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)
        if "{referer}i" in atoms:
            atoms["{referer}i"] = redacted(atoms["{referer}i"])
        return atoms

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        atoms = self.atoms(resp, req, environ, request_time)
        profile = atoms.get("{x-profile-id}o")
        request = json.dumps(atoms["r"])  # control characters escaped: a request can't forge a second line
        message = f"{atoms['h']} {request} {atoms['s']} {atoms['b']} {atoms['M']}ms"
        now = datetime.now().astimezone()
        if _wants_json():
            line = json.dumps(
                {
                    "asctime": now.isoformat(timespec="milliseconds"),
                    "levelname": "INFO",
                    "name": "editai.access",
                    "profile": profile,
                    "request_id": atoms.get("{x-request-id}o"),
                    "message": message,
                }
            )
        else:
            tag = f"[Profile {profile}] " if profile else ""
            line = f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d} INFO editai.access {tag}{message}"
        self.access_log.info("%s", line)


def post_fork(server: Any, worker: Any) -> None:
    """A web worker never outlives gunicorn's master, not even when that is killed with no time to say so."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != worker.ppid:
        os._exit(1)


bind = [_address()]
worker_class = "editai.web_worker.GatheringWorker"  # threads, and no thread for a half-sent request
workers = _number("EDITAI_WEB_WORKERS", 2)
threads = _number("EDITAI_WEB_THREADS", 16)
preload_app = True  # the program is loaded once and shared: a quicker start, less memory
timeout = 120  # a worker whose main loop is silent for so long hangs; long requests run in threads and don't count
graceful_timeout = 8  # below the supervisor's grace of 10 s
keepalive = 5
# a heartbeat file: on a busy disk it would stall the worker
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
forwarded_allow_ips = os.environ.get("EDITAI_TRUSTED_PROXIES", "").strip()
control_socket_disable = True
accesslog = "-"
errorlog = "-"
logger_class = RedactingLogger
