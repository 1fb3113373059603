"""A real receiver of webhooks, a real mail server, and something to tell."""

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest_django import Settings

from conftest import Person
from editai.notify import bell, events, targets
from editai.notify.events import Event
from editai.notify.models import Delivery, Notification, NotifyTarget
from editai.notify.services import notify
from profiles import scope
from profiles.models import Profile, Role
from tests.stubs.smtp import SmtpServer, smtp_server

HAPPENED = Event("test_happened", "Something happened")
QUIET = Event("test_quiet", "Something less important", is_default=False)


@dataclass
class Post:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`statuses`: what the next posts are answered with, then 200. While `gate` is closed no answer is given."""

    port: int
    posts: list[Post] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.posts.append(Post(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            known.came.set()
            known.gate.wait(20)
            with contextlib.suppress(OSError):  # who asked may be dead by now
                self.send_response(known.statuses.pop(0) if known.statuses else 200)
                if known.location:
                    self.send_header("Location", known.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Silence."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    known = Receiver(server.server_address[1])
    known.gate.set()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield known
    finally:
        known.gate.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def hook(settings: Settings) -> Iterator[Receiver]:
    settings.ALLOW_PRIVATE_HOSTS = True
    with receiver() as known:
        yield known


@pytest.fixture
def mail(settings: Settings) -> Iterator[SmtpServer]:
    with smtp_server() as server:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.DEFAULT_FROM_EMAIL = "EditAI <editai@example.org>"
        yield server


@pytest.fixture(autouse=True)
def _known_events(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**events._events, HAPPENED.name: HAPPENED, QUIET.name: QUIET}
    monkeypatch.setattr(events, "_events", known)


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the bell was rung; no message goes to the broker."""
    heard: list[int] = []
    monkeypatch.setattr(bell, "ring", lambda: heard.append(1))
    return heard


@pytest.fixture
def tell(owner: Person) -> Callable[..., Notification | None]:
    """`tell("key", event=…)`: something that happened in the owner's brand, or in `profile`."""

    def make(once_key: str = "key", profile: Profile | None = None, **values: Any) -> Notification | None:
        brand = profile or owner.profile
        facts = {"event": HAPPENED.name, "title": "It happened", "text": "Look.", "link": "/x/", **values}
        with scope.activate(brand.pk):
            return notify(profile=brand, once_key=once_key, **facts)

    return make


def add_target(person: Person, address: str, **values: Any) -> tuple[NotifyTarget, str]:
    """A target of the person's default brand, theirs unless `is_personal=False`; a webhook if it looks like one."""
    facts = {"kind": "webhook" if "://" in address else "email", "role": Role.OWNER, "is_personal": False, **values}
    with scope.activate(person.profile.pk):
        return targets.target_create(profile=person.profile, by=person.user, address=address, **facts)


def deliveries(profile: Profile) -> list[Delivery]:
    with scope.activate(profile.pk):
        return list(Delivery.objects.select_related("target", "notification").order_by("id"))


def fresh(target: NotifyTarget) -> NotifyTarget:
    with scope.activate(target.profile_id):
        found: NotifyTarget = NotifyTarget.objects.get(pk=target.pk)
    return found
