"""Jobs over HTTP: shape, filters, deeds, downloads, and what others get."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.test import APIClient

from conftest import Person
from jobs import idempotency, reaper
from jobs.execution import JobError, Outcome
from jobs.models import Job, Status
from jobs.tasks import erase_deleted_profiles, sweep
from jobs.tests import kinds
from jobs.tests.conftest import claim, execute, expire, fresh
from profiles import scope
from profiles.errors import Conflict, Invalid
from profiles.models import Profile
from profiles.services import profile_create, profile_delete

pytestmark = pytest.mark.django_db(transaction=True)
Enqueue = Callable[..., Job]
URL = "/api/v1/jobs/"
ALWAYS = {
    "id", "kind", "status", "progress", "step", "eta_seconds", "error", "result", "created_at", "started_at",
    "finished_at",
}  # fmt: skip


def address(job: Job, deed: str = "") -> str:
    return f"{URL}{job.pk}/{deed}"


def failing(attempt: Any) -> Outcome:
    raise JobError("odd", "It was odd.", next_step="Try another.")


def with_output(attempt: Any) -> Outcome:
    return Outcome({"n": 1}, output=kinds.store_text(attempt, "the output"))


def test_the_list_is_the_brands_own_newest_first(enqueue: Enqueue, owner: Person, stranger: Person) -> None:
    jobs = [enqueue() for _ in range(3)]
    enqueue(profile=stranger.profile)
    answer = owner.client.get(URL)
    assert answer.status_code == 200
    assert [row["id"] for row in answer.json()["results"]] == [str(job.pk) for job in reversed(jobs)]
    assert set(answer.json()["results"][0]) >= ALWAYS
    assert not {"params", "traceback", "worker_name", "created_by", "events"} & set(answer.json()["results"][0])


def test_an_unchanged_list_is_a_304(enqueue: Enqueue, owner: Person) -> None:
    job = enqueue()
    tag = owner.client.get(URL)["ETag"]
    assert owner.client.get(URL, HTTP_IF_NONE_MATCH=tag).status_code == 304
    claim(job)
    assert owner.client.get(URL, HTTP_IF_NONE_MATCH=tag).status_code == 200


def test_filters(enqueue: Enqueue, owner: Person) -> None:
    subject = uuid4()
    done, urgent = execute(enqueue()), enqueue("test_urgent", subject=subject)
    found = {
        "status=queued": [urgent],
        "status=queued&status=succeeded": [urgent, done],
        "kind=test_urgent": [urgent],
        "active=true": [urgent],
        "active=false": [done],
        "active=1": [urgent],
        "active=0": [done],
        f"subject={subject}": [urgent],
        f"created_after={urgent.created_at.isoformat().replace('+00:00', 'Z')}": [urgent],
        f"created_before={urgent.created_at.isoformat().replace('+00:00', 'Z')}": [done],
    }
    for query, expected in found.items():
        rows = owner.client.get(f"{URL}?{query}").json()["results"]
        assert [row["id"] for row in rows] == [str(job.pk) for job in expected], query
    for query in ("status=odd", "profile=x", "traceback=x", "ordering=profile", "subject=x", "active=maybe"):
        assert owner.client.get(f"{URL}?{query}").status_code == 400, query


def test_a_page_costs_the_same_however_many_jobs(enqueue: Enqueue, owner: Person) -> None:
    counts = []
    owner.client.get(URL)  # the first use of a token is noted
    for _ in range(2):
        kinds.Body.run = staticmethod(with_output)
        for _ in range(3):
            execute(enqueue())
        with CaptureQueriesContext(connection) as queries:
            owner.client.get(URL)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 6


def test_one_job_with_its_history(enqueue: Enqueue, owner: Person, viewer: Person) -> None:
    kinds.Body.run = staticmethod(failing)
    job = execute(enqueue())
    for person in (owner, viewer):
        answer = person.client.get(address(job)).json()
        assert answer["error"] == {
            "code": "odd",
            "message": "It was odd.",
            "retryable": False,
            "next_step": "Try another.",
        }
        assert [event["event"] for event in answer["events"]] == ["queued", "started", "failed"]
        assert answer["events"][-1]["error"]["code"] == "odd"
        assert "Traceback" not in str(answer)


def test_cancel(enqueue: Enqueue, owner: Person) -> None:
    waiting, running, done = enqueue(), enqueue(), execute(enqueue())
    claim(running)
    answer = owner.client.post(address(waiting, "cancel/"))
    assert (answer.status_code, answer.json()["status"]) == (202, "cancelled")
    assert owner.client.post(address(waiting, "cancel/")).status_code == 202  # again: the same
    answer = owner.client.post(address(running, "cancel/")).json()
    assert answer["status"] == "running"
    assert answer["cancel_requested_at"] is not None
    answer = owner.client.post(address(done, "cancel/"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_ended")


def test_retry(enqueue: Enqueue, owner: Person) -> None:
    kinds.Body.run = staticmethod(failing)
    job = execute(enqueue())
    answer = owner.client.post(address(job, "retry/"))
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (202, "queued", None)
    assert fresh(job).created_by == owner.user
    answer = owner.client.post(address(job, "retry/"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_not_retryable")


def test_retry_while_the_same_work_is_under_way(enqueue: Enqueue, owner: Person) -> None:
    kinds.Body.run = staticmethod(failing)
    subject = uuid4()
    job = execute(enqueue(subject=subject))
    enqueue(subject=subject)
    answer = owner.client.post(address(job, "retry/"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "already_active")


def test_delete(enqueue: Enqueue, owner: Person) -> None:
    job = enqueue()
    assert owner.client.delete(address(job)).json()["error"]["code"] == "job_active"
    execute(job)
    assert owner.client.delete(address(job)).status_code == 204
    assert owner.client.get(address(job)).status_code == 404


def test_download(enqueue: Enqueue, owner: Person, stranger: Person) -> None:
    job = enqueue()
    assert owner.client.get(address(job, "download/")).status_code == 404
    assert owner.client.get(address(job)).json()["download"] is None
    kinds.Body.run = staticmethod(with_output)
    execute(job)
    answer = owner.client.get(address(job, "download/"))
    assert b"".join(answer.streaming_content) == b"the output"  # type: ignore[attr-defined]
    assert answer["Content-Disposition"].startswith("attachment")
    part = owner.client.get(address(job, "download/"), HTTP_RANGE="bytes=4-6")
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"out")  # type: ignore[attr-defined]
    assert stranger.client.get(address(job, "download/")).status_code == 404


def test_a_download_link_needs_no_header_and_serves_that_file_only(enqueue: Enqueue, owner: Person) -> None:
    kinds.Body.run = staticmethod(with_output)
    job, other = execute(enqueue()), execute(enqueue())
    link = owner.client.get(address(job)).json()["download"]
    assert owner.client.get(f"/p/{owner.profile.slug}{address(job)}").json()["download"] == link
    answer = APIClient().get(link)
    assert b"".join(answer.streaming_content) == b"the output"  # type: ignore[attr-defined]
    assert APIClient().get(link.replace(str(job.pk), str(other.pk))).status_code == 404
    with scope.activate(owner.profile.pk):
        Job.objects.filter(pk=job.pk).update(output=other.output)
    assert APIClient().get(link).status_code == 404  # another version


DEEDS = [("get", ""), ("delete", ""), ("post", "cancel/"), ("post", "retry/"), ("get", "download/")]


@pytest.mark.parametrize(("method", "deed"), DEEDS)
def test_who_may_what(
    enqueue: Enqueue, owner: Person, stranger: Person, viewer: Person, method: str, deed: str
) -> None:
    kinds.Body.run = staticmethod(with_output)
    job = execute(enqueue())

    def call(client: APIClient, job_id: Any) -> Any:
        answer = getattr(client, method)(f"{URL}{job_id}/{deed}")
        answer.close()  # a download holds its file open
        return answer

    foreign, unknown = call(stranger.client, job.pk), call(stranger.client, uuid4())
    assert (foreign.status_code, foreign.content) == (404, unknown.content)
    assert call(APIClient(), job.pk).status_code == 401
    assert call(viewer.client, job.pk).status_code == (200 if method == "get" else 403)
    assert fresh(job).status == Status.SUCCEEDED


def test_methods_that_do_not_exist(enqueue: Enqueue, owner: Person) -> None:
    job = enqueue()
    assert owner.client.put(address(job), {}).status_code == 405
    assert owner.client.patch(address(job), {}).status_code == 405
    assert owner.client.get(f"{URL}no-id/").status_code == 404


# --- run_once, which the views of other apps call -------------------------------------------------------


def request_of(person: Person, key: str, body: bytes) -> Request:
    inner: Any = RequestFactory().post(
        "/api/v1/anything/", body, content_type="application/json", headers={"Idempotency-Key": key} if key else {}
    )
    inner.profile = person.profile
    return Request(inner, parsers=[JSONParser()])


def test_run_once(enqueue: Enqueue, owner: Person, stranger: Person) -> None:
    def run(person: Person, key: str, body: bytes = b'{"a": 1}') -> Job:
        with scope.activate(person.profile.pk):
            return idempotency.run_once(request_of(person, key, body), lambda: enqueue(profile=person.profile))

    first = run(owner, "k")
    assert run(owner, "k").pk == first.pk
    assert run(owner, "other").pk != first.pk
    assert run(owner, "").pk != run(owner, "").pk
    assert run(stranger, "k").pk != first.pk
    with pytest.raises(Conflict) as refused:
        run(owner, "k", b'{"a": 2}')
    assert (refused.value.status, refused.value.code) == (409, "idempotency_key_reused")
    with pytest.raises(Invalid):
        run(owner, "k" * 300)
    with scope.activate(owner.profile.pk):
        known = idempotency.started_before(request_of(owner, "k", b'{"a": 1}'))
        assert known is not None
        assert known.pk == first.pk
        assert idempotency.started_before(request_of(owner, "fresh", b"{}")) is None


# --- admin ----------------------------------------------------------------------------------------------


def test_the_admin_shows_tracebacks_and_acts(enqueue: Enqueue, owner: Person, stranger: Person, client: Any) -> None:
    kinds.Body.run = staticmethod(failing)
    job, foreign = execute(enqueue()), execute(enqueue(profile=stranger.profile))
    client.force_login(owner.user)
    changelist = client.get("/admin/jobs/job/")
    assert changelist.status_code == 200
    assert str(foreign.pk) not in changelist.content.decode()
    page = client.get(f"/admin/jobs/job/{job.pk}/change/").content.decode()
    assert "JobError" in page
    assert "<textarea" not in page
    assert client.get(f"/admin/jobs/job/{foreign.pk}/change/").status_code in {302, 404}
    action = {"action": "requeue", "_selected_action": [str(job.pk), str(foreign.pk)]}
    assert client.post("/admin/jobs/job/", action).status_code == 302
    assert (fresh(job).status, fresh(foreign).status) == (Status.QUEUED, Status.FAILED)
    client.post("/admin/jobs/job/", {**action, "action": "cancel"})
    assert fresh(job).status == Status.CANCELLED
    for name in ("jobevent", "idempotencykey", "queueturn"):
        assert client.get(f"/admin/jobs/{name}/").status_code == 200


def test_a_viewer_may_not_act_in_the_admin(enqueue: Enqueue, viewer: Person, owner: Person, client: Any) -> None:
    job = enqueue()
    client.force_login(viewer.user)
    client.post("/admin/jobs/job/", {"action": "cancel", "_selected_action": [str(job.pk)]})
    assert fresh(job).status == Status.QUEUED


def test_deleted_profiles_are_erased_when_their_last_lease_is_over(
    enqueue: Enqueue, owner: Person, stranger: Person
) -> None:
    second = profile_create(user=owner.user, name="Second")
    running, waiting = enqueue(profile=second), enqueue(profile=second, idempotency_key="k")
    kept = enqueue()
    claim(running)
    profile_delete(user=owner.user, profile=second)
    assert erase_deleted_profiles() == 0
    expire(running)
    reaper.reap()
    assert erase_deleted_profiles() == 1
    assert not Profile.objects.filter(pk=second.pk).exists()
    with scope.activate(waiting.profile_id):
        assert not Job.objects.exists()
    assert fresh(kept).status == Status.QUEUED


def test_a_profile_that_cannot_be_erased_does_not_keep_the_others(
    owner: Person, stranger: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    erased: list[str] = []

    def erase(profile: Profile) -> None:
        if not erased and not caplog.records:
            raise OSError("the store does not answer")
        erased.append(profile.name)

    monkeypatch.setattr("profiles.erasure.erase", erase)
    Profile.objects.update(state=Profile.State.DELETING)
    assert erase_deleted_profiles() == 1
    assert len(erased) == 1
    assert "could not be erased" in caplog.text


def test_a_broom_that_breaks_does_not_keep_the_others(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> int:
        raise OSError("the store does not answer")

    swept: list[str] = []
    monkeypatch.setattr("profiles.files.sweep", broken)
    monkeypatch.setattr("profiles.trash.empty_old", lambda: swept.append("trash"))
    sweep()
    assert swept == ["trash"]
    assert "failed; it is tried again" in caplog.text
