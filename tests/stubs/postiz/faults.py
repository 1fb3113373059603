"""Scripted faults: what shall go wrong with the next request of a route.

A fault says three things: whether the request takes effect (`commit`), what is sent instead of or as the reply, and how
slowly. `Faults.script("POST /posts", drop_after_commit(), times=2)` queues one.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from .models import SeenRequest
from .replies import Reply, as_bytes, ok, proxy_page, server_error, throttled

Predicate = Callable[[SeenRequest], bool]


@dataclass(frozen=True)
class Fault:
    """One way in which a call fails.

    commit: "yes" before the reply, "no" never, "late" `seconds` after the connection was dropped, "after" once the
    silence is over. `answer` replaces the reply, `shape` changes it, without both it is the true one; `drop` cuts the
    line instead. `silence`: seconds before anything is sent. `proxy`: it never reaches Postiz (no quota is used).
    `early`: it strikes before the body is read; `after_bytes` (uploads): after so many bytes of it.
    """

    name: str
    commit: Literal["yes", "no", "late", "after"] = "yes"
    answer: Reply | None = None
    shape: Callable[[Reply], Reply] | None = None
    drop: bool = False
    reset: bool = False
    silence: float = 0
    seconds: float = 0
    clock: Literal["stub", "real"] = "stub"
    proxy: bool = False
    early: bool = False
    after_bytes: int | None = None
    partial: int | None = None  # POST /posts: a 500 once so many of its posts exist


def drop_before_commit(*, reset: bool = False, early: bool = False, after_bytes: int | None = None) -> Fault:
    """The line is cut and nothing was done; for an upload also in the middle (`after_bytes`)."""
    return Fault("drop_before_commit", "no", drop=True, reset=reset, proxy=True, early=early, after_bytes=after_bytes)


def drop_after_commit(*, reset: bool = False) -> Fault:
    """Accepted, and the line is cut before a byte of the reply."""
    return Fault("drop_after_commit", drop=True, reset=reset)


def error_500_before() -> Fault:
    return Fault("error_500_before", "no", answer=server_error())


def error_500_after() -> Fault:
    return Fault("error_500_after", answer=server_error())


def late_commit(seconds: float, *, clock: Literal["stub", "real"] = "stub") -> Fault:
    """The line is cut at once and the effect appears `seconds` later, by the stub's clock or in real time."""
    return Fault("late_commit", "late", drop=True, seconds=seconds, clock=clock)


def hang(seconds: float, *, commit: Literal["yes", "no", "after"] = "yes") -> Fault:
    """`seconds` of real time without a byte. The effect comes before, "after" it, or not at all (then a cut line)."""
    return Fault("hang", commit, silence=seconds, drop=commit == "no")


def empty_401(*, early: bool = False) -> Fault:
    """What Postiz answers when its database is down: no word about the key."""
    return Fault("empty_401", "no", answer=Reply(401, b"", ""), proxy=True, early=early)


def rate_limited(retry_after: int = 3600) -> Fault:
    return Fault("rate_limited", "no", answer=throttled(retry_after), proxy=True)


def html_502(*, commit: bool = False, early: bool = False) -> Fault:
    return Fault("html_502", "yes" if commit else "no", answer=proxy_page(502), proxy=not commit, early=early)


def html_504(*, commit: bool = False) -> Fault:
    """The proxy gave up waiting; Postiz may have done it all the same (`commit`)."""
    return Fault("html_504", "yes" if commit else "no", answer=proxy_page(504), proxy=not commit)


def unavailable_503(retry_after: int = 5, *, commit: bool = False) -> Fault:
    page = proxy_page(503, {"Retry-After": str(retry_after)})
    return Fault("unavailable_503", "yes" if commit else "no", answer=page, proxy=not commit)


def html_413(*, early: bool = True) -> Fault:
    """A proxy that finds the body too large, said before it has read it."""
    return Fault("html_413", "no", answer=replace(proxy_page(413), close=True), proxy=True, early=early)


