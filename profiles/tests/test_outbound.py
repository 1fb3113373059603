"""Calls to addresses that tenants typed: what is pinned, and what a hostile server can't do."""

import datetime
import gzip
import io
import ipaddress
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from profiles import addresses, outbound
from profiles.addresses import AddressNotAllowed
from profiles.errors import Invalid
from profiles.outbound import Broken, Guarded, NotSent, Timeout, TooMuch
from tests.raw_server import drain, raw_server, reply

KEY = "canary-key-4711"
QUICK = Timeout(connect=2, read=2, total=3)


def guarded(port: int, **options: Any) -> Guarded:
    return Guarded(f"http://127.0.0.1:{port}", **{"timeout": QUICK, **options})


# --- pinned to what was checked ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ips", [["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"], ["8.8.8.8", "fe80::1"]]
)
def test_one_private_address_refuses_the_whole_name(names: Any, ips: list[str]) -> None:
    names["two.example"] = [ips]
    with raw_server(reply(b"{}")) as server:
        with pytest.raises(AddressNotAllowed):
            Guarded(f"http://two.example:{server.port}", timeout=QUICK).request("GET")
        assert server.connections == 0


def test_a_name_that_is_rebound_after_the_check_is_refused(names: Any) -> None:
    names["rebind.example"] = [["93.184.215.14"], ["127.0.0.1"]]
    with raw_server(reply(b"{}")) as server:
        url = f"http://rebind.example:{server.port}"
        assert outbound.check(url)
        with pytest.raises(AddressNotAllowed):
            Guarded(url, timeout=QUICK).request("GET")
        assert server.connections == 0


