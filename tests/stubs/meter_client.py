"""A module of a provider as the product's are, for `tests.stubs.meter`: one paid function, no retries, no ORM."""

from dataclasses import dataclass
from typing import Any

import httpx

from costs.errors import NotCharged
from costs.services import paid_function

TIMEOUT = httpx.Timeout(1.0, connect=2.0)


class BadAnswer(Exception):
    """An answer that is none: it may have been charged."""


@dataclass(frozen=True)
class Spoken:
    """`used`: by meter, as the provider says; empty when it says nothing."""

    audio: str
    used: dict[str, Any]
    model: str
    request_id: str


def post(url: str, body: dict[str, Any]) -> httpx.Response:
    """The call itself, without a guard."""
    with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
        return client.post(url, json=body)


@paid_function("meter")
def speak(url: str, *, run: str, text: str, model: str = "m1") -> Spoken:
    """One call. NotCharged for what surely cost nothing: no connection, 400, 429; else BadAnswer or httpx's errors."""
    try:
        reply = post(f"{url}/v1/speak", {"run": run, "model": model, "text": text})
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NotCharged("no connection", may_pass=True, retry_after=0) from error
    if reply.status_code == 429:
        raise NotCharged("busy", may_pass=True, retry_after=float(reply.headers["Retry-After"]))
    if reply.status_code == 400:
        raise NotCharged("refused")
    if reply.status_code != 200:
        raise BadAnswer(f"{reply.status_code}")
    return _read(reply)


def _read(reply: httpx.Response) -> Spoken:
    try:
        answer = reply.json()
        used = {"credit": answer["credits"]} if "credits" in answer else {}
        return Spoken(answer["audio"], used, answer["model"], answer["id"])
    except (ValueError, LookupError, TypeError) as error:
        raise BadAnswer("no answer that can be read") from error
