"""Freeing: what goes, what stays and why, twice and at once, and nothing of another brand."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from conftest import Person
from costs.storage import freeing
from costs.storage.freeing import Result, free_up
from costs.storage.kinds import freeable_kinds, storage_kinds
from costs.tests.storage_rows import (
    SIZE,
    Full,
    age,
    fingerprint,
    full,
    make_clips,
    make_post,
    make_source,
    objects_of,
    store,
    stored_ids,
)
from editai.clips import services
from editai.clips.models import Clip
from editai.clips.users import ClipUser, register_user_of_clips
from editai.projects.services import project_update
from editai.projects.tests.builders import make_project, make_segment
from jobs.models import Job
from profiles import files, scope, storage, trash
from profiles.errors import Conflict, NotFound
from profiles.models import Profile
from publishing.models import Publication, Rendition
from publishing.states import OPEN, State
from segments.models import Segment, SourceVideo
from tests.racing import race

pytestmark = pytest.mark.django_db


@pytest.fixture
def brand(in_scope: Profile, tmp_path: Path) -> Full:
    return full(in_scope, tmp_path)


def stays(result: Result) -> dict[str, dict[str, int]]:
    return {kind.name: {stay.reason: stay.amount.files for stay in kind.stays} for kind in result.kinds}


def goes(result: Result) -> dict[str, int]:
    return {kind.name: kind.goes.files for kind in result.kinds}


def test_a_dry_run_tells_and_changes_nothing(brand: Full) -> None:
    before = fingerprint(brand.profile)
    told = free_up(profile=brand.profile)
    assert fingerprint(brand.profile) == before
    assert goes(told) == {"proxies": 1, "extracts": 2, "renders": 1, "renditions": 1}
    assert stays(told) == {
        "proxies": {"kept": 3},
        "extracts": {},
        "renders": {
            "in_work": 1,
            "needed": 4,  # planned, as a draft, shown by a review link, planned in the shape for a network
            "not_renderable": 1,
            "out_of_date": 1,
            "selected": 1,
            "kept": 18,  # posters and covers of nine clips outside the trash
        },
        "renditions": {"needed": 1},
    }
    assert told.before - told.after == 5 * SIZE


@pytest.mark.django_db(transaction=True)
def test_exactly_what_may_go_goes(brand: Full) -> None:
    told = free_up(profile=brand.profile)
    before, objects = stored_ids(brand.profile), objects_of(brand.profile)
    done = free_up(profile=brand.profile, dry_run=False)
    gone = before - stored_ids(brand.profile)
    assert gone == set().union(*brand.may_go.values())
    assert len(objects - objects_of(brand.profile)) == len(gone)
    assert (goes(done), stays(done), done.after) == (goes(told), stays(told), told.after)
    assert done.before - done.after == SIZE * len(gone)
    clip = Clip.objects.get(pk=brand.clips["idle"].pk)
    assert (clip.state, clip.file_id, clip.rendered_hash, clip.is_stale) == (Clip.State.FREED, None, "", False)
    assert clip.poster_id == brand.clips["idle"].poster_id
    source = SourceVideo.objects.get(pk=brand.source.pk)
    assert (source.state, source.proxy_id, source.poster_id) == ("ready", None, brand.source.poster_id)
    assert Rendition.objects.filter(clip=brand.clips["fitted"]).values_list("network", flat=True)[0] == "threads"
    for publication in Publication.objects.exclude(state=State.PUBLISHED):
        assert publication.file is not None
        assert publication.file.state == "stored"


def test_goes_and_stays_are_all_there_is(brand: Full) -> None:
    names = [*(kind.name for kind in storage_kinds()), "trash"]
    told = free_up(profile=brand.profile, kinds=names)
    total = sum(kind.goes.bytes + sum(stay.amount.bytes for stay in kind.stays) for kind in told.kinds)
    assert total == told.before - SIZE  # what belongs to no kind
    assert all(stay.text for kind in told.kinds for stay in kind.stays)
    assert stays(told)["originals"] == {"kept": 1}
    assert stays(told)["outbox"] == {"kept": 2}


def test_twice_is_once(brand: Full) -> None:
    free_up(profile=brand.profile, dry_run=False)
    before = fingerprint(brand.profile)
    again = free_up(profile=brand.profile, dry_run=False)
    assert goes(again) == dict.fromkeys(freeable_kinds(), 0)
    assert again.before == again.after
    assert fingerprint(brand.profile) == before


@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_free_each_file_once(brand: Full) -> None:
    def free(_: int) -> Result:
        with scope.activate(brand.profile.pk):
            return free_up(profile=brand.profile, kinds=[*freeable_kinds(), "trash"], dry_run=False)

    results = race(free, 3)
    assert all(isinstance(result, Result) for result in results), results
    freed = sum(kind.goes.files for result in results if isinstance(result, Result) for kind in result.kinds)
    assert freed == 5 + 9


def test_another_brand_keeps_everything(brand: Full, stranger: Person, tmp_path: Path) -> None:
    with scope.activate(stranger.profile.pk):
        make_source(stranger.profile, tmp_path)
        before = fingerprint(stranger.profile)
    free_up(profile=brand.profile, kinds=[*freeable_kinds(), "trash"], dry_run=False)
    with scope.activate(stranger.profile.pk):
        assert fingerprint(stranger.profile) == before


def test_what_is_too_new_stays(brand: Full) -> None:
    age(brand.profile, [brand.source.proxy_id], 8)
    told = free_up(profile=brand.profile, older_than_days=7)
    assert goes(told) == {"proxies": 1, "extracts": 0, "renders": 0, "renditions": 0}
    assert stays(told)["extracts"] == {"too_new": 2}
    done = free_up(profile=brand.profile, older_than_days=7, dry_run=False)
    assert (goes(done), stays(done)) == (goes(told), stays(told))
    assert brand.source.proxy_id not in stored_ids(brand.profile)


def test_only_the_kinds_that_are_named(brand: Full) -> None:
    done = free_up(profile=brand.profile, kinds=["extracts"], dry_run=False)
    assert goes(done) == {"extracts": 2}
    assert not Segment.objects.filter(extracted__isnull=False).exists()
    assert SourceVideo.objects.get(pk=brand.source.pk).proxy_id


# --- why a render stays --------------------------------------------------------------------------------


@pytest.fixture
def clip(in_scope: Profile, tmp_path: Path) -> Clip:
    """A clip that may go."""
    source = make_source(in_scope, tmp_path)
    project = make_project(in_scope, make_segment(source, 0, 2), make_segment(source, 3, 5))
    return make_clips(project, tmp_path, 1)[0]


def _project_in_trash(clip: Clip) -> None:
    trash.throw_away(clip.project)
    Clip.objects.filter(pk=clip.pk).update(trashed_at=None, trash_batch=None)


def _original_lost(clip: Clip) -> None:
    source = SourceVideo.objects.get()
    SourceVideo.objects.update(original=None)
    assert source.original is not None
    source.original.delete()


SPOILT: dict[str, tuple[str, Callable[[Clip], Any]]] = {
    "selected": ("selected", lambda clip: Clip.objects.update(is_selected=True)),
    "edited": (
        "out_of_date",
        lambda clip: project_update(profile=clip.profile, project=clip.project, framing="pad"),
    ),
    "job": (
        "in_work",
        lambda clip: Job.objects.create(
            profile=clip.profile, kind="x", queue="media", priority=1, max_attempts=1, subject=clip.pk
        ),
    ),
    "project": ("not_renderable", _project_in_trash),
    "no segments": ("not_renderable", lambda clip: clip.project.entries.all().delete()),
    "segment": ("not_renderable", lambda clip: Segment.objects.update(trashed_at=timezone.now())),
    "source": ("not_renderable", lambda clip: SourceVideo.objects.update(trashed_at=timezone.now())),
    "unready": ("not_renderable", lambda clip: SourceVideo.objects.update(state="processing")),
    "original": ("not_renderable", _original_lost),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_render_stays(in_scope: Profile, clip: Clip, how: str) -> None:
    reason, spoil = SPOILT[how]
    assert goes(free_up(profile=in_scope, kinds=["renders"])) == {"renders": 1}
    spoil(clip)
    for dry_run in (True, False):
        result = free_up(profile=in_scope, kinds=["renders"], dry_run=dry_run)
        assert (goes(result), stays(result)["renders"]) == ({"renders": 0}, {reason: 1, "kept": 2})
    assert Clip.objects.get().file_id == clip.file_id


def test_a_render_that_would_come_out_otherwise_stays_although_nothing_says_so(in_scope: Profile, clip: Clip) -> None:
    """The preset was edited: clips made before stay as they are, and cannot be made like this again."""
    type(clip.preset).objects.filter(pk=clip.preset_id).update(frame_rate=24)
    done = free_up(profile=in_scope, kinds=["renders"], dry_run=False)
    assert (goes(done), stays(done)["renders"]) == ({"renders": 0}, {"not_yet": 1, "kept": 2})


def test_who_needs_a_clip_meanwhile_keeps_it(in_scope: Profile, clip: Clip, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again under the lock: between the list of what may go and its turn, a post was planned."""
    needed: list[Any] = []
    monkeypatch.setattr("editai.clips.users._users", {})
    register_user_of_clips(ClipUser("test", needs=lambda profile: [needed]))
    real = freeing._alone

    def meanwhile(*args: Any) -> Any:
        needed.append(clip.pk)
        return real(*args)

    monkeypatch.setattr(freeing, "_alone", meanwhile)
    done = free_up(profile=in_scope, kinds=["renders"], dry_run=False)
    assert (goes(done), stays(done)["renders"]) == ({"renders": 0}, {"needed": 1, "kept": 2})


