"""Poster, filmstrip, peaks, proxy: content checked by the numbers in the pictures and the known sound."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs import ffmpeg
from segments.derivatives import (
    PEAKS_PER_SECOND,
    Peaks,
    filmstrip_geometry,
    keyframes_suffice,
    read_peaks,
    write_pictures,
    write_proxy,
    write_waveform,
)
from segments.probe import probe
from segments.tests import footage

Array = np.ndarray[Any, Any]


def read_picture(path: Path) -> Array:
    """Luma of a picture file, height x width."""
    raw = bytearray()
    shape: list[int] = []
    opened = ffmpeg.input_args(path, formats=("jpeg_pipe", "image2"))
    info = ffmpeg.run(["-v", "info", *opened, "-f", "null", "-"]).stderr
    size = next(word.rstrip(",") for word in info.split() if word[0].isdigit() and "x" in word and word[-1] != "x")
    shape = [int(side) for side in size.split("x")]
    ffmpeg.run([*opened, "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"], on_stdout=raw.extend)
    return np.frombuffer(bytes(raw), np.uint8).reshape(shape[1], shape[0])


def number_in(picture: Array) -> int:
    """The frame number that is drawn in a picture."""
    edges = np.linspace(0, picture.shape[1], footage.BITS + 1)
    middles = ((edges[:-1] + edges[1:]) / 2).astype(int)
    bits = picture[picture.shape[0] // 4 : -picture.shape[0] // 4, middles].mean(axis=0) > 128
    code, number = int(bits @ (1 << np.arange(footage.BITS))), 0
    while code:
        number, code = number ^ code, code >> 1
    return number


def tiles_of(path: Path, maker: Callable[[Path], Path], folder: Path) -> tuple[list[int], Any, Any]:
    """Numbers of the tiles of the strip, its geometry, the facts of the source."""
    info = probe(maker(path))
    strip, _ = write_pictures(path, info, folder / "poster.jpg", folder / "strip.jpg")
    sprite = read_picture(folder / "strip.jpg")
    assert sprite.shape == (strip.rows * strip.tile_height, strip.columns * strip.tile_width)
    numbers = []
    for tile in range(strip.tiles):
        top, left = tile // strip.columns * strip.tile_height, tile % strip.columns * strip.tile_width
        numbers.append(number_in(sprite[top : top + strip.tile_height, left : left + strip.tile_width]))
    return numbers, strip, info


def test_a_strip_of_keyframes(tmp_path: Path) -> None:
    numbers, strip, info = tiles_of(tmp_path / "a.mp4", lambda p: footage.make_clip(p, 7, gop=15), tmp_path)
    assert keyframes_suffice(info, strip)
    assert (strip.tiles, strip.columns, strip.rows, strip.seconds_per_tile) == (14, 10, 2, 0.5)
    assert (strip.tile_width, strip.tile_height) == (160, 120)
    for tile, number in enumerate(numbers):
        assert number % 15 == 0, "keyframes only"
        assert abs(number / 30 - tile * 0.5) <= 0.5
    assert strip.as_dict()["tiles"] == 14


def test_one_long_gop_still_gives_a_useful_strip(tmp_path: Path) -> None:
    numbers, strip, info = tiles_of(tmp_path / "a.mp4", lambda p: footage.make_clip(p, 6, gop=1000), tmp_path)
    assert info.frames.keyframes.sum() == 1
    assert not keyframes_suffice(info, strip)
    assert len(set(numbers)) == strip.tiles == 12
    assert all(abs(number / 30 - tile * 0.5) <= 0.3 for tile, number in enumerate(numbers))


def test_an_upright_phone_film(tmp_path: Path) -> None:
    numbers, strip, _ = tiles_of(tmp_path / "a.mp4", footage.make_phone_clip, tmp_path)
    assert (strip.tile_width, strip.tile_height) == (120, 160)
    assert numbers == sorted(numbers)
    assert read_picture(tmp_path / "poster.jpg").shape == (320, 240)


@pytest.mark.parametrize(
    "maker", [footage.make_anamorphic_clip, footage.make_422_clip, footage.make_hevc_clip, footage.make_silent_clip]
)
def test_poster(tmp_path: Path, maker: Callable[[Path], Path]) -> None:
    _, _, info = tiles_of(tmp_path / "a.mp4", maker, tmp_path)
    poster = read_picture(tmp_path / "poster.jpg")
    assert poster.shape == (240, 320)
    assert number_in(poster) in np.flatnonzero(info.frames.keyframes)[1:], "not the first picture"


def test_a_single_frame(tmp_path: Path) -> None:
    numbers, strip, _ = tiles_of(tmp_path / "a.mp4", lambda p: footage.make_clip(p, 0.03, audio=False), tmp_path)
    assert (numbers, strip.tiles) == ([0], 1)


def test_long_films_have_a_hundred_tiles(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "long.mp4", 300, (64, 48), fps=2, audio=False, gop=4)
    strip = filmstrip_geometry(probe(path))
    assert (strip.tiles, strip.columns, strip.rows, strip.seconds_per_tile) == (100, 10, 10, 3.0)


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("a.mp4", footage.make_clip),
        ("a.mp4", footage.make_phone_clip),
        ("a.webm", footage.make_webm_clip),
        ("a.mp4", footage.make_anamorphic_clip),
        ("a.mp4", footage.make_surround_clip),
        ("a.mp4", footage.make_silent_clip),
        ("a.ts", footage.make_clip),
        ("a.avi", footage.make_clip),
        ("a.mkv", lambda p: footage.make_clip(p, fps="30000/1001", extra=("-output_ts_offset", "3.3"))),
        ("a.mp4", lambda p: footage.make_clip(p, sound_delay=0.4)),
    ],
)
def test_the_proxy_keeps_every_frame_at_its_time(tmp_path: Path, name: str, maker: Callable[[Path], Path]) -> None:
    path = maker(tmp_path / name)
    out = tmp_path / "proxy.mp4"
    info = probe(path)
    usage = write_proxy(path, info, out, waveform=tmp_path / "peaks")
    proxy = probe(out)
    assert footage.read_numbers(out) == footage.read_numbers(path)
    assert proxy.frames.boundaries[:-1] == pytest.approx(info.frames.boundaries[:-1], abs=1e-4)
    assert (proxy.video.codec, proxy.video.pix_fmt, proxy.video.rotation, proxy.video.sar) == (
        "h264",
        "yuv420p",
        0,
        Fraction(1),
    )
    assert (proxy.video.width, proxy.video.height) == (info.video.display_width, info.video.display_height)
    assert int(np.diff(np.flatnonzero(proxy.frames.keyframes)).max(initial=0)) <= 30
    assert usage.cpu_seconds > 0
    if info.audio is None:
        assert proxy.audio is None
        assert not (tmp_path / "peaks").exists()
        return
    assert proxy.audio is not None
    assert (proxy.audio.codec, proxy.audio.channels) == ("aac", 2)
    assert abs(footage.sound_shift(footage.read_sound(path), footage.read_sound(out))) <= 48
    write_waveform(path, info, tmp_path / "alone")
    assert (tmp_path / "alone").read_bytes() == (tmp_path / "peaks").read_bytes()


@pytest.mark.parametrize(("size", "expected"), [((1920, 1080), (1280, 720)), ((1080, 1920), (720, 1280))])
def test_the_proxy_is_small(tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]) -> None:
    path = footage.make_clip(tmp_path / "big.mp4", 0.5, size, audio=False)
    write_proxy(path, probe(path), tmp_path / "proxy.mp4")
    video = probe(tmp_path / "proxy.mp4").video
    assert (video.width, video.height) == expected


def test_peaks_show_the_sound_where_it_is(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "clicks.mp4", 3, sound="clicks")
    write_waveform(path, probe(path), tmp_path / "peaks")
    rate, peaks = read_peaks((tmp_path / "peaks").read_bytes())
    assert (rate, peaks.shape) == (PEAKS_PER_SECOND, (3 * PEAKS_PER_SECOND, 2))
    loud = np.flatnonzero(peaks[:, 1] > 40)
    assert {round(index / rate * 2) for index in loud} == set(range(6))
    assert np.abs(loud / rate * 2 - np.round(loud / rate * 2)).max() <= 2 * 1 / rate
    quiet = np.delete(peaks, np.concatenate([loud, loud + 1, loud - 1]) % len(peaks), axis=0)
    assert 3 <= int(np.abs(quiet.astype(int)).max()) <= 12  # the tone: 0.05 of full scale


def test_late_sound_is_late_in_the_peaks(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "late.mp4", 2, sound_delay=1.0)
    write_waveform(path, probe(path), tmp_path / "peaks")
    _, peaks = read_peaks((tmp_path / "peaks").read_bytes())
    assert not peaks[:49].any()
    assert peaks[51:98].any(axis=1).all()


def test_peaks_need_sound(tmp_path: Path) -> None:
    path = footage.make_silent_clip(tmp_path / "silent.mp4")
    with pytest.raises(ValueError, match="no sound"):
        write_waveform(path, probe(path), tmp_path / "peaks")


def test_peaks_do_not_depend_on_how_the_bytes_come() -> None:
    samples = (np.sin(np.arange(50_000) / 9) * 20_000).astype("<i2").tobytes()
    whole, pieces = Peaks(3.125), Peaks(3.125)
    whole.feed(samples)
    for start in range(0, len(samples), 777):
        pieces.feed(samples[start : start + 777])
    assert whole.finish() == pieces.finish()
    rate, peaks = read_peaks(whole.finish())
    assert (rate, len(peaks)) == (50, 157)
    assert (peaks[10].tolist(), peaks[-1].tolist()) == ([-78, 78], [-78, 77])


def test_peaks_are_as_long_as_the_pictures() -> None:
    short, long = Peaks(2), Peaks(2)
    short.feed(b"\x00\x40" * 16_000)
    long.feed(b"\x00\x40" * 64_000)
    assert len(read_peaks(short.finish())[1]) == len(read_peaks(long.finish())[1]) == 100
    assert not read_peaks(short.finish())[1][50:].any()


@pytest.mark.parametrize("blob", [b"", b"EAWP", b"X" * 40, Peaks(1).finish() + b"1"])
def test_other_files_are_no_peaks(blob: bytes) -> None:
    with pytest.raises(ValueError, match="peaks"):
        read_peaks(blob)
