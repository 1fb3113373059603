"""Receiving files: limits, full disks, bodies that break off, slow clients. Attacks C18, C19, C23."""

import errno
import hashlib
import io
import os
import shutil
import socket
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from conftest import Person
from profiles.api import slots, uploads
from profiles.errors import TooMany

pytestmark = [pytest.mark.django_db, pytest.mark.urls("profiles.tests.toys")]
PARCEL = "/api/v1/parcel/"
Usage = namedtuple("Usage", "total used free")


def left_over(settings: Any) -> list[str]:
    return os.listdir(settings.FILE_UPLOAD_TEMP_DIR)


@pytest.fixture(autouse=True)
def _clean(settings: Any, tmp_path: Path) -> Any:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    settings.FREE_SPACE_MARK = 0
    yield
    assert left_over(settings) == []
    assert slots.uploads.open() == 0


def send(person: Person, content: bytes, name: str = "film.mp4", **extra: Any) -> Any:
    return person.client.post(PARCEL, {"video": SimpleUploadedFile(name, content)}, format="multipart", **extra)


def body_of(content: bytes, name: str = "film.mp4") -> bytes:
    return encode_multipart(BOUNDARY, {"video": SimpleUploadedFile(name, content)})


def test_a_file_arrives_hashed_on_the_data_volume(owner: Person, settings: Any) -> None:
    content = os.urandom(3 * 2**20 + 17)
    answer = send(owner, content)
    assert answer.status_code == 200, answer.content
    assert answer.json()["size"] == len(content)
    assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()
    assert Path(answer.json()["at"]).parent == settings.FILE_UPLOAD_TEMP_DIR


def test_a_small_file_is_on_disk_too_and_only_we_may_read_it(settings: Any) -> None:
    file = uploads.ReceivedFile("a", "video/mp4", None, None)
    assert Path(file.temporary_file_path()).stat().st_mode & 0o777 == 0o600
    kept = Path(settings.FILE_UPLOAD_TEMP_DIR) / "kept"
    Path(file.temporary_file_path()).rename(kept)
    file.close()
    assert kept.exists()
    kept.unlink()


@pytest.mark.parametrize(
    "name",
    ["../../etc/x", "a\x00b.mp4", "x" * 5000 + ".mp4", "a." + "e" * 5000, 'a"\r\nX: y.mp4', "\u202egpj.exe", "CON"],
)
def test_a_name_is_only_data(owner: Person, settings: Any, name: str) -> None:
    answer = send(owner, b"123", name)
    if answer.status_code == 400:  # the form itself cannot be read
        return
    assert answer.status_code == 200, answer.content
    assert Path(answer.json()["at"]).parent == settings.FILE_UPLOAD_TEMP_DIR
    assert "/" not in answer.json()["name"]


