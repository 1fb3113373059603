"""One route, all callers: who must be refused, that a refusal tells and changes nothing, and that the owner gets in.

`violations` returns sentences; the isolation test expects none, its controls expect some.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.apps import apps
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import Person, person_of
from profiles import scope, storage
from profiles.models import ApiToken, Ceiling
from profiles.tenancy import Guarded
from profiles.tokens import digest
from tests.isolation.routes import Route

Ids = Mapping[str, Any]
Body = Callable[[Ids], Any]


@dataclass(frozen=True)
class Call:
    """How to call a route so that it succeeds for the owner.

    `path`: placeholder -> name of an id in the world; `body(ids)`: made anew for each call; `status`: the owner's.
    `viewer_may`: not refused to viewers; `limited_may`: nor to a token that may only read. `in_body`: the body names
    rows, so a stranger sends it from their own brand too. `public`: needs no caller at all.
    """

    path: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    multipart: bool = False
    status: int = 200
    query: Mapping[str, str] = field(default_factory=dict)
    viewer_may: bool = False
    limited_may: bool = False
    in_body: bool = False
    owners_only: bool = False


@dataclass
class World:
    """The owner's rows by name, the people around, and what was tried."""

    ids: dict[str, Any]
    owner: Person
    stranger: Person
    viewer: Person
    removed: Person
    tried: Counter[tuple[str, str]]


def violations(route: Route, call: Call, world: World) -> list[str]:
    """Everything that is wrong with `route`; the owner's own call comes last, as it may change the world."""
    checks = _Checks(route, call, world)
    before = fingerprint(world)
    checks.refused_callers()
    checks.foreign_ids()
    if fingerprint(world) != before:
        checks.found.append("a refused call changed rows or files")
    checks.owner_succeeds()
    return [f"{route.method.upper()} {route.pattern}: {text}" for text in checks.found]


class _Checks:
    def __init__(self, route: Route, call: Call, world: World) -> None:
        self.route, self.call, self.world = route, call, world
        self.found: list[str] = []
        self.writes = route.method != "get"

    def refused_callers(self) -> None:
        world, call = self.world, self.call
        self._expect("anonymous", 401, Client())
        self._expect("expired token", 401, _expired(world.owner))
        self._expect("stranger", 404, world.stranger.client)
        self._expect("removed member", 404, world.removed.client)
        if self.writes:
            browser = Client(enforce_csrf_checks=True)
            browser.force_login(world.owner.user)
            self._expect("cookie without CSRF token", 403, browser)
        if (self.writes and not call.viewer_may) or call.owners_only:
            self._expect("viewer", 403, world.viewer.client)
        if self.writes and not call.limited_may:
            self._expect("read-only token", 403, person_of(world.owner.user, ceiling=Ceiling.READ).client)

    def foreign_ids(self) -> None:
        """The stranger, from their own brand, with the owner's ids; and with ids that never were."""
        if not self.call.path and not self.call.in_body:
            self._list_shows_nothing()
            return
        client = self.world.stranger.client
        random = {name: uuid4() for name in self.world.ids}
        foreign, unknown = (self._send(client, ids, header=False) for ids in (self.world.ids, random))
        self.world.tried[self.route.method, "foreign id"] += 1
        if foreign.status_code != 404:
            self.found.append(f"a foreign id gives {foreign.status_code}: {_text(foreign)}")
        elif (foreign.status_code, foreign.content) != (unknown.status_code, unknown.content):
            self.found.append(f"a foreign id and a random one differ: {_text(foreign)} / {_text(unknown)}")

    def _list_shows_nothing(self) -> None:
        if self.writes:
            return
        text = _text(self._send(self.world.stranger.client, self.world.ids, header=False), limit=10**7)
        self.world.tried[self.route.method, "stranger's own list"] += 1
        shown = [name for name, value in self.world.ids.items() if isinstance(value, UUID) and str(value) in text]
        if shown:
            self.found.append(f"the stranger's own answer shows the owner's {', '.join(shown)}")

    def owner_succeeds(self) -> None:
        answer = self._send(self.world.owner.client, self.world.ids)
        self.world.tried[self.route.method, "owner"] += 1
        if answer.status_code != self.call.status:
            self.found.append(f"the owner gets {answer.status_code}, not {self.call.status}: {_text(answer)}")

    def _expect(self, caller: str, status: int, client: Any) -> None:
        answer = self._send(client, self.world.ids)
        self.world.tried[self.route.method, caller] += 1
        if answer.status_code != status:
            self.found.append(f"{caller} gets {answer.status_code}, not {status}: {_text(answer)}")

    def _send(self, client: Any, ids: Ids, *, header: bool = True) -> Any:
        url = reverse(self.route.name, kwargs={name: ids[key] for name, key in self.call.path.items()})
        body = self.call.body(ids) if self.call.body else None
        options: dict[str, Any] = {"query_params": dict(self.call.query)}
        if header and "profile_id" not in self.route.parameters:  # else the path names it
            options["headers"] = {"X-Profile-Id": str(ids["profile"])}
        if not self.call.multipart and self.writes:
            options |= {"data": json.dumps(body or {}), "content_type": "application/json"}
        elif self.writes:
            options["data"] = body
            if hasattr(client, "default_format"):
                options["format"] = "multipart"
        return getattr(client, self.route.method)(url, **options)


def _expired(owner: Person) -> Any:
    person = person_of(owner.user)
    ApiToken.objects.filter(token_hash=digest(person.token)).update(expires_at=timezone.now() - timedelta(seconds=1))
    return person.client


def _text(answer: Any, limit: int = 300) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    text: str = content.decode(errors="replace")[:limit]
    return text


def fingerprint(world: World) -> str:
    """A digest of all rows and stored objects of the owner's and the stranger's brands."""
    parts: list[Any] = []
    for model in apps.get_models():
        if model in {ApiToken, Session} or not model._meta.managed:
            continue
        names = [one.attname for one in model._meta.concrete_fields if one.attname != "last_login"]
        if not issubclass(model, Guarded):
            parts.append((model._meta.label, sorted(map(str, model._default_manager.values_list(*names)))))
            continue
        for person in (world.owner, world.stranger):
            with scope.activate(person.profile.pk):
                parts.append((model._meta.label, sorted(map(str, model.objects.values_list(*names)))))
    parts.append(sorted(key for key, _ in storage.keys("profiles/")))
    return hashlib.sha256(repr(parts).encode()).hexdigest()