def test_the_address_checked_is_the_address_connected_to(
    names: Any, private: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_second_look_up(*_: Any, **__: Any) -> Any:
        raise AssertionError("looked up again")

    names["pinned.example"] = [["127.0.0.1"], ["192.0.2.1"]]  # a second look-up would be refused
    monkeypatch.setattr(socket, "getaddrinfo", no_second_look_up)
    with raw_server(reply(b"{}")) as server:
        assert Guarded(f"http://pinned.example:{server.port}", timeout=QUICK).request("GET").status == 200
        assert f"host: pinned.example:{server.port}".encode() in server.heads[0].lower()


def test_the_next_address_is_taken_when_one_refuses(names: Any, private: None) -> None:
    names["many.example"] = [["127.9.9.9", "127.0.0.1"]]
    with raw_server(reply(b"{}")) as server:  # listens on 127.0.0.1 only
        assert Guarded(f"http://many.example:{server.port}", timeout=QUICK).request("GET").status == 200


def test_open_closed_and_filtered_ports_look_alike() -> None:
    with raw_server(reply(b"{}")) as server:
        texts, times = set(), []
        for host in (f"127.0.0.1:{server.port}", "127.0.0.1:1", "10.255.255.1:81"):
            started = time.monotonic()
            with pytest.raises(AddressNotAllowed) as caught:
                Guarded(f"http://{host}", timeout=QUICK).request("GET")
            times.append(time.monotonic() - started)
            texts.add(str(caught.value))
        assert server.connections == 0
    assert len(texts) == 1
    assert max(times) < 0.5


def test_redirects_are_not_followed(private: None) -> None:
    with raw_server(reply(b"{}")) as other:
        moved = reply(b"", status="301 Moved", headers=f"Location: http://127.0.0.1:{other.port}/")
        with raw_server(moved) as server:
            answer = guarded(server.port, headers={"Authorization": KEY}).request("GET")
        assert answer.status == 301
        assert other.connections == 0


def test_proxies_and_netrc_of_the_environment_are_ignored(
    private: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login l password p\n")
    with raw_server(reply(b'{"proxied": true}')) as proxy, raw_server(reply(b"{}")) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        assert guarded(server.port).request("GET").json() == {}
        assert proxy.connections == 0
        assert b"authorization" not in server.heads[0].lower()


# --- TLS -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of tls.example, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tls.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("tls.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server_names() -> list[str | None]:
    return []


@pytest.fixture
def server_tls(certificate: tuple[Path, Path], server_names: list[str | None]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.sni_callback = lambda sock, name, ctx: server_names.append(name)
    return context


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    monkeypatch.setattr(outbound, "tls_context", lambda: context)


def test_the_tls_name_is_the_one_that_was_typed(
    names: Any, private: None, trusted: None, server_tls: ssl.SSLContext, server_names: list[str | None]
) -> None:
    names["tls.example"] = names["else.example"] = [["127.0.0.1"]]
    with raw_server(reply(b'{"tls": 1}'), server_tls) as server:
        big = b"x" * 300_000
        called = Guarded(f"https://tls.example:{server.port}", timeout=QUICK).request("POST", content=big)
        assert called.json() == {"tls": 1}
        assert server_names == ["tls.example"]
        with pytest.raises(NotSent):  # a certificate for another name
            Guarded(f"https://else.example:{server.port}", timeout=QUICK).request("GET")
        assert len(server.heads) == 1


def test_an_untrusted_certificate_is_refused_before_the_key_leaves(
    names: Any, private: None, server_tls: ssl.SSLContext
) -> None:
    names["tls.example"] = [["127.0.0.1"]]
    with raw_server(reply(b"{}"), server_tls) as server:
        with pytest.raises(NotSent, match="no certificate that is trusted"):
            Guarded(f"https://tls.example:{server.port}", headers={"Authorization": KEY}).request("GET")
        assert server.heads == []


def test_a_tls_handshake_that_never_comes_ends_in_time(private: None) -> None:
    with raw_server(lambda connection, head: time.sleep(5)) as server:
        started = time.monotonic()
        with pytest.raises(NotSent):
            Guarded(f"https://127.0.0.1:{server.port}", timeout=Timeout(0.5, 0.5, 1)).request("GET")
        assert time.monotonic() - started < 3


# --- requests and replies ------------------------------------------------------------------------------


def test_a_call_carries_what_it_is_given(private: None) -> None:
    bodies: list[bytes] = []

    def answer(connection: socket.socket, head: bytes) -> None:
        bodies.append(drain(connection, head))
        connection.sendall(b"HTTP/1.1 201 Created\r\nX-Left: 3\r\nContent-Length: 2\r\n\r\n[]")

    with raw_server(answer) as server:
        base = Guarded(f"http://127.0.0.1:{server.port}/api/v1/?t=1", headers={"Authorization": KEY}, timeout=QUICK)
        got = base.request("POST", "/posts", params={"at": "2026-11-23T10:02:03.417Z"}, json={"a": "ä"})
    assert (got.status, got.headers["x-left"], got.json()) == (201, "3", [])
    head = server.heads[0].decode()
    assert head.startswith("POST /api/v1/posts?t=1&at=2026-11-23T10%3A02%3A03.417Z HTTP/1.1\r\n")
    assert f"Authorization: {KEY}\r\n" in head
    assert "Connection: close\r\n" in head
    assert bodies == ['{"a":"ä"}'.encode()]
    assert KEY not in repr(base) + repr(got) + str(vars(got))


def test_a_path_stays_below_its_address_and_headers_on_their_line(private: None) -> None:
    with pytest.raises(Invalid):
        guarded(9).request("GET", "/posts/../../admin")
    for value in ("a\r\nX: y", "a\x00", "schlüssel"):
        with pytest.raises(Invalid) as caught:
            guarded(9, headers={"Authorization": value})
        assert value not in str(caught.value)


def test_a_file_is_streamed(private: None) -> None:
    bodies: list[bytes] = []
    with raw_server(lambda connection, head: bodies.append(drain(connection, head))) as server, pytest.raises(Broken):
        guarded(server.port).request("POST", files={"file": ("a.mp4", io.BytesIO(b"film" * 99), "video/mp4")})
    assert b'name="file"; filename="a.mp4"\r\nContent-Type: video/mp4\r\n\r\nfilm' in bodies[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_early_refusal_ends_a_large_upload(
    private: None, names: Any, trusted: None, server_tls: ssl.SSLContext, scheme: str
) -> None:
    names["tls.example"] = [["127.0.0.1"]]
    sent = 0

    def film() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100_000):
            sent += 65536
            yield b"x" * 65536

    def answer(connection: socket.socket, head: bytes) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        time.sleep(1)  # and reads nothing

    with raw_server(answer, server_tls if scheme == "https" else None) as server:
        called = Guarded(f"{scheme}://tls.example:{server.port}", timeout=QUICK)
        got = called.request("POST", content=film(), headers={"Content-Length": str(65536 * 100_000)})
    assert (got.status, got.body) == (413, b"no")
    assert sent < 20 * 2**20


def test_what_the_body_raises_passes_through(private: None) -> None:
    class Stop(Exception):
        pass

    def film() -> Iterator[bytes]:
        yield b"x"
        raise Stop

    with raw_server(lambda connection, head: time.sleep(1)) as server, pytest.raises(Stop):
        guarded(server.port).request("POST", content=film())


def test_not_sent_means_that_nothing_left(private: None, names: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(NotSent):
        guarded(port, headers={"Authorization": KEY}).request("POST", json={})
    with pytest.raises(NotSent):
        Guarded("http://nowhere.invalid", timeout=QUICK).request("GET")
    with pytest.raises(NotSent):
        outbound.check("http://nowhere.invalid")


def test_a_slow_name_server_does_not_outlast_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(5) and [])
    started = time.monotonic()
    with pytest.raises(NotSent):
        Guarded("http://slow.example", timeout=Timeout(0.3, 1, 1)).request("GET")
    released.set()
    assert time.monotonic() - started < 2


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"", HEAD, HEAD + b"Content-Length: 10\r\n\r\n{}", b"garbage\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz",
        HEAD + b"Content-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}", b"220 mail.example ESMTP\r\n",
        HEAD + b"Content-Length: 2\r\nContent-Encoding: br\r\n\r\n{}",
        HEAD + b"Content-Length: 20\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}" * 999)[:20],
        HEAD + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n",
    ],
)  # fmt: skip
def test_half_a_reply_is_broken(private: None, answer: bytes) -> None:
    def say(connection: socket.socket, head: bytes) -> None:
        drain(connection, head)
        connection.sendall(answer)

    with raw_server(say) as server, pytest.raises(Broken) as caught:
        guarded(server.port, headers={"Authorization": KEY}).request("POST", json={"a": 1})
    assert KEY not in str(caught.value)


