"""A stand-in for the broker, rows for workers, and jobs to play with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from conftest import Person
from jobs import dispatch as dispatching
from jobs import execution, services, transitions
from jobs.models import Job, Worker
from jobs.tests import kinds
from profiles import scope
from profiles.models import Profile


@dataclass
class Bell:
    """Takes the messages instead of a broker, or refuses them."""

    rung: list[UUID] = field(default_factory=list)
    is_broken: bool = False

    @contextmanager
    def connect(self) -> Iterator[Callable[[Job], None]]:
        if self.is_broken:
            raise ConnectionError("no broker")
        yield lambda job: self.rung.append(job.pk)

    def take(self) -> list[UUID]:
        taken, self.rung = self.rung, []
        return taken


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Bell:
    bell = Bell()
    monkeypatch.setattr(dispatching, "_bell", bell.connect)
    return bell


@pytest.fixture(autouse=True)
def _own_scratch(settings: Any, tmp_path: Any) -> Iterator[None]:
    settings.SCRATCH_DIR = tmp_path / "scratch"
    settings.SCRATCH_DIR.mkdir(mode=0o700)
    yield
    kinds.Body.run = staticmethod(kinds.result())


def add_worker(
    slots: int = 1, *, name: str = "worker", queues: tuple[str, ...] = (kinds.QUEUE,), **values: Any
) -> Worker:
    now = timezone.now()
    defaults = {"host": "host", "pid": 1, "started_at": now, "seen_at": now}
    return Worker.objects.create(name=name, queues=list(queues), slots=slots, **{**defaults, **values})


@pytest.fixture
def enqueue(owner: Person, bell: Bell) -> Callable[..., Job]:
    """`enqueue("test_body", subject=…)`: a job of the owner's brand, or of `profile`."""

    def make(kind: str = "test_body", profile: Profile | None = None, **values: Any) -> Job:
        brand = profile or owner.profile
        with scope.activate(brand.pk):
            return services.enqueue(profile=brand, kind=kind, **values)

    return make


def fresh(job: Job) -> Job:
    with scope.activate(job.profile_id):
        found: Job = Job.objects.select_related("output").get(pk=job.pk)
    return found


def execute(job: Job) -> Job:
    """Runs one attempt here and now, as a worker's task would."""
    execution.execute(kinds.known(job.kind), str(job.profile_id), str(job.pk))
    return fresh(job)


def claim(job: Job, worker: str = "worker") -> Job | None:
    with scope.activate(job.profile_id):
        return transitions.claim(kinds.known(job.kind), job.profile_id, job.pk, worker)


def change(job: Job, **values: Any) -> None:
    """Sets columns behind everybody's back."""
    with scope.activate(job.profile_id):
        Job.objects.filter(pk=job.pk).update(**values)


def expire(job: Job) -> None:
    change(job, lease_expires_at=timezone.now() - timedelta(seconds=1))


def events(job: Job) -> list[str]:
    with scope.activate(job.profile_id):
        return list(job.events.order_by("at", "id").values_list("event", flat=True))
