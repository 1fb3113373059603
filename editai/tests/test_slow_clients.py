"""A real gunicorn, with a small application behind it: clients that send half a request stop nobody."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from editai.web_worker import is_whole

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 2.0  # the worker's, here; it looks once a second
APPLICATION = """
def application(environ, start_response):
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
    body = str(size).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
CONFIG = f"from editai import web_worker\nweb_worker.GATHER_SECONDS = {DEADLINE}\nfrom editai.gunicorn import *\n"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    folder = tmp_path_factory.mktemp("gunicorn")
    (folder / "measure.py").write_text(APPLICATION)
    (folder / "patient.py").write_text(CONFIG)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "EDITAI_PORT": str(port), "EDITAI_WEB_WORKERS": "1", "EDITAI_WEB_THREADS": "4"}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    words = [sys.executable, "-m", "gunicorn", "--config", "python:patient", "measure"]
    process = subprocess.Popen(words, env=environment, cwd=folder)
    try:
        until = time.monotonic() + 10
        while not listens(port) and time.monotonic() < until:
            time.sleep(0.05)
        yield port, process
    finally:
        process.terminate()
        process.wait(timeout=15)


@pytest.fixture
def port(server: tuple[int, "subprocess.Popen[bytes]"]) -> int:
    return server[0]


def sent(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=6)
    connection.sendall(data)
    return connection


def answer(port: int, body: bytes | None = None) -> tuple[str, float]:
    """What the server says, and after how many seconds."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST" if body else "GET", "/", body)
    text = connection.getresponse().read().decode()
    connection.close()
    return text, time.monotonic() - began


def rest(connection: socket.socket) -> bytes:
    said = b""
    while piece := connection.recv(65536):
        said += piece
    return said


@pytest.mark.parametrize(
    "half",
    [
        b"GET / HTTP/1.1\r\nHost:",
        b"",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost:",  # a whole one, then half of the next
    ],
)
def test_half_sent_requests_stop_nobody_and_are_dropped(port: int, half: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(sent(port, half)) for _ in range(100)]
        for _ in range(3):
            text, seconds = answer(port)
            assert (text, seconds < 1) == ("0", True)
        began = time.monotonic()
        for connection in slow:
            said = rest(connection)
            assert said.count(b"200 OK") == half.count(b"\r\n\r\nGET")
        assert time.monotonic() - began < DEADLINE + 2


def test_a_trickle_renews_nothing(port: int) -> None:
    with sent(port, b"GET / HTTP/1.1\r\nX: ") as connection:
        began = time.monotonic()
        with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: PT012 - some send of many fails
            while time.monotonic() - began < 6:
                connection.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < DEADLINE + 2


def test_clients_that_never_hang_up_stop_nobody(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(sent(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
        assert answer(port)[1] < 1


def test_slow_but_whole_request_is_served(port: int) -> None:
    with sent(port, b"") as connection:
        for piece in (b"POST / HTTP/1.1\r", b"\nHost: a\r\nConnection: close\r\nContent-Le", b"ngth: 4\r\n\r", b"\nab"):
            connection.sendall(piece)
            time.sleep(0.2)
        connection.sendall(b"cd")
        assert rest(connection).endswith(b"\r\n\r\n4")


def test_kept_connection_and_requests_sent_together(port: int) -> None:
    one = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    with sent(port, one * 3) as connection:
        time.sleep(0.3)
        connection.sendall(one.replace(b"Host", b"Connection: close\r\nHost"))
        assert rest(connection).count(b"\r\n\r\n3") == 4


def test_large_and_chunked_bodies_and_expect(port: int) -> None:
    assert answer(port, b"x" * 20_000_000)[0] == "20000000"
    assert answer(port, b"x" * 65_536)[0] == "65536"
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    with sent(port, head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n") as connection:
        assert rest(connection).endswith(b"\r\n\r\n3")
    with sent(port, head + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"abc")
        assert rest(connection).endswith(b"\r\n\r\n3")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n", 400, "invalid"),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400, "invalid"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "address_too_long"),
        (b"GET /" + b"a" * 70_000, 414, "address_too_long"),
        (b"GET / HTTP/1.1\r\n" + b"X: " + b"a" * 70_000, 431, "headers_too_large"),
    ],
)
def test_refusals_have_the_one_error_shape(port: int, data: bytes, status: int, code: str) -> None:
    with sent(port, data) as connection:
        head, _, body = rest(connection).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["error"]["code"] == code


def test_whole_or_not() -> None:
    assert not is_whole(b"GET / HTTP/1.1\r\nA: b\r")
    assert is_whole(b"GET / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n")
    assert is_whole(b"GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n")


def test_stopping_does_not_wait_for_the_half_sent(server: tuple[int, "subprocess.Popen[bytes]"]) -> None:
    port, process = server
    with sent(port, b"GET / HTTP/1.1\r\nHost:"):
        assert answer(port)[0] == "0"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=6)
