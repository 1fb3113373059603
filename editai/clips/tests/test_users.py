"""Users of clips are asked before a clip changes, and their no undoes the whole change."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from conftest import Person
from editai.clips import services, users
from editai.clips.models import Clip
from editai.clips.staleness import refresh
from editai.clips.tests.conftest import run
from editai.projects import services as projects
from editai.projects.models import Project, ProjectSegment
from editai.projects.tests.builders import make_project, make_segment
from jobs.models import Job
from profiles.errors import Conflict
from profiles.models import Profile, StoredFile
from profiles.trash import purge, restore
from segments.models import Segment, SourceVideo
from segments.services import segment_update

pytestmark = pytest.mark.django_db
V1 = "/api/v1"
POST = {"id": str(uuid4()), "integration": "tiktok", "scheduled_at": "2030-01-01T10:00:00Z"}


@dataclass
class User:
    """Remembers what it was asked, and says no when told to."""

    refuses: bool = False
    asked: list[tuple[str, set[UUID]]] = field(default_factory=list)
    gone: list[UUID] = field(default_factory=list)

    def before_change(self, profile: Profile, clip_ids: Collection[UUID], why: str) -> None:
        self.asked.append((why, set(clip_ids)))
        if self.refuses:
            details = [{**POST, "clip": clip_id} for clip_id in clip_ids]
            raise Conflict("Posts of this clip are still to come.", code="posts_to_come", details=details)

    def find(self, profile: Profile, clip_ids: Collection[UUID], limit: int) -> list[users.Dependant]:
        return [users.Dependant("post", UUID(POST["id"]), "Tomorrow", clip_id) for clip_id in clip_ids][:limit]


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> User:
    """Takes the place of all users of clips."""
    made = User()
    registered = users.ClipUser(
        "test", find=made.find, before_change=made.before_change, purged=lambda _, ids: made.gone.extend(ids)
    )
    monkeypatch.setattr(users, "_users", {"test": registered})
    return made


@pytest.fixture
def clip(project: Project, generate: Callable[..., Job], in_scope: Profile) -> Clip:
    """A clip that says it was rendered."""
    generate(project)
    found: Clip = Clip.objects.get()
    key = f"profiles/{in_scope.pk}/test/clip"
    found.file = StoredFile.objects.create(profile=in_scope, key=key, content_type="video/mp4", state="stored")
    found.state, found.rendered_hash = Clip.State.READY, found.recipe_hash
    found.save()
    return found


def _segment(project: Project) -> Segment:
    entry = ProjectSegment.objects.filter(project=project).order_by("position").select_related("segment").first()
    assert entry is not None
    segment: Segment = entry.segment
    return segment


Change = tuple[str, str, Any]


@pytest.fixture(params=["order", "entry", "framing", "borders", "segment", "source", "project", "clip"])
def change(request: pytest.FixtureRequest, project: Project, clip: Clip) -> Change:
    """A request that would outdate or take away the clip."""
    segment = _segment(project)
    entry = ProjectSegment.objects.filter(project=project, position=0).get()
    changes: dict[str, Change] = {
        "order": ("put", f"projects/{project.pk}/segments/", {"segment_ids": [str(segment.pk)]}),
        "entry": ("patch", f"projects/{project.pk}/segments/{entry.pk}/", {"zoom": 2.0}),
        "framing": ("patch", f"projects/{project.pk}/", {"framing": "pad", "name": "Other"}),
        "borders": ("patch", f"segments/{segment.pk}/", {"start_time": 0.5}),
        "segment": ("delete", f"segments/{segment.pk}/", None),
        "source": ("delete", f"source-videos/{segment.source_id}/", None),
        "project": ("delete", f"projects/{project.pk}/", None),
        "clip": ("delete", f"clips/{clip.pk}/", None),
    }
    return changes[request.param]


def _everything(profile: Profile) -> list[Any]:
    models: tuple[Any, ...] = (Clip, Project, ProjectSegment, Segment, SourceVideo, Job)
    return [sorted(model.objects.for_profile(profile).values_list(), key=str) for model in models]


def test_a_no_undoes_the_change_and_names_the_posts(
    owner: Person, in_scope: Profile, user: User, clip: Clip, change: Change
) -> None:
    method, path, body = change
    user.refuses = True
    before = _everything(in_scope)
    answer = getattr(owner.client, method)(f"{V1}/{path}", body, format="json")
    assert answer.status_code == 409
    assert answer.json() == {
        "error": {
            "code": "posts_to_come",
            "message": "Posts of this clip are still to come.",
            "details": [{**POST, "clip": str(clip.pk)}],
        }
    }
    assert _everything(in_scope) == before


def test_without_a_no_the_change_is_made(owner: Person, user: User, clip: Clip, change: Change) -> None:
    method, path, body = change
    answer = getattr(owner.client, method)(f"{V1}/{path}", body, format="json")
    assert answer.status_code in {200, 204}
    why = users.Why.TRASH if path.startswith("clips") or (answer.status_code == 204 and "projects" in path) else "stale"
    assert user.asked == [(why, {clip.pk})]


def test_nobody_is_asked_about_what_stays_as_it_is(in_scope: Profile, user: User, project: Project, clip: Clip) -> None:
    projects.project_update(profile=in_scope, project=project, name="Winter")
    ids = list(ProjectSegment.objects.filter(project=project).order_by("position").values_list("segment", flat=True))
    projects.entries_replace(profile=in_scope, project=project, segment_ids=ids)
    services.clip_update(profile=in_scope, clip=clip, name="Other", is_selected=True)
    services.clip_request_render(profile=in_scope, clip=clip, by=None)
    assert user.asked == []


def test_a_stale_clip_is_not_asked_about_twice(in_scope: Profile, user: User, project: Project, clip: Clip) -> None:
    for framing in ("pad", "fit_blur"):
        projects.project_update(profile=in_scope, project=project, framing=framing)
    assert user.asked == [("stale", {clip.pk})]


def test_a_render_that_would_replace_a_file_is_asked_about(
    owner: Person, in_scope: Profile, user: User, project: Project, clip: Clip
) -> None:
    projects.project_update(profile=in_scope, project=project, framing="pad")
    user.asked.clear()
    user.refuses = True
    before = _everything(in_scope)
    for path, body in ((f"clips/{clip.pk}/render/", {}), (f"projects/{project.pk}/generate/", {"quality": "draft"})):
        answer = owner.client.post(f"{V1}/{path}", body, format="json", headers={"Idempotency-Key": path})
        if path.startswith("clips"):
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "posts_to_come")
            assert _everything(in_scope) == before
        else:  # another recipe is another clip
            assert answer.status_code == 202
    assert user.asked == [("render", {clip.pk})]


def test_generate_asks_when_it_takes_over_a_clip_whose_file_is_of_another_recipe(
    in_scope: Profile, user: User, project: Project, clip: Clip, generate: Callable[..., Job]
) -> None:
    projects.project_update(profile=in_scope, project=project, framing="pad")
    services.clip_request_render(profile=in_scope, clip=clip, by=None)
    user.asked.clear()
    user.refuses = True
    with pytest.raises(Conflict):
        generate(project)
    assert user.asked == [("render", {clip.pk})]


def test_what_comes_back_from_the_trash_is_not_refused(
    owner: Person, in_scope: Profile, user: User, project: Project, clip: Clip
) -> None:
    """Clips turn stale on the way if they must: their segment moved while they lay in the trash."""
    segment = _segment(project)
    for kind, row, path in (("project", project, f"projects/{project.pk}/"), ("clip", clip, f"clips/{clip.pk}/")):
        user.refuses = False
        assert owner.client.delete(f"{V1}/{path}").status_code == 204
        changes = {"start_time": 0.5 if kind == "project" else 0.7}
        segment_update(profile=in_scope, segment_id=segment.pk, changes=changes)
        user.refuses = True
        user.asked.clear()
        restore(profile=in_scope, kind_name=kind, row_id=row.pk)
        clip.refresh_from_db()
        assert (clip.is_stale, user.asked) == (True, [])
        Clip.objects.filter(pk=clip.pk).update(is_stale=False)


def test_segments_come_back_and_vanish_without_a_question(
    owner: Person, in_scope: Profile, user: User, project: Project, clip: Clip
) -> None:
    segment = _segment(project)
    assert owner.client.delete(f"{V1}/segments/{segment.pk}/").status_code == 204
    # as if the clip did not know yet: the question would come here
    Clip.objects.update(is_stale=False, rendered_hash="f" * 64)
    user.refuses = True
    user.asked.clear()
    assert owner.client.post(f"{V1}/trash/segment/{segment.pk}/restore/").status_code == 200
    clip.refresh_from_db()
    assert (clip.is_stale, user.asked) == (True, [])
    user.refuses = False
    assert owner.client.delete(f"{V1}/segments/{segment.pk}/").status_code == 204
    Clip.objects.update(is_stale=False)
    user.refuses = True
    user.asked.clear()
    purge(profile=in_scope, kind_name="segment", row_id=segment.pk)
    clip.refresh_from_db()
    assert (clip.is_stale, user.asked) == (True, [])


def test_users_let_go_before_clips_are_deleted_for_good(
    owner: Person, in_scope: Profile, user: User, project: Project, clip: Clip, generate: Callable[..., Job]
) -> None:
    generate(project, variant_count=2)
    other = Clip.objects.exclude(pk=clip.pk).get()
    assert owner.client.delete(f"{V1}/clips/{other.pk}/").status_code == 204
    assert owner.client.delete(f"{V1}/trash/clip/{other.pk}/").status_code == 204
    assert user.gone == [other.pk]
    assert owner.client.delete(f"{V1}/projects/{project.pk}/").status_code == 204
    assert user.asked[-1] == ("trash", {clip.pk})
    assert owner.client.delete(f"{V1}/trash/project/{project.pk}/").status_code == 204
    assert user.gone == [other.pk, clip.pk]


def test_what_uses_a_clip_is_named_with_its_footage(owner: Person, user: User, project: Project, clip: Clip) -> None:
    source = _segment(project).source_id
    shown = owner.client.get(f"{V1}/source-videos/{source}/usage/").json()["dependants"]
    assert [entry["name"] for entry in shown if entry["kind"] == "post"] == ["Tomorrow"]


def test_refresh_alone_obeys_too(in_scope: Profile, user: User, project: Project, clip: Clip) -> None:
    Clip.objects.update(rendered_hash="f" * 64)
    user.refuses = True
    with pytest.raises(Conflict):
        refresh(project)
    refresh(project, may_refuse=False)
    clip.refresh_from_db()
    assert clip.is_stale


@pytest.mark.django_db(transaction=True)
def test_a_finished_render_leaves_a_file_that_is_in_use_by_now(
    in_scope: Profile, user: User, footage: Callable[..., SourceVideo], generate: Callable[..., Job]
) -> None:
    """The edit is rendered, undone while the render waits, and the old file, fresh again, goes into a post."""
    project = make_project(in_scope, make_segment(footage(), 0, 1))
    run(generate(project))
    clip = Clip.objects.get()
    before = (clip.file_id, clip.rendered_hash)
    projects.project_update(profile=in_scope, project=project, framing="pad")
    job = services.clip_request_render(profile=in_scope, clip=clip, by=None)
    projects.project_update(profile=in_scope, project=project, framing="fill")
    user.refuses = True
    done = run(job)
    assert (done.status, done.error["code"]) == ("failed", "posts_to_come")
    clip.refresh_from_db()
    assert (clip.file_id, clip.rendered_hash, clip.is_stale) == (*before, False)
    assert StoredFile.objects.filter(pk=clip.file_id, state="stored").exists()
    assert not StoredFile.objects.filter(job_id=job.pk).exists()
