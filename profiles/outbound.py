"""The one way to call an address that a tenant typed (a Postiz of their own, a webhook).

    hook = outbound.Guarded("https://hooks.example.org/x?team=1", headers={"Authorization": key})
    reply = hook.request("POST", json={"text": "done"})          # Reply(status, headers, body); any status is a reply

- The address is parsed strictly and resolved, every IP address of it is checked (`profiles.addresses`), and the
  connection goes to a checked one: there is no second look-up in between. TLS name and Host header stay the name's.
- No redirect is followed, no proxy or netrc of the environment is read, no cookie kept, no connection used twice.
- `timeout.total` bounds the whole call, from the name to the last byte of the reply; `max_bytes` the decoded body.

Raises, besides what a `content` iterator or file raises itself (it passes through, the connection is closed):
- `AddressNotAllowed` (Invalid, 400 `address_not_allowed`), before any connection; Invalid for what is no address;
- `NotSent`: name, connection or TLS failed: surely no byte of the request left, sending it again is safe;
- `Broken`: bytes may have left, and no whole reply came (reset, time out, deadline, cut off, unreadable);
- `TooMuch` (a `Broken`): the reply is larger than `max_bytes`.

Save a typed address only after `outbound.check(url)`, which looks the name up and checks it without calling.
"""

import functools
import json as jsonlib
import re
import select
import socket
import ssl
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urlencode

import certifi
import httpcore
import httpx

from profiles import addresses
from profiles.addresses import AddressNotAllowed
from profiles.errors import Invalid

__all__ = [
    "AddressNotAllowed",
    "Broken",
    "Guarded",
    "NoTls",
    "NotSent",
    "OutboundError",
    "Reply",
    "Timeout",
    "TooMuch",
    "check",
]

MAX_BYTES = 5 * 2**20
_VALUE = re.compile(r"[\x20-\x7e]*")
_CHUNK = 64 * 1024
_SPEAKS_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"}  # of OpenSSL


class OutboundError(Exception):
    """The call did not end with a reply. The text is for people and names no key."""


class NotSent(OutboundError):
    """Surely no byte of the request left this machine."""


class NoTls(NotSent):
    """Something takes the connection, and does not speak TLS there (https typed for an http port)."""


class Broken(OutboundError):
    """Bytes of the request may have left: what the other side did is unknown."""


class TooMuch(Broken):
    """The reply is larger than allowed."""


@dataclass(frozen=True)
class Timeout:
    """Seconds: for the connection with its TLS handshake, for each wait of the transfer, and for the whole call."""

    connect: float = 5
    read: float = 20
    total: float = 30


@dataclass(frozen=True)
class Reply:
    """`headers` know no upper or lower case; `body` is decoded (gzip)."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON; ValueError when it is none (nested too deep, not UTF-8, NaN, HTML, empty)."""
        try:
            return jsonlib.loads(self.body.decode(), parse_constant=_no_number)
        except RecursionError:
            raise ValueError("nested too deep") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def check(url: str, *, seconds: float = 5) -> str:
    """The address in its one spelling, looked up and checked but not called. Invalid, AddressNotAllowed, NotSent."""
    address = addresses.parse(url)
    try:
        addresses.allowed_ips(address, seconds=seconds)
    except addresses.NameNotFound:
        raise NotSent(f"{address.host} is no name that is known.") from None
    return str(address)


