"""The stub takes and refuses uploads as Postiz does, without holding them."""

import http.client
import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.stubs.postiz import RemoteFile, StubPostiz
from tests.stubs.postiz_caller import MP4, Caller, bad_request

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
AVIF = b"\0\0\0\x1cftypavif" + bytes(16)


def test_an_upload_with_a_wrong_key_is_cut_off_before_its_end(postiz: StubPostiz) -> None:
    with socket.create_connection(("127.0.0.1", int(postiz.url.rsplit(":", 1)[1])), timeout=10) as line:
        line.sendall(
            b"POST /public/v1/upload HTTP/1.1\r\nHost: x\r\nAuthorization: wrong\r\nContent-Length: 900000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        said = b""
        while piece := line.recv(4096):
            said += piece
    assert said.startswith(b"HTTP/1.1 401 ")
    assert said.endswith(b'{"msg":"Invalid API key"}')


def test_uploads(caller: Caller) -> None:
    answer = caller.upload(MP4 + bytes(3_000_000), name="mine.mov")
    row = answer.json()
    assert answer.status_code == 201
    assert list(row) == ["id", "name", "originalName", "path", "thumbnail", "alt"]
    assert row["path"].startswith(f"{caller.stub.url}/uploads/")
    assert row["path"].endswith(row["name"])
    assert row["name"].endswith(".mp4")
    assert caller.stub.media[0].size == len(MP4) + 3_000_000
    assert caller.upload(AVIF).json()["name"].endswith(".avif")


@pytest.mark.parametrize(
    ("content", "field", "said"),
    [
        (b"text, whatever its name", "file", bad_request("Unsupported file type.")),
        (b"\0\0\0\x14ftypqt  " + bytes(20), "file", bad_request("Unsupported file type.")),
        (b"\0\0\0\x14ftypM4V " + bytes(20), "file", bad_request("Unsupported file type.")),
        (MP4, "video", bad_request("Unexpected field - video")),
        (PNG + bytes(2000), "file", bad_request("File size exceeds the maximum allowed size of 1000 bytes.")),
        (MP4 + bytes(3000), "file", bad_request("File size exceeds the maximum allowed size of 2000 bytes.")),
    ],
)
def test_uploads_that_are_refused(caller: Caller, content: bytes, field: str, said: dict[str, Any]) -> None:
    caller.stub.limits.image_bytes, caller.stub.limits.video_bytes = 1000, 2000
    answer = caller.upload(content, field=field)
    assert (answer.status_code, answer.json()) == (400, said)
    assert caller.stub.media == []


def test_a_form_without_a_file_and_one_that_ends_early(caller: Caller) -> None:
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    field = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
    assert caller.client.post("/upload", content=field, headers=head).json() == {"msg": "No file provided"}
    half = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + MP4
    answer = caller.client.post("/upload", content=half, headers=head)
    assert (answer.status_code, answer.json()) == (400, bad_request("Multipart: Unexpected end of form"))


def test_a_chunked_upload_cut_at_any_place_is_read_the_same(caller: Caller) -> None:
    content = MP4 + b"\r\n--b" * 500 + b"\r\n--bound"  # nearly boundaries
    form = (
        b'--bounds\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + content + b"\r\n--bounds--"
    )
    for size in (1, 7, 64, 4096):
        pieces = (form[at : at + size] for at in range(0, len(form), size))
        head = {"Content-Type": "multipart/form-data; boundary=bounds"}
        assert caller.client.post("/upload", content=pieces, headers=head).status_code == 201
    assert {item.size for item in caller.stub.media} == {len(content)}
    assert len({item.sha256 for item in caller.stub.media}) == 1


def test_a_proxy_refuses_a_large_body_before_it_is_sent(postiz: StubPostiz) -> None:
    postiz.limits.proxy_bytes = 1_000_000
    line = http.client.HTTPConnection(postiz.url.removeprefix("http://"), timeout=10)
    line.putrequest("POST", "/public/v1/upload")
    line.putheader("Authorization", postiz.organisation().key)
    line.putheader("Content-Type", "multipart/form-data; boundary=b")
    line.putheader("Content-Length", "900000000")
    line.endheaders()
    answer = line.getresponse()
    assert (answer.status, answer.headers["Connection"], answer.headers["Content-Type"]) == (413, "close", "text/html")
    assert b"413 Request Entity Too Large" in answer.read()
    line.close()


def test_uploads_from_an_address(caller: Caller) -> None:
    def said(url: str) -> Any:
        return caller.client.post("/upload-from-url", json={"url": url}).json()

    good = "https://files.example/a.mp4"
    assert said(good) == {"msg": "Failed to fetch URL"}
    caller.stub.remote_file(good, RemoteFile(MP4))
    assert said(good)["path"].endswith(".mp4")
    caller.stub.remote_file(good, RemoteFile(MP4, size=2**31))
    assert said(good) == {"msg": "File is too large."}
    caller.stub.remote_file(good, RemoteFile(b"text"))
    assert said(good) == {"msg": "Unsupported file type."}
    for url in ("http://files.example/a.mp4", "https://127.0.0.1/a.mp4", "https://10.0.0.1/a.mp4", f"{good}.exe"):
        assert said(url)["error"] == "Bad Request"


def test_a_large_upload_is_not_held_in_memory(caller: Caller) -> None:
    size, piece = 200 * 2**20, bytes(2**20)

    def form() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + MP4
        for _ in range(size // len(piece)):
            yield piece
            most[0] = max(most[0], process.memory_info().rss)
        yield b"\r\n--b--\r\n"

    process = psutil.Process()
    before = process.memory_info().rss
    most = [before]
    head = {"Content-Type": "multipart/form-data; boundary=b"}
    assert caller.client.post("/upload", content=form(), headers=head).status_code == 201
    assert caller.stub.media[0].size == size + len(MP4)
    assert most[0] - before < 60 * 2**20
