"""The main job over the API, the jobs run in this process: upload, ingest, segments, project, clip, stream."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from conftest import Person
from editai.clips.tests.conftest import run
from segments.probe import probe
from segments.tests.footage import make_clip

pytestmark = pytest.mark.django_db(transaction=True)
API = "/api/v1/"


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_from_an_upload_to_a_clip(owner: Person, tmp_path: Path) -> None:
    client = owner.client
    path = make_clip(tmp_path / "beach.mp4", seconds=3, sound="tone")
    video = SimpleUploadedFile("beach.mp4", path.read_bytes(), "video/mp4")
    answer = client.post(f"{API}source-videos/", {"video": video, "name": "Beach"}, format="multipart")
    assert answer.status_code == 201, answer.content
    source = answer.json()
    assert run(source["ingest"]["id"]).status == "succeeded"
    source = client.get(f"{API}source-videos/{source['id']}/").json()
    assert source["state"] == "ready"

    spans = [(0.0, 0.5), (1.0, 1.4), (2.0, 2.6)]
    segments = []
    for start, end in spans:
        body = {"start_time": start, "end_time": end, "keywords": ["sea"]}
        made = client.post(f"{API}source-videos/{source['id']}/segments/", body, format="json")
        assert made.status_code == 201, made.content
        segments.append(made.json()["id"])

    project = client.post(f"{API}projects/", {"name": "Summer"}, format="json").json()
    url = f"{API}projects/{project['id']}/"
    lineup = client.put(f"{url}segments/", {"segment_ids": segments[::-1]}, format="json").json()
    assert lineup["segment_ids"] == segments[::-1]
    assert lineup["total_duration"] == pytest.approx(1.5, abs=0.04)
    answer = client.post(f"{url}generate/", {"variant_count": 2, "quality": "draft"}, format="json")
    assert answer.status_code == 202, answer.content
    job = run(answer.json()["id"])
    assert job.status == "succeeded"
    shown = client.get(f"{API}jobs/{job.pk}/").json()
    assert (shown["status"], shown["progress"], len(shown["result"]["clips"])) == ("succeeded", 100, 2)

    for listed in shown["result"]["clips"]:
        clip = client.get(f"{API}clips/{listed['id']}/").json()
        assert (clip["state"], clip["is_stale"], clip["project"]) == ("ready", False, project["id"])
        whole = body_of(client.get(clip["links"]["video"]))
        assert len(whole) == clip["size"]
        part = client.get(f"{API}clips/{clip['id']}/stream/", headers={"Range": "bytes=4-11"})
        assert (part.status_code, body_of(part)) == (206, b"ftypisom")
        out = tmp_path / "out.mp4"
        out.write_bytes(whole)
        info = probe(out)
        assert abs(len(info.frames) / 30 - lineup["total_duration"]) <= 1 / 30 + 1e-6
        assert clip["loudness_lufs"] == pytest.approx(-14, abs=1)
        poster = body_of(client.get(clip["links"]["poster"]))
        assert poster.startswith(b"\xff\xd8")
    stale = client.patch(f"{API}segments/{segments[0]}/", {"end_time": 0.4}, format="json")
    assert stale.status_code == 200
    assert client.get(f"{API}clips/?stale=true").json()["results"]