def test_a_reply_that_is_whole_is_read(private: None) -> None:
    zipped = gzip.compress(b'{"a": [1]}')
    with raw_server(reply(zipped, headers="Content-Encoding: gzip")) as server:
        assert guarded(server.port).request("GET").json() == {"a": [1]}
    with raw_server(reply(b"", status="204 No Content", headers="Content-Encoding: gzip")) as server:
        assert guarded(server.port).request("GET").body == b""


@pytest.mark.parametrize("body", [b"", b"<html>", b"[" * 200_000, b"NaN", b"\xff\xfe", b'{"a": Infinity}', b"{}x"])
def test_a_body_that_is_no_json_is_a_value_error(private: None, body: bytes) -> None:
    with raw_server(reply(body)) as server, pytest.raises(ValueError, match=r".*"):
        guarded(server.port).request("GET").json()


def endless(connection: socket.socket, head: bytes) -> None:
    connection.sendall(HEAD + b"Content-Length: 10737418240\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def bomb(connection: socket.socket, head: bytes) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\n\r\n")
    while True:  # 1:1000
        connection.sendall(packer.compress(b"\0" * 2**20))


@pytest.mark.parametrize("answer", [endless, bomb])
def test_a_reply_is_read_no_further_than_its_limit(private: None, answer: Any) -> None:
    with raw_server(answer) as server:
        with pytest.raises(TooMuch):
            guarded(server.port, max_bytes=100_000).request("GET")
        with pytest.raises(TooMuch):
            guarded(server.port).request("GET")


def test_a_reply_as_large_as_its_limit_is_read(private: None) -> None:
    with raw_server(reply(gzip.compress(b"x" * 1000), headers="Content-Encoding: gzip")) as server:
        assert len(guarded(server.port, max_bytes=1000).request("GET").body) == 1000
        with pytest.raises(TooMuch):
            guarded(server.port, max_bytes=999).request("GET")


def drip(start: bytes) -> Any:
    def answer(connection: socket.socket, head: bytes) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(b"1")
            time.sleep(0.1)

    return answer


@pytest.mark.parametrize("start", [b"", HEAD, HEAD + b"Content-Length: 100000\r\n\r\n"])
def test_a_byte_now_and_then_does_not_hold_a_call(private: None, start: bytes) -> None:
    with raw_server(drip(start)) as server:
        started = time.monotonic()
        with pytest.raises(Broken):
            guarded(server.port, timeout=Timeout(1, 1, 1)).request("GET")
        assert time.monotonic() - started < 2.5


def test_a_server_that_reads_nothing_does_not_hold_a_call(private: None) -> None:
    with raw_server(lambda connection, head: time.sleep(5)) as server, pytest.raises(Broken):
        guarded(server.port, timeout=Timeout(1, 0.5, 2)).request("POST", content=b"x" * 2**25)


def test_ipv6_is_called(private: None) -> None:
    assert ipaddress.ip_address(addresses.parse("http://[::1]:9").host).is_loopback
    with pytest.raises(NotSent):
        Guarded("http://[::1]:9", timeout=QUICK).request("GET")
