"""Exact cuts: which frames and samples of a source a span is, as ffmpeg arguments, and a file made of them.

Everything works on the source's own clock: `-copyts` keeps the ticks that the frame index holds, so a frame
is named by its integer tick and no rounding of `-ss` can move a cut. The seek only has to land early
enough.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from jobs import ffmpeg
from segments.media_info import MediaInfo
from segments.probe import MediaError, probe

SAMPLE_RATE = 48_000
# Sound decoders need some packets before the wanted sample (Opus asks for 80 ms), some seeks go by decoding
# time.
PREROLL_SECONDS = 0.4
# Right after a seek the times of sound can be off (laced Vorbis: 10 ms), so this much of it is thrown away.
SETTLING_SECONDS = 0.2
# aresample starts at first_pts by adding silence exactly or by dropping sound inexactly, and leaves less
# than 1 ms alone: so it is told to start this much too early, where it always adds.
LEAD_SAMPLES = 2400
# Transport streams are entered anywhere, not at keyframes.
TS_PREROLL_SECONDS = 1.5
HDR_TO_SDR = (
    "zscale=tin={transfer}:min=bt2020nc:pin=bt2020:rin=tv:t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,"
    "tonemap=tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv"
)


@dataclass(frozen=True)
class Cut:
    """A cut file as it came out. `info.frames` has `frames_expected` frames unless the source is damaged."""

    info: MediaInfo
    usage: ffmpeg.Usage
    frames_expected: int


def input_for(source: Path, info: MediaInfo, first: int = 0) -> list[str]:
    """Arguments that open `source` so that frame `first` and the sound before it come soon.

    Sets `-copyts`: all times are ticks of the source; use them with `video_window` and `audio_window` only.
    """
    begin = seek_seconds(info, first)
    seek = ["-ss", f"{begin:.6f}"] if begin > 0 else []
    return ["-copyts", *seek, *ffmpeg.input_args(source)]


def seek_seconds(info: MediaInfo, first: int) -> float:
    """Source time from which to decode so that frame `first` is whole; 0 means from the beginning."""
    if "mpegts" in info.container:
        return max(0.0, info.frames.time(info.frames.keyframe_at_or_before(first)) - TS_PREROLL_SECONDS)
    return max(0.0, info.frames.time(first) - PREROLL_SECONDS)


def video_window(info: MediaInfo, first: int, end: int) -> str:
    """Filters that pass exactly the frames [first, end), the first one at time 0, distances unchanged."""
    start, stop = info.frames.tick(first), info.frames.tick(end)
    # the last frame of the file has no successor that could be cut off by mistake
    until = "" if end == len(info.frames) else f":end_pts={stop}"
    return f"trim=start_pts={start}{until},setpts=PTS-({start})"


def audio_window(info: MediaInfo, first: int, end: int) -> str:
    """Filters that give the sound of the frames [first, end) as 48 kHz stereo, silence where there is none.

    The length is that of the frames to the sample (20 µs), the first sample belongs to the first frame.
    """
    frames = info.frames
    begin = seek_seconds(info, first)
    chain = ""
    if begin > 0:
        begin += SETTLING_SECONDS
        chain = f"atrim=start={begin + float(frames.zero_pts * frames.time_base):.6f},"
    start, stop = samples(info, frames.tick(first)), samples(info, frames.tick(end))
    return f"{chain}{steady_sound(info, begin)},apad,atrim=start_pts={start}:end_pts={stop},asetpts=PTS-({start})"


def steady_sound(info: MediaInfo, begin: float = 0.0) -> str:
    """Filters to 48 kHz stereo without holes, beginning shortly before source time `begin`.

    Sound that begins later is preceded by silence; sound before `begin` must have been cut away.
    """
    first = samples(info, info.frames.zero_pts) + round(begin * SAMPLE_RATE) - LEAD_SAMPLES
    # first_pts counts in samples of the input's rate: so the rate changes in a filter before. Sound follows its
    # time stamps to 10 ms, so that a whole film and a cut of it agree; more strictness would hear rounded ones.
    steady = f"aresample={SAMPLE_RATE},aresample=async=1:min_hard_comp=0.01:first_pts={first}"
    return f"{steady},aformat=sample_fmts=fltp:channel_layouts=stereo"


def samples(info: MediaInfo, tick: int) -> int:
    """A tick of the source's pictures as a number of samples at SAMPLE_RATE."""
    return round(Fraction(tick) * info.frames.time_base * SAMPLE_RATE)


