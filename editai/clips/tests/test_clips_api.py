"""The clips' endpoints: lists, names, marks, streams, and who may what."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from conftest import Person
from editai.clips.models import Clip
from editai.projects.models import Project, ProjectSegment
from jobs.models import Job, Status
from profiles import files
from profiles.errors import Conflict
from profiles.models import Profile
from profiles.scope import activate
from profiles.trash import restore

URL = "/api/v1/clips/"
pytestmark = pytest.mark.django_db


def stored(profile: Profile, folder: Path, content: bytes, suffix: str) -> Any:
    path = folder / f"{uuid4()}{suffix}"
    path.write_bytes(content)
    return files.store(profile=profile, path=path, area="clips", suffix=suffix)


@pytest.fixture
def ready(project: Project, generate: Callable[..., Job], in_scope: Profile, tmp_path: Path) -> Clip:
    """A clip with files, of a job that has succeeded."""
    job = generate(project)
    Job.objects.filter(pk=job.pk).update(status=Status.SUCCEEDED, finished_at=job.created_at)
    clip: Clip = Clip.objects.get()
    clip.file = stored(in_scope, tmp_path, bytes(range(256)) * 4, ".mp4")
    clip.poster = stored(in_scope, tmp_path, b"a picture", ".jpg")
    clip.state, clip.rendered_hash, clip.duration_seconds = Clip.State.READY, clip.recipe_hash, 6.0
    clip.save()
    return clip


def of(clip: Any, tail: str = "") -> str:
    return f"{URL}{getattr(clip, 'pk', clip)}/{tail}"


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_one_clip(owner: Person, ready: Clip) -> None:
    shown = owner.client.get(of(ready)).json()
    assert (shown["state"], shown["error"], shown["is_stale"], shown["size"]) == ("ready", None, False, 1024)
    assert (shown["project"], shown["project_name"], shown["preset"]) == (str(ready.project_id), "Summer", "tiktok")
    assert shown["recipe"]["variant"] == 1
    assert len(shown["recipe"]["entries"]) == 3
    listed = owner.client.get(URL).json()["results"][0]
    assert {**shown, **listed} == shown
    assert "recipe" not in listed


def test_patch(owner: Person, ready: Clip) -> None:
    answer = owner.client.patch(of(ready), {"name": "Final", "is_selected": True}, format="json")
    assert answer.status_code == 200, answer.content
    assert (answer.json()["name"], answer.json()["is_selected"]) == ("Final", True)
    for body in ({"name": ""}, {"name": "x" * 201}, {"is_stale": False}, {"state": "failed"}, {"nmae": "x"}):
        assert owner.client.patch(of(ready), body, format="json").status_code == 400


def test_select(owner: Person, ready: Clip) -> None:
    assert owner.client.post(of(ready, "select/"), {}, format="json").json()["is_selected"] is True
    answer = owner.client.post(of(ready, "select/"), {"is_selected": False}, format="json")
    assert answer.json()["is_selected"] is False


def test_delete_and_restore(owner: Person, ready: Clip) -> None:
    link = owner.client.get(of(ready)).json()["links"]["video"]
    assert owner.client.delete(of(ready)).status_code == 204
    assert owner.client.get(of(ready)).status_code == 404
    assert owner.client.get(of(ready, "stream/")).status_code == 404
    assert APIClient().get(link).status_code == 404
    restore(profile=owner.profile, kind_name="clip", row_id=ready.pk)
    assert owner.client.get(of(ready)).json()["state"] == "ready"
    assert body_of(APIClient().get(link))


def test_a_clip_comes_back_with_its_project_only(owner: Person, ready: Clip) -> None:
    owner.client.delete(of(ready))
    owner.client.delete(f"/api/v1/projects/{ready.project_id}/")
    with pytest.raises(Conflict) as refused:
        restore(profile=owner.profile, kind_name="clip", row_id=ready.pk)
    assert refused.value.code == "project_in_trash"
    restore(profile=owner.profile, kind_name="project", row_id=ready.project_id)
    assert owner.client.get(of(ready)).status_code == 404
    restore(profile=owner.profile, kind_name="clip", row_id=ready.pk)
    assert owner.client.get(of(ready)).status_code == 200


def test_deleting_a_project_stops_its_renders(owner: Person, project: Project, generate: Callable[..., Job]) -> None:
    jobs = [generate(project), generate(project, variant_count=3)]
    assert owner.client.delete(f"/api/v1/projects/{project.pk}/").status_code == 204
    for job in jobs:
        job.refresh_from_db()
        assert job.status == Status.CANCELLED
    assert owner.client.get(URL).json()["results"] == []


class TestStream:
    def test_whole_and_ranges(self, owner: Person, ready: Clip) -> None:
        content = bytes(range(256)) * 4
        whole = owner.client.get(of(ready, "stream/"))
        assert (whole.status_code, whole["Content-Type"], body_of(whole)) == (200, "video/mp4", content)
        part = owner.client.get(of(ready, "stream/"), headers={"Range": "bytes=10-19"})
        assert (part.status_code, part["Content-Range"], body_of(part)) == (206, "bytes 10-19/1024", content[10:20])
        suffix = owner.client.get(of(ready, "stream/"), headers={"Range": "bytes=-5"})
        assert (suffix.status_code, body_of(suffix)) == (206, content[-5:])
        assert owner.client.get(of(ready, "stream/"), headers={"Range": "bytes=5000-"}).status_code == 416

    def test_poster(self, owner: Person, ready: Clip) -> None:
        answer = owner.client.get(of(ready, "stream/?variant=poster"))
        assert (answer.status_code, answer["Content-Type"], body_of(answer)) == (200, "image/jpeg", b"a picture")
        assert owner.client.get(of(ready, "stream/?variant=proxy")).status_code == 400

    def test_links(self, owner: Person, ready: Clip, in_scope: Profile, tmp_path: Path) -> None:
        links = owner.client.get(of(ready)).json()["links"]
        anybody = APIClient()
        assert body_of(anybody.get(links["video"])) == bytes(range(256)) * 4
        assert body_of(anybody.get(links["poster"])) == b"a picture"
        download = anybody.get(links["download"])
        assert download["Content-Disposition"].startswith("attachment")
        assert body_of(download)
        assert anybody.get(links["video"].replace("variant=video", "variant=poster")).status_code == 404
        assert anybody.get(links["video"].replace(str(ready.pk), str(uuid4()))).status_code == 404
        ready.file = stored(in_scope, tmp_path, b"rendered anew", ".mp4")
        ready.save()
        assert anybody.get(links["video"]).status_code == 404
        fresh = owner.client.get(of(ready)).json()["links"]["video"]
        assert body_of(anybody.get(fresh)) == b"rendered anew"

    def test_links_under_a_brand_s_prefix(self, owner: Person, ready: Clip) -> None:
        shown = owner.client.get(f"/p/{owner.profile.slug}{of(ready)}").json()
        assert body_of(APIClient().get(shown["links"]["video"]))

    def test_nothing_to_stream_yet(self, owner: Person, project: Project, generate: Callable[..., Job]) -> None:
        generate(project)
        assert owner.client.get(of(Clip.objects.get(), "stream/")).status_code == 404


def test_list_filters(owner: Person, project: Project, generate: Callable[..., Job], ready: Clip) -> None:
    generate(project, variant_count=3, name="Later")
    waiting = list(Clip.objects.exclude(pk=ready.pk).order_by("variant"))
    Clip.objects.filter(pk=waiting[0].pk).update(state=Clip.State.FAILED, error={"code": "x"}, is_selected=True)
    Clip.objects.filter(pk=ready.pk).update(is_stale=True)

    def names(query: str) -> list[str]:
        answer = owner.client.get(URL + query)
        assert answer.status_code == 200, answer.content
        return [row["name"] for row in answer.json()["results"]]

    assert names("") == ["Later · 3", "Later · 2", "Summer"]
    assert names("?state=ready") == names("?stale=true") == ["Summer"]
    assert names("?state=failed") == names("?selected=true") == ["Later · 2"]
    assert names("?state=queued") == ["Later · 3"]
    assert names("?state=rendering") == []
    assert names("?q=later&ordering=name") == ["Later · 2", "Later · 3"]
    assert names(f"?project={project.pk}&quality=draft&preset=tiktok") == names("")
    assert names("?stale=0&selected=1") == ["Later · 2"]
    for bad in (
        "?state=done",
        "?ordering=profile",
        "?project=abc",
        "?sate=ready",
        "?preset=vine",
        "?stale=maybe",
        "?selected=2",
    ):
        assert owner.client.get(URL + bad).status_code == 400, bad


def test_shown_states_and_their_filter_agree(
    owner: Person, project: Project, generate: Callable[..., Job], ready: Clip, in_scope: Profile
) -> None:
    """Every state of the row with every state of its job, with and without a file."""
    ended = {"finished_at": ready.created_at}
    failed = {**ended, "error": {"code": "x", "message": "y", "retryable": False, "next_step": ""}}
    running = {"started_at": ready.created_at, "lease_expires_at": ready.created_at, "attempt": 1}
    columns: dict[str, dict[str, Any]] = {
        Status.QUEUED: {},
        Status.RUNNING: running,
        Status.SUCCEEDED: ended,
        Status.FAILED: failed,
        Status.CANCELLED: ended,
        Status.NEEDS_ATTENTION: failed,
    }
    for status, values in columns.items():
        job = Job.objects.create(
            profile=in_scope, kind="render", queue="media", priority=1, max_attempts=1, status=status, **values
        )
        for state in Clip.State.values:
            for file in (None, ready.file):
                if (state != Clip.State.READY or file) and (state != Clip.State.FREED or not file):
                    _variation(ready, job, state, file)
    _variation(ready, None, Clip.State.QUEUED, None)
    shown = {row["id"]: row["state"] for row in owner.client.get(f"{URL}?page_size=200").json()["results"]}
    assert len(shown) == 38
    by_filter = {
        row["id"]: state
        for state in Clip.ShownState.values
        for row in owner.client.get(f"{URL}?page_size=200&state={state}").json()["results"]
    }
    assert by_filter == shown
    assert set(shown.values()) == set(Clip.ShownState.values)


def _variation(clip: Clip, job: Job | None, state: str, file: Any) -> None:
    Clip.objects.create(
        profile=clip.profile,
        project=clip.project,
        name="x",
        preset=clip.preset,
        job=job,
        state=state,
        file=file,
        rendered_hash="a" * 64 if file else "",
    )


def test_lists_cost_a_constant_number_of_queries(
    owner: Person, project: Project, generate: Callable[..., Job], ready: Clip
) -> None:
    def count(url: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert owner.client.get(url).status_code == 200
        return len(found)

    urls = [URL, f"/api/v1/projects/{project.pk}/clips/"]
    owner.client.get(URL)
    few = [count(url) for url in urls]
    generate(project, variant_count=10)
    assert [count(url) for url in urls] == few
    assert max(few) <= 4


@pytest.mark.parametrize(
    ("method", "tail", "body"),
    [
        ("get", "", None),
        ("patch", "", {"name": "x"}),
        ("delete", "", None),
        ("post", "select/", {}),
        ("post", "render/", None),
        ("get", "stream/", None),
        ("get", "stream/?variant=poster", None),
    ],
)
class TestWho:
    def call(self, client: APIClient, clip: Any, method: str, tail: str, body: Any) -> Any:
        return getattr(client, method)(of(clip, tail), body, **({} if method == "get" else {"format": "json"}))

    def test_anonymous(self, ready: Clip, method: str, tail: str, body: Any) -> None:
        assert self.call(APIClient(), ready, method, tail, body).status_code == 401

    def test_stranger(self, ready: Clip, stranger: Person, method: str, tail: str, body: Any) -> None:
        foreign = self.call(stranger.client, ready, method, tail, body)
        random = self.call(stranger.client, uuid4(), method, tail, body)
        assert foreign.status_code == random.status_code == 404
        assert foreign.content == random.content

    def test_viewer_only_reads(self, ready: Clip, viewer: Person, method: str, tail: str, body: Any) -> None:
        answer = self.call(viewer.client, ready, method, tail, body)
        assert answer.status_code == (200 if method == "get" else 403)
        answer.close()

    def test_bad_id(self, owner: Person, method: str, tail: str, body: Any) -> None:
        assert self.call(owner.client, "no-uuid", method, tail, body).status_code == 404


@pytest.mark.parametrize(
    ("method", "tail"), [("put", ""), ("post", ""), ("get", "render/"), ("get", "select/"), ("post", "stream/")]
)
def test_wrong_method(owner: Person, ready: Clip, method: str, tail: str) -> None:
    answer = getattr(owner.client, method)(of(ready, tail), {}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


def test_presets(owner: Person, viewer: Person) -> None:
    assert APIClient().get("/api/v1/presets/").status_code == 401
    answer = viewer.client.get("/api/v1/presets/")
    assert answer.status_code == 200
    rows = {row["slug"]: row for row in answer.json()["results"]}
    slugs = ["tiktok", "instagram-reels", "youtube-shorts", "facebook-reels", "instagram-story"]
    assert list(rows) == slugs
    assert {(row["width"], row["height"], row["frame_rate"]) for row in rows.values()} == {(1080, 1920, 30)}
    assert [row["max_seconds"] for row in rows.values()] == [600, 900, 180, 90, 60]
    assert all(row["source"] and row["checked_on"] for row in rows.values())
    assert owner.client.post("/api/v1/presets/", {}, format="json").status_code == 405


def test_pages_for_people(owner: Person, ready: Clip) -> None:
    """The browsable API draws every page of these resources, forms included."""
    browser = Client()
    browser.force_login(owner.user)
    project = f"/api/v1/projects/{ready.project_id}/"
    entry = ProjectSegment.objects.first()
    assert entry is not None
    pages = {
        200: [
            URL,
            of(ready),
            project,
            "/api/v1/projects/",
            f"{project}segments/",
            f"{project}clips/",
            "/api/v1/presets/",
        ],
        405: [f"{project}generate/", of(ready, "render/"), of(ready, "select/"), f"{project}segments/{entry.pk}/"],
    }
    for status, urls in pages.items():
        for url in urls:
            answer = browser.get(url, headers={"Accept": "text/html"})
            assert (answer.status_code, answer["Content-Type"]) == (status, "text/html; charset=utf-8"), url


def test_the_project_of_a_filter_must_be_there(owner: Person, stranger: Person) -> None:
    with activate(stranger.profile.pk):
        foreign = Project.objects.create(profile=stranger.profile, name="Theirs")
    answers = [owner.client.get(f"/api/v1/clips/?project={pk}") for pk in (foreign.pk, uuid4())]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize(("rows", "name"), [("clips", "selected"), ("segments", "is_favorite"), ("jobs", "active")])
def test_the_browsable_form_offers_yes_and_no_once(owner: Person, rows: str, name: str) -> None:
    page = owner.client.get(f"/api/v1/{rows}/?{name}=1", headers={"accept": "text/html"}).content.decode()
    field = page.split(f'name="{name}"')[1].split("</select>")[0]
    assert (field.count(">Yes<"), field.count(">No<"), field.count("<option")) == (1, 1, 3)
    assert '<option value="true" selected>' in field
