"""The door: one job for one subject, idempotency keys, limits, quota."""

import threading
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from conftest import Person
from jobs import idempotency, registry, services
from jobs.models import IdempotencyKey, Job, Status
from jobs.registry import Estimate
from jobs.tests.conftest import Bell, add_worker, claim, events, execute, fresh
from profiles import scope
from profiles.errors import Conflict, DomainError, TooMany
from profiles.models import Profile
from profiles.tenancy import new_id
from tests.racing import race

pytestmark = pytest.mark.django_db
several_connections = pytest.mark.django_db(transaction=True)  # or commits that count
Enqueue = Callable[..., Job]


def test_an_unknown_kind_is_a_mistake_of_the_program(enqueue: Enqueue) -> None:
    with pytest.raises(KeyError):
        enqueue("test_unheard_of")


@several_connections
def test_nobody_is_told_before_the_commit(enqueue: Enqueue, bell: Bell, owner: Person) -> None:
    add_worker(1)
    with transaction.atomic():
        job = enqueue()
        assert bell.rung == []
    assert bell.rung == [job.pk]


def test_the_same_work_asked_for_again_is_the_same_job(enqueue: Enqueue) -> None:
    subject = new_id()
    first = enqueue(subject=subject, recipe_hash="a")
    assert enqueue(subject=subject, recipe_hash="a").pk == first.pk
    claim(first)
    assert enqueue(subject=subject, recipe_hash="a").pk == first.pk
    assert enqueue("test_urgent", subject=subject, recipe_hash="a").pk != first.pk
    assert enqueue(subject=new_id(), recipe_hash="a").pk != first.pk


def test_another_recipe_supersedes_the_older_job(enqueue: Enqueue) -> None:
    subject = new_id()
    waiting = enqueue(subject=subject, recipe_hash="a")
    running = enqueue(subject=subject, recipe_hash="b")
    assert (fresh(waiting).status, events(waiting)[-1]) == (Status.CANCELLED, "superseded")
    claim(running)
    latest = enqueue(subject=subject, recipe_hash="c")
    assert (fresh(running).status, fresh(latest).status) == (Status.CANCELLED, Status.QUEUED)


def test_a_job_that_is_being_cancelled_is_no_answer(enqueue: Enqueue, owner: Person) -> None:
    subject = new_id()
    old = enqueue(subject=subject)
    claim(old)
    with scope.activate(owner.profile.pk):
        services.job_cancel(profile=owner.profile, job=old)
    assert enqueue(subject=subject).pk != old.pk
    assert fresh(old).status == Status.CANCELLED


def test_two_brands_may_work_on_the_same_subject(enqueue: Enqueue, stranger: Person) -> None:
    subject = new_id()
    assert enqueue(subject=subject).pk != enqueue(subject=subject, profile=stranger.profile).pk


@several_connections
def test_50_requests_at_once_make_one_job(enqueue: Enqueue, owner: Person) -> None:
    subject = new_id()
    made = race(lambda _: enqueue(subject=subject, recipe_hash="same").pk, 50)
    assert len(set(made)) == 1, made
    with scope.activate(owner.profile.pk):
        assert Job.objects.count() == 1


