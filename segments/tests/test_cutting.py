"""Cuts are exact: every picture carries its number, the sound is compared with the source's by correlation."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from jobs import ffmpeg
from segments import cutting
from segments.cutting import cut
from segments.probe import probe
from segments.tests import footage

Maker = Callable[[Path], Path]

SOURCES: dict[str, tuple[str, Maker]] = {
    "bframes": ("a.mp4", footage.make_clip),
    "long_gop": ("a.mp4", lambda p: footage.make_clip(p, gop=300, bframes=3)),
    "hevc": ("a.mp4", footage.make_hevc_clip),
    "vp9": ("a.webm", footage.make_webm_clip),
    "vp8": ("a.webm", lambda p: footage.make_webm_clip(p, codec="libvpx")),
    "vorbis": ("a.mkv", lambda p: footage.make_clip(p, audio_codec="libvorbis", extra=("-ar", "44100"))),
    "phone": ("a.mp4", footage.make_phone_clip),
    "turned_180": ("a.mp4", lambda p: footage.make_clip(p, rotation=180)),
    "turned_270": ("a.mp4", lambda p: footage.make_clip(p, size=(240, 320), rotation=270)),
    "silent": ("a.mp4", footage.make_silent_clip),
    "surround": ("a.mp4", footage.make_surround_clip),
    "anamorphic": ("a.mp4", footage.make_anamorphic_clip),
    "422": ("a.mp4", footage.make_422_clip),
    "cd_rate": ("a.mp4", lambda p: footage.make_clip(p, extra=("-ar", "44100"))),
    "ts": ("a.ts", footage.make_clip),
    "avi": ("a.avi", lambda p: footage.make_clip(p, codec="mpeg4")),
    "avi_bframes": ("a.avi", footage.make_clip),
    "ntsc_offset": ("a.mkv", lambda p: footage.make_clip(p, fps="30000/1001", extra=("-output_ts_offset", "3.3"))),
    "late_sound": ("a.mp4", lambda p: footage.make_clip(p, sound_delay=0.4)),
    "fragmented": ("a.mp4", lambda p: footage.make_clip(p, extra=("-movflags", "frag_keyframe+empty_moov"))),
}
# Matroska keeps times in whole milliseconds: after a seek Opus is placed up to 1 ms off.
MILLISECOND = {"vp8", "vp9", "vorbis", "ntsc_offset"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    paths: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in paths:
            suffix, maker = SOURCES[name]
            paths[name] = maker(tmp_path_factory.mktemp(name) / suffix)
        return paths[name]

    return get


@pytest.mark.parametrize("name", SOURCES)
def test_pictures_and_sound_are_exact(source: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    path = source(name)
    info = probe(path)
    numbers = footage.read_numbers(path)
    assert len(numbers) == len(info.frames)
    total = len(numbers)
    # inside one GOP, from a keyframe to a keyframe, the last frames
    for first, end in [(7, 26), (15, 30), (total - 6, total)]:
        out = tmp_path / f"{first}.mp4"
        result = cut(path, info, first, end, out)
        assert footage.read_numbers(out) == numbers[first:end]
        assert result.frames_expected == len(result.info.frames) == end - first
        lengths = np.diff(info.frames.boundaries[first : end + 1])
        assert np.diff(result.info.frames.boundaries)[:-1] == pytest.approx(lengths[:-1], abs=1e-4)
        assert result.info.frames.time(0) == 0
        begin, stop = info.frames.time(first), info.frames.time(end)
        assert result.info.duration_seconds == pytest.approx(stop - begin, abs=0.034)
        if info.audio:
            sound = footage.read_sound(out)
            assert len(sound) == pytest.approx((stop - begin) * footage.SAMPLE_RATE, abs=48)
            whole = footage.read_sound(path)
            part = whole[round(begin * footage.SAMPLE_RATE) : round(stop * footage.SAMPLE_RATE)]
            shift = footage.sound_shift(part, sound)
            assert abs(shift) <= (48 if name in MILLISECOND else 4), f"{shift} samples"


@pytest.mark.parametrize("span", [(0, 1), (0, 60), (16, 17), (59, 60)])
def test_borders(source: Callable[[str], Path], tmp_path: Path, span: tuple[int, int]) -> None:
    path = source("bframes")
    cut(path, probe(path), *span, tmp_path / "out.mp4")
    assert footage.read_numbers(tmp_path / "out.mp4") == list(range(*span))


@pytest.mark.parametrize("span", [(5, 5), (6, 5), (-1, 5), (0, 61), (60, 61)])
def test_impossible_spans(source: Callable[[str], Path], tmp_path: Path, span: tuple[int, int]) -> None:
    path = source("bframes")
    with pytest.raises(ValueError, match="first < end"):
        cut(path, probe(path), *span, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_it_plays_in_browsers(source: Callable[[str], Path], tmp_path: Path) -> None:
    path = source("422")
    info = cut(path, probe(path), 3, 20, tmp_path / "out.mp4").info
    assert info.audio is not None
    assert (info.container, info.video.codec, info.video.pix_fmt) == ("mov", "h264", "yuv420p")
    assert (info.audio.codec, info.audio.channels, info.audio.sample_rate) == ("aac", 2, 48_000)
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("name", "size"), [("phone", (240, 320)), ("turned_180", (320, 240)), ("anamorphic", (320, 240))]
)
def test_the_picture_is_upright_and_square(
    source: Callable[[str], Path], tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    path = source(name)
    video = cut(path, probe(path), 3, 9, tmp_path / "out.mp4").info.video
    assert (video.width, video.height, video.rotation, video.sar) == (*size, 0, Fraction(1))


def test_odd_sizes_become_even(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "odd.mp4", 0.5, (321, 241), pix_fmt="yuv444p")
    video = cut(path, probe(path), 2, 9, tmp_path / "out.mp4").info.video
    assert video.width % 2 == video.height % 2 == 0


def test_hdr_is_brought_to_an_ordinary_screen(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "hdr.mp4", 0.5, pix_fmt="yuv420p10le", hdr=True)
    info = probe(path)
    assert info.video.is_hdr
    video = cut(path, info, 2, 9, tmp_path / "out.mp4").info.video
    assert (video.pix_fmt, video.is_hdr) == ("yuv420p", False)
    assert footage.read_numbers(tmp_path / "out.mp4") == list(range(2, 9))


def test_sound_that_ends_early_is_followed_by_silence(tmp_path: Path) -> None:
    short = footage.make_clip(tmp_path / "short.mp4", 0.5)
    long = footage.make_clip(tmp_path / "long.mp4", 2, audio=False)
    both = tmp_path / "both.mp4"
    inputs = [*ffmpeg.input_args(long), *ffmpeg.input_args(short)]
    ffmpeg.run([*inputs, "-map", "0:v", "-map", "1:a", "-c", "copy", ffmpeg.file_url(both)])
    for span in ((6, 30), (30, 60)):
        cut(both, probe(both), *span, tmp_path / "out.mp4")
        sound = footage.read_sound(tmp_path / "out.mp4")
        assert len(sound) == pytest.approx((span[1] - span[0]) * 1600, abs=48)
        assert float(np.abs(sound[-4800:]).max()) < 0.001


def test_a_seek_that_lands_too_late_is_noticed(
    source: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the seek spoilt the first attempt misses frames; the cut is made again from the beginning."""
    path = source("bframes")
    info = probe(path)
    runs: list[list[str]] = []

    def run(args: list[str], **options: object) -> ffmpeg.Result:
        runs.append(args)
        return ffmpeg.run(args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cutting, "seek_seconds", lambda _, first: 1.2 if first else 0.0)
    result = cut(path, info, 31, 45, tmp_path / "out.mp4", run=run)
    assert ["-ss" in args for args in runs] == [True, False]
    assert footage.read_numbers(tmp_path / "out.mp4") == list(range(31, 45))
    assert result.usage.cpu_seconds > 0


