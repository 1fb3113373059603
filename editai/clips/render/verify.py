"""Looks at a finished clip with the eyes of somebody who did not make it."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from editai.clips.render.errors import BadOutputError
from editai.clips.render.loudness import Loudness, measure, peak_is_fine
from editai.clips.render.runner import Meter
from editai.clips.render.spec import SAMPLE_RATE, Preset
from segments.media_info import MediaInfo
from segments.probe import MediaError, probe

# The last AAC packet may end later than the sound; players cut it off.
_AAC_PACKET = 1024


def verify(path: Path, preset: Preset, frames: int, samples: int, meter: Meter) -> Loudness:
    """Prove that `path` is the clip that was ordered and measure its sound.

    Checked: one H.264 High stream of the right size with square pixels, upright; exactly `frames` frames at a
    constant rate; AAC 48 kHz stereo as long as the picture; the index at the front; the peak limit. Raises
    BadOutputError with all that is wrong, FfmpegError.
    """
    try:
        info = probe(path, on_usage=meter.count)
    except MediaError as error:
        raise BadOutputError([f"the clip cannot be read: {error.code}"]) from error
    faults = [*_picture_faults(info, preset, frames), *_sound_faults(info)]
    if not index_comes_first(path):
        faults.append("the index is not at the front")
    if faults:
        raise BadOutputError(faults)
    found = measure([path], meter, seconds=samples / SAMPLE_RATE)
    if abs(found.samples - samples) > _AAC_PACKET:
        raise BadOutputError([f"{found.samples} samples of sound instead of {samples}"])
    if not peak_is_fine(found, preset):
        raise BadOutputError([f"the true peak is {found.true_peak} dBTP, above {preset.peak_dbtp}"])
    return found


def _picture_faults(info: MediaInfo, preset: Preset, frames: int) -> list[str]:
    video = info.video
    wanted: list[tuple[str, object, object]] = [
        ("container", info.container, "mov"),
        ("codec", video.codec, "h264"),
        ("profile", video.profile, "High"),
        ("pixel format", video.pix_fmt, "yuv420p"),
        ("size", (video.width, video.height), preset.size),
        ("pixel shape", video.sar, Fraction(1)),
        ("rotation", video.rotation, 0),
        ("number of frames", len(info.frames), frames),
    ]
    faults = [f"{name} is {found} instead of {right}" for name, found, right in wanted if found != right]
    steps = np.diff(info.frames.pts)
    if len(steps) and not (info.frames.time_base * preset.fps * int(steps.min()) == 1 and np.ptp(steps) == 0):
        faults.append("the frame rate is not constant")
    return faults


def _sound_faults(info: MediaInfo) -> list[str]:
    audio = info.audio
    if audio is None:
        return ["there is no sound stream"]
    found = (audio.codec, audio.sample_rate, audio.channels)
    return [] if found == ("aac", SAMPLE_RATE, 2) else [f"the sound is {found}"]


def index_comes_first(path: Path) -> bool:
    """Whether an MP4's index (moov) lies before its media (mdat): playback starts before all is loaded."""
    return next((kind for kind in _boxes(path) if kind in (b"moov", b"mdat")), None) == b"moov"


def _boxes(path: Path) -> Iterator[bytes]:
    """Types of the file's outermost boxes, in order."""
    size = path.stat().st_size
    position = 0
    with path.open("rb") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            yield kind
            if length < 8:  # 0: up to the end of the file
                break
            position += length
