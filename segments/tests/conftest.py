"""Footage for tests: real clips made once a run, and sources whose rows are written without any decoding."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from conftest import Person
from jobs.execution import execute
from jobs.models import Job
from jobs.registry import kind_named
from profiles import files, scope
from profiles.models import Profile, StoredFile
from segments.media_info import AudioStream, FrameIndex, MediaInfo, VideoStream
from segments.models import Segment, SourceVideo
from segments.services import segment_create
from segments.tests.footage import make_clip

FPS = 25
V1 = "/api/v1"


@pytest.fixture(autouse=True)
def _own_folders(settings: Any, tmp_path: Path) -> None:
    default = settings.STORAGES["default"]
    options = {**default["OPTIONS"], "location": tmp_path / "media"}
    settings.STORAGES = {**settings.STORAGES, "default": {**default, "OPTIONS": options}}
    settings.SCRATCH_DIR = tmp_path / "scratch"
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    for folder in (settings.SCRATCH_DIR, settings.FILE_UPLOAD_TEMP_DIR):
        folder.mkdir(mode=0o700)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 160 × 120, 25 frames a second, with sound."""
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", 2, (160, 120), FPS)


def media_info(seconds: float = 10, fps: int = FPS, *, has_audio: bool = True) -> MediaInfo:
    """What a probe would say of a clip that does not exist."""
    base = Fraction(1, 12_800)
    step = 12_800 // fps
    count = round(seconds * fps)
    keys = np.zeros(count, np.bool_)
    keys[::fps] = True
    frames = FrameIndex(np.arange(count, dtype=np.int64) * step, keys, base, 0, count * step)
    video = VideoStream(
        0, "h264", "High", "yuv420p", 160, 120, Fraction(1), 0, 160, 120, Fraction(fps), False, base, 0, 100_000
    )
    audio = AudioStream(1, "aac", 48_000, 2, "stereo") if has_audio else None
    return MediaInfo("mov,mp4", frames.end_seconds, 1000, video, audio, frames)


def stored(profile: Profile, tmp_path: Path, suffix: str = ".mp4", content: bytes = b"0123456789") -> StoredFile:
    path = tmp_path / f"made{suffix}"
    path.write_bytes(content)
    return files.store(profile=profile, path=path, area="derived", suffix=suffix)


@pytest.fixture
def make_source(owner: Person, tmp_path: Path) -> Callable[..., SourceVideo]:
    """`make_source(seconds=10)`: a ready source of the owner's brand, or of `profile`."""

    def make(profile: Profile | None = None, seconds: float = 10, name: str = "Beach", **values: Any) -> SourceVideo:
        brand = profile or owner.profile
        info = media_info(seconds)
        with scope.activate(brand.pk):
            return SourceVideo.objects.create(
                **{
                    "profile": brand,
                    "name": name,
                    "file_name": "beach.mp4",
                    "search_text": name.lower(),
                    "state": SourceVideo.State.READY,
                    "size": 10,
                    "sha256": "0" * 64,
                    "duration_seconds": info.duration_seconds,
                    "width": 160,
                    "height": 120,
                    "frame_rate": 25.0,
                    "has_audio": True,
                    "media": info.as_dict(),
                    "frame_index": info.frames.to_bytes(),
                    "original": stored(brand, tmp_path, ".original"),
                    "poster": stored(brand, tmp_path, ".jpg"),
                    "proxy": stored(brand, tmp_path),
                    **values,
                }
            )

    return make


@pytest.fixture
def make_segment(make_source: Callable[..., SourceVideo]) -> Callable[..., Segment]:
    """`make_segment(start_time=1, end_time=3, keywords=["sea"])`, under `source` or a new one."""

    def make(source: SourceVideo | None = None, start_time: float = 1, end_time: float = 3, **values: Any) -> Segment:
        source = source or make_source()
        with scope.activate(source.profile_id):
            return segment_create(
                profile=source.profile, source_id=source.pk, by=None, start_time=start_time, end_time=end_time, **values
            )

    return make


def upload(person: Person, content: bytes | Path, name: str = "clip.mp4", /, **fields: Any) -> Any:
    data = content.read_bytes() if isinstance(content, Path) else content
    headers = fields.pop("headers", {})
    body = {"video": SimpleUploadedFile(name, data, "video/mp4"), **fields}
    return person.client.post(f"{V1}/source-videos/", body, format="multipart", headers=headers)


def content_of(answer: Any) -> bytes:
    """All bytes of a streamed answer."""
    assert answer.status_code in {200, 206}, answer.content
    return b"".join(answer.streaming_content)


def run_job(job: Job) -> Job:
    """One attempt, here and now, as a worker's task would make it."""
    kind = kind_named(job.kind)
    assert kind is not None
    execute(kind, str(job.profile_id), str(job.pk))
    return fresh(job)


def fresh(row: Any) -> Any:
    """The row as it is now in the database."""
    with scope.activate(row.profile_id):
        return type(row).objects.get(pk=row.pk)


def latest_job(profile: Profile, kind: str) -> Job:
    with scope.activate(profile.pk):
        job: Job = Job.objects.filter(kind=kind).order_by("-created_at", "-id")[0]
    return job


@pytest.fixture
def stored_objects(tmp_path: Path) -> Callable[[], set[str]]:
    """The objects in the store right now."""

    def list_objects() -> set[str]:
        root = tmp_path / "media"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    return list_objects


@pytest.fixture
def received_files(settings: Any) -> Callable[[], list[str]]:
    """Temporary uploads right now."""
    return lambda: [path.name for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir()]
