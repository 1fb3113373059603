"""A metered provider on a real socket that keeps its own bill, and misbehaves on command.

`POST /v1/speak {"run", "model", "text"}` costs so many credits as the text has letters, and answers
`{"id", "model", "credits", "audio"}`. A script for a run says what happens to its next requests; without one all is
well. Nothing here knows the program under test: the bill is the truth that its books are compared with.
"""

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

PRICES = {"m1": 10_000, "m2": 15_000}  # micros for a credit
SILENCE = 1.5  # seconds of a server that hangs; a client must have given up before


@dataclass(frozen=True)
class Fault:
    """What is wrong with one request. `charges`: whether it is on the bill nevertheless.

    `silence`: when the server says nothing for a while; the charge then comes after (`before`) or before it (`after`).
    `status`, `body`, `headers`: instead of the good answer. `cut`: more is promised than is sent.
    """

    charges: bool = True
    drop: bool = False
    silence: str = ""
    status: int = 200
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False
    lacks: str = ""
    billed_model: str = ""


FAULTS: dict[str, Fault | None] = {
    "ok": None,
    "429 with Retry-After": Fault(
        charges=False, status=429, body=b'{"error": "busy"}', headers=(("Retry-After", "1"),)
    ),
    "400 before any work": Fault(charges=False, status=400, body=b'{"error": "too long"}'),
    "500 before the charge": Fault(charges=False, status=500, body=b'{"error": "sorry"}'),
    "500 after the charge": Fault(status=500, body=b'{"error": "sorry"}'),
    "drop before the charge": Fault(charges=False, drop=True),
    "drop after the charge": Fault(drop=True),
    "hangs, never charges": Fault(charges=False, silence="before", drop=True),
    "hangs, then charges": Fault(silence="before"),
    "charges, then hangs": Fault(silence="after"),
    "HTML after the charge": Fault(body=b"<html>Welcome</html>", headers=(("Content-Type", "text/html"),)),
    "short body": Fault(cut=True),
    "figures missing": Fault(lacks="credits"),
    "another model": Fault(billed_model="m2"),
}


@dataclass
class Seen:
    """A request as it came. `charged`: micros on the bill for it."""

    id: str
    run: str
    model: str
    credits: int
    charged: int = 0
    ended: bool = False


@dataclass
class Bill:
    """What the provider wants to be paid, by request."""

    amounts: dict[str, int] = field(default_factory=dict)

    def total(self) -> int:
        return sum(self.amounts.values())


Moment = Callable[[str, Seen], None]


class StubMeter:
    """`with StubMeter() as stub`: listens on a free port of loopback.

    `moments(name, seen)` is called as a request is `received`, and `done`: charged or not, and not answered yet.
    """

    def __init__(self, moments: Moment | None = None) -> None:
        self.bill = Bill()
        self.seen: list[Seen] = []
        self.strays: list[str] = []  # requests of what there is not: a fault of the client
        self.moments = moments
        self._scripts: dict[str, list[Fault | None]] = {}
        self._lock = threading.Lock()
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def script(self, run: str, *faults: Fault | None) -> None:
        """What happens to the next requests of a run, one each."""
        self._scripts.setdefault(run, []).extend(faults)

    def of_run(self, run: str) -> list[Seen]:
        return [one for one in self.seen if one.run == run]

    def billed(self, run: str) -> int:
        return sum(one.charged for one in self.of_run(run))

    def at_rest(self) -> bool:
        return all(one.ended for one in self.seen)

    def receive(self, body: dict[str, Any]) -> tuple[Seen, Fault]:
        with self._lock:
            seen = Seen(f"r-{len(self.seen) + 1}", str(body["run"]), str(body["model"]), len(body["text"]))
            self.seen.append(seen)
            scripted = self._scripts.get(seen.run)
            return seen, (scripted.pop(0) if scripted else None) or Fault()

    def charge(self, seen: Seen, fault: Fault) -> None:
        with self._lock:
            seen.charged = seen.credits * PRICES[fault.billed_model or seen.model]
            self.bill.amounts[seen.id] = seen.charged

    def reached(self, moment: str, seen: Seen) -> None:
        if self.moments is not None:
            self.moments(moment, seen)

    def __enter__(self) -> "StubMeter":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        if error is None:
            assert not self.strays, f"requests of what there is not: {self.strays}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, stub: StubMeter) -> None:
        self.stub = stub
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    timeout = 20

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/speak":
            self.server.stub.strays.append(f"POST {self.path}")
            self._send(404, b"{}")
            return
        seen, fault = self.server.stub.receive(json.loads(sent))
        try:
            self._serve(seen, fault)
        except OSError:
            self.close_connection = True  # the client is gone
        finally:
            seen.ended = True

    def do_GET(self) -> None:
        self.server.stub.strays.append(f"GET {self.path}")
        self._send(404, b"{}")

    def _serve(self, seen: Seen, fault: Fault) -> None:
        stub = self.server.stub
        stub.reached("received", seen)
        if fault.silence == "before":
            time.sleep(SILENCE)
        if fault.charges:
            stub.charge(seen, fault)
        stub.reached("done", seen)
        if fault.silence == "after":
            time.sleep(SILENCE)
        if fault.drop:
            self._drop()
            return
        body = fault.body if fault.body is not None else _answer(seen, fault)
        self._send(fault.status, body, fault.headers, promised=len(body) + 100 if fault.cut else len(body))
        if fault.cut:
            self._drop()

    def _send(self, status: int, body: bytes, headers: Any = (), *, promised: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **dict(headers)}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _drop(self) -> None:
        """Closing alone would leave the files of the connection open, and the client waiting."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """The stub's record is `seen`, not stderr."""


def _answer(seen: Seen, fault: Fault) -> bytes:
    answer: dict[str, Any] = {
        "id": seen.id,
        "model": fault.billed_model or seen.model,
        "credits": seen.credits,
        "audio": f"spoken: {seen.credits} letters",
        "shimmer": "more than was asked for",
    }
    answer.pop(fault.lacks, None)
    return json.dumps(answer).encode()
