"""What a file is, as the rules of the networks ask about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from editai.clips.models import Clip
from editai.clips.render.spec import SAMPLE_RATE, Preset, Quality
from editai.clips.selectors import media_facts

LUFS, TRUE_PEAK = "lufs", "true_peak_dbtp"  # what a rendition's facts have beyond a clip's, for a clip has columns


@dataclass(frozen=True)
class Media:
    """Plain facts; None: not known. `size` in bytes, sides in pixels as shown, `video_bitrate` in bits per second,
    `audio_rate` in hertz. `has_sound`: whether there is a sound stream. `is_measured`: the loudness was measured, so
    that no `lufs` means silence."""

    seconds: float | None = None
    size: int | None = None
    container: str | None = None
    faststart: bool | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    video_codec: str | None = None
    pix_fmt: str | None = None
    video_bitrate: int | None = None
    has_sound: bool | None = None
    audio_codec: str | None = None
    audio_rate: int | None = None
    audio_channels: int | None = None
    is_measured: bool = False
    lufs: float | None = None
    true_peak: float | None = None

    @property
    def aspect(self) -> float | None:
        """Width by height."""
        return self.width / self.height if self.width and self.height else None

    @property
    def sides(self) -> tuple[int, int] | None:
        """(shorter, longer)."""
        return (min(self.width, self.height), max(self.width, self.height)) if self.width and self.height else None


def of_facts(
    facts: Mapping[str, Any], *, lufs: float | None = None, true_peak: float | None = None, is_measured: bool = False
) -> Media:
    """From what `editai.clips.render.facts.describe` says of a file, and what was measured on its sound."""
    video: Mapping[str, Any] = facts.get("video") or {}
    audio: Mapping[str, Any] = facts.get("audio") or {}
    return Media(
        seconds=facts.get("duration_seconds"),
        size=facts.get("size"),
        container=facts.get("container"),
        faststart=facts.get("faststart"),
        width=video.get("width"),
        height=video.get("height"),
        fps=video.get("frame_rate"),
        video_codec=video.get("codec"),
        pix_fmt=video.get("pix_fmt"),
        video_bitrate=video.get("bit_rate") or facts.get("bit_rate"),
        has_sound=bool(audio) if "audio" in facts else None,
        audio_codec=audio.get("codec"),
        audio_rate=audio.get("sample_rate"),
        audio_channels=audio.get("channels"),
        is_measured=is_measured,
        lufs=lufs,
        true_peak=true_peak,
    )


def of_rendition(media: Mapping[str, Any]) -> Media:
    """From `Rendition.media`."""
    return of_facts(media, lufs=media.get(LUFS), true_peak=media.get(TRUE_PEAK), is_measured=LUFS in media)


def of_clip(clip: Clip) -> Media:
    """A clip's file; for one rendered before facts were kept: what the renderer makes of its preset in any case.

    Load the clip with its `file`, `preset` and `media`, or this asks for each.
    """
    facts = media_facts(clip)
    if facts is not None:
        return of_facts(
            facts,
            lufs=clip.loudness_lufs,
            true_peak=clip.true_peak_dbtp,
            is_measured=clip.rendered_at is not None,
        )
    if clip.file is None:
        return Media()
    return _by_construction(clip)


def _by_construction(clip: Clip) -> Media:
    preset = Preset(clip.preset.width, clip.preset.height, quality=Quality(clip.quality))
    width, height = preset.size
    size, seconds = clip.file.size if clip.file else 0, clip.duration_seconds
    return Media(
        seconds=seconds,
        size=size,
        container="mp4",
        faststart=True,
        width=width,
        height=height,
        fps=clip.preset.frame_rate,
        video_codec="h264",
        pix_fmt="yuv420p",
        video_bitrate=round(size * 8 / seconds) if seconds else None,  # with the sound: a little more than it is
        has_sound=True,
        audio_codec="aac",
        audio_rate=SAMPLE_RATE,
        audio_channels=2,
        is_measured=clip.rendered_at is not None,
        lufs=clip.loudness_lufs,
        true_peak=clip.true_peak_dbtp,
    )
