"""A server of raw bytes for tests: what a hostile or broken service may answer, on a real socket of loopback."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[socket.socket, bytes], None]
"""Gets the connection and the head of the request (up to the empty line); the connection is closed afterwards."""


class RawServer:
    """`heads`: the request heads that came, in order; `connections`: how often somebody connected."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.heads: list[bytes] = []
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(20)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (more := connection.recv(1)):
                    head += more
                self.heads.append(head)
                self._answer(connection, head)


@contextlib.contextmanager
def raw_server(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    server = RawServer(answer, tls)
    try:
        yield server
    finally:
        server.close()


def reply(body: bytes, *, status: str = "200 OK", headers: str = "Content-Type: application/json") -> Answer:
    """An answer that reads the whole request body, and says the same to everybody."""

    def answer(connection: socket.socket, head: bytes) -> None:
        drain(connection, head)
        text = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n\r\n"
        connection.sendall(text.encode() + body)

    return answer


def drain(connection: socket.socket, head: bytes) -> bytes:
    """The request's body, as its Content-Length announces it."""
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    body = b""
    while len(body) < length and (more := connection.recv(65536)):
        body += more
    return body