def test_what_is_declared_too_large_is_413_before_it_is_read(owner: Person, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    answer = send(owner, b"x" * (2**20 + 3000))
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"


def test_what_lies_about_its_length_is_413_while_it_is_read(owner: Person, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    assert send(owner, b"x" * 2000).status_code == 413  # inside the form's overhead, but over the limit
    assert send(owner, b"x" * 1000).status_code == 200


def test_a_full_disk_is_507_before_it_is_read(owner: Person, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FREE_SPACE_MARK = 2**30
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, 2**30 + 100))
    answer = send(owner, b"x" * 1000)
    assert answer.status_code == 507
    assert answer.json()["error"]["code"] == "disk_full"


def test_a_disk_that_fills_up_meanwhile_is_507(owner: Person, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.FREE_SPACE_MARK = 1000
    monkeypatch.setattr(uploads, "_LOOK_EVERY", 2**18)
    free = iter([2**30, 5000, 500])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 0, next(free)))
    assert send(owner, b"x" * 2**20).status_code == 507


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_write_that_finds_no_room_is_507(owner: Person, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(code, "no room")

    def full(self: uploads.ReceivedFile, *args: Any) -> None:
        super(uploads.ReceivedFile, self).__init__(Full(), "a", "video/mp4", 0, None, None)

    monkeypatch.setattr(uploads.ReceivedFile, "__init__", full)
    answer = send(owner, b"x" * 1000)
    assert answer.status_code == 507
    assert answer.json()["error"]["code"] == "disk_full"


@pytest.mark.parametrize("cut", [1, 40, 5000])
def test_a_body_that_breaks_off_is_no_file(owner: Person, cut: int) -> None:
    body = body_of(b"x" * 20_000)
    client = Client(raise_request_exception=False)
    answer = client.generic(
        "POST",
        PARCEL,
        body,
        MULTIPART_CONTENT,
        headers={"Authorization": f"Bearer {owner.token}"},
        **{"wsgi.input": io.BytesIO(body[:-cut])},  # type: ignore[arg-type]
    )
    assert answer.status_code == 400, answer.content
    assert answer.json()["error"]["code"] == "malformed"


def test_a_broken_form_is_400(owner: Person) -> None:
    header = {"Authorization": f"Bearer {owner.token}"}
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\xff"):
        answer = Client().generic("POST", PARCEL, b"nothing", content_type, headers=header)
        assert answer.status_code == 400, content_type
        assert answer.json()["error"]["code"] == "malformed"


def test_who_may_not_write_sends_in_vain(viewer: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads.GuardedUploadHandler, "new_file", lambda *_: pytest.fail("the body was read"))
    assert send(viewer, b"x" * 1000).status_code == 403
    answer = Client().post(PARCEL, {"video": SimpleUploadedFile("a", b"x")})
    assert answer.status_code == 401


def test_a_session_with_the_header_is_asked_before_its_upload_is_read(
    viewer: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads.GuardedUploadHandler, "new_file", lambda *_: pytest.fail("the body was read"))
    client = Client(enforce_csrf_checks=True)
    client.force_login(viewer.user)
    client.get("/api/v1/toys/", headers={"Accept": "text/html"})
    headers = {"X-CSRFToken": client.cookies["csrftoken"].value}
    answer = client.post(PARCEL, {"video": SimpleUploadedFile("a", b"x")}, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "permission_denied"


def test_pages_take_no_files(client: Client) -> None:
    answer = client.post("/login/", {"username": "a", "password": "b", "x": SimpleUploadedFile("a", b"x" * 1000)})
    assert answer.status_code in {200, 413}
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/login/", {"x": SimpleUploadedFile("a", b"x" * 1000)})
    assert answer.status_code in {403, 413}


def test_a_caller_has_three_uploads_and_everybody_together_leaves_threads_free(settings: Any) -> None:
    settings.WEB_THREADS = 8
    request = RequestFactory().get("/", REMOTE_ADDR="192.0.2.1")
    held = [slots.uploads.take(request) for _ in range(3)]
    with pytest.raises(TooMany) as refused:
        slots.uploads.take(request)
    assert refused.value.retry_after == 5
    others = [
        slots.streams.take(RequestFactory().get("/", REMOTE_ADDR=f"192.0.2.{number}")) for number in range(10, 13)
    ]
    with pytest.raises(TooMany):
        slots.streams.take(RequestFactory().get("/", REMOTE_ADDR="192.0.2.99"))
    held[0]()
    held[0]()  # twice does no harm
    slots.streams.take(RequestFactory().get("/", REMOTE_ADDR="192.0.2.99"))()
    for give_back in [*held, *others]:
        give_back()
    assert slots.streams.open() == 0


def test_an_upload_that_stands_still_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "IDLE_SECONDS", 0.3)
    monkeypatch.setattr(slots, "_watching", None)
    ours, theirs = socket.socketpair()
    request = RequestFactory().get("/")
    request.META["gunicorn.socket"] = ours
    watched, unwatch = slots.watch(request)
    started = time.monotonic()
    assert ours.recv(100) == b""  # nobody sent anything; the watcher shut it
    assert 0.2 < time.monotonic() - started < 5
    watched.moved(5)
    unwatch()
    for end in (ours, theirs):
        end.close()


def test_what_a_crash_left_is_swept(settings: Any) -> None:
    folder = Path(settings.FILE_UPLOAD_TEMP_DIR)
    old, new = folder / f"old{uploads.SUFFIX}", folder / f"new{uploads.SUFFIX}"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    assert uploads.sweep_uploads() == 1
    assert left_over(settings) == [new.name]
    new.unlink()


def test_memory_stays_flat(owner: Person, settings: Any) -> None:
    """40 MB through the parser and the handler, in pieces, while at most a few are held."""
    import tracemalloc

    class Endless(io.RawIOBase):
        def __init__(self, head: bytes, middle: int, tail: bytes) -> None:
            self.parts, self.middle = [head, tail], middle

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            if self.parts and len(self.parts) == 2:
                return self.parts.pop(0)
            if self.middle > 0:
                count = min(size if size > 0 else 65536, self.middle)
                self.middle -= count
                return b"x" * count
            return self.parts.pop(0) if self.parts else b""

    head, tail = body_of(b"@@").split(b"@@")
    total = 40 * 2**20
    request = RequestFactory().generic("POST", PARCEL, b"", MULTIPART_CONTENT)
    request.META |= {"CONTENT_LENGTH": str(len(head) + total + len(tail)), "CONTENT_TYPE": MULTIPART_CONTENT}
    request.content_type, request.content_params = "multipart/form-data", {"boundary": BOUNDARY}
    request.user = owner.user
    request._stream = Endless(head, total, tail)  # type: ignore[assignment]
    request._read_started = False  # type: ignore[attr-defined]
    tracemalloc.start()
    file: Any = request.FILES["video"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert file.size == total
    assert peak < 8 * 2**20, f"{peak / 2**20:.1f} MB"
    file.close()
