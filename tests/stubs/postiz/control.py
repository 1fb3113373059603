"""The stub's JSON interface for other processes and for people: `/_stub/…`.

GET    /_stub/                       address, version, time, limits, organisations (keys, channels), names of all faults
POST   /_stub/settings               any of version, rate_limit, latency, error_in_list, database_down, upload_domain,
                                     cancel_wins, prefixes, limits {json_bytes, image_bytes, video_bytes, proxy_bytes}
POST   /_stub/clock                  {"advance": 90} or {"set": "2026-11-23T10:00:00Z"} or {"freeze": true}
POST   /_stub/settle                 advances until nothing is pending, gives the ledger
POST   /_stub/faults                 {"route", "fault", "arguments": {}, "times": 1,
                                     "match": {"contains", "organisation"}}
GET    /_stub/faults                 what has not struck yet; DELETE forgets it
POST   /_stub/outcomes               {"outcome", "arguments": {}, "times": 1, "match": {"contains", "integration"}}
                                     or {"outcome", "default": true} for all posts
GET    /_stub/ledger                 {"most", "publications", "cancelled_in_flight"}
GET    /_stub/posts                  all rows, the deleted ones too
GET    /_stub/requests               what came in; DELETE forgets it
GET    /_stub/media                  uploads
GET    /_stub/notifications          of all organisations
POST   /_stub/posts/ID               {"outcome": "published", "arguments": {}}: made true at once
POST   /_stub/organisations          {"name"}
PATCH  /_stub/organisations/N        name, subscribed, posts_left, tags, key
POST   /_stub/organisations/N/integrations   {"identifier", "name", "disabled", "refresh_needed"}
PATCH  /_stub/integrations/ID        disabled, refresh_needed, verified, name, identifier, deleted, picture
POST   /_stub/gates                  {"route", "moment", "times": 1}: holds requests there; gives {"id", "waiting"}
GET    /_stub/gates/ID?wait=5&count=1        waits until somebody waits there
POST   /_stub/gates/ID/resume        lets them go on
POST   /_stub/webhook                {"url", "payload": "empty" or "fixed"}, or {} for none
POST   /_stub/remote-files           {"url", "text", "size", "status", "seconds"}: what upload-from-url finds

An unknown call is a 404, a wrong body a 400, each `{"error": text}`.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from . import faults, outcomes, wire
from .channels import as_json as channel_json
from .existing import as_json as post_json
from .gates import Gate
from .lifecycle import Webhook
from .models import Integration, Organisation, Post, SeenRequest, iso
from .replies import ok
from .state import RemoteFile

if TYPE_CHECKING:
    from .server import StubPostiz

Body = dict[str, Any]
Answer = Callable[["StubPostiz", Body, dict[str, str]], Any]
ROUTES: list[tuple[str, re.Pattern[str], Answer]] = []
GATE_SECONDS = 5.0


def route(method: str, path: str) -> Callable[[Answer], Answer]:
    def register(answer: Answer) -> Answer:
        ROUTES.append((method, re.compile("/_stub" + re.sub(r":(\w+)", r"(?P<\1>[^/]+)", path)), answer))
        return answer

    return register


def answer(stub: "StubPostiz", handler: BaseHTTPRequestHandler) -> None:
    """Answers a call of the interface."""
    parts = urlsplit(handler.path)
    text = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    reply = ok({"error": f"no call {handler.command} {parts.path}; GET /_stub/ names them"}, 404)
    for method, pattern, act in ROUTES:
        found = pattern.fullmatch(parts.path.rstrip("/") or "/")
        if found and method == handler.command:
            try:
                body = json.loads(text or b"{}")
                reply = ok(act(stub, body, {**dict(parse_qsl(parts.query)), **found.groupdict()}))
            except (ValueError, TypeError, KeyError, LookupError, AttributeError) as error:
                reply = ok({"error": f"{type(error).__name__}: {error}"}, 400)
            break
    try:
        wire.send(handler, reply, stub.world.stopping)
    except OSError:
        handler.close_connection = True


def organisation_json(organisation: Organisation) -> Body:
    return {
        "name": organisation.name,
        "id": organisation.id,
        "key": organisation.key,
        "oauth_token": organisation.oauth_token,
        "subscribed": organisation.subscribed,
        "posts_left": organisation.posts_left,
        "tags": organisation.tags,
        "integrations": [channel_json(one) for one in organisation.integrations if not one.deleted],
    }


def ledger_json(stub: "StubPostiz") -> Body:
    ledger = stub.ledger
    return {
        "most": ledger.most(),
        "publications": [one.as_json() for one in ledger],
        "cancelled_in_flight": [one.as_json() for one in ledger.cancelled_in_flight],
    }


def row_json(stub: "StubPostiz", post: Post) -> Body:
    row = post_json(post, post.date, stub.world)
    return row | {"deleted": post.deleted, "alive": post.alive, "error": post.error, "media": post.media}


def seen_json(seen: SeenRequest) -> Body:
    row = {name: value for name, value in vars(seen).items() if name not in ("at", "organisation")}
    return {"at": iso(seen.at), "organisation": seen.organisation.name if seen.organisation else None, **row}


@route("GET", "")
def summary(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    world = stub.world
    return {
        "url": stub.url,
        "version": world.version,
        "now": iso(world.clock.now()),
        "rate_limit": world.throttle.limit,
        "limits": vars(world.limits),
        "organisations": [organisation_json(one) for one in world.organisations],
        "faults": sorted(faults.NAMED),
        "outcomes": sorted(outcomes.NAMED),
        "calls": [line for line in (__doc__ or "").splitlines() if "/_stub/" in line and line[:3].isupper()],
    }


@route("POST", "/settings")
def settings(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    world = stub.world
    with world.lock:
        for name, value in body.items():
            if name == "version":
                world.set_version(value)
            elif name == "rate_limit":
                world.throttle.limit = int(value)
            elif name == "latency":
                world.outcomes.default = outcomes.published(float(value))
            elif name == "limits":
                _set(world.limits, value)
            elif name == "cancel_wins":
                world.life.cancel_wins = bool(value)
            elif name == "prefixes":
                world.prefixes = tuple(value)
            elif name in ("error_in_list", "database_down", "upload_domain"):
                setattr(world, name, value)
            else:
                raise ValueError(f"no setting {name}")
    return summary(stub, {}, {})


def _set(target: object, values: Body, allowed: tuple[str, ...] = ()) -> None:
    for name, value in values.items():
        if name not in (allowed or vars(target)):
            raise ValueError(f"{name} cannot be set")
        setattr(target, name, value)


@route("GET", "/clock")
def read_clock(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    return {"now": iso(stub.clock.now())}


@route("POST", "/clock")
def move_clock(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    if "set" in body:
        stub.clock.set(datetime.fromisoformat(body["set"]), frozen=bool(body.get("frozen")))
    elif body.get("freeze"):
        stub.clock.freeze()
    else:
        stub.clock.advance(float(body["advance"]))
    return {"now": iso(stub.clock.now())}


@route("POST", "/settle")
def settle(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    stub.settle()
    return ledger_json(stub)


@route("GET", "/faults")
def read_faults(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> list[Body]:
    return stub.faults.pending()


@route("POST", "/faults")
def script_fault(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> list[Body]:
    fault = faults.NAMED[body["fault"]](**body.get("arguments", {}))
    match = body.get("match") or {}

    def fits(seen: SeenRequest) -> bool:
        owner = match.get("organisation")
        if owner is not None and seen.organisation is not stub.organisation(int(owner)):
            return False
        return str(match.get("contains", "")) in seen.path + json.dumps(seen.body, ensure_ascii=False)

    stub.faults.script(body["route"], fault, int(body.get("times", 1)), fits if match else None)
    return stub.faults.pending()


@route("DELETE", "/faults")
def clear_faults(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> list[Body]:
    stub.faults.clear()
    return stub.faults.pending()


@route("POST", "/outcomes")
def script_outcome(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    outcome = outcomes.NAMED[body["outcome"]](**body.get("arguments", {}))
    match = body.get("match") or {}

    def fits(post: Post) -> bool:
        if match.get("integration") not in (None, post.integration.id):
            return False
        return str(match.get("contains", "")) in post.content + json.dumps(post.settings, ensure_ascii=False)

    if body.get("default"):
        stub.outcomes.default = outcome
    else:
        stub.outcomes.script(outcome, int(body.get("times", 1)), fits if match else None)
    return {}


@route("GET", "/ledger")
def read_ledger(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    return ledger_json(stub)


@route("GET", "/posts")
def read_posts(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> list[Body]:
    return [row_json(stub, post) for post in stub.posts]


@route("POST", "/posts/:id")
def end_post(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    outcome = outcomes.NAMED[body.get("outcome", "published")](**body.get("arguments", {}))
    return row_json(stub, stub.end(arguments["id"], outcome))


@route("GET", "/requests")
def read_requests(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> list[Body]:
    return [seen_json(seen) for seen in stub.requests]


@route("DELETE", "/requests")
def forget_requests(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> list[Body]:
    stub.forget_requests()
    return []


@route("GET", "/media")
def read_media(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> list[Body]:
    rows = stub.media
    return [{**one.as_json(), "size": one.size, "sha256": one.sha256, "mime": one.mime} for one in rows]


@route("GET", "/notifications")
def read_notifications(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> list[Body]:
    return [
        {"organisation": one.organisation.name, "content": one.content, "createdAt": iso(one.at)}
        for one in stub.notifications
    ]


@route("POST", "/organisations")
def add_organisation(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    return organisation_json(stub.add_organisation(str(body.get("name", ""))))


@route("PATCH", "/organisations/:number")
def change_organisation(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    organisation = stub.organisation(int(arguments["number"]))
    _set(organisation, body, ("name", "subscribed", "posts_left", "tags", "key"))
    return organisation_json(organisation)


@route("POST", "/organisations/:number/integrations")
def add_integration(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    return channel_json(stub.organisation(int(arguments["number"])).add_integration(**body))


@route("PATCH", "/integrations/:id")
def change_integration(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    channel = _integration(stub, arguments["id"])
    _set(channel, body, ("disabled", "refresh_needed", "verified", "name", "identifier", "deleted", "picture"))
    return channel_json(channel)


def _integration(stub: "StubPostiz", one: str) -> Integration:
    for organisation in stub.world.organisations:
        for channel in organisation.integrations:
            if channel.id == one:
                return channel
    raise LookupError(f"no channel {one}")


@route("POST", "/gates")
def add_gate(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    gate = stub.pause(body["route"], body["moment"], int(body.get("times", 1)))
    return _gate_json(stub, gate)


def _gate_json(stub: "StubPostiz", gate: Gate) -> Body:
    return {"id": stub.world.gates.gates.index(gate), "waiting": gate.waiting}


@route("GET", "/gates/:id")
def read_gate(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    gate = stub.world.gates.gates[int(arguments["id"])]
    gate.wait(float(arguments.get("wait", GATE_SECONDS)), int(arguments.get("count", 1)))
    return _gate_json(stub, gate)


@route("POST", "/gates/:id/resume")
def resume_gate(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    gate = stub.world.gates.gates[int(arguments["id"])]
    gate.resume()
    return _gate_json(stub, gate)


@route("POST", "/webhook")
def set_webhook(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    stub.set_webhook(Webhook(**body) if body else None)
    return {}


@route("POST", "/remote-files")
def add_remote_file(stub: "StubPostiz", body: Body, arguments: dict[str, str]) -> Body:
    values = {name: value for name, value in body.items() if name not in ("url", "text")}
    stub.remote_file(body["url"], RemoteFile(data=body.get("text", "").encode("latin-1"), **values))
    return {}
