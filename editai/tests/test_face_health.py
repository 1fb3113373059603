"""`health/` and `gemini/status/`: public, truthful, cheap, never a 500."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone

from editai import health
from jobs import registry
from jobs.models import Worker

HEALTH = "/api/v1/health/"


@pytest.fixture(autouse=True)
def _ask_anew() -> Iterator[None]:
    health.forget()
    yield
    health.forget()


@pytest.fixture
def worker(db: None) -> Worker:
    now = timezone.now()
    return Worker.objects.create(
        name="all@here",
        host="here",
        pid=1,
        queues=[*registry.queues(), "default"],
        slots=2,
        started_at=now,
        seen_at=now,
    )


@pytest.mark.django_db
def test_all_is_well(client: Client, worker: Worker) -> None:
    answer = client.get(HEALTH)
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "parts": {
            "database": {"ok": True, "detail": "answers"},
            "broker": {"ok": True, "detail": "answers"},
            "storage": {"ok": True, "detail": "answers"},
            "workers": {"ok": True, "detail": "1 running"},
        },
    }


@pytest.mark.django_db
def test_without_workers_it_is_degraded(client: Client, worker: Worker) -> None:
    Worker.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    answer = client.get(HEALTH)
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["parts"]["workers"] == {"ok": False, "detail": "none is running"}


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["media", "default"])
def test_a_queue_without_a_worker_is_degraded(client: Client, worker: Worker, missing: str) -> None:
    assert missing in worker.queues
    worker.queues = [queue for queue in worker.queues if queue != missing]
    worker.save()
    answer = client.get(HEALTH)
    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["parts"]["workers"] == {"ok": False, "detail": f"none is running for: {missing}"}


@pytest.mark.django_db
@pytest.mark.parametrize("part", ["_database", "_broker", "_storage"])
@pytest.mark.parametrize(
    "error", [OperationalError("host=db.internal password=x"), OSError(5, "/srv/secret"), health.Trouble("says so")]
)
def test_a_vital_part_down_is_503_and_tells_no_secret(
    client: Client, worker: Worker, monkeypatch: pytest.MonkeyPatch, part: str, error: Exception
) -> None:
    def fail() -> Any:
        raise error

    monkeypatch.setattr(health, part, fail)
    answer = client.get(HEALTH)
    assert answer.status_code == 503
    assert answer.json()["status"] == "down"
    found = answer.json()["parts"][part.removeprefix("_")]
    assert found == {"ok": False, "detail": "says so" if isinstance(error, health.Trouble) else "does not answer"}


@pytest.mark.django_db
def test_a_part_that_hangs_is_given_up_and_asked_once(
    client: Client, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def hang() -> None:
        asked.append(1)
        time.sleep(1)

    monkeypatch.setattr(health, "_storage", hang)
    monkeypatch.setattr(health, "PATIENCE", 0.1)
    monkeypatch.setattr(health, "KEEP", 0.0)
    for _ in range(3):
        assert client.get(HEALTH).status_code == 503
    assert len(asked) == 1
    health._pending["storage"].result(timeout=5)


@pytest.mark.django_db
def test_a_flood_asks_the_parts_once(client: Client, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def count() -> str:
        asked.append(1)
        return "answers"

    monkeypatch.setattr(health, "_database", count)
    monkeypatch.setattr(health, "KEEP", 60.0)
    for _ in range(200):  # above the anonymous rate: a balancer may ask as often as it likes
        assert client.get(HEALTH).status_code == 200
    assert len(asked) == 1


def test_without_a_database_it_still_answers(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `db` mark: any query in this request would fail the test."""

    def down() -> str:
        raise OperationalError

    monkeypatch.setattr(health, "_database", down)
    monkeypatch.setattr(health, "_workers", down)
    assert client.get(HEALTH).status_code == 503


def test_gemini_status_tells_and_spends_nothing(client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("went out to the network"))
    settings.REDIS_URL = ""
    for key, configured in (("", False), ("a key", True)):
        settings.GEMINI_API_KEY = key
        answer = client.get("/api/v1/gemini/status/")
        assert answer.status_code == 200
        assert answer.json() == {"configured": configured}


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("address", [HEALTH, "/api/v1/gemini/status/"])
def test_they_only_tell(client: Client, method: str, address: str) -> None:
    answer = getattr(client, method)(address)
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
