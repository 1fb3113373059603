from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conftest import Person
from jobs.models import Job
from profiles import scope
from profiles.models import StoredFile
from segments.models import Segment, SourceVideo
from segments.tests.conftest import V1, latest_job, upload

pytestmark = pytest.mark.django_db(transaction=True)

MakeSource = Callable[..., SourceVideo]
HOSTILE = [
    (b"", "zero_length"),
    (b"hello, I am a text", "not_a_video"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "not_a_video"),
    (b"<!doctype html><script>alert(1)</script>", "not_a_video"),
    (b"#EXTM3U\nfile:///etc/passwd\n", "not_a_video"),
    (b"ffconcat version 1.0\nfile /etc/passwd\n", "not_a_video"),
    (b"ID3\x03\x00" + b"\0" * 100, "no_video_stream"),
]


def test_an_upload_is_received_and_its_ingest_waits(
    owner: Person, clip: Path, stored_objects: Callable[[], set[str]], received_files: Callable[[], list[str]]
) -> None:
    answer = upload(owner, clip, "Holiday at the sea.mp4", description="two\nlines")
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    assert (shown["name"], shown["state"], shown["is_markable"]) == ("Holiday at the sea", "received", False)
    assert shown["file_name"] == "Holiday at the sea.mp4"
    assert shown["ingest"]["status"] == "queued"
    assert shown["size"] == clip.stat().st_size
    job = latest_job(owner.profile, "ingest")
    assert str(job.subject) == shown["id"]
    assert job.queue == "media"
    assert len(stored_objects()) == 1
    assert received_files() == []
    with scope.activate(owner.profile.pk):
        file = SourceVideo.objects.get().original
        assert file.sha256 == shown["sha256"]
        assert file.content_type == "application/octet-stream"


@pytest.mark.parametrize(("content", "code"), HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_video_is_refused_and_nothing_stays(
    owner: Person,
    content: bytes,
    code: str,
    stored_objects: Callable[[], set[str]],
    received_files: Callable[[], list[str]],
) -> None:
    answer = upload(owner, content)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code
    assert list(answer.json()["error"]["fields"]) == ["video"]
    assert stored_objects() == set()
    assert received_files() == []
    with scope.activate(owner.profile.pk):
        assert not SourceVideo.objects.exists()
        assert not StoredFile.objects.exists()
        assert not Job.objects.exists()


def test_the_name_of_the_file_does_not_matter(owner: Person, clip: Path) -> None:
    assert upload(owner, clip, "notes.txt").status_code == 201


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd.mp4",
        "a" * 5000 + ".mp4",
        'x"; filename="y.html',
        "\u202egpj.mp4",
        "CON.mp4",
        ".mp4",
        "a\tb.mp4",
    ],
)
def test_hostile_file_names_are_data_only(
    owner: Person, clip: Path, name: str, stored_objects: Callable[[], set[str]]
) -> None:
    answer = upload(owner, clip, name)
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    assert shown["name"].isprintable()
    assert shown["name"]
    assert "\u202e" not in shown["name"] + shown["file_name"]
    assert len(shown["name"]) <= 200
    (key,) = stored_objects()
    assert key.startswith(f"profiles/{owner.profile.pk}/sources/")
    assert key.endswith(".original")
    download = owner.client.get(f"{V1}/source-videos/{shown['id']}/stream/?variant=original")
    assert download["Content-Disposition"].startswith("attachment")
    assert "/" not in download["Content-Disposition"].split("filename", 1)[1].replace("utf-8''", "")
    download.close()


def test_an_upload_over_the_limit_is_413_and_leaves_nothing(
    owner: Person,
    clip: Path,
    settings: Any,
    stored_objects: Callable[[], set[str]],
    received_files: Callable[[], list[str]],
) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    answer = upload(owner, clip)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too_large"
    assert stored_objects() == set()
    assert received_files() == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"name": "x" * 201}, "name"), ({"titel": "x"}, "titel"), ({"name": "a\u0007b"}, "name")],
)
def test_bad_fields_are_named(owner: Person, clip: Path, fields: dict[str, str], field: str) -> None:
    answer = upload(owner, clip, **fields)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["fields"]


