"""EditAI's API for a script: standard library only, as a user's own script would be."""

import http.client
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from uuid import uuid4

from django.conf import settings
from django.core.management.base import CommandError

from profiles.first_login import FILE_NAME

API = "/api/v1/"
TIMEOUT = 60  # seconds, of one request
CHUNK = 256 * 1024

Json = dict[str, Any]


class ApiError(CommandError):
    """An answer from 400 on, or none."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        super().__init__(text)


class Client:
    """EditAI's API for a script. Paths are relative to /api/v1/. Raises ApiError."""

    def __init__(self, url: str, *, host: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise CommandError(f"{url!r} is no address like http://127.0.0.1:8000.")
        self._parts = parts
        self._headers = {"Accept": "application/json", **({"Host": host} if host else {})}

    def sign_in(self, token: str, profile_id: str = "") -> None:
        self._headers["Authorization"] = f"Bearer {token}"
        if profile_id:
            self._headers["X-Profile-Id"] = profile_id

    def sign_out(self) -> None:
        for name in ("Authorization", "X-Profile-Id"):
            self._headers.pop(name, None)

    def get(self, path: str) -> Json:
        return self._json("GET", path)

    def post(self, path: str, body: Json) -> Json:
        return self._json("POST", path, body)

    def put(self, path: str, body: Json) -> Json:
        return self._json("PUT", path, body)

    def upload(self, path: str, video: Path, fields: dict[str, str]) -> Json:
        """A multipart form with the file `video`, read while it is sent."""
        border = uuid4().hex
        head = "".join(
            f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        # the name is the server's to doubt; quotes and line breaks would end it early
        name = "".join("_" if letter in '"\\\r\n' else letter for letter in video.name)
        head += f'--{border}\r\nContent-Disposition: form-data; name="video"; filename="{name}"\r\n'
        head += "Content-Type: application/octet-stream\r\n\r\n"
        start, end = head.encode(), f"\r\n--{border}--\r\n".encode()
        length = len(start) + video.stat().st_size + len(end)
        headers = {"Content-Type": f"multipart/form-data; boundary={border}", "Content-Length": str(length)}
        with video.open("rb") as file, self._answer("POST", path, _in_order(start, file, end), headers) as answer:
            return _parsed(answer)

    def download(self, path: str, target: Path) -> int:
        """Writes the answer into `target`; returns its size in bytes."""
        with self._answer("GET", path, None, {"Accept": "*/*"}) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file, CHUNK)
            return file.tell()

    def _json(self, method: str, path: str, body: Json | None = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        with self._answer(method, path, data, headers) as answer:
            return _parsed(answer)

    @contextmanager
    def _answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT)
        try:
            connection.request(method, API + path, body, {**self._headers, **headers})
            answer = connection.getresponse()
            if answer.status >= 400:
                raise ApiError(answer.status, f"{method} {path}: {_said(answer)}")
            yield answer
        except (OSError, http.client.HTTPException) as error:
            where = f"{self._parts.scheme}://{self._parts.netloc}"
            raise ApiError(0, f"No proper answer from {where} ({error}). Is EditAI running there?") from error
        finally:
            connection.close()


def _in_order(start: bytes, file: BinaryIO, end: bytes) -> Iterator[bytes]:
    yield start
    while data := file.read(CHUNK):
        yield data
    yield end


def _parsed(answer: http.client.HTTPResponse) -> Json:
    parsed: Json = json.loads(answer.read() or b"{}")
    return parsed


def _said(answer: http.client.HTTPResponse) -> str:
    with suppress(ValueError, KeyError, TypeError):
        error = _parsed(answer)["error"]
        hints = [f"{name}: {hint}" for name, told in error.get("fields", {}).items() for hint in told]
        more = [hint for hint in hints if error["message"] not in hint]
        return " ".join([f"{answer.status} {error['code']}: {error['message']}", *more])
    return f"status {answer.status}"


def client_for(url: str) -> Client:
    if url:
        return Client(url)
    # this very machine, whatever name the server has outside
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.BIND, settings.BIND)  # noqa: S104
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return Client(f"http://{host}:{settings.PORT}", host=f"127.0.0.1:{settings.PORT}")


def sign_in(client: Client, token: str) -> None:
    """With `token`, else as the first login's user: by their token, or by name and password when that was revoked."""
    if token:
        client.sign_in(token)
        client.get("auth/me/")
        return
    path = Path(settings.DATA_DIR) / FILE_NAME
    try:
        login = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"There is no readable {path}: give an API token with --token.") from error
    client.sign_in(login["token"], login.get("profile_id", ""))
    try:
        client.get("auth/me/")
    except ApiError as error:
        if error.status != 401:
            raise
        client.sign_out()
        answer = client.post("auth/token/", {"username": login["username"], "password": login["password"]})
        client.sign_in(answer["token"], login.get("profile_id", ""))
