"""`?dry_run=1` starts nothing and says what it would take."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import Person
from jobs import dry_run, registry
from jobs.models import IdempotencyKey, Job, JobEvent
from jobs.registry import Estimate
from profiles import scope
from profiles.errors import DomainError

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(owner: Person) -> Job:
    now = timezone.now()
    with scope.activate(owner.profile.pk):
        return Job.objects.create(
            profile=owner.profile,
            kind="test_body",
            queue="media",
            priority=1,
            max_attempts=1,
            status="failed",
            finished_at=now,
            error={"code": "x", "message": "x", "retryable": True, "next_step": ""},
        )


def try_out(person: Person, job: Job, value: str = "1", **headers: str) -> Any:
    return person.client.post(f"/api/v1/jobs/{job.pk}/retry/?dry_run={value}", headers=headers)


def test_nothing_is_started(owner: Person, failed: Job) -> None:
    answer = try_out(owner, failed, **{"Idempotency-Key": "k"})
    assert answer.status_code == 200, answer.content
    assert answer.json() == {
        "dry_run": True,
        "jobs": [
            {
                "kind": failed.kind,
                "title": registry.kind_named(failed.kind).label,  # type: ignore[union-attr]
                "cost_micros": 0,
                "wall_seconds": None,
                "cpu_seconds": None,
                "is_under_way": False,
            }
        ],
        "cost_micros": 0,
        "blocked_by": None,
    }
    with scope.activate(owner.profile.pk):
        assert Job.objects.get(pk=failed.pk).status == "failed"
        assert (JobEvent.objects.count(), IdempotencyKey.objects.count()) == (0, 0)
    assert try_out(owner, failed, "0").status_code == 202


def test_the_last_jobs_of_the_kind_tell_how_long(owner: Person, failed: Job) -> None:
    now = timezone.now()
    with scope.activate(owner.profile.pk):
        for seconds in (10, 20, 90):
            Job.objects.create(
                profile=owner.profile,
                kind=failed.kind,
                queue="media",
                priority=1,
                max_attempts=1,
                status="succeeded",
                started_at=now - timedelta(seconds=seconds),
                finished_at=now,
                cpu_seconds=seconds * 2,
            )
    planned = try_out(owner, failed).json()["jobs"][0]
    assert (planned["wall_seconds"], planned["cpu_seconds"]) == (20.0, 40.0)


def test_what_would_be_in_the_way_is_said(owner: Person, failed: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = registry.kind_named(failed.kind)
    assert kind is not None
    monkeypatch.setitem(vars(kind), "estimate", lambda params: Estimate(700_000, 12.0))
    owner.client.put("/api/v1/costs/budget/", {"period": "day", "cap_micros": 500_000}, format="json")
    answer = try_out(owner, failed).json()
    assert (answer["cost_micros"], answer["jobs"][0]["wall_seconds"]) == (700_000, 12.0)
    assert answer["blocked_by"]["code"] == "budget_exceeded"
    assert "0.70 USD or more" in answer["blocked_by"]["next_step"]
    assert answer["blocked_by"]["details"][0]["enough_micros"] == 700_000
    owner.client.put("/api/v1/costs/budget/", {"period": "day", "cap_micros": 700_000}, format="json")
    assert try_out(owner, failed).json()["blocked_by"] is None
    owner.client.put("/api/v1/costs/budget/", {"period": "job", "cap_micros": 1}, format="json")
    assert "a job has 0.000001 USD left" in try_out(owner, failed).json()["blocked_by"]["message"]


def test_every_check_of_the_real_call_is_made(owner: Person, viewer: Person, stranger: Person, failed: Job) -> None:
    assert try_out(viewer, failed).status_code == 403
    assert try_out(stranger, failed).status_code == 404
    with scope.activate(owner.profile.pk):
        Job.objects.filter(pk=failed.pk).update(status="succeeded", error=None)
    assert try_out(owner, failed).status_code == 409


@pytest.mark.parametrize("query", ["dry_run=1&dry_run=0", "dry_run=0&dry_run=1", "Dry_Run=1", "dryrun=1", "dry-run=1"])
def test_a_trial_that_is_asked_for_otherwise_starts_nothing(owner: Person, failed: Job, query: str) -> None:
    assert owner.client.post(f"/api/v1/jobs/{failed.pk}/retry/?{query}").status_code == 400
    with scope.activate(owner.profile.pk):
        assert Job.objects.get(pk=failed.pk).status == "failed"


def test_a_trial_in_the_body_is_told_where_it_belongs(owner: Person, failed: Job) -> None:
    answer = owner.client.post(f"/api/v1/jobs/{failed.pk}/retry/", {"dry_run": True}, format="json")
    assert answer.status_code == 400
    assert "?dry_run=1" in str(answer.json()["error"]["fields"]["dry_run"])


def test_an_action_that_starts_past_the_trial_is_a_mistake(
    owner: Person, failed: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.views.dry_run.started", lambda start: failed)
    with pytest.raises(RuntimeError, match="starts its jobs past"):
        try_out(owner, failed)


@pytest.mark.parametrize("value", ["yes", "2", "tru", ""])
def test_a_word_that_is_neither_yes_nor_no(owner: Person, failed: Job, value: str) -> None:
    answer = try_out(owner, failed, value)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["dry_run"])


def test_a_call_that_cannot_be_tried_out_is_refused(owner: Person, failed: Job) -> None:
    answer = owner.client.post(f"/api/v1/jobs/{failed.pk}/cancel/?dry_run=1")
    assert answer.status_code == 400
    answer = owner.client.delete(f"/api/v1/jobs/{failed.pk}/?dry_run=1")
    assert answer.status_code == 400
    with scope.activate(owner.profile.pk):
        assert Job.objects.filter(pk=failed.pk).exists()


def test_an_error_leaves_no_trial_open(owner: Person, failed: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> Job:
        raise DomainError("no")

    with monkeypatch.context() as patched:
        patched.setattr("jobs.views.services.job_retry", refuse)
        assert try_out(owner, failed).status_code == 400
    assert owner.client.post(f"/api/v1/jobs/{failed.pk}/retry/").status_code == 202


def test_what_is_under_way_costs_nothing_more(
    owner: Person, failed: Job, enqueue: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = enqueue()
    monkeypatch.setattr("jobs.views.services.job_retry", lambda **_: dry_run.noted(waiting))
    planned = try_out(owner, failed).json()["jobs"][0]
    assert planned["is_under_way"]
