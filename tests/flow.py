"""The main job as a script does it: footage in, segments, a project, a finished clip out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from tests.stack import Api, wait_until

Span = tuple[float, float]


@dataclass(frozen=True)
class Flow:
    """The ids of what was made, and the job that made the clip."""

    source: dict[str, Any]
    segments: list[dict[str, Any]]
    project: dict[str, Any]
    job: dict[str, Any]
    clip: dict[str, Any]


def upload(api: Api, video: Path, name: str = "Footage", seconds: float = 120) -> dict[str, Any]:
    """The source once it is ready."""
    with video.open("rb") as file:
        source = api.call("POST", "source-videos/", expect=201, files={"video": file}, data={"name": name})
    return wait_for_source(api, source["id"], seconds)


def wait_for_source(api: Api, source_id: str, seconds: float = 120, *, end: str = "ready") -> dict[str, Any]:
    def ended() -> Any:
        source = api.get(f"source-videos/{source_id}/")
        return source if source["state"] in {"ready", "failed"} else None

    source: dict[str, Any] = wait_until(ended, seconds, f"source {source_id} to be ready")
    assert source["state"] == end, source
    return source


def make_project(
    api: Api, source: dict[str, Any], spans: Sequence[Span]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A project of the spans of one source, in that order."""
    segments = [
        api.post(
            f"source-videos/{source['id']}/segments/", {"start_time": start, "end_time": end, "keywords": ["main"]}
        )
        for start, end in spans
    ]
    project = api.post("projects/", {"name": "Project"})
    api.call(
        "PUT", f"projects/{project['id']}/segments/", json={"segment_ids": [segment["id"] for segment in segments]}
    )
    return project, segments


def make_clip(api: Api, video: Path, spans: Sequence[Span], quality: str = "draft", seconds: float = 180) -> Flow:
    source = upload(api, video)
    project, segments = make_project(api, source, spans)
    job = api.post(f"projects/{project['id']}/generate/", {"preset": "tiktok", "quality": quality}, expect=202)
    job = api.wait_for_job(job, seconds)
    (made,) = job["result"]["clips"]
    return Flow(source, segments, project, job, api.get(f"clips/{made['id']}/"))


@dataclass(frozen=True)
class Probed:
    width: int
    height: int
    video_codec: str
    audio_codec: str
    sample_rate: int
    frame_rate: float
    video_seconds: float


def probe(path: Path) -> Probed:
    """What a clip is, by its own streams; the length by counting its frames."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        rate = float(video.average_rate or 0)
        facts = (video.width, video.height, video.codec_context.name, audio.codec_context.name, audio.rate, rate)
        frames = sum(1 for packet in container.demux(video) if packet.pts is not None)
    return Probed(*facts, video_seconds=frames / rate)