def square_picture(info: MediaInfo, width: int, height: int) -> str:
    """Filters to an 8-bit 4:2:0 picture of the given even size with square pixels, HDR brought to SDR.

    The rotation is ffmpeg's own (autorotate, before any filter): nothing here turns the picture.
    """
    scale = f"scale={width}:{height}:flags=bicubic"
    if info.video.is_hdr:
        tone = HDR_TO_SDR.format(transfer=info.video.color_transfer)
        return f"{scale},{tone},format=yuv420p,setsar=1"
    return f"{scale}:out_range=tv,format=yuv420p,setsar=1"


def even(value: float) -> int:
    """The nearest even number of pixels, at least 2, as 4:2:0 needs it."""
    return max(2, round(value / 2) * 2)


def cut(
    source: Path,
    info: MediaInfo,
    first: int,
    end: int,
    out: Path,
    *,
    run: Callable[..., ffmpeg.Result] = ffmpeg.run,
    limits: ffmpeg.Limits | None = None,
    on_progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Cut:
    """Write frames [first, end) of `source` and their sound to `out`, an MP4 that browsers play.

    H.264 4:2:0 (crf 18) with the frame times of the source, square pixels, upright; AAC stereo when the
    source has sound, within 1 ms of the frames. The result is probed; should frames be missing (a seek that
    landed too late), it is cut again from the beginning of the source. `run` is `ffmpeg.run` or a job's
    runner with the same keywords. Raises ValueError for an empty span, ffmpeg.FfmpegError, ffmpeg.Stopped,
    MediaError.
    """
    if not 0 <= first < end <= len(info.frames):
        raise ValueError("expected 0 <= first < end <= number of frames")
    usage = ffmpeg.Usage()
    result: MediaInfo | None = None
    # a job's runner brings its own limits and its own way to stop: only what was asked for is passed on
    asked = {"limits": limits, "on_progress": on_progress, "should_stop": should_stop}
    watch = {name: value for name, value in asked.items() if value is not None}
    seconds = info.frames.time(end) - info.frames.time(first)
    attempts = (True, False) if seek_seconds(info, first) > 0 else (False,)
    for seeking in attempts:
        done = run(_cut_args(source, info, first, end, out, seeking=seeking), duration=seconds, **watch)
        usage += done.usage
        children: list[ffmpeg.Usage] = []
        try:
            result = probe(out, should_stop=should_stop, on_usage=children.append)
        except MediaError:
            if not seeking:
                raise
            continue
        usage = sum(children, usage)
        if len(result.frames) == end - first:
            break
    if result is None:  # the last attempt either raised or gave a result
        raise MediaError("no_frames", usage)
    return Cut(result, usage, end - first)


def _cut_args(source: Path, info: MediaInfo, first: int, end: int, out: Path, *, seeking: bool) -> list[str]:
    size = even(info.video.display_width), even(info.video.display_height)
    opened = input_for(source, info, first) if seeking else input_for(source, info)
    picture = f"{video_window(info, first, end)},{square_picture(info, *size)}"
    args = [*opened, "-map", f"0:{info.video.index}", "-vf", picture]
    args += ["-fps_mode", "passthrough", "-enc_time_base", "filter"]
    args += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-threads", "2"]
    if info.audio:
        args += ["-map", f"0:{info.audio.index}", "-af", audio_window(info, first, end)]
        args += ["-c:a", "aac", "-b:a", "192k"]
    return [*args, *PLAIN_MP4, ffmpeg.file_url(out)]


# No tags, chapters or data tracks of the source (phones write the place of recording), index at the front.
PLAIN_MP4 = (
    "-map_metadata",
    "-1",
    "-map_chapters",
    "-1",
    "-dn",
    "-sn",
    "-movflags",
    "+faststart",
    "-f",
    "mp4",
)
