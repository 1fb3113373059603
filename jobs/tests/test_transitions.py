"""One row, one attempt at a time: claims, leases, fences, ends."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from conftest import Person
from jobs import reaper, services, transitions
from jobs.models import Job, Status
from jobs.tests import kinds
from jobs.tests.conftest import change, claim, events, execute, expire, fresh
from jobs.transitions import Beat, ErrorData, LeaseLost
from profiles import scope
from profiles.errors import Conflict
from profiles.models import Profile
from tests.racing import race

pytestmark = pytest.mark.django_db
several_connections = pytest.mark.django_db(transaction=True)
Enqueue = Callable[..., Job]
BEAT = Beat(40, "Working", 7, 1.5, 10, 20)


def test_a_claim_counts_the_attempt_and_takes_the_lease(enqueue: Enqueue) -> None:
    job = claim(enqueue())
    assert job is not None
    assert (job.status, job.attempt, job.worker_name) == (Status.RUNNING, 1, "worker")
    assert job.lease_expires_at is not None
    assert job.lease_expires_at > timezone.now()
    assert events(job) == ["queued", "started"]


@several_connections
def test_only_one_of_many_claims_wins(enqueue: Enqueue) -> None:
    job = enqueue()
    won = [outcome for outcome in race(lambda number: claim(job, f"w{number}"), 12) if outcome is not None]
    assert [type(outcome) for outcome in won] == [Job]
    assert fresh(job).attempt == 1


@several_connections
def test_the_control_a_claim_that_looks_first_and_writes_then_is_won_by_several(enqueue: Enqueue) -> None:
    job = enqueue()

    def careless(number: int) -> bool:
        with scope.activate(job.profile_id):
            row = Job.objects.get(pk=job.pk)
            waiting = row.status == Status.QUEUED
            everybody_looked.wait(10)
            if waiting:
                now = timezone.now()
                values = {"status": Status.RUNNING, "attempt": 1, "started_at": now, "lease_expires_at": now}
                Job.objects.filter(pk=job.pk).update(**values)
            return waiting

    everybody_looked = threading.Barrier(4)
    assert race(careless, 4).count(True) == 4


@pytest.mark.parametrize(
    "spoil",
    [
        {"status": Status.CANCELLED, "finished_at": timezone.now()},
        {"run_at": timezone.now() + timedelta(hours=1)},
        {"kind": "test_urgent"},
    ],
    ids=["cancelled", "not due", "other kind"],
)
def test_what_does_not_wait_here_is_not_claimed(enqueue: Enqueue, spoil: dict[str, Any]) -> None:
    job = enqueue()
    change(job, **spoil)
    with scope.activate(job.profile_id):
        assert transitions.claim(kinds.known("test_body"), job.profile_id, job.pk, "w") is None
    assert fresh(job).attempt == 0


def test_a_job_of_a_profile_that_is_being_deleted_does_not_start(enqueue: Enqueue, owner: Person) -> None:
    job = enqueue()
    Profile.objects.filter(pk=owner.profile.pk).update(state=Profile.State.DELETING)
    assert claim(job) is None


def test_a_running_one_loses_its_lease_with_its_profile(enqueue: Enqueue, owner: Person) -> None:
    job = claim(enqueue())
    assert job is not None
    Profile.objects.filter(pk=owner.profile.pk).update(state=Profile.State.DELETING)
    with scope.activate(job.profile_id), pytest.raises(LeaseLost):
        transitions.heartbeat(job, BEAT)
    expire(job)
    assert reaper.reap() == 1
    assert fresh(job).status == Status.CANCELLED


def test_a_heartbeat_carries_progress_and_hears_of_a_cancel(enqueue: Enqueue, owner: Person) -> None:
    job = claim(enqueue())
    assert job is not None
    with scope.activate(job.profile_id):
        assert transitions.heartbeat(job, BEAT) is False
        row = fresh(job)
        assert (row.progress, row.step, row.eta_seconds, row.cpu_seconds) == (40, "Working", 7, 1.5)
        services.job_cancel(profile=owner.profile, job=job, by=owner.user)
        assert transitions.heartbeat(job, BEAT) is True


WRITES: dict[str, Callable[[Job], Any]] = {
    "heartbeat": lambda job: transitions.heartbeat(job, BEAT),
    "finish": lambda job: transitions.finish(job, BEAT, result={"late": 1}, output=None, apply=None),
    "fail": lambda job: transitions.fail(job, BEAT, ErrorData("late", "Too late.")),
    "cancelled": lambda job: transitions.cancelled(job, BEAT),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_who_lost_the_lease_writes_nothing(enqueue: Enqueue, write: Callable[[Job], Any]) -> None:
    old = claim(enqueue())
    assert old is not None
    expire(old)
    reaper.reap()
    new = claim(old)
    assert new is not None
    assert new.attempt == 2
    before = fresh(new)
    with scope.activate(old.profile_id), pytest.raises(LeaseLost):
        write(old)
    after = fresh(new)
    assert {**vars(after), "_state": 0} == {**vars(before), "_state": 0}


def test_what_apply_writes_goes_when_apply_fails(enqueue: Enqueue, owner: Person) -> None:
    job = claim(enqueue())
    assert job is not None

    def apply() -> None:
        Profile.objects.filter(pk=owner.profile.pk).update(name="half-written")
        raise ValueError("no")

    with scope.activate(job.profile_id), pytest.raises(ValueError, match="no"):
        transitions.finish(job, BEAT, result={}, output=None, apply=apply)
    assert Profile.objects.get(pk=owner.profile.pk).name != "half-written"
    assert fresh(job).status == Status.RUNNING


def test_a_cancel_that_came_before_the_finish_wins(enqueue: Enqueue, owner: Person) -> None:
    job = claim(enqueue())
    assert job is not None
    with scope.activate(job.profile_id):
        services.job_cancel(profile=owner.profile, job=job)
        assert transitions.finish(job, BEAT, result={}, output=None, apply=None) is False


def test_retryable_errors_wait_longer_each_time_and_end(enqueue: Enqueue) -> None:
    job = enqueue()
    error = ErrorData("stalled", "It stalled.", True, "Retry.", again=True)
    for attempt, wait in ((1, 10), (2, 20)):
        held = claim(job)
        assert held is not None
        with scope.activate(job.profile_id):
            assert transitions.fail(held, BEAT, error) == Status.QUEUED
        row = fresh(job)
        assert (row.attempt, row.error) == (attempt, None)
        assert wait - 2 < (row.run_at - timezone.now()).total_seconds() <= wait
        assert claim(job) is None
        change(job, run_at=timezone.now())
    held = claim(job)
    assert held is not None
    with scope.activate(job.profile_id):
        assert transitions.fail(held, BEAT, error) == Status.FAILED
    assert fresh(job).error == {"code": "stalled", "message": "It stalled.", "retryable": True, "next_step": "Retry."}
    assert events(job)[-1] == "failed"


@several_connections
def test_a_retry_by_hand_starts_anew_and_keeps_the_error_in_the_history(enqueue: Enqueue, owner: Person) -> None:
    job = enqueue()
    held = claim(job)
    assert held is not None
    with scope.activate(job.profile_id):
        transitions.fail(held, BEAT, ErrorData("bad", "It was bad."), traceback="secret trace")
        services.job_retry(profile=owner.profile, job=job, by=owner.user)
        row = fresh(job)
        assert (row.status, row.failures, row.error, row.traceback) == (Status.QUEUED, 0, None, "")
        told = [event.detail.get("error", {}).get("code") for event in job.events.order_by("at", "id")]
    assert told == [None, None, "bad", "bad"]
    assert execute(job).status == Status.SUCCEEDED
    assert fresh(job).attempt == 2
    with scope.activate(job.profile_id), pytest.raises(Conflict):
        services.job_retry(profile=owner.profile, job=job)


def test_crashes_have_a_limit_of_their_own(enqueue: Enqueue) -> None:
    job = enqueue()
    for _ in range(transitions.MAX_CRASHES):
        assert claim(job) is not None
        expire(job)
        assert reaper.reap() == 1
        assert fresh(job).status == Status.QUEUED
    claim(job)
    expire(job)
    reaper.reap()
    row = fresh(job)
    assert row.status == Status.FAILED
    assert row.error is not None
    assert row.error["code"] == "worker_lost"
    assert row.failures == 0


def test_a_lost_attempt_that_cannot_be_repeated_needs_attention(enqueue: Enqueue) -> None:
    job = enqueue("test_outside")
    claim(job)
    expire(job)
    reaper.reap()
    row = fresh(job)
    assert row.status == Status.NEEDS_ATTENTION
    assert row.error is not None
    assert row.error["code"] == "outcome_unknown"


def test_the_reaper_leaves_the_living_alone_and_ends_what_was_to_be_cancelled(enqueue: Enqueue, owner: Person) -> None:
    living, dead = enqueue(), enqueue()
    claim(living)
    claim(dead)
    with scope.activate(owner.profile.pk):
        services.job_cancel(profile=owner.profile, job=dead)
    assert fresh(dead).status == Status.RUNNING
    expire(dead)
    assert reaper.reap() == 1
    assert (fresh(living).status, fresh(dead).status) == (Status.RUNNING, Status.CANCELLED)


@several_connections
def test_many_reapers_take_a_job_back_once(enqueue: Enqueue) -> None:
    job = enqueue()
    claim(job)
    expire(job)
    assert sorted(race(lambda _: reaper.reap(), 6)) == [0, 0, 0, 0, 0, 1]  # type: ignore[type-var]
    assert (fresh(job).crashes, events(job).count("lost")) == (1, 1)


@pytest.mark.parametrize(
    "values",
    [
        {"status": "running"},
        {"status": "odd"},
        {"progress": 101},
        {"status": "succeeded"},
        {"finished_at": timezone.now()},
        {"status": "failed", "finished_at": timezone.now()},
        {"lease_expires_at": timezone.now()},
        {"status": "cancelled", "finished_at": timezone.now(), "rung_at": timezone.now()},
    ],
)
def test_the_database_refuses_what_can_never_be(enqueue: Enqueue, values: dict[str, Any]) -> None:
    job = enqueue()
    with scope.activate(job.profile_id), pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**values)


@pytest.mark.parametrize("how", ["waiting", "running", "dead", "at once"])
def test_a_cancelled_job_says_so(enqueue: Enqueue, owner: Person, how: str) -> None:
    job = enqueue()
    held = claim(job) if how != "waiting" else None
    with scope.activate(owner.profile.pk):
        if held is not None:
            transitions.heartbeat(held, BEAT)
        if how == "at once":
            services.stop_all(profile=owner.profile)
        else:
            services.job_cancel(profile=owner.profile, job=job)
        if how == "running":
            assert held is not None
            transitions.cancelled(held, BEAT)
    if how == "dead":
        expire(job)
        assert reaper.reap() == 1
    row = fresh(job)
    assert (row.status, row.step, row.eta_seconds) == (Status.CANCELLED, "Cancelled", None)
