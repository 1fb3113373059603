"""Fifty at once, and each time the proof that without the guard it would go wrong."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import connection, connections
from rest_framework.test import APIClient

from conftest import Person
from editai.clips import services
from editai.clips.models import Clip
from editai.projects.models import Project
from editai.projects.timeline import timeline_of
from jobs.models import Job
from jobs.services import enqueue

pytestmark = pytest.mark.django_db(transaction=True)

AT_ONCE = 50
IN_CONTROL = 6


def at_once(number: int, token: str, url: str) -> list[Any]:
    """`number` clients post to `url` in the same moment."""
    ready = threading.Barrier(number)

    def post() -> Any:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        try:
            ready.wait(30)
            return client.post(url, {}, format="json")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return [future.result() for future in [pool.submit(post) for _ in range(number)]]


def without_guards(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """No transaction around, no lock on the project, no subject that is unique; and everybody has looked before
    anybody writes."""
    looked = threading.Barrier(number)

    def look(project: Project) -> Any:
        found = timeline_of(project)
        looked.wait(30)
        return found

    def anything_goes(**values: Any) -> Job:
        return enqueue(**{**values, "subject": None})

    class Transaction:
        atomic = nullcontext

    monkeypatch.setattr(services, "transaction", Transaction)
    monkeypatch.setattr(services, "lock_project", lambda *, profile, project_id: Project.objects.get(pk=project_id))
    monkeypatch.setattr(services, "lock_clip", lambda *, profile, clip_id: Clip.objects.get(pk=clip_id))
    monkeypatch.setattr(services, "timeline_of", look)
    monkeypatch.setattr(services, "_known_clips", lambda project, preset, digests: {})
    monkeypatch.setattr("jobs.services.enqueue", anything_goes)


def test_fifty_requests_to_generate_make_one_clip_and_one_job(owner: Person, project: Project) -> None:
    answers = at_once(AT_ONCE, owner.token, f"/api/v1/projects/{project.pk}/generate/")
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert (Job.objects.count(), Clip.objects.count()) == (1, 1)


def test_fifty_requests_to_render_make_one_job(owner: Person, project: Project, generate: Callable[..., Job]) -> None:
    first = generate(project)
    Clip.objects.update(job=None)
    Job.objects.filter(pk=first.pk).delete()
    answers = at_once(AT_ONCE, owner.token, f"/api/v1/clips/{Clip.objects.get().pk}/render/")
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Job.objects.count() == 1


@pytest.mark.parametrize("what", ["generate", "render"])
def test_control_without_the_guards_there_are_many(
    owner: Person, project: Project, generate: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what == "render":
        first = generate(project)
        Clip.objects.update(job=None)
        Job.objects.filter(pk=first.pk).delete()
        url = f"/api/v1/clips/{Clip.objects.get().pk}/render/"
    else:
        url = f"/api/v1/projects/{project.pk}/generate/"
    if connection.vendor == "sqlite":
        # the look must lie outside the write transaction that the view opens around it: SQLite lets one in at a time
        monkeypatch.setattr("editai.clips.views.run_once", lambda request, start: start())
    without_guards(monkeypatch, IN_CONTROL)
    at_once(IN_CONTROL, owner.token, url)
    assert Job.objects.count() > 1
