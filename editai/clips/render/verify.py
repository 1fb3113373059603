"""Looks at a finished clip with the eyes of somebody who did not make it."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from editai.clips.render.errors import BadOutputError
from editai.clips.render.facts import Facts, describe
from editai.clips.render.loudness import Loudness, measure, peak_is_fine
from editai.clips.render.runner import Meter
from editai.clips.render.spec import SAMPLE_RATE, Preset
from segments.media_info import MediaInfo
from segments.probe import MediaError, probe

# The last AAC packet may end later than the sound; players cut it off.
_AAC_PACKET = 1024


@dataclass(frozen=True)
class Verified:
    """What was found: its sound as measured, and what the file is (`facts.describe`)."""

    loudness: Loudness
    facts: Facts


def verify(path: Path, preset: Preset, frames: int, samples: int, meter: Meter) -> Verified:
    """Prove that `path` is the clip that was ordered, measure its sound and note what the file is.

    Checked: one H.264 High stream of the right size with square pixels, upright; exactly `frames` frames at a
    constant rate; AAC 48 kHz stereo as long as the picture; the index at the front; the peak limit. Raises
    BadOutputError with all that is wrong, FfmpegError.
    """
    try:
        info = probe(path, on_usage=meter.count)
    except MediaError as error:
        raise BadOutputError([f"the clip cannot be read: {error.code}"]) from error
    faults = [*_picture_faults(info, preset, frames), *_sound_faults(info)]
    facts = describe(path, info)
    if not facts["faststart"]:
        faults.append("the index is not at the front")
    if faults:
        raise BadOutputError(faults)
    found = measure([path], meter, seconds=samples / SAMPLE_RATE)
    if abs(found.samples - samples) > _AAC_PACKET:
        raise BadOutputError([f"{found.samples} samples of sound instead of {samples}"])
    if not peak_is_fine(found, preset):
        raise BadOutputError([f"the true peak is {found.true_peak} dBTP, above {preset.peak_dbtp}"])
    return Verified(found, facts)


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