def test_a_missing_file_is_named(owner: Person) -> None:
    answer = owner.client.post(f"{V1}/source-videos/", {"name": "x"}, format="multipart")
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["video"])
    answer = owner.client.post(f"{V1}/source-videos/", {"video": "x"}, format="json")
    assert answer.status_code == 415


def test_the_same_upload_with_the_same_key_is_one_source(
    owner: Person, clip: Path, stored_objects: Callable[[], set[str]]
) -> None:
    first = upload(owner, clip, headers={"Idempotency-Key": "k1"})
    second = upload(owner, clip, headers={"Idempotency-Key": "k1"})
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert len(stored_objects()) == 1
    other = upload(owner, clip, headers={"Idempotency-Key": "k1"}, name="Another name")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert len(stored_objects()) == 1


def test_two_at_once_with_the_same_key_leave_one_file(
    owner: Person, clip: Path, stored_objects: Callable[[], set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = upload(owner, clip, headers={"Idempotency-Key": "k1"})
    # the second one did not see the first when it looked
    monkeypatch.setattr("segments.views.started_before", lambda request: None)
    second = upload(owner, clip, headers={"Idempotency-Key": "k1"})
    assert first.json()["id"] == second.json()["id"]
    assert len(stored_objects()) == 1


def test_nothing_stays_when_the_queue_is_full(
    owner: Person, clip: Path, settings: Any, stored_objects: Callable[[], set[str]]
) -> None:
    settings.JOB_QUEUE_LIMIT = 1
    assert upload(owner, clip).status_code == 201
    answer = upload(owner, clip)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "queue_full")
    assert len(stored_objects()) == 1
    with scope.activate(owner.profile.pk):
        assert SourceVideo.objects.count() == 1
        assert StoredFile.objects.count() == 1


def test_who_may_what(owner: Person, viewer: Person, stranger: Person, clip: Path, make_source: MakeSource) -> None:
    source = make_source()
    url = f"{V1}/source-videos/{source.pk}/"
    assert viewer.client.get(url).status_code == 200
    assert upload(viewer, clip).status_code == 403
    assert viewer.client.patch(url, {"name": "x"}, format="json").status_code == 403
    assert viewer.client.delete(url).status_code == 403
    assert viewer.client.post(f"{url}retry/").status_code == 403
    foreign, unknown = (stranger.client.get(f"{V1}/source-videos/{pk}/") for pk in (source.pk, uuid4()))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    for path in ("", "usage/", "frames/", "stream/", "segments/"):
        assert stranger.client.get(url + path).status_code == 404
        owner.client.credentials()
        assert owner.client.get(url + path).status_code == 401
        owner.client.credentials(HTTP_AUTHORIZATION=f"Bearer {owner.token}")
        assert owner.client.get(url + path).status_code == 200
        assert owner.client.put(url + path, {}, format="json").status_code == 405
    assert owner.client.get(f"{V1}/source-videos/not-an-id/").status_code == 404


def test_list_filters_and_orders(owner: Person, make_source: MakeSource, make_segment: Callable[..., Segment]) -> None:
    beach = make_source(name="Beach", seconds=5)
    make_source(name="Forest", seconds=20, search_text="forest padure", has_audio=False)
    make_segment(beach)

    def names(query: str) -> list[str]:
        answer = owner.client.get(f"{V1}/source-videos/?{query}")
        assert answer.status_code == 200, answer.content
        return [row["name"] for row in answer.json()["results"]]

    assert names("") == ["Forest", "Beach"]
    assert names("ordering=name") == ["Beach", "Forest"]
    assert names("ordering=-duration_seconds") == ["Forest", "Beach"]
    assert names("q=PĂDURE") == ["Forest"]
    assert names("q=nothing") == names("q=!!!") == []
    assert names("state=ready") == ["Forest", "Beach"]
    assert names("state=failed") == names("state=received") == []
    assert names("has_audio=false") == ["Forest"]
    assert names("min_duration=10") == ["Forest"]
    assert names("max_duration=10") == ["Beach"]
    assert names("created_after=2099-01-01T00:00:00Z") == []
    row = owner.client.get(f"{V1}/source-videos/{beach.pk}/").json()
    assert (row["segment_count"], row["duration_seconds"], row["state"]) == (1, 5, "ready")
    assert row["links"]["proxy"].startswith(f"{V1}/source-videos/{beach.pk}/stream/?variant=proxy&sig=")
    assert row["links"]["waveform"] is None


@pytest.mark.parametrize(
    "query", ["ordering=profile__name", "user__password=x", "state=odd", "has_audio=perhaps", "min_duration=NaN",
              "q=" + "x" * 201, "created_after=yesterday", "cursor=x", "page_size=0"]
)  # fmt: skip
def test_list_refuses_what_it_does_not_know(owner: Person, query: str) -> None:
    answer = owner.client.get(f"{V1}/source-videos/?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_list_costs_the_same_for_any_number(
    owner: Person, make_source: MakeSource, make_segment: Callable[..., Segment]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert owner.client.get(f"{V1}/source-videos/").status_code == 200
        assert not any("frame_index" in query["sql"] for query in captured)
        return len(captured)

    make_segment(make_source())
    queries()  # the first call of a token notes when it was used
    one = queries()
    for _ in range(4):
        make_segment(make_source())
    assert queries() == one <= 5


def test_describing_and_searching(owner: Person, make_source: MakeSource) -> None:
    source = make_source()
    url = f"{V1}/source-videos/{source.pk}/"
    answer = owner.client.patch(url, {"name": "Crăciun"}, format="json")
    assert (answer.status_code, answer.json()["name"]) == (200, "Crăciun")
    assert len(owner.client.get(f"{V1}/source-videos/?q=craciun").json()["results"]) == 1
    for body in ({"name": ""}, {"state": "ready"}, {"nmae": "x"}, {"description": "x" * 5001}, {"profile": "x"}):
        assert owner.client.patch(url, body, format="json").status_code == 400, body


def test_frames_are_run_length_coded(owner: Person, make_source: MakeSource) -> None:
    source = make_source(seconds=2)
    url = f"{V1}/source-videos/{source.pk}/frames/"
    whole = owner.client.get(url).json()
    assert (whole["frame_count"], whole["runs"], whole["keyframes"]) == (50, [[512, 50]], [0, 25])
    part = owner.client.get(f"{url}?start=1&end=1.5").json()
    assert (part["first_frame"], part["end_frame"], part["first_tick"]) == (25, 38, 12_800)
    assert owner.client.get(f"{url}?start=5&end=6").status_code == 400
    assert owner.client.get(f"{url}?start=soon").status_code == 400


def test_the_browsable_api_can_be_used_by_hand(owner: Person, clip: Path, make_segment: Callable[..., Segment]) -> None:
    segment = make_segment()
    client = Client()
    client.force_login(owner.user)
    base = f"/p/{owner.profile.slug}{V1}"
    pages = ("source-videos/", f"source-videos/{segment.source_id}/", f"source-videos/{segment.source_id}/segments/")
    for path in (*pages, "segments/", f"segments/{segment.pk}/", "trash/"):
        page = client.get(f"{base}/{path}", headers={"Accept": "text/html"})
        assert page.status_code == 200, path
        assert page["Content-Type"].startswith("text/html")
    body = {"video": SimpleUploadedFile("a.mp4", clip.read_bytes()), "name": "", "description": ""}
    answer = client.post(f"{base}/source-videos/", body, headers={"Accept": "text/html"})
    assert answer.status_code == 201
    form = {"start_time": "1", "end_time": "2", "notes": "", "is_favorite": "true"}
    assert client.post(f"{base}/{pages[2]}", form, headers={"Accept": "text/html"}).status_code == 201


def test_usage_names_what_depends_on_it(
    owner: Person, make_source: MakeSource, make_segment: Callable[..., Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    from segments import dependants

    source = make_source()
    segment = make_segment(source)
    project = uuid4()
    user = dependants.SegmentUser(
        "test", find=lambda profile, ids, limit: [dependants.Dependant("project", project, "Summer", pk) for pk in ids]
    )
    monkeypatch.setitem(dependants._users, "test", user)
    answer = owner.client.get(f"{V1}/source-videos/{source.pk}/usage/").json()
    assert answer["segment_count"] == 1
    expected = {"kind": "project", "id": str(project), "name": "Summer", "segment_id": str(segment.pk)}
    assert expected in answer["dependants"]