@pytest.mark.parametrize(
    "state", sorted(set(State) - {State.SUBMITTING, State.SUBMITTED, State.UNCONFIRMED, State.PUBLISHED, State.REMOVED})
)
def test_a_render_stays_while_a_post_of_it_is_open(in_scope: Profile, clip: Clip, state: State) -> None:
    make_post(clip, state)
    assert goes(free_up(profile=in_scope, kinds=["renders"])) == {"renders": 0 if state in OPEN else 1}


def test_a_freed_clip_says_so_and_is_asked_for_again(owner: Person, in_scope: Profile, clip: Clip) -> None:
    free_up(profile=in_scope, kinds=["renders"], dry_run=False)
    url = f"/api/v1/clips/{clip.pk}/"
    shown = owner.client.get(url).json()
    assert (shown["state"], shown["error"]["code"], shown["is_stale"]) == ("freed", "file_freed", False)
    assert "Render the clip again" in shown["error"]["next_step"]
    assert (shown["links"]["video"], shown["media"], shown["size"]) == (None, None, None)
    assert shown["links"]["poster"]
    assert [row["id"] for row in owner.client.get("/api/v1/clips/?state=freed").json()["results"]] == [str(clip.pk)]
    assert owner.client.get(f"{url}stream/").status_code == 404
    assert owner.client.put(f"{url}cover/", {"at_seconds": 1.0}, format="json").status_code == 409
    project_update(profile=in_scope, project=clip.project, framing="pad")
    assert owner.client.get(url).json()["state"] == "freed"
    assert owner.client.post(f"{url}render/").status_code == 202
    assert owner.client.get(url).json()["state"] == "queued"


