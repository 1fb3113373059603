"""Builds ffmpeg's arguments: one filter graph from the sources to the finished picture, one to its sound.

Both seek on the input and keep the stream's own clock (`-copyts`, absolute seek), so what is shown is decided
by `trim` on exact ticks and not by how precise a container seeks. From there on picture and sound count in
output frames and samples. Each entry goes through a chain; `join` lines the chains up; `finish` makes the
stream that is encoded. Later floors (captions, voice, music) add their filters before `finish`.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

from editai.clips.render import encoding
from editai.clips.render.geometry import Rectangle, fitted, window
from editai.clips.render.spec import SAMPLE_RATE, Fit, Framing, Preset, RenderInput
from editai.clips.render.timeline import Slot
from jobs.ffmpeg import file_url, input_args
from segments.media_info import VideoStream

# Sound is read from this much earlier: decoders need a run-up before their first exact sample.
SOUND_RUN_UP = Fraction(1, 4)
# Without a ramp a cut through a sound wave is heard as a click.
DECLICK_SECONDS = Fraction(5, 1000)
# Where sound is missing for longer than this, silence takes its place; less is jitter of the container's clock.
GAP_SECONDS = 0.04
# The first part of a chunked picture starts here on its clock: room for frames that are decoded before zero.
PART_START_SECONDS = 10
_HD_HEIGHT = 720
_TAGS = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"


# --- inputs -------------------------------------------------------------------------------------------------
def picture_input(entry: RenderInput) -> list[str]:
    """Open the source at the keyframe before the entry, one decoding thread, no sound."""
    target = entry.start if entry.seek_pts is None else entry.seek_pts * entry.video.time_base
    return [*_open_at(target), "-threads", "1", "-an", "-sn", "-dn", *input_args(entry.path)]


def sound_input(entry: RenderInput) -> list[str]:
    return [*_open_at(entry.start - SOUND_RUN_UP), "-threads", "1", "-vn", "-sn", "-dn", *input_args(entry.path)]


def _open_at(seconds: Fraction) -> list[str]:
    clock = ["-noaccurate_seek", "-copyts", "-seek_timestamp", "1"]
    return [*clock, "-ss", _decimal(seconds)] if seconds > 0 else clock


# --- picture ------------------------------------------------------------------------------------------------
def video_entry_chain(stream: str, slot: Slot, preset: Preset, framing: Framing, label: str) -> str:
    """From the decoded `stream` to exactly `slot.frames` frames of the output's size, rate and format."""
    entry = slot.entry
    cut = [
        f"trim=start_pts={entry.start_pts}:end_pts={entry.end_pts}",
        f"setpts=PTS-({entry.start_pts})",
    ]
    if entry.video.is_interlaced:
        cut.append("bwdif=mode=send_frame")
    shape = _frame_shape(entry, preset.size, framing, label)
    rate = f"fps=fps={preset.fps}:start_time=0:round=near"
    length = [f"tpad=stop={slot.frames}:stop_mode=clone", f"trim=end_frame={slot.frames}"]
    # drop frames before they are scaled, repeat them after
    if entry.video.avg_frame_rate > preset.fps:
        before, after = [*cut, *_off_the_tie(preset), rate], length
    else:
        before, after = cut, [rate, *length]
    return f"[{stream}]{','.join(before)},{shape},{','.join(after)}[{label}]"


def _off_the_tie(preset: Preset) -> list[str]:
    """Move frames by a quarter of an output frame.

    At 60 to 30 every other frame lies half-way between two output frames, where the clock's rounding would
    decide which frames are shown. Now it is always the one on the output frame's time.
    """
    return ["settb=1/1000000", f"setpts=PTS+{round(250_000 / preset.fps)}"]