class Guarded:
    """Calls to one address and what is below it. `headers` go with every call and appear in no text, repr or log."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._address = addresses.parse(base_url)
        self._headers = dict(headers or {})
        self._timeout = timeout or Timeout()
        self._max_bytes = max_bytes
        _check_headers(self._headers)

    def __repr__(self) -> str:
        return f"<Guarded {self._address.scheme}://{self._address.netloc}>"

    def request(
        self,
        method: str,
        path: str = "",
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | Iterable[bytes] | None = None,
        files: Mapping[str, tuple[str, BinaryIO, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | None = None,
    ) -> Reply:
        """One call to `base_url + path`, whose parts are quoted already. `files`: field → (name, file, type).

        An iterator as `content` is sent chunked, unless `headers` give its Content-Length.
        """
        given = {"Accept-Encoding": "gzip", "User-Agent": "EditAI", **self._headers, **(headers or {})}
        _check_headers(given)
        request = httpx.Request(
            method,
            self._url(path, params),
            headers={**given, "Connection": "close"},
            json=json,
            content=content,
            files=files,
        )
        return _Call(self._address, timeout or self._timeout, self._max_bytes).send(request)

    def _url(self, path: str, params: Mapping[str, str] | None) -> str:
        base = self._address
        if {".", ".."} & set(path.split("/")):  # would leave what is below the address
            raise Invalid("A part of the path is not a name.", code="address_invalid")
        whole = base.path.rstrip("/") + path if path else base.path
        query = "&".join(part for part in (base.query, urlencode(params or {})) if part)
        return f"{base.scheme}://{base.netloc}{whole or '/'}" + (f"?{query}" if query else "")


def _check_headers(headers: Mapping[str, str]) -> None:
    """Here and not in the library: its refusal would quote the value, which may be a key."""
    for name, value in headers.items():
        if not _VALUE.fullmatch(value):
            raise Invalid(f"The value of {name} contains characters that no header may have.", code="header_invalid")


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The certificates that this machine trusts, and Mozilla's, for machines without any."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class _Call:
    """One request on one connection of its own, with one deadline. Knows whether bytes of the request have left."""

    def __init__(self, address: addresses.Address, timeout: Timeout, max_bytes: int) -> None:
        self.address = address
        self.timeout = timeout
        self.max_bytes = max_bytes
        self.ends_at = time.monotonic() + timeout.total
        self.bytes_left = False

    def send(self, request: httpx.Request) -> Reply:
        origin = httpcore.Origin(self.address.scheme.encode(), self.address.host.encode(), self.address.port)
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=request.url.raw_path)
        assert isinstance(request.stream, httpx.SyncByteStream)
        wire = httpcore.Request(request.method, url, headers=request.headers.raw, content=request.stream)
        tls = tls_context() if self.address.scheme == "https" else None
        connection = httpcore.HTTPConnection(origin, ssl_context=tls, network_backend=_Network(self))
        try:
            return self._read(connection.handle_request(wire))
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise self._failure(error) from error
        finally:
            connection.close()

    def _failure(self, error: Exception) -> OutboundError:
        if not self.bytes_left and getattr(error.__cause__, "reason", "") in _SPEAKS_NO_TLS:
            return NoTls(f"{self.address.host} does not speak TLS (https) on port {self.address.port}.")
        if isinstance(error, httpcore.TimeoutException):
            what = "did not answer in time"
        elif self.bytes_left:
            what = "broke the connection off, or its reply can't be read"
        elif isinstance(error.__cause__, ssl.SSLCertVerificationError):
            what = "has no certificate that is trusted here"
        elif isinstance(error.__cause__, addresses.NameNotFound):
            what = "is no name that is known"
        else:
            what = "takes no connection"
        return (Broken if self.bytes_left else NotSent)(f"{self.address.host} {what}.")

    def _read(self, response: httpcore.Response) -> Reply:
        headers = httpx.Headers(response.headers)
        body = _Body(headers.get("content-encoding", ""), self.max_bytes)
        assert isinstance(response.stream, Iterable)
        for chunk in response.stream:
            body.add(chunk)
        return Reply(response.status, headers, body.whole())

    def seconds(self, most: float) -> float:
        """How long the next wait may be."""
        left = self.ends_at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("deadline")
        return min(left, most)


class _Body:
    """Collects a reply, decoding no further than its limit: a gzip bomb is noticed at its first byte too many."""

    def __init__(self, encoding: str, limit: int) -> None:
        self._parts = bytearray()
        self._limit = limit
        encoding = encoding.strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise Broken(f"The reply is in an encoding that was not asked for: {encoding[:20]!r}.")
        self._gzip = zlib.decompressobj(wbits=31) if "gzip" in encoding else None

    def add(self, chunk: bytes) -> None:
        room = self._limit + 1 - len(self._parts)
        if self._gzip is not None:
            try:
                chunk = self._gzip.decompress(chunk, room)
            except zlib.error:
                raise Broken("The reply is not the gzip that it says it is.") from None
        self._parts += chunk[:room]
        if len(self._parts) > self._limit:
            raise TooMuch(f"The reply is larger than {self._limit} bytes.")

    def whole(self) -> bytes:
        if self._gzip is not None and self._parts and not self._gzip.eof:
            raise Broken("The reply was cut off.")
        return bytes(self._parts)


class _Network(httpcore.NetworkBackend):
    """Connects to the IP addresses that were checked, and to nothing else."""

    def __init__(self, call: _Call) -> None:
        self._call = call

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        call = self._call
        try:
            ips = addresses.allowed_ips(call.address, seconds=call.seconds(call.timeout.connect))
        except addresses.NameNotFound as error:
            raise httpcore.ConnectError("name not found") from error
        for ip in ips[:-1]:
            try:
                return self._connect(ip)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # the next address of the name
        return self._connect(ips[-1])

    def _connect(self, ip: str) -> httpcore.NetworkStream:
        call = self._call
        sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(call.seconds(call.timeout.connect))
            sock.connect((ip, call.address.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException as error:
            sock.close()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout("connect") from error
            if isinstance(error, OSError):
                raise httpcore.ConnectError("connect") from error
            raise
        return _Stream(sock, call)


class _Stream(httpcore.NetworkStream):
    """A socket whose waits all end at the deadline of the call (a server may send a byte each second for ever)."""

    def __init__(self, sock: socket.socket, call: _Call) -> None:
        self._sock = sock
        self._call = call
        self._early = b""

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            self._sock.settimeout(self._call.seconds(self._call.timeout.connect))
            self._sock = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout("TLS") from error
        except OSError as error:  # of the certificate, too
            self.close()
            raise httpcore.ConnectError("TLS") from error
        return self

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        early, self._early = self._early, b""
        if early:
            return early
        try:
            self._sock.settimeout(self._call.seconds(self._call.timeout.read))
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout("read") from error
        except OSError as error:
            raise httpcore.ReadError("read") from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._call.bytes_left and self._answered_early():
            raise httpcore.WriteError("answered")  # makes httpcore stop sending, and read the reply
        view = memoryview(buffer)
        try:
            while view:
                self._sock.settimeout(self._call.seconds(self._call.timeout.read))
                self._call.bytes_left = True  # before: a send that fails may have sent
                view = view[self._sock.send(view) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout("write") from error
        except OSError as error:
            raise httpcore.WriteError("write") from error

    def _answered_early(self) -> bool:
        """A server that refuses a large upload says so at once: the rest of it need not be sent."""
        if not select.select([self._sock], [], [], 0)[0]:
            return False
        try:
            self._sock.settimeout(0)
            self._early += self._sock.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False  # TLS had something to say to itself
        except OSError as error:
            raise httpcore.WriteError("write") from error
        return not self._early.startswith(b"HTTP/1.1 1")

    def get_extra_info(self, info: str) -> Any:
        return self._sock if info in {"ssl_object", "socket"} and isinstance(self._sock, ssl.SSLSocket) else None

    def close(self) -> None:
        self._sock.close()
