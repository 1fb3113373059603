"""Sending files: ranges, versions, names. Attacks C4, C7, C18, C23, C25."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections
from django.http.response import HttpResponseBase

from conftest import Person
from profiles import files, scope
from profiles.api import media, slots
from profiles.api.media import download_name
from profiles.models import StoredFile

pytestmark = [pytest.mark.django_db, pytest.mark.urls("profiles.tests.toys")]
CONTENT = os.urandom(2 * 2**20 + 123)
SIZE = len(CONTENT)


@pytest.fixture(autouse=True)
def _no_slot_is_lost() -> Iterator[None]:
    yield
    assert slots.streams.open() == 0


def stored(person: Person, folder: Path, content: bytes = CONTENT, suffix: str = ".mp4") -> StoredFile:
    path = folder / f"made-{uuid4().hex}"
    path.write_bytes(content)
    with scope.activate(person.profile.pk):
        return files.store(profile=person.profile, path=path, area="toys", suffix=suffix)


@pytest.fixture
def film(owner: Person, tmp_path: Path) -> StoredFile:
    return stored(owner, tmp_path)


def get(person: Person, file: StoredFile, method: str = "get", query: str = "", **headers: str) -> Any:
    url = f"/api/v1/toys/{file.pk}/stream/{query}"
    return getattr(person.client, method)(url, headers={name.replace("_", "-"): v for name, v in headers.items()})


def content_of(answer: HttpResponseBase) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]


def leave(answer: HttpResponseBase) -> None:
    """As when a browser closes the connection halfway; the test's database stays open."""
    request_finished.disconnect(close_old_connections)
    try:
        answer.close()
    finally:
        request_finished.connect(close_old_connections)


def test_all_of_it(owner: Person, film: StoredFile) -> None:
    answer = get(owner, film)
    assert answer.status_code == 200
    assert content_of(answer) == CONTENT
    assert answer["Content-Length"] == str(SIZE)
    assert answer["Content-Type"] == "video/mp4"
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer["Cache-Control"].startswith("private")
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=100-", 100, SIZE - 1),
        ("bytes=-5", SIZE - 5, SIZE - 1),
        (f"bytes=-{SIZE * 10}", 0, SIZE - 1),
        (f"bytes=5-{SIZE * 10}", 5, SIZE - 1),
        (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE - 1),
        ("bytes=262144-524288", 262144, 524288),
    ],
)
def test_one_range(owner: Person, film: StoredFile, asked: str, start: int, end: int) -> None:
    answer = get(owner, film, Range=asked)
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes {start}-{end}/{SIZE}"
    assert answer["Content-Length"] == str(end - start + 1)
    assert content_of(answer) == CONTENT[start : end + 1]


@pytest.mark.parametrize(
    "asked",
    ["bytes=-0", f"bytes={SIZE}-", "bytes=5-4", f"bytes={10**30}-", f"bytes={10**30}-{10**31}"],
)
def test_a_range_outside_is_416(owner: Person, film: StoredFile, asked: str) -> None:
    answer = get(owner, film, Range=asked)
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{SIZE}"
    assert answer.json()["error"]["code"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=" + ",".join(["0-"] * 10_000),
        "bytes=0-0,0-0",
        "bytes=a-b",
        "bytes=-",
        "items=0-1",
        "bytes=٣-٤",
    ],
)
def test_several_ranges_or_none_get_the_whole(owner: Person, film: StoredFile, asked: str) -> None:
    answer = get(owner, film, Range=asked)
    assert answer.status_code == 200
    assert len(content_of(answer)) == SIZE