def truncated_json(*, honest: bool = True) -> Fault:
    """Done, and half of the reply; not `honest`: Content-Length promises all of it and the line is cut."""

    def shape(reply: Reply) -> Reply:
        half = reply.body[: max(1, len(reply.body) // 2)]
        return replace(reply, body=half, declared=None if honest else len(reply.body), close=not honest)

    return Fault("truncated_json", shape=shape)


def empty_list(*, commit: bool = True) -> Fault:
    """`[]` (or `{"posts":[]}`) with the usual code, whether it was done or not."""

    def shape(reply: Reply) -> Reply:
        empty = {"posts": []} if reply.status == 200 and b'"posts"' in reply.body[:10] else []
        return replace(reply, body=as_bytes(empty))

    return Fault("empty_list", shape=shape) if commit else Fault("empty_list", "no", answer=ok([], 201))


def redirect(location: str, status: int = 301, *, commit: bool = False) -> Fault:
    return Fault("redirect", "yes" if commit else "no", answer=Reply(status, b"", "", {"Location": location}))


def slow_headers(pause: float = 1.0) -> Fault:
    """Done; then `pause` seconds of real time before each line of the reply's head."""
    return Fault("slow_headers", shape=lambda reply: replace(reply, header_pause=pause))


def slow_drip(pause: float = 1.0, *, size: int = 1) -> Fault:
    """Done; then `size` bytes of the body each `pause` seconds."""
    return Fault("slow_drip", shape=lambda reply: replace(reply, drip=(size, pause)))


def invalid_utf8() -> Fault:
    """Done; a byte in the reply's first text is none of UTF-8."""
    return Fault("invalid_utf8", shape=lambda reply: replace(reply, body=reply.body.replace(b'"', b'"\xff', 1)))


def gzip(decoded: int = 0) -> Fault:
    """Done; the reply is compressed, whatever was accepted, and grows to `decoded` bytes when unpacked (a bomb)."""

    def shape(reply: Reply) -> Reply:
        return replace(reply, gzip=True, padding=max(0, decoded - len(reply.body)))

    return Fault("gzip", shape=shape)


def huge_body(size: int) -> Fault:
    """Done; the reply is valid JSON of `size` bytes, blanks for the most part."""
    return Fault("huge_body", shape=lambda reply: replace(reply, padding=max(0, size - len(reply.body))))


def huge_integrations(rows: int = 100_000) -> Fault:
    """GET /integrations: so many channels."""

    def shape(reply: Reply) -> Reply:
        row = {"name": "Many", "identifier": "tiktok", "picture": None, "disabled": False, "profile": "many"}
        return ok([{"id": f"cmmany{number}", **row} for number in range(rows)], reply.status)

    return Fault("huge_integrations", shape=shape)


def wild_ids(prefix: str = "a/../../b/../") -> Fault:
    """Done; every id of the reply contains `/../`."""

    def wild(value: Any) -> Any:
        if isinstance(value, list):
            return [wild(item) for item in value]
        if isinstance(value, dict):
            return {
                key: prefix + item if key in {"id", "postId"} and isinstance(item, str) else wild(item)
                for key, item in value.items()
            }
        return value

    return Fault("wild_ids", shape=lambda reply: replace(reply, body=as_bytes(wild(reply.value()))))


def reply_with(status: int, body: Any = None, *, headers: dict[str, str] | None = None, commit: bool = False) -> Fault:
    """Any JSON reply at all, e.g. a 402 of the plan."""
    answer = replace(ok(body, status), headers=headers or {})
    return Fault("reply_with", "yes" if commit else "no", answer=answer)


def fail_at_item(created: int) -> Fault:
    """POST /posts with several posts: a 500 once `created` of them exist."""
    return Fault("fail_at_item", partial=created)


NAMED: dict[str, Callable[..., Fault]] = {
    make.__name__: make
    for make in (
        drop_before_commit, drop_after_commit, error_500_before, error_500_after, late_commit, hang, empty_401,
        rate_limited, html_502, html_504, unavailable_503, html_413, truncated_json, empty_list, redirect,
        slow_headers, slow_drip, invalid_utf8, gzip, huge_body, huge_integrations, wild_ids, reply_with, fail_at_item,
    )
}  # fmt: skip


@dataclass
class _Scripted:
    route: str
    fault: Fault
    times: int
    match: Predicate | None


class Faults:
    """The queue of faults; the first that fits a request strikes and is used up `times` times."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: list[_Scripted] = []

    def script(self, route: str, fault: Fault, times: int = 1, match: Predicate | None = None) -> None:
        """`route`: "POST /posts", "DELETE /posts/:id", or a pattern ("GET *", "*"). times: -1 is for ever."""
        with self._lock:
            self._queue.append(_Scripted(route, fault, times, match))

    def clear(self) -> None:
        with self._lock:
            self._queue.clear()

    def pending(self) -> list[dict[str, Any]]:
        """What has not struck yet: `[{"route", "fault", "times"}]`."""
        with self._lock:
            return [{"route": one.route, "fault": one.fault.name, "times": one.times} for one in self._queue]

    def take(self, seen: SeenRequest) -> Fault | None:
        """The fault that strikes this request, now used up by one."""
        with self._lock:
            for one in self._queue:
                if fnmatchcase(seen.route, one.route) and (one.match is None or one.match(seen)):
                    one.times -= one.times > 0
                    if one.times == 0:
                        self._queue.remove(one)
                    return one.fault
        return None
