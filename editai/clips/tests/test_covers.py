"""A clip's cover over HTTP, and what a render and the trash do with it."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from conftest import Person
from editai.clips import covers, rendering, services, users
from editai.clips.models import Clip
from editai.clips.render.facts import Facts, facts_of
from editai.clips.stills import still_of_clip
from editai.clips.tests.conftest import run
from editai.clips.tests.images import draw, exif_turned, pixels, png
from editai.clips.tests.test_stills import SVG, judge_size, number_in
from editai.projects.models import Project
from editai.projects.services import project_update
from editai.projects.tests.builders import make_project, make_segment
from jobs.child import FfmpegError
from jobs.models import Job
from profiles import files, storage
from profiles.errors import Conflict
from profiles.models import Profile, StoredFile
from profiles.trash import purge
from segments.models import SourceVideo
from segments.tests import footage as pictures

pytestmark = pytest.mark.django_db(transaction=True)
V1 = "/api/v1"


def numbered(folder: Path) -> Path:
    """Two seconds in which each frame shows its number."""
    return pictures.make_clip(folder / "clip.mp4", 2, (360, 640))


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return facts_of(numbered(tmp_path_factory.mktemp("facts")))


@pytest.fixture
def clip(project: Project, generate: Callable[..., Job], in_scope: Profile, facts: Facts, tmp_path: Path) -> Clip:
    """A clip of two seconds with a file in which each frame shows its number."""
    generate(project, quality="standard")
    found: Clip = Clip.objects.get()
    path = numbered(tmp_path)
    found.media = deepcopy(facts)
    found.duration_seconds = found.media["duration_seconds"]
    found.file = files.store(profile=in_scope, path=path, area="clips", suffix=".mp4")
    found.state, found.rendered_hash = Clip.State.READY, found.recipe_hash
    found.save()
    return found


def of(clip: Clip, tail: str = "cover/") -> str:
    return f"{V1}/clips/{clip.pk}/{tail}"


def picture(content: bytes, name: str = "cover.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="image/png")


def send(client: APIClient, clip: Clip, content: bytes, method: str = "put") -> Any:
    return getattr(client, method)(of(clip), {"image": picture(content)}, format="multipart")


def fetched(client: APIClient, clip: Clip, path: Path) -> Path:
    answer: Any = client.get(of(clip))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    path.write_bytes(b"".join(answer.streaming_content))
    return path


def covers_stored(profile: Profile) -> list[str]:
    return [key for key, _ in storage.keys(f"{files.prefix_of(profile.pk)}covers/")]


def test_a_moment_of_the_clip(owner: Person, clip: Clip, tmp_path: Path) -> None:
    assert owner.client.get(of(clip, "")).json()["cover"] is None
    assert owner.client.get(of(clip)).status_code == 404
    # frame 30 is on screen from 1.0 up to 1.0333
    for moment in (1.0, 1.02, 1.033):
        shown = owner.client.put(of(clip), {"at_seconds": moment}, format="json")
        assert shown.status_code == 200
        cover = shown.json()["cover"]
        assert (cover["source"], cover["at_seconds"]) == ("frame", 1.0)
        assert number_in(fetched(owner.client, clip, tmp_path / "got.jpg")) == 30
    shown = owner.client.post(of(clip), {"at_seconds": 1.9999}, format="json").json()
    assert shown["cover"]["at_seconds"] == pytest.approx(59 / 30, abs=1e-6)
    assert number_in(fetched(owner.client, clip, tmp_path / "got.jpg")) == 59
    # what the answer says means the same picture again
    again = {"at_seconds": shown["cover"]["at_seconds"]}
    assert owner.client.put(of(clip), again, format="json").json()["cover"]["at_seconds"] == again["at_seconds"]


@pytest.mark.parametrize("moment", [2.0, 2.5, 900])
def test_a_moment_beyond_the_end(owner: Person, clip: Clip, moment: float) -> None:
    answer = owner.client.put(of(clip), {"at_seconds": moment}, format="json")
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["at_seconds"])


@pytest.mark.parametrize(
    "body", [{}, {"at_seconds": -0.1}, {"at_seconds": "soon"}, {"at_seconds": None}, {"image": "x"}, {"at_second": 1}]
)
def test_bad_bodies(owner: Person, clip: Clip, body: dict[str, Any]) -> None:
    assert owner.client.put(of(clip), body, format="json").status_code == 400


def test_not_both(owner: Person, clip: Clip) -> None:
    body = {"image": picture(png()), "at_seconds": "0"}
    assert owner.client.put(of(clip), body, format="multipart").status_code == 400
    body = {"at_seconds": "nan"}
    assert owner.client.put(of(clip), body, format="multipart").status_code == 400


@pytest.mark.parametrize("method", ["put", "post"])
def test_a_picture(owner: Person, clip: Clip, in_scope: Profile, tmp_path: Path, method: str) -> None:
    shown = send(owner.client, clip, png(1200, 800, b"\x10\x20\xf0"), method)
    assert shown.status_code == 200
    cover = shown.json()["cover"]
    assert (cover["source"], cover["at_seconds"]) == ("image", None)
    got = fetched(owner.client, clip, tmp_path / "got.jpg")
    assert judge_size(got) == (360, 640)
    assert pixels(got, (1, 1))[0][2] > 200
    assert [row["cover"]["source"] for row in owner.client.get(f"{V1}/clips/").json()["results"]] == ["image"]
    # replaced: the one before goes
    assert send(owner.client, clip, png(400, 400), method).status_code == 200
    assert len(covers_stored(in_scope)) == 1
    assert StoredFile.objects.filter(key__contains="/covers/").count() == 1


def test_before_the_clip_is_rendered_there_is_no_moment_but_a_picture_may_wait(
    owner: Person, in_scope: Profile, project: Project, generate: Callable[..., Job], tmp_path: Path
) -> None:
    generate(project)
    clip = Clip.objects.get()
    answer = owner.client.put(of(clip), {"at_seconds": 0}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_rendered")
    assert send(owner.client, clip, png()).status_code == 200
    assert judge_size(fetched(owner.client, clip, tmp_path / "got.jpg")) == (540, 960)  # a draft of 1080 x 1920


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "image_empty"),
        (SVG, 400, "not_an_image"),
        (png()[:-30], 400, "image_damaged"),
        (png(320, 319), 400, "image_too_small"),
        (png(8_000, 8_000, rows=1), 400, "image_too_many_pixels"),
        (bytes(20 * 2**20 + 1), 413, "too_large"),
        (bytes(21 * 2**20), 413, "too_large"),
    ],
)
def test_bad_pictures_change_nothing(
    owner: Person, clip: Clip, in_scope: Profile, content: bytes, status: int, code: str
) -> None:
    send(owner.client, clip, png())
    kept = covers_stored(in_scope)
    answer = send(owner.client, clip, content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert covers_stored(in_scope) == kept
    assert owner.client.get(of(clip)).status_code == 200


def test_removing(owner: Person, clip: Clip, in_scope: Profile) -> None:
    assert owner.client.delete(of(clip)).status_code == 404
    owner.client.put(of(clip), {"at_seconds": 0}, format="json")
    assert owner.client.delete(of(clip)).status_code == 204
    assert owner.client.get(of(clip)).status_code == 404
    assert covers_stored(in_scope) == []


def test_nothing_of_the_uploaded_file_is_served(owner: Person, clip: Clip, tmp_path: Path) -> None:
    """Polyglot: a JPEG with a place, and a page behind it."""
    data = exif_turned(draw(tmp_path / "photo.jpg").read_bytes(), 1) + b"<script>alert(1)</script>"
    assert send(owner.client, clip, data).status_code == 200
    got = fetched(owner.client, clip, tmp_path / "got.jpg").read_bytes()
    assert (b"script" in got, b"GPS" in got) == (False, False)


def test_its_link_is_signed_for_this_picture(owner: Person, clip: Clip) -> None:
    url = owner.client.put(of(clip), {"at_seconds": 0}, format="json").json()["cover"]["url"]
    anybody = APIClient()
    assert anybody.get(url).status_code == 200
    assert anybody.get(of(clip)).status_code == 401
    assert anybody.put(url, {"at_seconds": 1}, format="json").status_code in {401, 403, 404}
    owner.client.put(of(clip), {"at_seconds": 1}, format="json")
    assert anybody.get(url).status_code == 404


def test_who_may(owner: Person, viewer: Person, stranger: Person, reader: APIClient, clip: Clip) -> None:
    owner.client.put(of(clip), {"at_seconds": 0}, format="json")
    for client in (viewer.client, reader):
        assert client.get(of(clip)).status_code == 200
        assert client.put(of(clip), {"at_seconds": 1}, format="json").status_code == 403
        assert send(client, clip, png()).status_code == 403
        assert client.delete(of(clip)).status_code == 403
    for method in ("get", "put", "post", "delete"):
        assert getattr(stranger.client, method)(of(clip)).status_code == 404
    assert owner.client.patch(of(clip), {}, format="json").status_code == 405


def test_a_user_of_the_clip_may_refuse(
    owner: Person, clip: Clip, in_scope: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner.client.put(of(clip), {"at_seconds": 0}, format="json")
    kept = covers_stored(in_scope)
    asked: list[Any] = []

    def refuse(profile: Profile, ids: Any, why: str) -> None:
        asked.append((list(ids), why))
        raise Conflict("Posts are still to come.", code="posts_to_come", details=[{"id": "1"}])

    monkeypatch.setattr(users, "_users", {"test": users.ClipUser("test", before_change=refuse)})
    answers = [
        owner.client.put(of(clip), {"at_seconds": 1}, format="json"),
        send(owner.client, clip, png()),
        owner.client.delete(of(clip)),
    ]
    assert [answer.status_code for answer in answers] == [409] * 3
    assert answers[0].json()["error"]["details"] == [{"id": "1"}]
    assert asked == [([clip.pk], "cover")] * 3
    assert covers_stored(in_scope) == kept
    assert StoredFile.objects.filter(key__contains="/covers/").count() == 1


def test_a_file_that_is_replaced_on_the_way(
    owner: Person, clip: Clip, in_scope: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = still_of_clip

    def meanwhile(*args: Any, **options: Any) -> None:
        genuine(*args, **options)
        path = tmp_path / "other.mp4"
        path.write_bytes(b"other")
        Clip.objects.filter(pk=clip.pk).update(
            file=files.store(profile=in_scope, path=path, area="clips", suffix=".mp4")
        )

    monkeypatch.setattr(covers, "still_of_clip", meanwhile)
    answer = owner.client.put(of(clip), {"at_seconds": 1}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "changed_meanwhile")
    assert covers_stored(in_scope) == []


def test_a_caller_has_so_many_at_once(owner: Person, clip: Clip, rf: Any) -> None:
    request = rf.get("/")
    request.user = owner.user
    held = [covers.SLOTS.take(request) for _ in range(2)]
    try:
        assert owner.client.put(of(clip), {"at_seconds": 1}, format="json").status_code == 429
    finally:
        for give_back in held:
            give_back()
    assert owner.client.put(of(clip), {"at_seconds": 1}, format="json").status_code == 200
    assert covers.SLOTS.open() == 0


def test_a_server_without_time_says_so_and_leaves_nothing(
    owner: Person, clip: Clip, in_scope: Profile, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    def late(*args: Any, **options: Any) -> None:
        raise FfmpegError("timed_out")

    monkeypatch.setattr(covers, "still_of_clip", late)
    answer = owner.client.put(of(clip), {"at_seconds": 1}, format="json")
    assert (answer.status_code, answer["Retry-After"]) == (429, "10")
    assert list(Path(settings.FILE_UPLOAD_TEMP_DIR).glob("*")) == []
    assert (covers_stored(in_scope), covers.SLOTS.open()) == ([], 0)


def test_the_trash_takes_it_along(owner: Person, clip: Clip, in_scope: Profile) -> None:
    send(owner.client, clip, png())
    assert owner.client.delete(of(clip, "")).status_code == 204
    assert len(covers_stored(in_scope)) == 1
    purge(profile=in_scope, kind_name="clip", row_id=clip.pk)
    assert covers_stored(in_scope) == []


# --- renders ---------------------------------------------------------------------------------------------


@pytest.fixture
def rendered(in_scope: Profile, footage: Callable[..., SourceVideo], generate: Callable[..., Job]) -> Clip:
    """One second, from frame 15 on."""
    run(generate(make_project(in_scope, make_segment(footage(), 0.5, 1.5))))
    clip: Clip = Clip.objects.get()
    return clip


def again(clip: Clip, framing: str) -> None:
    """Changes the look of the project and renders the clip anew."""
    project_update(profile=clip.profile, project=clip.project, framing=framing)
    clip.refresh_from_db()
    done = run(services.clip_request_render(profile=clip.profile, clip=clip, by=None))
    assert (done.status, done.error) == ("succeeded", None)
    clip.refresh_from_db()


def test_facts_of_a_rendered_clip(owner: Person, rendered: Clip) -> None:
    shown = owner.client.get(of(rendered, "")).json()
    media = shown["media"]
    assert (media["container"], media["faststart"], media["size"]) == ("mp4", True, shown["size"])
    assert media["duration_seconds"] == pytest.approx(shown["duration_seconds"])
    video = media["video"]
    assert (video["codec"], video["profile"], video["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert (video["width"], video["height"], video["frame_rate"], video["is_cfr"]) == (540, 960, 30.0, True)
    assert media["audio"] == {"codec": "aac", "sample_rate": 48_000, "channels": 2}
    assert media == {**media, "bit_rate": round(media["size"] * 8 / media["duration_seconds"])}
    assert "media" not in owner.client.get(f"{V1}/clips/").json()["results"][0]


def test_a_moment_is_taken_anew_and_a_picture_stays(
    owner: Person, rendered: Clip, in_scope: Profile, tmp_path: Path
) -> None:
    owner.client.put(of(rendered), {"at_seconds": 0.5}, format="json")
    rendered.refresh_from_db()
    before = rendered.cover_id
    filled = fetched(owner.client, rendered, tmp_path / "filled.jpg")
    assert sum(pixels(filled, (1, 30))[0]) > 0
    again(rendered, "pad")
    assert (rendered.cover_source, rendered.cover_at_seconds) == ("frame", 0.5)
    assert rendered.cover_id != before
    padded = fetched(owner.client, rendered, tmp_path / "padded.jpg")
    edge = pixels(padded, (1, 30))[0]
    assert max(edge) < 10  # black above the picture, as in the new clip
    assert len(covers_stored(in_scope)) == 1
    send(owner.client, rendered, png())
    rendered.refresh_from_db()
    kept = rendered.cover_id
    again(rendered, "fill")
    assert (rendered.cover_id, rendered.cover_source) == (kept, "image")


def test_a_moment_that_the_new_clip_no_longer_has_is_dropped(owner: Person, rendered: Clip, in_scope: Profile) -> None:
    owner.client.put(of(rendered), {"at_seconds": 0.9}, format="json")
    segment = rendered.project.entries.get().segment
    owner.client.patch(f"{V1}/segments/{segment.pk}/", {"end_time": 1.2}, format="json")
    again(rendered, "pad")
    assert (rendered.cover_id, rendered.cover_source, rendered.cover_at_seconds) == (None, "", None)
    assert owner.client.get(of(rendered, "")).json()["cover"] is None
    assert covers_stored(in_scope) == []


@pytest.mark.parametrize("choice", ["moment", "picture", "none"])
def test_a_cover_that_changes_while_the_clip_is_rendered(
    owner: Person, rendered: Clip, in_scope: Profile, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    owner.client.put(of(rendered), {"at_seconds": 0.2}, format="json")
    genuine, seen = still_of_clip, list[int]()

    def meanwhile(path: Path, frame: int, *args: Any, **options: Any) -> None:
        genuine(path, frame, *args, **options)
        seen.append(frame)
        if len(seen) == 1:
            if choice == "moment":
                owner.client.put(of(rendered), {"at_seconds": 0.8}, format="json")
            elif choice == "picture":
                send(owner.client, rendered, png())
            else:
                owner.client.delete(of(rendered))

    monkeypatch.setattr(rendering, "still_of_clip", meanwhile)
    again(rendered, "pad")
    expected = {"moment": ("frame", 0.8, [6, 24]), "picture": ("image", None, [6]), "none": ("", None, [6])}
    assert (rendered.cover_source, rendered.cover_at_seconds, seen) == expected[choice]
    assert len(covers_stored(in_scope)) == (0 if choice == "none" else 1)
    assert StoredFile.objects.filter(key__contains="/covers/").count() == len(covers_stored(in_scope))
