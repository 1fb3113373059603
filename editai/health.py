"""`health/`: what we stand on, part by part. Public, cheap, and never a 500.

Vital are the database, the storage and the broker: without one of them the answer is 503. Missing workers make it
`degraded` and stay a 200, because this very process still serves. So does a queue that no worker listens to. The
answer tells states and queues, not hosts or files.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.db.models import TextChoices
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs import registry
from jobs.models import Worker
from profiles import storage
from profiles.api.serializers import StrictSerializer

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds for a part that is asked over the network
KEEP = 1.0  # seconds that an answer is good for: a flood of questions asks the parts once
WORKER_SILENCE = timedelta(seconds=60)  # after which a worker counts as gone
PERIODIC_QUEUE = "default"  # what beat asks for; no kind of job needs to use it
_pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="health")
_lock = threading.Lock()
_recent: tuple[float, dict[str, Any]] | None = None
_pending: dict[str, "Future[None]"] = {}


class State(TextChoices):
    OK = "ok", "All is well"
    DEGRADED = "degraded", "It serves, but nobody works off the queue"
    DOWN = "down", "A vital part is missing"


class Trouble(Exception):
    """A part is not well; the message is for everybody to read."""


class PartSerializer(StrictSerializer):
    ok = serializers.BooleanField()
    detail = serializers.CharField()


class PartsSerializer(StrictSerializer):
    database = PartSerializer()
    broker = PartSerializer()
    storage = PartSerializer()
    workers = PartSerializer()


class HealthSerializer(StrictSerializer):
    status = serializers.ChoiceField(choices=State.choices)
    parts = PartsSerializer()


class HealthView(APIView):
    """Whether the service works: `ok`, `degraded` (nobody works off the queue) or `down` (503)."""

    public = True
    profile_required = False
    authentication_classes = ()
    throttle_classes = ()

    @extend_schema(responses={200: HealthSerializer, 503: OpenApiResponse(HealthSerializer, "A vital part is down.")})
    def get(self, request: Request) -> Response:
        report = health()
        return Response(report, status=503 if report["status"] == State.DOWN else 200)


def health() -> dict[str, Any]:
    """`{"status": …, "parts": {name: {"ok": bool, "detail": str}}}`, at most KEEP seconds old."""
    global _recent
    with _lock:
        if _recent is not None and time.monotonic() - _recent[0] < KEEP:
            return _recent[1]
        report = _ask()
        _recent = (time.monotonic(), report)
        return report


def forget() -> None:
    """The next question asks the parts again."""
    global _recent
    with _lock:
        _recent = None


def _ask() -> dict[str, Any]:
    parts = {
        "database": _part(_database),
        "broker": _part(lambda: _in_time("broker", _broker)),
        "storage": _part(lambda: _in_time("storage", _storage)),
        "workers": _part(_workers),
    }
    if not all(parts[name]["ok"] for name in ("database", "broker", "storage")):
        state = State.DOWN
    else:
        state = State.OK if parts["workers"]["ok"] else State.DEGRADED
    return {"status": state.value, "parts": parts}


def _part(look: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"ok": True, "detail": look()}
    except Trouble as trouble:
        return {"ok": False, "detail": str(trouble)}
    except Exception:  # whatever a driver raises, health answers
        log.warning("a part is not well", exc_info=True)
        return {"ok": False, "detail": "does not answer"}


def _in_time(name: str, look: Callable[[], None]) -> str:
    """Runs `look` beside us. One that hangs is not asked again until it is done."""
    asked = _pending.get(name)
    if asked is None or asked.done():
        asked = _pending[name] = _pool.submit(look)
    try:
        asked.result(timeout=PATIENCE)
    except TooLate:
        raise Trouble(f"no answer within {PATIENCE:.0f} s") from None
    return "answers"


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return "answers"


def _broker() -> None:
    if settings.REDIS_URL:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()
        return
    if settings.BROKER_DIR.exists() and not os.access(settings.BROKER_DIR, os.W_OK | os.X_OK):
        raise Trouble("the message folder cannot be written")


def _storage() -> None:
    if storage.is_local():
        if not os.access(settings.DATA_DIR, os.W_OK | os.X_OK):
            raise Trouble("the data folder cannot be written")
        return
    backend: Any = storage.backend()
    if not backend.bucket_name:
        raise ImproperlyConfigured("no bucket")
    backend.connection.meta.client.head_bucket(Bucket=backend.bucket_name)


def _workers() -> str:
    try:
        alive = list(
            Worker.objects.filter(seen_at__gte=timezone.now() - WORKER_SILENCE).values_list("queues", flat=True)
        )
    except DatabaseError:
        raise Trouble("unknown while the database does not answer") from None
    if not alive:
        raise Trouble("none is running")
    needed = {*registry.queues(), PERIODIC_QUEUE}
    if idle := sorted(needed.difference(*alive)):
        raise Trouble(f"none is running for: {', '.join(idle)}")
    return f"{len(alive)} running"
