"""What the stub knows: organisations, channels, posts, media, notifications, and what came in over the wire."""

import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ID_LETTERS = string.ascii_lowercase + string.digits


def new_id() -> str:
    """An id of the shape that Postiz gives its rows (cuid: `c`, then 24 small letters and digits)."""
    return "cm" + "".join(secrets.choice(ID_LETTERS) for _ in range(23))


def iso(moment: datetime) -> str:
    """`2026-11-23T10:02:03.417Z`, as JavaScript's toISOString()."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


@dataclass
class Limits:
    """Bytes that the stub takes; small values make a refusal cheap to provoke."""

    json_bytes: int = 100 * 1024
    image_bytes: int = 10 * 2**20
    video_bytes: int = 2**30
    proxy_bytes: int | None = None  # a proxy in front answers 413 HTML above this
    unread_bytes: int = 64 * 1024  # a refused upload up to this size is read before the reply; a bigger one is cut off


@dataclass(eq=False)
class Customer:
    name: str
    id: str = field(default_factory=new_id)


@dataclass(eq=False)
class Integration:
    """A channel. `refresh_needed` is a dead token: invisible in the list, every post of it fails."""

    identifier: str
    name: str
    id: str = field(default_factory=new_id)
    disabled: bool = False
    refresh_needed: bool = False
    verified: bool = False  # X: 4000 characters instead of 280
    picture: str | None = "/no-picture.jpg"
    customer: Customer | None = None
    deleted: bool = False

    @property
    def profile(self) -> str:
        return "".join(letter for letter in self.name.lower() if letter.isalnum())


@dataclass(eq=False)
class Organisation:
    """A Postiz organisation: one key opens all of it."""

    name: str
    id: str = field(default_factory=new_id)
    key: str = field(default_factory=lambda: secrets.token_hex(32))
    oauth_token: str = field(default_factory=lambda: f"pos_{secrets.token_hex(24)}")
    subscribed: bool = True
    posts_left: int | None = None  # of the plan; 0 answers 402
    integrations: list[Integration] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    def add_integration(
        self,
        identifier: str,
        *,
        name: str = "",
        disabled: bool = False,
        refresh_needed: bool = False,
        customer: Customer | None = None,
        picture: str | None = "/no-picture.jpg",
    ) -> Integration:
        """A further channel of the organisation."""
        channel = Integration(
            identifier=identifier,
            name=name or f"{self.name} {identifier}",
            disabled=disabled,
            refresh_needed=refresh_needed,
            customer=customer,
            picture=picture,
        )
        self.integrations.append(channel)
        return channel

    def integration(self, identifier: str) -> Integration:
        """The first living channel of a kind that is not disabled; LookupError when there is none."""
        for channel in self.integrations:
            if channel.identifier == identifier and not channel.disabled and not channel.deleted:
                return channel
        raise LookupError(f"{self.name} has no channel of the kind {identifier}")

    def find(self, integration_id: str) -> Integration | None:
        return next((item for item in self.integrations if item.id == integration_id and not item.deleted), None)


@dataclass(eq=False)
class Media:
    """An upload: its bytes are counted and hashed, never kept."""

    organisation: Organisation
    id: str
    name: str
    path: str
    size: int
    sha256: str
    mime: str
    at: datetime
    sent_name: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "originalName": None,
            "path": self.path,
            "thumbnail": None,
            "alt": None,
        }


@dataclass(eq=False)
class Post:
    """A root post. `alive` says that something of it stands on the network."""

    organisation: Organisation
    integration: Integration
    content: str
    date: datetime
    state: str
    settings: dict[str, Any]
    media: list[str]
    created_at: datetime
    group: str
    tags: list[str] = field(default_factory=list)
    creation_method: str = "API"
    interval_days: int | None = None
    id: str = field(default_factory=new_id)
    release_url: str | None = None
    release_id: str | None = None
    error: str | None = None
    deleted: bool = False
    alive: bool = False
    candidates: list[dict[str, str]] = field(default_factory=list)  # of GET /posts/:id/missing


@dataclass(frozen=True)
class Notification:
    organisation: Organisation
    content: str
    at: datetime
    id: str = field(default_factory=new_id)


@dataclass(eq=False)
class SeenRequest:
    """A request as it came in. `status` is the reply's code, None while it runs or when the line was cut."""

    at: datetime
    method: str
    path: str  # with the query, as sent
    route: str  # "POST /posts", "DELETE /posts/:id" …; the bare path for an unknown one
    organisation: Organisation | None
    authorization: str | None
    content_type: str
    headers: dict[str, str]
    size: int = 0  # bytes of the body that were read
    body: Any = None  # parsed JSON; None for uploads
    status: int | None = None
    fault: str = ""
    ended: str = ""  # "answered", "dropped" (by the stub), "client gone"
