"""Tiny footage that breaks the rules of networks, and what is needed to have it mended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from editai.clips.models import Clip
from editai.clips.render.facts import facts_of
from editai.clips.render.loudness import measure
from editai.clips.render.runner import Meter
from jobs import ffmpeg
from jobs.execution import execute
from jobs.models import Job
from jobs.registry import kind_named
from profiles.models import Profile
from publishing.models import NetworkRule
from publishing.renditions import tasks as rendition_tasks  # noqa: F401 - its import registers the kind of job
from publishing.tests.builders import make_clip


@dataclass(frozen=True)
class Footage:
    """What to make: the picture has flat colours unless `noise`, so that it costs nothing to encode."""

    seconds: float = 4
    size: tuple[int, int] = (90, 160)
    fps: float = 25
    codec: str = "libx264"
    pix_fmt: str = "yuv420p"
    audio_codec: str = "aac"
    audio_rate: int = 48_000
    channels: int = 2
    volume: float = 0.5  # of a sine: about -9 LUFS in stereo
    noise: bool = False
    faststart: bool = True
    has_sound: bool = True
    container: str = "mp4"
    rules: Mapping[str, Any] = field(default_factory=dict)  # edited in the admin, so that small footage breaks them


def write(path: Path, wanted: Footage) -> Path:
    width, height = wanted.size
    picture = f"color=c=teal:s={width}x{height}:r={wanted.fps}:d={wanted.seconds}"
    if wanted.noise:
        picture += ",noise=alls=60:allf=t"
    args = ["-f", "lavfi", "-i", picture]
    if wanted.has_sound:
        tone = f"sine=f=440:r={wanted.audio_rate}:d={wanted.seconds},volume={wanted.volume * 8}"
        args += ["-f", "lavfi", "-i", tone, "-c:a", wanted.audio_codec, "-ac", str(wanted.channels)]
    args += ["-c:v", wanted.codec, "-pix_fmt", wanted.pix_fmt, "-threads", "2", "-g", "50"]
    args += ["-b:v", "2M"] if wanted.noise else []
    args += ["-preset", "ultrafast"] if wanted.codec.startswith("libx26") else []
    args += ["-movflags", "+faststart"] if wanted.faststart and wanted.container != "matroska" else []
    ffmpeg.run([*args, "-f", wanted.container, ffmpeg.file_url(path)])
    return path


def broken_clip(profile: Profile, folder: Path, wanted: Footage, **fields: Any) -> Clip:
    """A clip whose file really is so, with its facts as a render would have left them."""
    path = write(folder / "broken.mp4", wanted)
    facts = facts_of(path)
    found = measure([path], Meter(ffmpeg.run), seconds=wanted.seconds) if wanted.has_sound else None
    return make_clip(
        profile,
        path=path,
        media=facts,
        duration_seconds=facts["duration_seconds"],
        loudness_lufs=found and found.lufs,
        true_peak_dbtp=found and found.true_peak,
        **fields,
    )


def edit_rules(network: str, rules: Mapping[str, Any]) -> None:
    """As a superuser would."""
    for name, value in rules.items():
        values = {"value": value, "is_advice": False, "source": "A test", "checked_on": "2026-11-20", "is_edited": True}
        NetworkRule.objects.update_or_create(network=network, rule=name, defaults=values)


def run(job: Job) -> Job:
    """One attempt of a waiting job, as a worker's task would; called in the profile's scope."""
    kind = kind_named(job.kind)
    assert kind is not None
    execute(kind, str(job.profile_id), str(job.pk))
    done: Job = Job.objects.select_related("output").get(pk=job.pk)
    return done
