"""gunicorn's threaded worker, with one change: a thread is only taken when there is something to do with it.

gunicorn gives a connection to a thread with its first byte, and the thread then waits for the rest without a deadline:
as many half-sent requests as there are threads would stop the whole application. Here the main loop gathers the head of
a request (and its body, when that is small) without blocking, and drops who has not sent it in time. It also closes
without blocking: the base class waits up to two seconds for a client to hang up, and nobody is served meanwhile.
See docs/decisions/0011-a-thread-for-whole-requests-only.md.
"""

import json
import re
import selectors
import socket
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine
from gunicorn.workers.gthread import ThreadWorker

GATHER_SECONDS = 8.0  # from the first look at a connection to its whole head; the main loop looks once a second
GATHER_BYTES = 64 * 1024  # of a head, or of a head and its body; a longer body is read by the thread
STALL_SECONDS = 30  # one read of a longer body, or one write, by the thread
LINGER_SECONDS = 2.0  # for a client to hang up after the last answer; also for the half-sent when the worker stops

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*(?=\r\n)", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)
_CODES = {400: "invalid", 414: "address_too_long", 431: "headers_too_large", 500: "internal", 501: "not_implemented"}


def is_whole(data: bytes | bytearray) -> bool:
    """Whether a thread can read this request's head, and its body if small, without waiting for the client."""
    end = data.find(_END)
    if end < 0:
        # A lone LF ends no line: gunicorn refuses such a request at once, so there is nothing to wait for.
        return data.count(b"\n") != data.count(b"\r\n")
    head = bytes(data[: end + 2])
    lengths = _LENGTH.findall(head)
    if len(lengths) != 1 or _EXPECT.search(head):  # without a body, wrong, or waiting for our "100 Continue"
        return True
    whole = end + len(_END) + int(lengths[0])
    return len(data) >= whole or whole > GATHER_BYTES


def write_error(sock: Any, status: int, reason: str, message: str) -> None:
    """gunicorn's own refusals (what no application ever saw), in the one error shape."""
    error = {"code": _CODES.get(status, "invalid"), "message": (message or reason)[:300]}
    body = json.dumps({"error": error}).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("latin-1") + body)


util.write_error = write_error  # the worker calls it by this name, at the end of its handle_error


class GatheringWorker(ThreadWorker):
    """Connections that are not in a thread are in the poller: kept alive, pending (gathering), or lingering.

    `pending_conns` holds the last two; each has its own `timeout`.
    """

    stop_by: float | None = None

    # --- in the main loop -------------------------------------------------------------------------------

    def enqueue_req(self, conn: Any) -> None:
        """Every way to a thread leads through here: a new connection, a kept one that has become readable, and one
        that sent its next request along with the last."""
        if self.cfg.is_ssl:  # bytes can't be taken off the socket before the handshake, which is the thread's
            super().enqueue_req(conn)
            return
        conn.head = bytearray(conn.parser.unreader.take_buffered() if conn.parser else b"")
        conn.refusal = None
        if self._gathered(conn):
            super().enqueue_req(conn)
        else:
            self._wait(conn, GATHER_SECONDS, self._on_more)

    def _gathered(self, conn: Any) -> bool:
        if conn.head and is_whole(conn.head):
            return True
        conn.sock.setblocking(False)
        try:
            data = conn.sock.recv(GATHER_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            return True  # the thread meets the same end, and closes
        conn.head += data
        if not data or is_whole(conn.head):
            return True
        if len(conn.head) <= GATHER_BYTES or _END in conn.head:
            return False
        if b"\r\n" in conn.head[: self.cfg.limit_request_line + 2]:
            conn.refusal = LimitRequestHeaders("max buffer headers")
        else:
            conn.refusal = LimitRequestLine(len(conn.head), self.cfg.limit_request_line)
        return True

    def _on_more(self, conn: Any, _sock: Any) -> None:
        if self._gathered(conn):
            self._forget(conn)
            super().enqueue_req(conn)

    def _wait(self, conn: Any, seconds: float, callback: Any) -> None:
        conn.timeout = time.monotonic() + seconds
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(callback, conn))
        self.pending_conns.append(conn)
        if len(self.pending_conns) > self.worker_connections // 2:
            self._drop(self.pending_conns[0])  # the half-sent never take the room of the whole

    def _forget(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self.pending_conns.remove(conn)

    def _drop(self, conn: Any) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Drops whoever is late; when the worker stops, that is soon."""
        now = time.monotonic()
        if not self.alive and self.stop_by is None:
            self.stop_by = now + LINGER_SECONDS
        for conn in list(self.pending_conns):
            if now >= conn.timeout or (self.stop_by is not None and now >= self.stop_by):
                self._drop(conn)

    def finish_request(self, conn: Any, fs: "Future[Any]") -> None:
        if self.cfg.is_ssl or fs.cancelled() or fs.exception() is not None or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:  # gone already
            self.nr_conns -= 1
            conn.close()
            return
        conn.drained = 0
        self._wait(conn, LINGER_SECONDS, self._on_rest)

    def _on_rest(self, conn: Any, _sock: Any) -> None:
        """What a client still sends is read away for a while: closing on unread bytes would lose it our answer."""
        try:
            data = conn.sock.recv(GATHER_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        conn.drained += len(data)
        if not data or conn.drained > GATHER_BYTES:
            self._drop(conn)

    # --- in a thread ------------------------------------------------------------------------------------

    def handle(self, conn: Any) -> Any:
        if not self.cfg.is_ssl:
            conn.sock.setblocking(True)
            if conn.refusal is not None:
                self.handle_error(None, conn.sock, conn.client, conn.refusal)
                return False
            conn.data_ready = True
            conn.init()
            conn.parser.unreader.unread(bytes(conn.head))
            conn.head.clear()
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        conn.sock.settimeout(STALL_SECONDS)  # of a body that the application reads; uploads set their own
        return super().handle_request(req, conn)
