"""Carries out a plan with ffmpeg: picture and sound each encoded at most once, from the clip's own file."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from editai.clips.render import encoding
from editai.clips.render.facts import facts_of
from editai.clips.render.loudness import Loudness, level, measure
from editai.clips.render.runner import Meter
from editai.clips.render.spec import SAMPLE_RATE, Preset, Quality
from jobs.execution import Attempt
from jobs.ffmpeg import file_url, input_args
from publishing.renditions.plan import Plan
from publishing.rules.media_facts import LUFS, TRUE_PEAK
from segments.media_info import MediaInfo
from segments.probe import probe

Tell = Callable[[str, float], None]

_SOUND_DONE, _PICTURE_DONE = 0.2, 0.9
_CRF = 19
_THREADS = 2
_KEYFRAME_SECONDS = 2
_FADE_SECONDS = 0.05  # where it is cut off, without it a click is heard
_CLEAN = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]


def measured(attempt: Attempt, path: Path) -> dict[str, Any]:
    """The facts of a file with the loudness of its sound, as `Rendition.media` keeps them. Raises MediaError,
    FfmpegError, Stopped."""
    facts = facts_of(path, should_stop=attempt.should_stop, on_usage=attempt.count)
    if facts["audio"] is None:
        return {**facts, LUFS: None, TRUE_PEAK: None}
    found: Loudness = measure([path], Meter(attempt.ffmpeg), seconds=facts["duration_seconds"])
    return {**facts, LUFS: found.lufs, TRUE_PEAK: found.true_peak}


def make(attempt: Attempt, source: Path, out: Path, plan: Plan, tell: Tell) -> None:
    """Writes the rendition of `source` to `out`. `tell(step, fraction of this)`. What lies beside `out` meanwhile is
    the attempt's to remove. Raises MediaError, FfmpegError, Cancelled, LeaseLost."""
    info = probe(source, should_stop=attempt.should_stop, on_usage=attempt.count)
    sound: Path | None = None
    if info.audio is not None and not plan.copies_sound:
        sound = out.with_name(f"{out.stem}-sound.m4a")
        _make_sound(attempt, source, info, sound, plan, lambda share: tell("Setting the loudness", share * _SOUND_DONE))
    picture: Path | None = None
    if not plan.copies_picture:
        picture = out.with_name(f"{out.stem}-picture.mp4")
        _make_picture(attempt, source, info, picture, plan, tell)
    tell("Putting picture and sound together", _PICTURE_DONE)
    attempt.ffmpeg(_mux(source, info, picture, sound, out), duration=plan.seconds)
    for part in (sound, picture):
        if part is not None:
            part.unlink()
    tell("Checking", 0.95)


def _make_sound(
    attempt: Attempt, source: Path, info: MediaInfo, out: Path, plan: Plan, report: Callable[[float], None]
) -> None:
    assert info.audio is not None
    samples = round(plan.seconds * SAMPLE_RATE)
    raw = out.with_suffix(".wav")
    chain = [f"[0:{info.audio.index}]aresample={SAMPLE_RATE}:async=1:first_pts=0"]
    chain += [
        "aformat=sample_fmts=flt:channel_layouts=stereo",
        f"apad=whole_len={samples}",
        f"atrim=end_sample={samples}",
    ]
    if plan.is_cut:
        chain.append(f"afade=t=out:st={max(0.0, plan.seconds - _FADE_SECONDS):.3f}:d={_FADE_SECONDS}")
    args = ["-vn", *input_args(source), "-filter_complex", f"{','.join(chain)}[out]", "-map", "[out]"]
    attempt.ffmpeg([*args, *encoding.INTERMEDIATE_SOUND, file_url(raw)], duration=plan.seconds)
    preset = Preset(quality=Quality(plan.sound_quality), loudness_lufs=plan.lufs, peak_dbtp=plan.peak)
    level([raw], out, preset, samples, Meter(attempt.ffmpeg), report)
    raw.unlink()


def _make_picture(attempt: Attempt, source: Path, info: MediaInfo, out: Path, plan: Plan, tell: Tell) -> None:
    def progress(seconds: float) -> None:
        share = min(1.0, seconds / plan.seconds)
        tell("Encoding the picture", _SOUND_DONE + (_PICTURE_DONE - _SOUND_DONE) * share)

    tell("Encoding the picture", _SOUND_DONE)
    graph = f"[0:{info.video.index}]{','.join(_filters(plan))}[out]"
    args = ["-an", *input_args(source), "-filter_complex", graph, "-map", "[out]", *_encoder(plan)]
    attempt.ffmpeg([*args, "-f", "mp4", file_url(out)], duration=plan.seconds, on_progress=progress)


def _filters(plan: Plan) -> list[str]:
    (wide, high), (width, height) = plan.inner, plan.canvas
    return [
        f"fps=fps={plan.fps}:start_time=0:round=near",
        f"scale={wide}:{high}:flags=bicubic",
        f"pad={width}:{height}:(ow-iw)/2:(oh-ih)/2:color=black",
        "setsar=1",
        f"tpad=stop={plan.frames}:stop_mode=clone",
        f"trim=end_frame={plan.frames}",
        "format=yuv420p",
    ]


def _encoder(plan: Plan) -> list[str]:
    """As good as it gets below the ceiling: what fills up within a second of it never exceeds the size that is left."""
    return [
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", str(_CRF), "-profile:v", "high", "-pix_fmt", "yuv420p"),
        *("-maxrate", str(plan.max_bitrate), "-bufsize", str(_buffer(plan))),
        *("-g", str(max(1, round(plan.fps * _KEYFRAME_SECONDS))), "-x264-params", "open-gop=0"),
        *("-threads", str(_THREADS), "-fps_mode", "passthrough"),
    ]


def _buffer(plan: Plan) -> int:
    """Bits that the encoder may be ahead by: a second's worth, less for a short clip, where it would show."""
    return max(1_000, round(plan.max_bitrate * min(Fraction(1), Fraction(plan.frames) / plan.fps / 20)))


def _mux(source: Path, info: MediaInfo, picture: Path | None, sound: Path | None, out: Path) -> list[str]:
    inputs = [*input_args(source)]
    maps: list[str] = []
    number = 0
    for made, stream in ((picture, info.video), (sound, info.audio)):
        if made is not None:
            number += 1
            inputs += input_args(made)
            maps += ["-map", f"{number}:0"]
        elif stream is not None:
            maps += ["-map", f"0:{stream.index}"]
    tag = ["-tag:v", "hvc1"] if picture is None and info.video.codec == "hevc" else []
    flags = ["-c", "copy", *tag, "-movflags", "+faststart", "-brand", "mp42", *_CLEAN]
    return [*inputs, *maps, *flags, "-f", "mp4", file_url(out)]


def tightened(plan: Plan, size: int) -> Plan:
    """The plan again with fewer bits, after it gave a file of `size` bytes that was too large."""
    limit = plan.max_bytes or size
    bitrate = max(1_000, int(plan.max_bitrate * min(0.85, 0.9 * limit / size)))
    return replace(plan, max_bitrate=bitrate, copies_picture=False)
