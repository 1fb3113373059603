"""Asking for clips: what is refused, and that equal requests make one job."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from conftest import Person
from editai.clips.models import Clip
from editai.projects.models import Project, ProjectSegment
from editai.projects.tests.builders import make_project, make_segment, make_source
from jobs.models import Job, Status
from jobs.services import job_cancel
from segments.models import Segment, SourceVideo

pytestmark = pytest.mark.django_db


def post(person: Person, project: Project, body: dict[str, Any] | None = None, **headers: str) -> Any:
    return person.client.post(f"/api/v1/projects/{project.pk}/generate/", body or {}, format="json", headers=headers)


def error(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_202_with_the_job(owner: Person, project: Project) -> None:
    answer = post(owner, project)
    assert answer.status_code == 202, answer.content
    job = answer.json()
    assert (job["kind"], job["status"], job["progress"], job["error"]) == ("render", "queued", 0, None)
    assert owner.client.get(f"/api/v1/jobs/{job['id']}/").json()["status"] == "queued"
    clip = Clip.objects.get()
    assert (clip.name, clip.preset_id, clip.quality, clip.variant) == ("Summer", "tiktok", "standard", 1)
    assert str(clip.job_id) == job["id"]
    shown = owner.client.get(f"/api/v1/projects/{project.pk}/clips/").json()["results"]
    assert [(row["id"], row["state"], row["links"]["video"]) for row in shown] == [(str(clip.pk), "queued", None)]


def test_variants(owner: Person, project: Project) -> None:
    body = {"variant_count": 3, "preset": "youtube-shorts", "quality": "draft", "name": "Trip"}
    assert post(owner, project, body).status_code == 202
    clips = list(Clip.objects.order_by("variant"))
    assert [clip.name for clip in clips] == ["Trip · 1", "Trip · 2", "Trip · 3"]
    assert len({clip.recipe_hash for clip in clips}) == 3
    assert len({clip.recipe["opening"] for clip in clips}) == 3
    assert len({clip.job_id for clip in clips}) == 1
    assert Job.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"preset": "vine"}, "preset"),
        ({"preset": 7}, "preset"),
        ({"preset": None}, "preset"),
        ({"quality": "8k"}, "quality"),
        ({"variant_count": 0}, "variant_count"),
        ({"variant_count": 11}, "variant_count"),
        ({"variant_count": 10**9}, "variant_count"),
        ({"variant_count": "many"}, "variant_count"),
        ({"name": "x" * 201}, "name"),
        ({"varient_count": 2}, "varient_count"),
    ],
)
def test_bad_bodies(owner: Person, project: Project, body: dict[str, Any], field: str) -> None:
    answer = post(owner, project, body)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["fields"]
    assert not Job.objects.exists()
    assert not Clip.objects.exists()


def test_an_empty_project(owner: Person, in_scope: Any) -> None:
    assert error(post(owner, make_project(in_scope))) == (409, "project_empty")


def test_a_segment_in_the_trash_is_named(owner: Person, project: Project) -> None:
    middle = ProjectSegment.objects.get(project=project, position=1).segment
    Segment.objects.filter(pk=middle.pk).update(trashed_at=middle.created_at)
    answer = post(owner, project)
    assert error(answer) == (409, "segment_missing")
    assert "Segment 2 (Beach, 3.00-5.00 s)" in answer.json()["error"]["message"]
    assert not Clip.objects.exists()


def test_a_source_that_is_not_ready(owner: Person, project: Project) -> None:
    SourceVideo.objects.update(state=SourceVideo.State.PROCESSING)
    assert error(post(owner, project)) == (409, "source_not_ready")


def test_trimmed_away_by_a_later_edit_of_the_segment(owner: Person, project: Project) -> None:
    ProjectSegment.objects.filter(position=0).update(trim_start=1, trim_end=1.5)
    assert error(post(owner, project)) == (409, "trimmed_away")


def test_too_long(owner: Person, in_scope: Any) -> None:
    segment = make_segment(make_source(in_scope, seconds=100), 0, 100)
    project = make_project(in_scope, *[segment] * 10)
    assert error(post(owner, project)) == (400, "too_long")
    ProjectSegment.objects.filter(position=9).delete()
    assert post(owner, project).status_code == 202  # 900 s are allowed


class TestEqualRequests:
    def test_the_same_recipe_under_way_is_the_same_job(self, owner: Person, project: Project) -> None:
        jobs = {post(owner, project).json()["id"] for _ in range(3)}
        assert len(jobs) == 1
        assert Clip.objects.count() == 1
        clip = Clip.objects.get()
        again = owner.client.post(f"/api/v1/clips/{clip.pk}/render/", {}, format="json")
        assert again.status_code == 202
        assert {again.json()["id"]} == jobs

    def test_the_same_set_of_variants_is_the_same_job(self, owner: Person, project: Project) -> None:
        first, second = (post(owner, project, {"variant_count": 3}).json()["id"] for _ in range(2))
        assert first == second
        # one of them on its own: the job that is at it anyway
        assert post(owner, project).json()["id"] == first
        assert Clip.objects.count() == 3

    def test_more_variants_take_the_first_ones_along(self, owner: Person, project: Project) -> None:
        one = post(owner, project).json()["id"]
        many = post(owner, project, {"variant_count": 2}).json()["id"]
        assert one != many
        assert Clip.objects.count() == 2
        assert {str(clip.job_id) for clip in Clip.objects.all()} == {one, many}

    def test_an_edit_in_between_makes_another_clip(self, owner: Person, project: Project) -> None:
        first = post(owner, project).json()["id"]
        ProjectSegment.objects.filter(position=0).update(zoom=2)
        assert post(owner, project).json()["id"] != first
        assert Clip.objects.count() == 2
        assert Job.objects.filter(status=Status.QUEUED).count() == 2

    def test_another_preset_is_another_clip(self, owner: Person, project: Project) -> None:
        post(owner, project)
        post(owner, project, {"preset": "instagram-reels"})
        assert Clip.objects.count() == 2
        assert len({clip.recipe_hash for clip in Clip.objects.all()}) == 1

    def test_a_clip_given_up_by_a_job_that_goes_on(self, owner: Person, project: Project) -> None:
        first = post(owner, project, {"variant_count": 2}).json()["id"]
        clip = Clip.objects.get(variant=1)
        Clip.objects.filter(pk=clip.pk).update(state=Clip.State.FAILED, error={"code": "x"})
        again = owner.client.post(f"/api/v1/clips/{clip.pk}/render/", {}, format="json").json()["id"]
        assert again != first
        clip.refresh_from_db()
        assert (clip.state, clip.error, str(clip.job_id)) == (Clip.State.QUEUED, None, again)

    def test_after_a_cancel_it_starts_anew(self, owner: Person, project: Project) -> None:
        first = Job.objects.get(pk=post(owner, project).json()["id"])
        job_cancel(profile=owner.profile, job=first)
        clip = Clip.objects.get()
        shown = owner.client.get(f"/api/v1/clips/{clip.pk}/").json()
        assert (shown["state"], shown["error"]["code"]) == ("failed", "cancelled")
        assert post(owner, project).json()["id"] != str(first.pk)
        assert Clip.objects.count() == 1
        assert owner.client.get(f"/api/v1/clips/{clip.pk}/").json()["state"] == "queued"


def test_idempotency_key(owner: Person, project: Project) -> None:
    key = {"Idempotency-Key": "k1"}
    first = post(owner, project, {"quality": "draft"}, **key)
    ProjectSegment.objects.filter(position=0).update(zoom=2)  # the answer stays, whatever happened since
    assert post(owner, project, {"quality": "draft"}, **key).json()["id"] == first.json()["id"]
    assert error(post(owner, project, {"quality": "best"}, **key)) == (409, "idempotency_key_reused")


def test_a_render_with_another_recipe_supersedes(owner: Person, project: Project, generate: Callable[..., Job]) -> None:
    first = generate(project)
    clip = Clip.objects.get()
    ProjectSegment.objects.filter(position=0).update(zoom=2)
    answer = owner.client.post(f"/api/v1/clips/{clip.pk}/render/", {}, format="json")
    assert answer.status_code == 202, answer.content
    assert answer.json()["id"] != str(first.pk)
    first.refresh_from_db()
    assert first.status == Status.CANCELLED
    clip.refresh_from_db()
    assert str(clip.job_id) == answer.json()["id"]


def test_who_may_render(owner: Person, viewer: Person, stranger: Person, project: Project) -> None:
    post(owner, project)
    url = f"/api/v1/clips/{Clip.objects.get().pk}/render/"
    assert APIClient().post(url).status_code == 401
    assert viewer.client.post(url).status_code == 403
    foreign, random = stranger.client.post(url), stranger.client.post(f"/api/v1/clips/{uuid4()}/render/")
    assert foreign.status_code == random.status_code == 404
    assert foreign.content == random.content
    assert owner.client.get(url).status_code == 405
    assert owner.client.post(url, {"quality": "best"}, format="json").status_code in {202, 400}