def _frame_shape(entry: RenderInput, size: tuple[int, int], framing: Framing, label: str) -> str:
    """Crop and scale to the output frame; scaling last and only what is shown."""
    video = entry.video
    if framing.fit is Fit.FILL:
        return f"{_crop(window(video, entry.crop, size))},{to_output_colors(video, *size)}"
    shown = window(video, entry.crop, None)
    place = fitted(video, shown, size)
    inner = f"{_crop(shown)},{to_output_colors(video, place.width, place.height)}"
    if framing.fit is Fit.PAD:
        return f"{inner},pad={size[0]}:{size[1]}:{place.x}:{place.y}:color={framing.color}"
    ground = window(video, entry.crop, size)
    small = max(2, size[0] // 8 * 2), max(2, size[1] // 8 * 2)
    blurred = (
        f"{_crop(ground)},{to_output_colors(video, small[0], small[1], flags='bilinear')},"
        f"gblur=sigma={max(2, small[0] // 24)}:steps=2,lutyuv=y=val*0.7,"
        f"scale={size[0]}:{size[1]}:flags=bilinear"
    )
    a, b, front, back = (f"{label}{part}" for part in ("a", "b", "front", "back"))
    return (
        f"split[{a}][{b}];[{a}]{blurred}[{back}];[{b}]{inner}[{front}];"
        f"[{back}][{front}]overlay={place.x}:{place.y}:format=yuv420:eof_action=repeat"
    )


def _crop(part: Rectangle) -> str:
    return f"crop={part.width}:{part.height}:{part.x}:{part.y}:exact=1"


def to_output_colors(video: VideoStream, width: int, height: int, flags: str = "bicubic") -> str:
    """Scale to square pixels, 8-bit 4:2:0, BT.709 in TV range; HDR is tone-mapped to ordinary brightness."""
    size = f"scale={width}:{height}:flags={flags}"
    if video.is_hdr:
        return (
            f"{size},setsar=1,zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,"
            f"tonemap=tonemap=mobius:desat=0,zscale=t=bt709:m=bt709:r=tv,format=yuv420p,{_TAGS}"
        )
    # ffmpeg takes unmarked colours for BT.601, which is right for small pictures only
    is_unmarked_hd = video.color_space == "unknown" and min(video.width, video.height) >= _HD_HEIGHT
    matrix = "in_color_matrix=bt709:" if is_unmarked_hd and video.pix_fmt.startswith("yuv") else ""
    return f"{size}:{matrix}out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p,{_TAGS}"


# --- sound --------------------------------------------------------------------------------------------------
def audio_entry_chain(stream: str | None, slot: Slot, label: str) -> str:
    """Exactly `slot.samples` samples of 48 kHz stereo; without a `stream` they are silent."""
    length = f"apad=whole_len={slot.samples},atrim=end_sample={slot.samples}"
    if stream is None:
        return f"anullsrc=r={SAMPLE_RATE}:cl=stereo,{_SOUND_FORMAT},atrim=end_sample={slot.samples}[{label}]"
    entry = slot.entry
    parts = [
        f"atrim=start={_decimal(entry.start)}:end={_decimal(entry.end + 1)}",
        f"asetpts=PTS-({entry.start.numerator}/{entry.start.denominator})/TB",
        # silence before a late start and in gaps, by the clock of the stream
        f"aresample={SAMPLE_RATE}:async=1:min_hard_comp={GAP_SECONDS}:first_pts=0",
        _SOUND_FORMAT,
    ]
    if entry.gain != 1:
        parts.append(f"volume={entry.gain:.6f}:precision=float")
    return f"[{stream}]{','.join(parts)},{length},{_ramps(slot)}[{label}]"


_SOUND_FORMAT = "aformat=sample_fmts=fltp:channel_layouts=stereo"


def _ramps(slot: Slot) -> str:
    rise = _ramp_samples(slot.entry.fade_in, slot.samples)
    fall = _ramp_samples(slot.entry.fade_out, slot.samples)
    return f"afade=t=in:ss=0:ns={rise},afade=t=out:ss={slot.samples - fall}:ns={fall}"


def _ramp_samples(fade: float, samples: int) -> int:
    seconds = max(Fraction(fade), DECLICK_SECONDS)
    return max(1, min(int(seconds * SAMPLE_RATE), samples // 2 if fade == 0 else samples))


# --- whole graphs -------------------------------------------------------------------------------------------
def join(labels: Sequence[str], *, video: bool, into: str) -> str:
    """Line up chains of one kind. They have whole frames or samples, so nothing is padded between them."""
    streams = "v=1:a=0" if video else "v=0:a=1"
    return f"{''.join(f'[{label}]' for label in labels)}concat=n={len(labels)}:{streams}[{into}]"


def finish_video(preset: Preset, source: str, into: str) -> str:
    """Number the frames: constant rate, whatever the joining made of the clock."""
    return f"[{source}]settb={preset.fps.denominator}/{preset.fps.numerator},setpts=N,setsar=1[{into}]"


def picture_graph(slots: Sequence[Slot], preset: Preset, framing: Framing) -> str:
    """The filter graph of these slots; result `[picture]`; input n is slot n."""
    chains = [
        video_entry_chain(f"{n}:{slot.entry.video.index}", slot, preset, framing, f"v{n}")
        for n, slot in enumerate(slots)
    ]
    labels = [f"v{n}" for n in range(len(slots))]
    return ";".join([*chains, join(labels, video=True, into="joined"), finish_video(preset, "joined", "picture")])


def picture_command(
    slots: Sequence[Slot], preset: Preset, framing: Framing, out: Path, *, threads: int, part: bool = False
) -> list[str]:
    """Encode the picture of these slots without sound into `out`.

    `part`: one of several that follow each other: an MPEG-TS whose clock goes on from the part before, so that
    the files need only be appended.
    """
    args = _flat(picture_input(slot.entry) for slot in slots)
    args += ["-filter_complex", picture_graph(slots, preset, framing), "-map", "[picture]"]
    args += [*encoding.picture(preset, threads), *_CLEAN]
    if part:
        start = PART_START_SECONDS + slots[0].first_frame / preset.fps
        args += ["-output_ts_offset", _decimal(start), "-muxdelay", "0", "-muxpreload", "0"]
        return [*args, "-avoid_negative_ts", "disabled", "-f", "mpegts", file_url(out)]
    return [*args, *encoding.track_clock(preset), "-f", "mp4", file_url(out)]


def sound_command(slots: Sequence[Slot], out: Path, *, silent: frozenset[int] = frozenset()) -> list[str]:
    """Mix the sound of these slots into the float WAV `out`. `silent`: numbers of entries that get silence."""
    args: list[str] = []
    chains: list[str] = []
    inputs = 0
    for n, slot in enumerate(slots):
        audio = slot.entry.audio
        stream = None
        if audio is not None and slot.entry.is_audible and slot.number not in silent:
            args += sound_input(slot.entry)
            stream = f"{inputs}:{audio.index}"
            inputs += 1
        chains.append(audio_entry_chain(stream, slot, f"a{n}"))
    chains.append(join([f"a{n}" for n in range(len(slots))], video=False, into="sound"))
    args += ["-filter_complex", ";".join(chains), "-map", "[sound]"]
    return [*args, *encoding.INTERMEDIATE_SOUND, *_CLEAN, file_url(out)]


def mux_command(picture: Path, sound: Path, preset: Preset, out: Path) -> list[str]:
    """Put finished picture and sound into one MP4, index first, nothing encoded again."""
    args = [*input_args(picture), *input_args(sound), "-map", "0:v:0", "-map", "1:a:0", "-c", "copy"]
    args += [*encoding.track_clock(preset), "-movflags", "+faststart"]
    return [*args, *_CLEAN, "-f", "mp4", file_url(out)]


# Nothing of the sources' metadata (places, names) reaches the clip; same input, same bytes.
_CLEAN = ["-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]


def _flat(parts: Iterable[list[str]]) -> list[str]:
    return [word for part in parts for word in part]


def _decimal(seconds: Fraction) -> str:
    """Seconds for ffmpeg's options: microseconds, rounded down so that the wanted frame is not before it."""
    micros = (seconds * 1_000_000).__floor__()
    sign = "-" if micros < 0 else ""
    return f"{sign}{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06d}"
