"""The jobs and the periodic work, as a worker runs them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from conftest import Person
from editai.celery import app
from jobs import execution, registry
from jobs.models import Job
from profiles import scope
from profiles.models import Profile
from publishing import periodic, tasks
from publishing.delivery import handing_over, uploads
from publishing.models import Publication
from publishing.states import State
from publishing.tests.builders import make_clip
from publishing.tests.delivering import connect, due, fresh, told
from publishing.tracking import reconcile, take_back
from tests.stubs.postiz import StubPostiz, faults

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def run(job: Job) -> Any:
    kind = registry.kind_named(job.kind)
    assert kind is not None
    execution.execute(kind, str(job.profile_id), str(job.pk))
    job.refresh_from_db()
    return job


def test_kinds_of_job_are_in_the_queue_that_waits_for_no_render() -> None:
    names = ["publish_clip", "bulk_publish", "upload_clip", "take_back", "reconcile"]
    kinds = [registry.kind_named(name) for name in names]
    assert [(kind.task_name, kind.queue) for kind in kinds if kind] == [(f"{name}_task", "publish") for name in names]
    beat = app.conf.beat_schedule
    assert (beat["publish"]["task"], beat["publish"]["schedule"]) == ("publishing.due", 10)
    assert (beat["ask-postiz"]["task"], beat["ask-postiz"]["schedule"]) == ("publishing.sync", 20)
    assert all(beat[name]["options"]["expires"] for name in ("publish", "ask-postiz"))


def test_a_clip_is_uploaded_ahead_of_its_posts(profile: Profile, stub: StubPostiz) -> None:
    clip = make_clip(profile)
    job = run(uploads.request_upload(profile=profile, clip=clip, by=None))
    assert (job.status, job.result["media"]["path"]) == ("succeeded", stub.media[0].path)
    due(profile, clip=clip)
    handing_over.hand_over_due(profile=profile)
    assert len(stub.of_route("POST /upload")) == 1


def test_an_upload_that_is_refused_fails_the_job_in_words(profile: Profile, stub: StubPostiz) -> None:
    stub.faults.script("POST /upload", faults.html_413())
    job = run(uploads.request_upload(profile=profile, clip=make_clip(profile), by=None))
    assert (job.status, job.error["code"]) == ("failed", "postiz_too_large")


def test_taking_back_is_a_job(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile, ahead=timedelta(days=1))
    handing_over.hand_over_due(profile=profile)
    job = take_back.request(profile, fresh(publication), then="cancel", changes={}, by=None)
    assert run(job).result == {"publication_id": str(publication.pk), "state": "cancelled"}
    assert stub.posts[0].deleted


def test_a_change_that_cannot_be_verified_is_a_failed_job(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile, ahead=timedelta(days=1))
    handing_over.hand_over_due(profile=profile)
    stub.faults.script("DELETE /posts/group/:group", faults.html_502(), times=-1)
    job = take_back.request(profile, fresh(publication), then="change", changes={"caption": "New"}, by=None)
    done = run(job)
    assert (done.status, done.error["code"]) == ("failed", "take_back_unverified")
    row = fresh(publication)
    assert (row.state, row.caption) == (State.UNCONFIRMED, "Look at this")


def test_reconciling_is_a_job(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    stub.faults.script("POST /posts", faults.drop_after_commit())
    handing_over.hand_over_due(profile=profile)
    job = run(reconcile.request(profile, fresh(publication), None))
    assert (job.status, job.result["state"]) == ("succeeded", "submitted")
    stub.faults.script("GET /posts", faults.html_502(), times=-1)
    job = run(reconcile.request(profile, fresh(publication), None))
    assert job.status == "queued"  # to be tried again by itself
    assert "postiz_unavailable" in str(job.events.get(event="will_retry").detail)
    assert fresh(publication).state == State.SUBMITTED


def test_beat_starts_a_job_for_each_profile_and_mends_and_misses(
    owner: Person, stranger: Person, stub: StubPostiz
) -> None:
    stub.add_organisation()
    for number, person in enumerate((owner, stranger)):
        with scope.activate(person.profile.pk):
            connect(person.profile, stub, number)
            due(person.profile)
    with scope.activate(owner.profile.pk):
        late = due(owner.profile, ahead=-timedelta(hours=2))
        waiting = due(owner.profile, ahead=-timedelta(hours=2))
        Publication.objects.filter(pk=waiting.pk).update(state=State.AWAITING_APPROVAL, due_at=None)
    tasks.hand_over_due()
    tasks.hand_over_due()
    for person in (owner, stranger):
        with scope.activate(person.profile.pk):
            [job] = Job.objects.filter(kind="bulk_publish")
            assert job.subject == person.profile.pk
            run(job)
    with scope.activate(owner.profile.pk):
        assert [fresh(row).state for row in (late, waiting)] == [State.MISSED, State.MISSED]
        assert told(late) == ["publication_missed"]
    assert len(stub.posts) == 2


def test_beat_asks_for_all_profiles_at_once(owner: Person, stranger: Person, stub: StubPostiz) -> None:
    stub.add_organisation()
    for number, person in enumerate((owner, stranger)):
        with scope.activate(person.profile.pk):
            connect(person.profile, stub, number)
            due(person.profile)
            handing_over.hand_over_due(profile=person.profile)
            Publication.objects.update(next_check_at=timezone.now())
    for post in stub.posts:
        stub.publish(post.id)
    tasks.sync_due()
    for person in (owner, stranger):
        with scope.activate(person.profile.pk):
            assert Publication.objects.get().state == State.PUBLISHED


def test_one_profile_in_trouble_does_not_stop_the_others(
    owner: Person, stranger: Person, stub: StubPostiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Profile] = []

    def work(profile: Profile) -> None:
        if profile == owner.profile:
            raise RuntimeError("broken")
        done.append(profile)

    monkeypatch.setattr(periodic, "due_of", work)
    stub.add_organisation()
    for number, person in enumerate((owner, stranger)):
        with scope.activate(person.profile.pk):
            connect(person.profile, stub, number)
            due(person.profile)
    tasks.hand_over_due()
    assert done == [stranger.profile]


def test_a_profile_that_is_being_deleted_gets_no_job(owner: Person, stub: StubPostiz) -> None:
    with scope.activate(owner.profile.pk):
        connect(owner.profile, stub)
        due(owner.profile)
    Profile.objects.filter(pk=owner.profile.pk).update(state=Profile.State.DELETING)
    tasks.hand_over_due()
    with scope.activate(owner.profile.pk):
        assert not Job.objects.exists()


def test_a_queue_full_of_renders_keeps_no_post_back(profile: Profile, stub: StubPostiz, settings: Any) -> None:
    settings.JOB_QUEUE_LIMIT = 1
    Job.objects.create(profile=profile, kind="render_clip", queue="media", priority=50, params={}, max_attempts=1)
    due(profile)
    assert periodic.due_of(profile) is not None
