"""The HTTP server around a world, and what a test holds in its hands."""

import socket
import sys
import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from . import control, exchange
from .clock import Clock
from .faults import Faults
from .gates import Gate, Hook
from .ledger import Ledger
from .lifecycle import Webhook
from .models import Limits, Media, Notification, Organisation, Post, SeenRequest
from .outcomes import Outcome, Outcomes, published
from .state import RemoteFile, World


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "nginx"
    sys_version = ""
    disable_nagle_algorithm = True
    server: "_Server"

    def _answer(self) -> None:
        if self.path.split("?")[0].rstrip("/").startswith("/_stub"):
            control.answer(self.server.stub, self)
        else:
            exchange.answer(self.server.stub.world, self)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _answer

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header is of the stub's clock."""
        return super().date_time_string(self.server.stub.clock.now().timestamp() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        """The stub's record is `requests`, not stderr."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], stub: "StubPostiz") -> None:
        self.stub = stub
        self._lines: set[socket.socket] = set()
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._lines.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._lines.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone between two requests is no news; anything else is a fault of the stub, and seen."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def cut_all(self) -> None:
        """Ends every open connection, also those that wait for a further request."""
        for line in list(self._lines):
            try:
                line.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it ended by itself


class StubPostiz:
    """A Postiz on a port of this machine, with a clock, scripted faults and a ledger.

    version: "head", "2.23.0", "2.18", "2.11" or any other number. rate_limit: calls of POST /posts per hour and
    organisation. latency: seconds (of the stub's clock) from a post's date to PUBLISHED. port 0: a free one.
    """

    def __init__(
        self,
        organisations: int = 1,
        version: str = "head",
        rate_limit: int = 30,
        *,
        latency: float = 5,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.world = World(version=version, rate_limit=rate_limit, latency=latency)
        for _ in range(organisations):
            self.world.add_organisation()
        self._host, self._port = host, port
        self._server: _Server | None = None

    def __enter__(self) -> "StubPostiz":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # The server

    def start(self) -> None:
        """Listens; OSError when the port is taken."""
        self.up()
        threading.Thread(target=self.world.tick_for_ever, name="stub-postiz-clock", daemon=True).start()

    def stop(self) -> None:
        """Ends the server, lets go of whatever a gate or a fault holds."""
        self.world.stopping.set()
        self.world.gates.resume_all()
        self.down()

    def up(self) -> None:
        """Listens (again), on the port that it had."""
        if self._server is None:
            self._server = _Server((self._host, self._port), self)
            self._port = int(self._server.server_address[1])
            threading.Thread(target=self._server.serve_forever, args=(0.05,), name="stub-postiz", daemon=True).start()

    def down(self) -> None:
        """Refuses connections and cuts the open ones; everything that it knows stays, and time goes on."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut_all()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:port`: what a person would enter as the address of their Postiz."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    # What there is

    def organisation(self, number: int = 0) -> Organisation:
        return self.world.organisations[number]

    def add_organisation(self, name: str = "") -> Organisation:
        return self.world.add_organisation(name)

    @property
    def clock(self) -> Clock:
        return self.world.clock

    @property
    def faults(self) -> Faults:
        return self.world.faults

    @property
    def outcomes(self) -> Outcomes:
        return self.world.outcomes

    @property
    def limits(self) -> Limits:
        return self.world.limits

    @property
    def ledger(self) -> Ledger:
        """What stands on the networks by now."""
        self.world.tick()
        with self.world.lock:
            return Ledger(self.world.ledger)

    @property
    def posts(self) -> list[Post]:
        """All rows, the deleted ones too, in the order of their making."""
        self.world.tick()
        with self.world.lock:
            return list(self.world.posts)

    @property
    def requests(self) -> list[SeenRequest]:
        """What came in (without the calls of the control interface)."""
        with self.world.lock:
            return list(self.world.requests)

    @property
    def media(self) -> list[Media]:
        with self.world.lock:
            return list(self.world.media)

    @property
    def notifications(self) -> list[Notification]:
        self.world.tick()
        with self.world.lock:
            return list(self.world.life.notifications)

    # What a test does with it

    def settle(self) -> Ledger:
        """Advances the clock until nothing is pending; the ledger then."""
        self.world.settle()
        return self.ledger

    def on(self, route: str, moment: str, hook: Hook) -> None:
        """Calls `hook(request)` in the serving thread whenever a request of the route reaches the moment."""
        self.world.gates.on(route, moment, hook)

    def pause(self, route: str, moment: str, times: int = 1) -> Gate:
        """Holds the next requests of a route at a moment: `gate.wait()` for one to be there, `gate.resume()`."""
        return self.world.gates.pause(route, moment, times)

    def publish(self, post_id: str) -> Post:
        """Publishes a post at once, whatever it was to come to."""
        return self.end(post_id, published(0))

    def end(self, post_id: str, outcome: Outcome) -> Post:
        """Makes all of an outcome true for a post at once, e.g. `outcomes.failed()`; LookupError without the post."""
        return self.world.move(post_id, outcome)

    def remote_file(self, url: str, file: RemoteFile) -> None:
        """What POST /upload-from-url finds under `url`."""
        self.world.remote_files[url] = file

    def set_webhook(self, webhook: Webhook | None) -> None:
        self.world.life.webhook = webhook

    def forget_requests(self) -> None:
        with self.world.lock:
            self.world.requests.clear()

    def of_route(self, *names: str) -> list[SeenRequest]:
        """The requests of some routes: `stub.of_route("POST /posts")`."""
        wanted: Iterable[str] = names
        return [seen for seen in self.requests if seen.route in wanted]
