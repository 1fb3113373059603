"""What beat sends, and what the operator types."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from conftest import Person
from costs import compute, tasks
from costs.books import attempts
from costs.models import ComputeDaily, ProfilePeriod, UsageAttempt
from costs.tests.conftest import call_for
from editai.celery import app
from jobs import reaper, transitions
from jobs.models import Job, JobEvent
from jobs.registry import kinds
from jobs.transitions import Beat, ErrorData
from profiles import scope
from profiles.models import Profile

pytestmark = pytest.mark.django_db
Spend = Callable[..., None]


def test_beat_knows_the_tasks() -> None:
    sent = {entry["task"] for entry in app.conf.beat_schedule.values()}
    assert {tasks.sweep_calls.name, tasks.prove_books.name} <= sent


@pytest.mark.usefixtures("cent")
def test_one_that_cannot_be_ended_keeps_no_other(
    owner: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for person in (owner, stranger):
        with scope.activate(person.profile.pk):
            attempt = attempts.reserve(person.profile, call_for())
            attempt.expires_at -= timedelta(hours=1)
            attempt.save()
    release = attempts.release_unsent

    def fails(row: UsageAttempt) -> bool:
        if row.profile_id == owner.profile.pk:
            raise RuntimeError("broken")
        return release(row)

    monkeypatch.setattr(attempts, "release_unsent", fails)
    tasks.sweep_calls()
    assert "could not be ended" in caplog.text
    with scope.activate(stranger.profile.pk):
        assert UsageAttempt.objects.get().state == "released"


def test_books_that_agree(owner: Person, spend: Spend) -> None:
    spend(owner, 5)
    out = StringIO()
    call_command("check_costs", stdout=out)
    assert "The books agree" in out.getvalue()


def test_books_that_do_not_agree_are_told(owner: Person, spend: Spend, caplog: pytest.LogCaptureFixture) -> None:
    spend(owner, 5)
    with scope.activate(owner.profile.pk):
        ProfilePeriod.objects.filter(period="month", provider="").update(spent_micros=1)
    out = StringIO()
    with pytest.raises(CommandError, match="do not agree"):
        call_command("check_costs", stdout=out)
    assert "Spent in a month" in out.getvalue()
    assert "(50000, 1) by the books, (1, 1) claimed" in out.getvalue()
    tasks.prove_books()
    assert "do not agree. Spent in a month" in caplog.text


# --- processor time ------------------------------------------------------------------------------------


def running(profile: Profile) -> Job:
    kind = kinds()[0]
    job = Job.objects.create(profile=profile, kind=kind.name, queue=kind.queue, priority=1, max_attempts=2)
    claimed = transitions.claim(kind, profile.pk, job.pk, "worker")
    assert claimed is not None
    return claimed


def beat(cpu: float) -> Beat:
    return Beat(50, "Working", None, cpu, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_processor_time_is_kept_whatever_becomes_of_the_job(in_scope: Profile) -> None:
    job = running(in_scope)
    transitions.fail(job, beat(2.5), ErrorData("x", "x", retryable=True, again=True))
    Job.objects.update(run_at=job.created_at)
    kind = kinds()[0]
    again = transitions.claim(kind, in_scope.pk, job.pk, "worker")
    assert again is not None
    transitions.heartbeat(again, beat(4.0))
    Job.objects.update(lease_expires_at=again.created_at)
    transitions.take_back(again, kind)  # its worker died after that
    third = transitions.claim(kind, in_scope.pk, job.pk, "worker")
    assert third is not None
    transitions.finish(third, beat(5.0), result={}, output=None, apply=None)
    row = ComputeDaily.objects.get()
    assert (row.job_kind, row.attempts, row.cpu_seconds) == (job.kind, 3, 5.0)
    Job.objects.all().delete()
    assert ComputeDaily.objects.get().cpu_seconds == 5.0


@pytest.mark.django_db(transaction=True)
def test_several_jobs_may_end_in_one_transaction_while_others_end(in_scope: Profile) -> None:
    """The account is not touched before the transaction has ended: else two of these would wait for each other."""
    jobs = [running(in_scope) for _ in range(2)]
    with transaction.atomic():
        for job in jobs:
            transitions.heartbeat(job, beat(2.0))
            transitions.end_now(job, JobEvent.Kind.CANCELLED)
        assert ComputeDaily.objects.count() == 0
    assert ComputeDaily.objects.get().cpu_seconds == 4.0


def test_what_was_forgotten_is_told_later(in_scope: Profile) -> None:
    transitions.fail(running(in_scope), beat(2.5), ErrorData("x", "x"))
    assert ComputeDaily.objects.count() == 0  # as if the process had died right then
    for _ in range(2):
        reaper.book_forgotten_cpu()
        assert ComputeDaily.objects.get().cpu_seconds == 2.5


@pytest.mark.django_db(transaction=True)
def test_what_took_no_time_is_not_counted(in_scope: Profile) -> None:
    transitions.cancelled(running(in_scope), beat(0))
    assert ComputeDaily.objects.count() == 0


def test_it_is_shown_with_its_name(owner: Person) -> None:
    with scope.activate(owner.profile.pk):
        job = Job(profile=owner.profile, kind="render")
        compute.count_cpu(job, 1.5)
        compute.count_cpu(job, 2.0)
    answer = owner.client.get("/api/v1/usage/").json()
    assert answer["compute"] == [{"job_kind": "render", "title": "Rendering clips", "attempts": 2, "cpu_seconds": 3.5}]
