"""Uploads to Postiz: streamed, begun again when they break, refused in plain words."""

import socket
import time
import tracemalloc
from pathlib import Path

import pytest

from publishing.postiz import errors
from publishing.postiz import upload as postiz_upload
from publishing.postiz.client import Postiz
from publishing.postiz.upload import ascii_name
from publishing.tests.postiz_clients import MP4, client
from tests.raw_server import raw_server
from tests.stubs.postiz import Fault, StubPostiz, faults

pytestmark = pytest.mark.usefixtures("private_hosts")


def test_an_upload_tells_its_progress(stub: StubPostiz, postiz: Postiz, video: Path) -> None:
    seen: list[tuple[int, int]] = []
    media = postiz.upload(video, name="clip.mp4", on_progress=lambda sent, size: seen.append((sent, size)))
    size = video.stat().st_size
    assert media.path.endswith(".mp4")
    assert stub.media[0].size == size
    assert seen[0] == (65536, size)
    assert seen[-1] == (size, size)


@pytest.mark.parametrize(
    "fault",
    [
        faults.drop_before_commit(after_bytes=100_000),
        faults.drop_before_commit(after_bytes=100_000, reset=True),
        faults.drop_after_commit(),
        faults.html_502(early=True),
        faults.html_504(),
        faults.truncated_json(),
        faults.empty_401(),
        faults.reply_with(408, {}),
    ],
    ids=lambda fault: fault.name,
)
def test_an_upload_that_breaks_is_begun_again(
    stub: StubPostiz, postiz: Postiz, pauses: list[float], video: Path, fault: Fault
) -> None:
    stub.faults.script("POST /upload", fault, times=3)
    assert postiz.upload(video, name="clip.mp4").id
    assert pauses == [1, 2, 4]
    assert stub.media[-1].size == video.stat().st_size
    assert len(stub.of_route("GET /is-connected")) == 3


def test_an_upload_gives_up_after_three_restarts(
    stub: StubPostiz, postiz: Postiz, pauses: list[float], video: Path
) -> None:
    stub.faults.script("POST /upload", faults.html_502(), times=-1)
    with pytest.raises(errors.Unavailable):
        postiz.upload(video, name="clip.mp4")
    assert len(stub.of_route("POST /upload")) == 4


def test_an_upload_with_a_bad_key_says_so(stub: StubPostiz, pauses: list[float], tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.write(MP4)
        file.truncate(80 * 2**20)
    stub.limits.unread_bytes = 0
    with pytest.raises(errors.BadKey):
        client(stub, pauses, key="wrong").upload(path, name="clip.mp4")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.html_413(), errors.TooLarge),
        (faults.reply_with(402, {}), errors.QuotaUsedUp),
        (faults.rate_limited(), errors.RateLimited),
        (faults.redirect("https://elsewhere.example/"), errors.NotPostiz),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_an_upload_that_is_refused_is_not_begun_again(
    stub: StubPostiz, postiz: Postiz, video: Path, fault: Fault, error: type[errors.PostizError]
) -> None:
    stub.faults.script("POST /upload", fault)
    with pytest.raises(error):
        postiz.upload(video, name="clip.mp4")
    assert len(stub.of_route("POST /upload")) == 1


def test_what_is_no_mp4_is_refused(stub: StubPostiz, postiz: Postiz, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a film")
    with pytest.raises(errors.MediaRefused):
        postiz.upload(tmp_path / "a.mp4", name="a.mp4")


def test_a_file_above_a_gigabyte_is_not_sent(stub: StubPostiz, postiz: Postiz, tmp_path: Path) -> None:
    with (tmp_path / "a.mp4").open("wb") as file:
        file.truncate(2**30 + 1)
    with pytest.raises(errors.TooLarge):
        postiz.upload(tmp_path / "a.mp4", name="a.mp4")
    assert stub.requests == []


def test_an_upload_can_be_stopped(stub: StubPostiz, postiz: Postiz, video: Path) -> None:
    sent: list[int] = []
    with pytest.raises(errors.Stopped):
        postiz.upload(
            video, name="a.mp4", on_progress=lambda done, size: sent.append(done), should_stop=lambda: len(sent) > 1
        )
    assert len(sent) == 2
    assert stub.media == []


def test_an_upload_ends_at_its_deadline(
    postiz: Postiz, video: Path, monkeypatch: pytest.MonkeyPatch, stub: StubPostiz
) -> None:
    monkeypatch.setattr(postiz_upload, "SHORTEST", 1)
    stub.faults.script("POST /upload", faults.hang(5), times=-1)
    started = time.monotonic()
    with pytest.raises(errors.Unavailable):
        postiz.upload(video, name="a.mp4")
    assert time.monotonic() - started < 3


def test_a_large_upload_needs_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.write(MP4)
        file.truncate(200 * 2**20)
    got: list[int] = []

    def answer(connection: socket.socket, head: bytes) -> None:
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        received = 0
        while received < length:
            received += len(connection.recv(2**20))
        got.append(received)
        body = b'{"id":"m","path":"https://h/m.mp4"}'
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    with raw_server(answer) as server:
        postiz = Postiz(f"http://127.0.0.1:{server.port}", "k")
        tracemalloc.start()
        postiz.upload(path, name="large.mp4")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert got[0] > 200 * 2**20
    assert peak < 10 * 2**20


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("clip.mp4", "clip.mp4"),
        ("Größe \"1\"\r\n.MP4", "Groe-1-.mp4"),
        ("../../etc/passwd", "etc-passwd"),
        ("視頻.mp4", "mp4"),
        ("", "file"),
        ("a" * 300 + ".mp4", "a" * 96 + ".mp4"),
    ],
)  # fmt: skip
def test_names_of_uploads_are_plain(name: str, plain: str) -> None:
    assert ascii_name(name) == plain