def test_if_range_gives_the_rest_of_the_same_version_only(owner: Person, film: StoredFile) -> None:
    etag = get(owner, film, "head")["ETag"]
    same = get(owner, film, Range="bytes=10-19", If_Range=etag)
    assert same.status_code == 206
    content_of(same)
    for old in ('"other"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        answer = get(owner, film, Range="bytes=10-19", If_Range=old)
        assert answer.status_code == 200
        content_of(answer)


def test_head_tells_without_opening(owner: Person, film: StoredFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "open_range", lambda *_: pytest.fail("opened"))
    answer = get(owner, film, "head")
    assert answer.status_code == 200
    assert answer["Content-Length"] == str(SIZE)
    part = get(owner, film, "head", Range="bytes=0-9")
    assert part.status_code == 206
    assert part["Content-Length"] == "10"


def test_the_tag_differs_by_person_and_brand(owner: Person, viewer: Person, film: StoredFile) -> None:
    mine, theirs = get(owner, film, "head")["ETag"], get(viewer, film, "head")["ETag"]
    assert mine != theirs
    assert get(owner, film, If_None_Match=mine).status_code == 304
    answer = get(viewer, film, If_None_Match=mine)
    assert answer.status_code == 200
    content_of(answer)


def test_what_we_did_not_make_is_a_download(owner: Person, tmp_path: Path) -> None:
    page = stored(owner, tmp_path, b"<script>alert(1)</script>", ".html")
    answer = get(owner, page)
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment")
    content_of(answer)


@pytest.mark.parametrize("accept", ["*/*", "video/webm,video/*;q=0.9", "text/html", "image/avif", "nonsense"])
def test_players_may_ask_for_any_type(owner: Person, film: StoredFile, accept: str) -> None:
    answer = get(owner, film, Range="bytes=0-0", Accept=accept)
    assert answer.status_code == 206
    content_of(answer)


def test_a_foreign_file_is_not_there(owner: Person, stranger: Person, film: StoredFile) -> None:
    foreign = get(stranger, film)
    unknown = get(stranger, StoredFile(pk=uuid4()))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content


def test_a_file_that_is_not_stored_or_lost_is_404(owner: Person, film: StoredFile) -> None:
    with scope.activate(owner.profile.pk):
        StoredFile.objects.filter(pk=film.pk).update(state="writing")
    assert get(owner, film).status_code == 404
    with scope.activate(owner.profile.pk):
        StoredFile.objects.filter(pk=film.pk).update(state="stored", key="profiles/gone")
    assert get(owner, film).status_code == 404


def test_an_empty_file(owner: Person, tmp_path: Path) -> None:
    empty = stored(owner, tmp_path, b"")
    answer = get(owner, empty)
    assert (answer.status_code, content_of(answer)) == (200, b"")
    assert get(owner, empty, Range="bytes=0-0").status_code == 416


def test_a_caller_has_four_downloads(owner: Person, viewer: Person, film: StoredFile, settings: Any) -> None:
    settings.WEB_THREADS = 16
    held = [get(owner, film) for _ in range(slots.STREAMS_PER_CALLER)]
    refused = get(owner, film)
    assert refused.status_code == 429
    assert refused["Retry-After"] == "5"
    small = get(owner, film, Range="bytes=0-1000")
    assert small.status_code == 206
    other = get(viewer, film)
    assert other.status_code == 200
    for answer in [*held, small, other]:
        leave(answer)
    again = get(owner, film)
    assert again.status_code == 200
    content_of(again)


def test_memory_stays_flat(owner: Person, film: StoredFile) -> None:
    answer = get(owner, film)
    assert max(len(chunk) for chunk in answer.streaming_content) <= 256 * 1024
    leave(answer)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("My clip", "My clip.mp4"),
        ("clip.MP4", "clip.mp4"),
        ("../../etc/passwd", "etc_passwd.mp4"),
        ('a"b\r\nSet-Cookie: x', "a_b_Set-Cookie_ x.mp4"),
        ("\u202egpj.exe", "gpj.exe.mp4"),
        ("CON", "_CON.mp4"),
        ("com1.txt", "_com1.txt.mp4"),
        ("", "file.mp4"),
        ("...", "file.mp4"),
        ("x" * 5000, "x" * 120 + ".mp4"),
        ("Füße 🎬", "Füße 🎬.mp4"),
    ],
)
def test_download_names(name: str, wanted: str) -> None:
    assert download_name(name, ".mp4") == wanted


def test_a_hostile_name_makes_no_header(owner: Person, film: StoredFile) -> None:
    answer = get(owner, film, "head", query="?name=a%0d%0aX-Evil:%20y%22%E2%80%AE")
    assert "X-Evil" not in dict(answer.items())
    assert "\n" not in answer["Content-Disposition"]


def test_only_types_of_the_table_are_inline() -> None:
    assert set(media.INLINE) == {"video/mp4", "audio/mp4", "audio/wav", "image/jpeg", "text/vtt"}
