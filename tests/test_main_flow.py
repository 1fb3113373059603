"""The main job with real processes: on the embedded default, and on PostgreSQL, Redis and S3 with two machines."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from segments.tests import footage
from tests import stack
from tests.flow import make_clip, probe
from tests.production import production
from tests.stack import Installation

SPANS = [(0.5, 1.5), (2.0, 2.8), (0.0, 0.7)]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("footage") / "footage.mp4"
    footage.make_clip(path, seconds=3, size=(320, 240), fps=30, audio=True)
    return path


def check_flow(installation: Installation, video: Path, tmp_path: Path) -> None:
    api, stranger = installation.person("olga"), installation.person("stan")
    flow = make_clip(api, video, SPANS)
    path = api.download(f"clips/{flow.clip['id']}/stream/", tmp_path / "clip.mp4")
    clip = probe(path)
    wanted = sum(segment["end_time"] - segment["start_time"] for segment in flow.segments)
    assert (clip.video_codec, clip.audio_codec, clip.sample_rate) == ("h264", "aac", 48_000)
    assert clip.width * 16 == clip.height * 9
    assert abs(clip.video_seconds - wanted) <= 1 / 30 + 1e-6
    for address in (
        f"clips/{flow.clip['id']}/",
        f"source-videos/{flow.source['id']}/stream/",
        f"segments/{flow.segments[0]['id']}/",
        f"projects/{flow.project['id']}/",
        f"jobs/{flow.job['id']}/",
    ):
        stranger.get(address, expect=404)
    part = api.session.get(
        f"{installation.url}/api/v1/clips/{flow.clip['id']}/stream/", headers={"Range": "bytes=10-19"}, timeout=30
    )
    assert (part.status_code, part.content) == (206, path.read_bytes()[10:20])
    for machine in installation.machines:
        assert machine.scratch() == []
        assert machine.ffmpegs() == []


@pytest.mark.embedded
def test_the_main_job_on_the_embedded_default(video: Path, tmp_path: Path) -> None:
    with stack.embedded(tmp_path) as installation:
        check_flow(installation, video, tmp_path)
        said = installation.machines[0].said()
        assert "[Profile " in said
        assert "Traceback" not in said


@pytest.fixture(scope="module")
def two_machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with production(tmp_path_factory.mktemp("production")) as installation:
        yield installation


def test_the_main_job_on_two_machines_with_postgresql_redis_and_s3(
    two_machines: Installation, video: Path, tmp_path: Path
) -> None:
    check_flow(two_machines, video, tmp_path)
    assert "Traceback" not in "".join(machine.said() for machine in two_machines.machines)