@several_connections
def test_the_control_without_the_constraint_several_jobs_are_made(
    enqueue: Enqueue, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guard off: the subject is not in the row, so the partial unique index sees nothing to refuse."""
    everybody_looked = threading.Barrier(10)
    subject = new_id()
    look = services.active_job

    def look_then_wait(profile: Profile, kind: str, wanted: Any) -> Job | None:
        found = look(profile, kind, wanted)
        everybody_looked.wait(20)
        return found

    save = Job.save

    def save_without_subject(job: Job, **options: Any) -> None:
        job.subject = None
        save(job, **options)

    monkeypatch.setattr(services, "active_job", look_then_wait)
    monkeypatch.setattr(Job, "save", save_without_subject)
    made = race(lambda _: enqueue(subject=subject, recipe_hash="same").pk, 10)
    assert len(set(made)) == 10, made


@several_connections
def test_50_different_recipes_at_once_leave_one_active_job(enqueue: Enqueue, owner: Person) -> None:
    subject = new_id()
    race(lambda number: enqueue(subject=subject, recipe_hash=str(number)), 20)
    with scope.activate(owner.profile.pk):
        assert Job.objects.filter(status=Status.QUEUED).count() == 1


@several_connections
def test_the_queue_of_a_brand_has_an_end(enqueue: Enqueue, stranger: Person, settings: Any) -> None:
    settings.JOB_QUEUE_LIMIT = 3
    jobs = [enqueue() for _ in range(3)]
    with pytest.raises(TooMany) as refused:
        enqueue()
    assert (refused.value.status, refused.value.code) == (429, "queue_full")
    enqueue(profile=stranger.profile)
    execute(jobs[0])
    enqueue()


def test_a_quota_hook_can_refuse(enqueue: Enqueue, monkeypatch: pytest.MonkeyPatch, owner: Person) -> None:
    seen: list[Job] = []

    def hook(job: Job) -> None:
        seen.append(job)
        if job.params.get("dear"):
            raise DomainError("Too dear.", code="over_budget", status=402)

    monkeypatch.setattr(registry, "_quota_hooks", [])
    registry.register_quota_hook(hook)
    with pytest.raises(DomainError, match="dear"):
        enqueue(params={"dear": True})
    enqueue(params={"dear": False})
    assert [job.kind for job in seen] == ["test_body", "test_body"]
    with scope.activate(owner.profile.pk):
        assert Job.objects.count() == 1


def test_kinds_estimate_what_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))

    @registry.job_kind(
        "test_priced", task_name="test_priced_task", estimate=lambda params: Estimate(5 * params["n"], 2.0)
    )
    def body(attempt: Any) -> Any:
        return None

    assert registry.estimate("test_priced", {"n": 3}) == Estimate(15, 2.0)
    assert registry.estimate("test_body", {}) == Estimate(0, None)


@several_connections
def test_a_key_gives_the_same_job_for_the_same_request(enqueue: Enqueue, stranger: Person) -> None:
    first = enqueue(params={"a": 1}, idempotency_key="k")
    assert enqueue(params={"a": 1}, idempotency_key="k").pk == first.pk
    execute(first)
    assert enqueue(params={"a": 1}, idempotency_key="k").pk == first.pk
    with pytest.raises(Conflict) as refused:
        enqueue(params={"a": 2}, idempotency_key="k")
    assert refused.value.code == "idempotency_key_reused"
    assert enqueue(params={"a": 1}, idempotency_key="k", profile=stranger.profile).pk != first.pk


@several_connections
def test_a_key_remembers_the_job_of_another_that_was_under_way(enqueue: Enqueue) -> None:
    subject = new_id()
    first = enqueue(subject=subject, idempotency_key="one")
    assert enqueue(subject=subject, idempotency_key="two").pk == first.pk
    execute(first)
    assert enqueue(subject=subject, idempotency_key="two").pk == first.pk


@several_connections
def test_the_same_key_at_once_starts_once(enqueue: Enqueue, owner: Person) -> None:
    made = race(lambda _: enqueue(params={"a": 1}, idempotency_key="k").pk, 20)
    assert len(set(made)) == 1, made
    with scope.activate(owner.profile.pk):
        assert (Job.objects.count(), IdempotencyKey.objects.count()) == (1, 1)


@several_connections
def test_what_start_wrote_goes_when_the_key_was_taken_meanwhile(enqueue: Enqueue, owner: Person) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time: nobody can be faster inside our transaction")
    winner = enqueue()

    def faster_request(_: int) -> None:
        with scope.activate(owner.profile.pk):
            idempotency.once(profile=owner.profile, key="k", request_hash="h", start=lambda: winner)

    def start() -> Job:
        race(faster_request, 1)
        return enqueue(params={"loser": 1})

    with scope.activate(owner.profile.pk):
        assert idempotency.once(profile=owner.profile, key="k", request_hash="h", start=start).pk == winner.pk
        assert Job.objects.count() == 1


def test_old_keys_are_forgotten(enqueue: Enqueue, owner: Person) -> None:
    enqueue(idempotency_key="old")
    enqueue(idempotency_key="new")
    with scope.activate(owner.profile.pk):
        old = timezone.now() - idempotency.KEPT_FOR
        IdempotencyKey.objects.filter(key="old").update(created_at=old)
        idempotency.forget_old_keys()
        assert [row.key for row in IdempotencyKey.objects.all()] == ["new"]


def test_stop_all_takes_every_lease(enqueue: Enqueue, owner: Person) -> None:
    subject = new_id()
    waiting, running, other = enqueue(), enqueue(subject=subject), enqueue(subject=uuid4())
    claim(running)
    with scope.activate(owner.profile.pk):
        assert services.stop_all(profile=owner.profile, subject=subject) == 1
        assert fresh(running).status == Status.CANCELLED
        assert services.stop_all(profile=owner.profile) == 2
    assert {fresh(waiting).status, fresh(other).status} == {Status.CANCELLED}