def test_generate_takes_a_freed_clip_up_again(in_scope: Profile, clip: Clip) -> None:
    free_up(profile=in_scope, kinds=["renders"], dry_run=False)
    job = services.generate(profile=in_scope, project=clip.project, by=None, preset=clip.preset, quality="draft")
    assert [item["id"] for item in job.params["clips"]] == [str(clip.pk)]
    again = Clip.objects.get()
    assert (again.state, again.job_id) == (Clip.State.QUEUED, job.pk)


# --- footage -------------------------------------------------------------------------------------------


def test_footage_in_work_keeps_its_light_copy(in_scope: Profile, tmp_path: Path) -> None:
    source = make_source(in_scope, tmp_path)
    job = Job.objects.create(
        profile=in_scope, kind="ingest", queue="media", priority=1, max_attempts=1, subject=source.pk
    )
    assert stays(free_up(profile=in_scope, kinds=["proxies"]))["proxies"] == {"in_work": 1, "kept": 3}
    job.delete()
    SourceVideo.objects.update(original=None)
    assert stays(free_up(profile=in_scope, kinds=["proxies"]))["proxies"] == {"source_missing": 1, "kept": 3}


def test_a_source_without_its_light_copy_says_what_to_do(owner: Person, in_scope: Profile, tmp_path: Path) -> None:
    source = make_source(in_scope, tmp_path)
    url = f"/api/v1/source-videos/{source.pk}/"
    assert owner.client.post(f"{url}retry/").status_code == 409
    free_up(profile=in_scope, kinds=["proxies"], dry_run=False)
    shown = owner.client.get(url).json()
    assert (shown["state"], shown["links"]["proxy"]) == ("ready", None)
    answer = owner.client.get(f"{url}stream/?variant=proxy")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "file_freed")
    assert "retry/" in answer.json()["error"]["message"]
    first = owner.client.post(f"{url}retry/")
    assert first.status_code == 202
    assert owner.client.post(f"{url}retry/").json()["id"] == first.json()["id"]


