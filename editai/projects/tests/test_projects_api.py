"""The projects' endpoints, seen by their owner, her team and strangers."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from conftest import Person
from editai.projects.models import Project
from editai.projects.tests.builders import make_project, make_segment, make_source
from profiles.scope import activate
from profiles.trash import restore

UNKNOWN = UUID("0193a3f0-0000-7000-8000-000000000000")  # fixed: pytest-xdist wants the same names everywhere

URL = "/api/v1/projects/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def project(in_scope: Any) -> Project:
    return make_project(in_scope)


def of(project: Project, tail: str = "") -> str:
    return f"{URL}{project.pk}/{tail}"


def test_create(owner: Person) -> None:
    body = {"name": "Summer", "description": "Two\nlines", "target_duration": 30, "framing": "pad"}
    answer = owner.client.post(URL, body, format="json")
    assert answer.status_code == 201, answer.content
    assert {**answer.json(), **body} == answer.json()
    assert answer.json()["segment_count"] == 0
    assert answer.json()["total_duration"] == 0
    with activate(owner.profile.pk):
        row = Project.objects.get(pk=answer.json()["id"])
    assert (row.profile, row.created_by) == (owner.profile, owner.user)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\u202eb\x07"}, "name"),
        ({"name": "ok", "target_duration": -1}, "target_duration"),
        ({"name": "ok", "target_duration": 901}, "target_duration"),
        ({"name": "ok", "framing": "stretch"}, "framing"),
        ({"name": "ok", "target_durration": 3}, "target_durration"),
        ({"name": "ok", "description": "x" * 5001}, "description"),
        ({"name": "ok", "profile": str(UNKNOWN)}, "profile"),
    ],
)
def test_create_refuses(owner: Person, body: dict[str, Any], field: str) -> None:
    answer = owner.client.post(URL, body, format="json")
    assert answer.status_code == 400
    assert field in answer.json()["error"]["fields"]


def test_get_and_patch(owner: Person, project: Project) -> None:
    answer = owner.client.patch(of(project), {"name": "Winter", "target_duration": None}, format="json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["name"] == "Winter"
    assert owner.client.get(of(project)).json() == answer.json()
    assert owner.client.patch(of(project), {}, format="json").status_code == 200


def test_delete_goes_to_the_trash_and_comes_back(owner: Person, project: Project) -> None:
    assert owner.client.delete(of(project)).status_code == 204
    assert owner.client.get(of(project)).status_code == 404
    assert owner.client.get(URL).json()["results"] == []
    assert owner.client.delete(of(project)).status_code == 404
    restore(profile=owner.profile, kind_name="project", row_id=project.pk)
    assert owner.client.get(of(project)).status_code == 200


def test_duplicate(owner: Person, in_scope: Any) -> None:
    source = make_source(in_scope)
    project = make_project(in_scope, make_segment(source), make_segment(source, 3, 5), framing="pad")
    answer = owner.client.post(of(project, "duplicate/"), {}, format="json")
    assert answer.status_code == 201, answer.content
    copy = answer.json()
    assert (copy["name"], copy["framing"], copy["segment_count"]) == ("Summer (copy)", "pad", 2)
    before, after = (owner.client.get(f"{URL}{pk}/segments/").json() for pk in (project.pk, copy["id"]))
    assert before["segment_ids"] == after["segment_ids"]
    assert {row["id"] for row in before["results"]}.isdisjoint({row["id"] for row in after["results"]})
    named = owner.client.post(of(project, "duplicate/"), {"name": "Another"}, format="json")
    assert named.json()["name"] == "Another"


def test_list_filters_orders_and_searches(owner: Person, in_scope: Any) -> None:
    for name, framing in (("Beach days", "pad"), ("Beach nights", "fill"), ("City", "fill")):
        make_project(in_scope, name=name, framing=framing)

    def names(query: str) -> list[str]:
        answer = owner.client.get(URL + query)
        assert answer.status_code == 200, answer.content
        return [row["name"] for row in answer.json()["results"]]

    assert names("") == ["City", "Beach nights", "Beach days"]
    assert names("?q=beach&framing=fill") == ["Beach nights"]
    assert names("?ordering=name") == ["Beach days", "Beach nights", "City"]
    assert owner.client.get(f"{URL}?ordering=profile__name").status_code == 400
    assert owner.client.get(f"{URL}?framming=fill").status_code == 400


def queries(client: APIClient, url: str) -> int:
    client.get(url)  # the first call with a token notes its use
    with CaptureQueriesContext(connection) as found:
        assert client.get(url).status_code == 200
    return len(found)


def test_list_costs_a_constant_number_of_queries(owner: Person, in_scope: Any) -> None:
    segment = make_segment(make_source(in_scope))
    make_project(in_scope, segment)
    few = queries(owner.client, URL)
    for _ in range(10):
        make_project(in_scope, segment, segment)
    assert queries(owner.client, URL) == few <= 5


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("get", "", None),
        ("patch", "", {"name": "x"}),
        ("delete", "", None),
        ("post", "duplicate/", {}),
        ("get", "segments/", None),
        ("put", "segments/", {"segment_ids": []}),
        ("patch", f"segments/{UNKNOWN}/", {"zoom": 2}),
        ("get", "clips/", None),
        ("post", "generate/", {}),
    ],
)
class TestWho:
    def call(self, client: APIClient, project: Any, method: str, tail: str, body: Any) -> Any:
        return getattr(client, method)(f"{URL}{project}/{tail}", body, format="json")

    def test_anonymous(self, project: Project, method: str, tail: str, body: Any) -> None:
        assert self.call(APIClient(), project.pk, method, tail, body).status_code == 401

    def test_stranger_gets_what_a_random_id_gets(
        self, project: Project, stranger: Person, method: str, tail: str, body: Any
    ) -> None:
        foreign = self.call(stranger.client, project.pk, method, tail, body)
        random = self.call(stranger.client, uuid4(), method, tail, body)
        assert foreign.status_code == random.status_code == 404
        assert foreign.content == random.content

    def test_viewer_only_reads(self, project: Project, viewer: Person, method: str, tail: str, body: Any) -> None:
        expected = 200 if method == "get" else 403
        assert self.call(viewer.client, project.pk, method, tail, body).status_code == expected

    def test_bad_id(self, owner: Person, method: str, tail: str, body: Any) -> None:
        answer = self.call(owner.client, "no-uuid", method, tail, body)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("put", ""),
        ("post", ""),
        ("get", "duplicate/"),
        ("post", "segments/"),
        ("delete", "segments/"),
        ("get", "generate/"),
        ("post", "clips/"),
    ],
)
def test_wrong_method(owner: Person, project: Project, method: str, tail: str) -> None:
    answer = getattr(owner.client, method)(of(project, tail), {}, format="json")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_collection(owner: Person, viewer: Person, stranger: Person, project: Project) -> None:
    assert APIClient().get(URL).status_code == 401
    assert APIClient().post(URL, {"name": "x"}, format="json").status_code == 401
    assert viewer.client.post(URL, {"name": "x"}, format="json").status_code == 403
    assert len(viewer.client.get(URL).json()["results"]) == 1
    assert stranger.client.get(URL).json()["results"] == []
    assert owner.client.put(URL, {"name": "x"}, format="json").status_code == 405
