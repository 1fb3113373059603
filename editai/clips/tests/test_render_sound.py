"""The clip's sound: in step with the picture, whole, at its loudness and below its peak."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from editai.clips.render.loudness import Loudness, measure, read_summary
from editai.clips.render.render import RenderReport, render
from editai.clips.render.runner import Meter
from editai.clips.render.spec import Preset, Quality, Recipe, RenderInput
from jobs import ffmpeg
from segments.media_info import MediaInfo
from segments.probe import probe
from segments.tests import footage

SHA = "0" * 64
SMALL = Preset(64, 64, quality=Quality.STANDARD)
AS_IS = Preset(64, 64, loudness_lufs=None)
RATE = 48_000


def cut(path: Path, media: MediaInfo, first: int, end: int, **options: Any) -> RenderInput:
    return RenderInput.of(path, SHA, media, first, end, **options)


def make(entries: list[RenderInput], tmp_path: Path, preset: Preset = SMALL) -> tuple[Path, RenderReport]:
    out, scratch = tmp_path / "out.mp4", tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return out, render(Recipe(entries, preset), out, scratch, run=ffmpeg.run)


def source(tmp_path: Path, sound: str, seconds: float = 3, name: str = "source.mov") -> Path:
    """Plain picture with the sound of an `aevalsrc` expression or of a whole filter chain, as PCM."""
    chain = sound if "=" in sound else f"aevalsrc='{sound}':s=48000"
    path = tmp_path / name
    args = ["-f", "lavfi", "-i", f"color=gray:s=64x64:r=30:d={seconds}", "-f", "lavfi", "-t", str(seconds), "-i", chain]
    ffmpeg.run(
        [*args, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "pcm_s24le", "-ac", "2", ffmpeg.file_url(path)]
    )
    return path


def sound_of(path: Path) -> NDArray[np.float32]:
    return footage.read_sound(path)


def loud_parts(sound: NDArray[np.float32], threshold: float) -> list[int]:
    """First samples of bursts louder than `threshold` that are at least 50 ms apart."""
    hits = np.flatnonzero(np.abs(sound) > threshold)
    return [int(hit) for n, hit in enumerate(hits) if n == 0 or hit - hits[n - 1] > RATE // 20]


# --- in step ------------------------------------------------------------------------------------------------
FLASH = 18  # in frames of 1/30 s into every second


def flashes(tmp_path: Path, name: str, fps: str, codec: list[str], rate: int) -> Path:
    """Each second 1/30 s of white with a click on its beginning, both at FLASH/30 s."""
    at = FLASH / 30
    path = tmp_path / name
    picture = (
        f"color=black:s=64x64:r={fps}:d=5,geq=lum='if(between(mod(T,1),{at}-0.004,{at}+0.031),235,16)':cb=128:cr=128"
    )
    click = f"if(between(mod(t,1),{at},{at}+0.004),0.7*sin(2*PI*2000*(mod(t,1)-{at})),0)"
    args = ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-t", "5", "-i", f"aevalsrc='{click}':s={rate}"]
    ffmpeg.run([*args, *codec, ffmpeg.file_url(path)])
    return path


def test_sound_stays_with_the_picture_over_twelve_joins(tmp_path: Path) -> None:
    h264 = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "40", "-bf", "2", "-pix_fmt", "yuv420p"]
    sources = [
        (flashes(tmp_path, "a.mp4", "30", [*h264, "-c:a", "aac"], 48000), 30),
        (flashes(tmp_path, "b.mkv", "60", [*h264, "-c:a", "libopus"], 48000), 60),
        (flashes(tmp_path, "c.mov", "50", [*h264, "-c:a", "pcm_s16le"], 44100), 50),
        (flashes(tmp_path, "d.webm", "30", ["-c:v", "libvpx", "-b:v", "300k", "-c:a", "libvorbis"], 44100), 30),
        (flashes(tmp_path, "e.ts", "30", [*h264, "-c:a", "aac"], 48000), 30),
        (flashes(tmp_path, "f.mp4", "30", [*h264, "-c:a", "mp3"], 44100), 30),
    ]
    entries = []
    for n in range(13):
        path, fps = sources[n % len(sources)]
        media = probe(path)
        first = (1 + n % 3) * fps + n * 3 % (fps // 5)  # anywhere in the first fifth of a second
        entries.append(cut(path, media, first, first + fps * 9 // 10))
    out, report = make(entries, tmp_path, AS_IS)
    raw = bytearray()
    args = [*ffmpeg.input_args(out), "-map", "0:v:0", "-vf", "scale=1:1:flags=area,format=gray"]
    ffmpeg.run([*args, "-f", "rawvideo", "pipe:1"], on_stdout=raw.extend)
    light = np.frombuffer(bytes(raw), np.uint8)
    assert len(light) == report.frames == 13 * 27
    shown = [n for n in np.flatnonzero(light > 120) if n == 0 or light[n - 1] <= 120]
    heard = loud_parts(sound_of(out), 0.2)
    assert len(shown) == len(heard) == 13
    errors = [(sample / RATE - frame / 30) * 1000 for frame, sample in zip(shown, heard, strict=True)]
    # frames of 50 and 60 fps wait for the next output frame
    assert max(map(abs, errors)) < 1000 / 30, errors
    exact = [error for n, error in enumerate(errors) if sources[n % len(sources)][1] == 30]
    assert max(map(abs, exact)) < 1, errors
    # and nothing adds up along the way
    assert abs(np.mean(errors[:4]) - np.mean(errors[-4:])) < 10, errors


def test_sound_is_cut_to_the_sample(tmp_path: Path) -> None:
    # noise of each entry must lie exactly where its frames lie
    path = footage.make_clip(tmp_path / "a.mp4", 3)
    media = probe(path)
    original = footage.read_sound(path)
    out, _ = make([cut(path, media, 7, 37), cut(path, media, 45, 75)], tmp_path, AS_IS)
    result = sound_of(out)
    for place, first in ((0, 7), (30, 45)):
        a = original[first * 1600 + 960 : (first + 30) * 1600 - 960]
        b = result[place * 1600 + 960 : (place + 30) * 1600 - 960]
        assert abs(footage.sound_shift(a, b)) <= 1


def test_length_is_exact(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "a.mp4", 2)
    media = probe(path)
    out, report = make([cut(path, media, 0, 31), cut(path, media, 3, 20)], tmp_path)
    assert report.frames == 48
    found = measure([out], Meter(ffmpeg.run), seconds=2)
    assert 0 <= found.samples - 48 * 1600 < 1024


def test_joins_do_not_click(tmp_path: Path) -> None:
    # cut through a loud low tone: without ramps the wave jumps
    path = source(tmp_path, "0.9*sin(2*PI*97*t)")
    media = probe(path)
    out, _ = make([cut(path, media, 5, 21), cut(path, media, 40, 63)], tmp_path, AS_IS)
    steps = np.abs(np.diff(sound_of(out)))
    assert steps.max() < 0.05


def test_missing_sound_is_silence(tmp_path: Path) -> None:
    loud = footage.make_clip(tmp_path / "a.mp4", 2)
    mute = footage.make_silent_clip(tmp_path / "b.mp4", 2)
    late = footage.make_clip(tmp_path / "c.mp4", 2, sound_delay=1.0)
    entries = [cut(path, probe(path), 0, 60) for path in (loud, mute, late)]
    out, report = make(entries, tmp_path, AS_IS)
    sound = sound_of(out)
    rms = [float(np.sqrt(np.mean(sound[a * RATE + 4800 : (a + 1) * RATE - 4800] ** 2))) for a in range(6)]
    assert [value > 0.01 for value in rms] == [True, True, False, False, False, True]
    assert report.unreadable_sound == ()


def test_sound_that_breaks_off_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    args = ["-f", "lavfi", "-i", "color=gray:s=64x64:r=30:d=3", "-f", "lavfi", "-t", "1", "-i", "sine=f=440:r=48000"]
    ffmpeg.run([*args, "-c:v", "libx264", "-c:a", "aac", ffmpeg.file_url(path)])
    media = probe(path)
    # one entry across the end of the sound, one wholly behind it
    out, report = make([cut(path, media, 15, 75), cut(path, media, 50, 80)], tmp_path)
    sound = sound_of(out)
    assert report.frames == 90
    assert np.abs(sound[: RATE // 3]).max() > 0.05
    assert np.abs(sound[RATE:]).max() < 0.001
    assert report.lufs == pytest.approx(-14, abs=1)


def test_unreadable_sound_is_named_and_silent(tmp_path: Path) -> None:
    good = footage.make_clip(tmp_path / "a.mp4", 1)
    media = probe(good)
    lost = cut(good, media, 0, 30)
    assert lost.audio is not None
    # the stream that the probe saw is not there any more
    lost = replace(lost, audio=replace(lost.audio, index=7))
    out, report = make([cut(good, media, 0, 30), lost, cut(good, media, 0, 30)], tmp_path)
    assert report.unreadable_sound == (1,)
    sound = sound_of(out)
    assert np.abs(sound[RATE + 960 : 2 * RATE - 960]).max() < 0.001
    assert np.abs(sound[2 * RATE + 960 : 3 * RATE - 2048]).max() > 0.05


def test_volume_mute_and_fades(tmp_path: Path) -> None:
    path = source(tmp_path, "0.2*sin(2*PI*440*t)", 2)
    media = probe(path)
    entries = [
        cut(path, media, 0, 30),
        cut(path, media, 0, 30, volume=0.5),
        cut(path, media, 0, 30, mute=True),
        cut(path, media, 0, 30, volume=2.0),
        cut(path, media, 0, 30, fade_in=0.5, fade_out=0.5),
    ]
    out, _ = make(entries, tmp_path, AS_IS)
    sound = sound_of(out)
    peaks = [float(np.abs(sound[n * RATE + 9600 : (n + 1) * RATE - 9600]).max()) for n in range(4)]
    assert peaks == pytest.approx([0.2, 0.1, 0.0, 0.4], abs=0.01)
    faded = np.abs(sound[4 * RATE : 5 * RATE])
    assert faded[:2400].max() < 0.03
    assert faded[23000:25000].max() == pytest.approx(0.2, abs=0.01)
    assert faded[-3600:-1200].max() < 0.03


def test_surround_keeps_the_centre(tmp_path: Path) -> None:
    path = tmp_path / "surround.mp4"
    voice = "aevalsrc='0|0|0.5*sin(2*PI*440*t)|0|0|0':s=48000:c=5.1"
    args = ["-f", "lavfi", "-i", "color=gray:s=64x64:r=30:d=1", "-f", "lavfi", "-t", "1", "-i", voice]
    ffmpeg.run([*args, "-c:v", "libx264", "-c:a", "aac", "-b:a", "256k", ffmpeg.file_url(path)])
    media = probe(path)
    assert media.audio is not None
    assert media.audio.channels == 6
    out, report = make([cut(path, media, 0, 30)], tmp_path)
    assert np.abs(sound_of(out)).max() > 0.1
    assert report.lufs == pytest.approx(-14, abs=1)


# --- loudness -----------------------------------------------------------------------------------------------
BURSTS = "0.6*(random(0)*2-1)*lt(mod(t,0.7),0.25)*abs(sin(2*PI*7*t))"
SOUNDS = {
    "tone": ("0.05*sin(2*PI*440*t)", 3),
    "loud tone": ("0.99*sin(2*PI*1000*t)", 3),
    "bursts like speech": (BURSTS, 4),
    "very quiet": ("0.0006*(random(0)*2-1)", 3),
    "peaks over a quiet ground": ("0.02*(random(0)*2-1)+0.9*lt(mod(t,0.5),0.002)*sin(2*PI*1500*t)", 4),
    "square wave": ("0.7*sgn(sin(2*PI*220*t))", 3),
    "half a second": ("0.1*sin(2*PI*440*t)", 0.5),
    "one side only": ("aevalsrc='0.3*sin(2*PI*500*t)|0':s=48000", 3),
    "one short burst": ("0.8*(random(0)*2-1)*between(t,1,1.1)", 3),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_loudness_of_the_encoded_file(tmp_path: Path, name: str) -> None:
    sound, seconds = SOUNDS[name]
    path = source(tmp_path, sound, seconds)
    media = probe(path)
    out, report = make([cut(path, media, 0, len(media.frames))], tmp_path)
    found = measure([out], Meter(ffmpeg.run), seconds=seconds)
    assert found.lufs == report.lufs
    assert report.lufs == pytest.approx(-14, abs=1)
    assert report.true_peak is not None
    assert report.true_peak <= -1
    assert report.loudness_reached


def test_silence_is_exempt(tmp_path: Path) -> None:
    path = source(tmp_path, "0")
    media = probe(path)
    _, report = make([cut(path, media, 0, 60)], tmp_path)
    assert (report.lufs, report.loudness_reached) == (None, True)
    path = footage.make_clip(tmp_path / "loud.mp4", 2)
    _, report = make([cut(path, probe(path), 0, 60, mute=True)], tmp_path)
    assert report.lufs is None


def test_a_lone_click_is_as_loud_as_its_peak_allows_and_said_so(tmp_path: Path) -> None:
    path = source(tmp_path, "0.5*between(t,1,1.0005)")
    media = probe(path)
    _, report = make([cut(path, media, 0, 60)], tmp_path)
    assert report.true_peak is not None
    assert -6 <= report.true_peak <= -1
    assert report.lufs is None or report.lufs < -15
    assert not report.loudness_reached or report.lufs is None


def test_shorter_than_can_be_measured(tmp_path: Path) -> None:
    path = source(tmp_path, "0.99*sin(2*PI*440*t)", 1)
    media = probe(path)
    _, report = make([cut(path, media, 0, 6)], tmp_path)
    assert report.lufs is None
    assert report.true_peak is not None
    assert report.true_peak <= -1


def test_summary_is_read_and_missing_summary_is_an_error() -> None:
    text = "Number of samples: 96000\n  I:   -inf LUFS\n    I:         -23.1 LUFS\n    Peak:       -1.5 dBFS\n"
    assert read_summary(text) == Loudness(-23.1, -1.5, 96_000)
    assert read_summary(text.replace("-23.1", "-70.0").replace("-1.5", "-inf")) == Loudness(None, None, 96_000)
    with pytest.raises(ValueError, match="no loudness"):
        read_summary("nothing")
