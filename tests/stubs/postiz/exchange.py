"""A request from its head to the end of its reply: key, body, fault, check, effect, answer."""

from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from . import routes, wire
from .call import Apply, BodyEnded, BodyReader, Call, Dropped
from .faults import Fault
from .models import Organisation, SeenRequest
from .replies import Refused, Reply, front_page, msg, not_found, throttled
from .state import World

SECRET_HEADERS = ("authorization", "cookie", "proxy-authorization", "x-api-key")
SMALL_BODY = 2**20


def answer(world: World, handler: BaseHTTPRequestHandler) -> None:
    """Answers the request that `handler` has read the head of."""
    call = _call(world, handler)
    with world.lock:
        world.requests.append(call.seen)
    world.tick()
    try:
        reply = _reply(call, handler)
        world.gates.reach(call.seen, "before_reply")
        reply = _closing(call, reply)
        call.seen.status, call.seen.ended = reply.status, "answered"
        wire.send(handler, reply, world.stopping)
    except Dropped as dropped:
        call.seen.ended = "dropped"
        wire.cut(handler, reset=dropped.reset)
    except (OSError, BodyEnded):
        call.seen.status, call.seen.ended = None, "client gone"
        handler.close_connection = True


def _call(world: World, handler: BaseHTTPRequestHandler) -> Call:
    parts = urlsplit(handler.path)
    path, known = _below(parts.path, world.prefixes)
    headers: Message = handler.headers
    found = routes.find(handler.command, path, world.features) if known else None
    key = headers.get("Authorization")
    seen = SeenRequest(
        at=world.clock.now(),
        method=handler.command,
        path=handler.path,
        route=found[0].name if found else f"{handler.command} {path}",
        organisation=_owner(world, key),
        authorization=key,
        content_type=headers.get("Content-Type") or "",
        headers={name: value for name, value in headers.items() if name.lower() not in SECRET_HEADERS},
    )
    return Call(
        world=world,
        method=handler.command,
        path=path if known else "",
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers=headers,
        reader=BodyReader(handler.rfile, headers, seen),
        seen=seen,
        host=f"http://{headers.get('Host') or 'localhost'}",
        arguments=found[1] if found else {},
    )


def _below(path: str, prefixes: tuple[str, ...]) -> tuple[str, bool]:
    for prefix in prefixes:
        if path == prefix or path.startswith(f"{prefix}/"):
            return path[len(prefix) :] or "/", True
    return path, False


def _owner(world: World, key: str | None) -> Organisation | None:
    """Whose key it is, compared as it is: `Bearer ` in front makes it another one."""
    with world.lock:
        for one in world.organisations:
            if key == one.key or (key == one.oauth_token and world.features.since(2, 20, 0)):
                return one
    return None


def _reply(call: Call, handler: BaseHTTPRequestHandler) -> Reply:
    world = call.world
    world.gates.reach(call.seen, "received")
    refusal = _refusal(call)
    found = routes.find(call.method, call.path, world.features)
    route = found[0] if found else None
    if refusal is None and route is not None and not route.raw:
        try:
            call.read_json()
        except Refused as refused:
            refusal = refused.reply
    call.fault = world.faults.take(call.seen)
    if call.fault is not None:
        call.seen.fault = call.fault.name
        if call.fault.proxy and call.fault.after_bytes is None:
            return _of_proxy(call, call.fault, handler)
    extra: dict[str, str] = {}
    if refusal is None and route is not None and routes.is_throttled(route, world.features):
        wait, extra = _throttle(call, route)
        refusal = throttled(wait) if wait is not None else None
    apply = _prepared(call, route, refusal)
    reply = _effect(call, apply)
    return replace(reply, headers={**extra, **reply.headers})


def _refusal(call: Call) -> Reply | None:
    """What the key, or its absence, comes to; None lets the call in."""
    if not call.path:
        return front_page()
    key, owner = call.seen.authorization, call.seen.organisation
    if call.world.database_down:
        return Reply(401, b"", "")
    if not key:
        return msg("No API Key found", 401)
    if owner is None:
        oauth = key.startswith("pos_") and call.world.features.since(2, 20, 0)
        return msg("Invalid OAuth token" if oauth else "Invalid API key", 401)
    return None if owner.subscribed else msg("No subscription found", 401)


def _throttle(call: Call, route: routes.Route) -> tuple[int | None, dict[str, str]]:
    of_old = not call.world.features.since(2, 19, 0)
    return call.world.throttle.hit(f"{call.organisation.id} {route.name}" if of_old else call.organisation.id)


def _prepared(call: Call, route: routes.Route | None, refusal: Reply | None) -> Apply:
    """The checks of the route; a refusal is an effect that changes nothing."""
    if refusal is not None:
        return lambda: refusal
    if route is None:
        unknown = not_found(call.method, call.seen.path.split("?")[0].removeprefix("/api"))
        return lambda: unknown
    try:
        return route.handler(call)
    except Refused as refused:
        reply = refused.reply
        return lambda: reply


def _of_proxy(call: Call, fault: Fault, handler: BaseHTTPRequestHandler) -> Reply:
    """A fault in front of Postiz: it never hears of the call."""
    if not fault.early:
        call.reader.drain()
    return _sent(call, fault, None)


def _effect(call: Call, apply: Apply) -> Reply:
    """Lets the call take effect, as far as its fault has it, and gives what is sent; Dropped for nothing."""
    world, fault = call.world, call.fault

    def commit() -> Reply:
        with world.lock:
            return apply()

    world.gates.reach(call.seen, "before_commit")
    if fault is None or fault.partial is not None:
        reply = commit()
        world.gates.reach(call.seen, "after_commit")
        return reply
    if fault.commit == "late":
        world.commit_later(fault.seconds, fault.clock, apply)
        raise Dropped(fault.reset)
    if fault.commit == "after":
        world.stopping.wait(fault.silence)
        fault = replace(fault, silence=0)
    true_reply = commit() if fault.commit != "no" else None
    world.gates.reach(call.seen, "after_commit")
    return _sent(call, fault, true_reply)


def _sent(call: Call, fault: Fault, reply: Reply | None) -> Reply:
    call.world.stopping.wait(fault.silence)
    if fault.drop:
        raise Dropped(fault.reset)
    if fault.answer is not None:
        return fault.answer
    if reply is None:
        raise Dropped
    return fault.shape(reply) if fault.shape is not None else reply


def _closing(call: Call, reply: Reply) -> Reply:
    """The connection ends when some of the body was not read: an upload that was refused at its head."""
    if call.reader.done:
        return reply
    most = SMALL_BODY if not call.seen.content_type.startswith("multipart/") else call.world.limits.unread_bytes
    if not reply.close and call.reader.drain(most):
        return reply
    return replace(reply, close=True)
