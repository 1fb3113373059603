"""Small footage for tests, made when needed. Every picture carries its frame number, so exactness can be proven.

The number is drawn as twelve upright bars, bit 0 on the left, in Gray code (neighbours differ in one bar,
so a blended picture is off by one at most). `read_numbers` reads it back from any file, after ffmpeg's
autorotate. The sound is seeded noise (its shift against another copy can be measured to the sample,
`sound_shift`) or a tone with clicks on every half second.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec

import numpy as np
from numpy.typing import NDArray

from jobs import ffmpeg

BITS = 12
SAMPLE_RATE = 48_000
LIMITS = ffmpeg.Limits(cpu_seconds=60, wall_seconds=120)
KEPT_BYTES = 2**20
P = ParamSpec("P")

_NUMBER = "mod(floor(N/pow(2,X))+floor(N/pow(2,X+1)),2)*200+28"
SOUNDS = {
    "noise": "anoisesrc=seed=7:amplitude=0.4:r={rate},lowpass=f=6000",
    "clicks": "aevalsrc='if(lt(mod(t,0.5),0.002),0.9,0.05*sin(2*PI*440*t))':s={rate}",
    "tone": "sine=f=440:r={rate}",
}
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def made_once(make: Callable[Concatenate[Path, P], Path]) -> Callable[Concatenate[Path, P], Path]:
    """Has a file like one that this process made before (same options, same suffix) copied, if it is small."""
    kept: dict[str, bytes] = {}

    @wraps(make)
    def made(path: Path, /, *args: P.args, **options: P.kwargs) -> Path:
        key = repr((path.suffix, args, sorted(options.items())))
        if key in kept:
            path.write_bytes(kept[key])
        elif make(path, *args, **options).stat().st_size <= KEPT_BYTES:
            kept[key] = path.read_bytes()
        return path

    return made


@made_once
def make_clip(
    path: Path,
    seconds: float = 2,
    size: tuple[int, int] = (320, 240),
    fps: float | str = 30,
    audio: bool = True,
    *,
    sound: str = "noise",
    sound_delay: float = 0.0,
    channels: int = 2,
    rotation: int = 0,
    vfr: bool = False,
    sar: str | None = None,
    codec: str = "libx264",
    audio_codec: str | None = None,
    pix_fmt: str = "yuv420p",
    gop: int = 15,
    bframes: int = 2,
    hdr: bool = False,
    extra: Sequence[str] = (),
) -> Path:
    """Write a clip whose pictures are numbered from 0; returns `path`, whose suffix chooses the container.

    `size`: as displayed after rotation (before `sar` stretches the width); `rotation`: degrees clockwise
    that a player has to turn it; `vfr`: two of seven frames are left out, their numbers too; `sound_delay`:
    seconds by which the sound starts later than the pictures; `hdr`: tagged as HLG
    (needs a 10-bit `pix_fmt`); `extra`: more output options.
    """
    width, height = size
    picture = [f"color=s={BITS}x2:r={fps}:d={seconds}", "format=gray", f"geq=lum='{_NUMBER}'"]
    picture += [f"scale={width}:{height}:flags=neighbor", f"format={pix_fmt}"]
    if vfr:
        picture.append("select='not(eq(mod(n,7),3)+eq(mod(n,7),4))'")
    turns = {0: [], 90: ["transpose=cclock"], 180: ["hflip", "vflip"], 270: ["transpose=clock"]}[rotation]
    picture += turns
    picture.append(f"setsar={sar or 1}")
    if hdr:
        picture.append("setparams=color_primaries=bt2020:color_trc=arib-std-b67:colorspace=bt2020nc:range=tv")
    args = ["-f", "lavfi", "-i", ",".join(picture)]
    if audio:
        noise = SOUNDS[sound].format(rate=SAMPLE_RATE)
        args += ["-itsoffset", str(sound_delay)] if sound_delay else []
        args += ["-f", "lavfi", "-t", str(seconds - sound_delay), "-i", noise]
        args += ["-ac", str(channels)] if channels != 6 else ["-af", "pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0"]
        args += ["-c:a", audio_codec or ("libopus" if path.suffix == ".webm" else "aac")]
    args += ["-c:v", codec, "-g", str(gop), "-fps_mode", "passthrough", "-threads", "2"]
    if codec in ("libx264", "libx265"):
        args += [
            "-bf",
            str(bframes),
            "-preset",
            "ultrafast" if codec == "libx265" else "veryfast",
            "-crf",
            "20",
        ]
    if codec == "libx264":
        args += ["-x264-params", f"keyint={gop}:min-keyint={gop}:scenecut=0:b-adapt=0"]
    if codec == "libx265":
        args += ["-x265-params", f"log-level=none:keyint={gop}:min-keyint={gop}", "-tag:v", "hvc1"]
    if codec in ("libvpx", "libvpx-vp9"):
        args += ["-b:v", "400k", "-deadline", "realtime", "-cpu-used", "6"]
    plain = path.with_name(f"unturned-{path.name}") if rotation else path
    ffmpeg.run([*args, *extra, ffmpeg.file_url(plain)], limits=LIMITS)
    if rotation:
        turned = ["-display_rotation:v:0", str(-rotation), *ffmpeg.input_args(plain), "-c", "copy"]
        ffmpeg.run([*turned, ffmpeg.file_url(path)], limits=LIMITS)
        plain.unlink()
    return path


def make_phone_clip(path: Path, seconds: float = 2) -> Path:
    """Upright phone footage: stored lying, display matrix of 90°, variable frame rate."""
    return make_clip(path, seconds, (240, 320), rotation=90, vfr=True)


def make_anamorphic_clip(path: Path, seconds: float = 2) -> Path:
    """Pixels wider than high: 240 × 240 stored, 320 × 240 shown."""
    return make_clip(path, seconds, (240, 240), sar="4/3")


def make_hevc_clip(path: Path, seconds: float = 2) -> Path:
    """HEVC with B-frames, as hvc1 in MP4."""
    return make_clip(path, seconds, codec="libx265")


def make_webm_clip(path: Path, seconds: float = 2, codec: str = "libvpx-vp9") -> Path:
    """VP9 (or `libvpx`: VP8) with Opus."""
    return make_clip(path, seconds, codec=codec)


def make_422_clip(path: Path, seconds: float = 2) -> Path:
    """H.264 High 4:2:2, which browsers do not play."""
    return make_clip(path, seconds, pix_fmt="yuv422p")


def make_surround_clip(path: Path, seconds: float = 2) -> Path:
    """Six channels of sound."""
    return make_clip(path, seconds, channels=6)


def make_silent_clip(path: Path, seconds: float = 2) -> Path:
    """No sound stream at all."""
    return make_clip(path, seconds, audio=False)


def make_sound(path: Path, seconds: float = 2, sound: str = "noise") -> Path:
    """A file with sound only; the suffix chooses the form."""
    source = SOUNDS[sound].format(rate=SAMPLE_RATE)
    ffmpeg.run(["-f", "lavfi", "-t", str(seconds), "-i", source, ffmpeg.file_url(path)], limits=LIMITS)
    return path


def read_numbers(path: Path) -> list[int]:
    """The frame numbers in the pictures of a file, in the order they are shown."""
    raw = bytearray()
    args = [*ffmpeg.input_args(path), "-map", "0:v:0", "-fps_mode", "passthrough"]
    args += ["-vf", f"scale={BITS}:1:flags=area,format=gray", "-f", "rawvideo", "pipe:1"]
    ffmpeg.run(args, limits=LIMITS, on_stdout=raw.extend)
    bars = np.frombuffer(bytes(raw), np.uint8).reshape(-1, BITS) > 128
    gray = bars @ (1 << np.arange(BITS))
    return [_from_gray(int(value)) for value in gray]


def _from_gray(code: int) -> int:
    number = 0
    while code:
        number, code = number ^ code, code >> 1
    return number


def read_sound(path: Path, start: float = 0.0, seconds: float | None = None) -> NDArray[np.float32]:
    """Mono samples at SAMPLE_RATE from `start` in source time; gaps and a late beginning are silence."""
    raw = bytearray()
    span = ["-t", str(seconds)] if seconds is not None else []
    # -copyts keeps pictures and sound on one clock even when only the sound is mapped
    shape = f"aresample={SAMPLE_RATE},aresample=async=1:min_hard_comp=0.01:first_pts=-2400,atrim=start={start}"
    args = [*ffmpeg.input_args(path), "-map", "0:a:0", "-ac", "1", "-af", shape, *span]
    ffmpeg.run([*args, "-f", "f32le", "pipe:1"], limits=LIMITS, on_stdout=raw.extend)
    return np.frombuffer(bytes(raw), np.float32)


def sound_shift(reference: NDArray[np.float32], other: NDArray[np.float32]) -> int:
    """Samples by which `other` comes later than `reference` (negative: earlier), by cross-correlation."""
    length = min(len(reference), len(other))
    a, b = (part[:length] - part[:length].mean() for part in (reference, other))
    size = 1 << (2 * length - 1).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    best = int(correlation.argmax())
    return best - size if best > size // 2 else best