def test_tags_of_the_source_stay_behind(tmp_path: Path) -> None:
    """Phones write where a film was made."""
    tags = (
        "-metadata",
        "location=+44.4268+026.1025/",
        "-metadata",
        "title=secret title",
        "-movflags",
        "use_metadata_tags",
    )
    path = footage.make_clip(tmp_path / "tagged.mp4", 0.5, extra=tags)
    assert b"secret title" in path.read_bytes()
    cut(path, probe(path), 2, 9, tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert b"secret title" not in data
    assert b"+44.4268" not in data


def test_a_jobs_runner_can_be_used(source: Callable[[str], Path], tmp_path: Path) -> None:
    """It has its own limits and its own way to stop: nothing of the kind may be passed to it unasked."""
    path = source("bframes")

    def run(args: list[str], *, duration: float) -> ffmpeg.Result:
        assert duration == pytest.approx(0.5)
        return ffmpeg.run(args, duration=duration)

    cut(path, probe(path), 10, 25, tmp_path / "out.mp4", run=run)


def test_stop(source: Callable[[str], Path], tmp_path: Path) -> None:
    path = source("bframes")
    with pytest.raises(ffmpeg.Stopped):
        cut(path, probe(path), 10, 25, tmp_path / "out.mp4", should_stop=lambda: True)