# --- the trash -----------------------------------------------------------------------------------------


def test_the_trash_is_emptied_only_when_it_is_named(brand: Full) -> None:
    free_up(profile=brand.profile, dry_run=False)
    assert SourceVideo.objects.filter(trashed_at__isnull=False).exists()
    told = free_up(profile=brand.profile, kinds=["trash"])
    assert (goes(told), stays(told)) == ({"trash": 9}, {"trash": {}})
    done = free_up(profile=brand.profile, kinds=["trash"], dry_run=False)
    assert (goes(done), done.before - done.after) == ({"trash": 9}, 9 * SIZE)
    assert not SourceVideo.objects.filter(trashed_at__isnull=False).exists()
    assert not Clip.objects.filter(trashed_at__isnull=False).exists()


def test_what_was_thrown_away_lately_stays(brand: Full) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    Clip.objects.filter(trashed_at__isnull=False).update(trashed_at=long_ago)
    done = free_up(profile=brand.profile, kinds=["trash"], older_than_days=2, dry_run=False)
    assert (goes(done), stays(done)) == ({"trash": 4}, {"trash": {"too_new": 5}})


def test_a_refusal_keeps_a_row_in_the_trash_and_is_told(brand: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(profile: Profile, clip_ids: Any) -> None:
        raise Conflict("Posts of this clip are still to come.", code="posts_to_come")

    register_user_of_clips(ClipUser("refuses", purged=refuse))
    try:
        done = free_up(profile=brand.profile, kinds=["trash"], dry_run=False)
    finally:
        register_user_of_clips(ClipUser("refuses"))
    assert (goes(done), stays(done)) == ({"trash": 5}, {"trash": {"posts_to_come": 4}})
    assert done.kinds[0].stays[0].text == "Posts of this clip are still to come."


# --- trouble -------------------------------------------------------------------------------------------


def test_one_row_that_fails_does_not_keep_the_others(brand: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = files.doom, []

    def doom(rows: Any) -> None:
        calls.append(rows)
        if len(calls) == 1:
            raise RuntimeError("struck by lightning")
        real(rows)

    monkeypatch.setattr(freeing, "doom", doom)
    done = free_up(profile=brand.profile, kinds=["extracts"], dry_run=False)
    assert (goes(done), stays(done)) == ({"extracts": 1}, {"extracts": {"not_yet": 1}})
    assert Segment.objects.filter(extracted__isnull=False).count() == 1
    assert goes(free_up(profile=brand.profile, kinds=["extracts"], dry_run=False)) == {"extracts": 1}


def test_when_time_runs_out_the_rest_is_told(brand: Full) -> None:
    done = free_up(profile=brand.profile, dry_run=False, seconds=-1)
    assert (done.is_complete, sum(goes(done).values())) == (False, 0)
    assert stays(done)["extracts"] == {"not_yet": 2}
    assert free_up(profile=brand.profile, dry_run=False, seconds=60).is_complete


def test_a_file_whose_object_is_gone_is_freed_all_the_same(in_scope: Profile, tmp_path: Path) -> None:
    source = make_source(in_scope, tmp_path, proxy=store(in_scope, tmp_path))
    assert source.proxy is not None
    storage.delete(source.proxy.key)
    assert goes(free_up(profile=in_scope, kinds=["proxies"], dry_run=False)) == {"proxies": 1}


def test_an_unknown_row_is_no_error(in_scope: Profile, clip: Clip) -> None:
    for kind in storage_kinds():
        if kind.again is not None:
            with pytest.raises(NotFound), transaction.atomic():
                kind.again.lock(in_scope, uuid4())
