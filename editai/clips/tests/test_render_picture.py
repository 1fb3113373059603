"""Which frames a clip shows, how large and which way up, proven on footage whose pictures carry their number."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from editai.clips.render.render import RenderReport, render
from editai.clips.render.spec import Crop, Fit, Framing, Preset, Quality, Recipe, RenderInput
from jobs import ffmpeg
from segments.media_info import MediaInfo
from segments.probe import probe
from segments.tests import footage

SHA = "0" * 64
# the shape of the numbered footage, so that all bars stay visible
SMALL = Preset(320, 240)


def cut(path: Path, media: MediaInfo, first: int, end: int, **options: Any) -> RenderInput:
    return RenderInput.of(path, SHA, media, first, end, **options)


def make(
    entries: list[RenderInput], tmp_path: Path, preset: Preset = SMALL, framing: Framing | None = None
) -> tuple[Path, RenderReport]:
    out, scratch = tmp_path / "out.mp4", tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    report = render(Recipe(entries, preset, framing or Framing()), out, scratch, run=ffmpeg.run)
    assert list(scratch.iterdir()) == []
    return out, report


def pictures(path: Path) -> NDArray[np.uint8]:
    """All frames of a file as (n, height, width, 3) RGB, turned upright."""
    video = probe(path).video
    raw = bytearray()
    args = [*ffmpeg.input_args(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-vf", "scale=iw*sar:ih"]
    ffmpeg.run([*args, "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"], on_stdout=raw.extend)
    return np.frombuffer(bytes(raw), np.uint8).reshape(-1, video.display_height, video.display_width, 3)


SOURCES: dict[str, dict[str, Any]] = {
    "b-frames.mp4": {"bframes": 3, "gop": 12},
    "long-gop.mp4": {"gop": 250, "bframes": 3},
    "hevc.mp4": {"codec": "libx265"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "matroska.mkv": {"bframes": 3},
    "transport.ts": {"bframes": 3, "gop": 12},
    "mpeg4.avi": {"codec": "mpeg4", "audio_codec": "mp3"},
    "422.mp4": {"pix_fmt": "yuv422p"},
    "10-bit.mp4": {"pix_fmt": "yuv420p10le"},
    "turned.mp4": {"rotation": 90},
    "upside-down.mp4": {"rotation": 180},
    "late-sound.mp4": {"sound_delay": 0.5},
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_entry_shows_exactly_its_frames(tmp_path: Path, name: str) -> None:
    path = footage.make_clip(tmp_path / name, 2.4, **SOURCES[name])
    media = probe(path)
    # around keyframes (12, 24), inside a group of pictures, the very first and the very last frame
    spans = [(0, 3), (10, 14), (11, 13), (12, 15), (13, 16), (23, 26), (24, 25), (30, 41), (69, 72)]
    out, report = make([cut(path, media, *span) for span in spans], tmp_path)
    # AVI's first frame lasts two ticks; all others one
    lengths = np.rint(np.diff(media.frames.boundaries) * 30).astype(int)
    wanted = [number for first, end in spans for number in range(first, end) for _ in range(lengths[number])]
    assert footage.read_numbers(out) == wanted
    assert report.frames == len(wanted)


def test_frames_after_a_picture_that_starts_late(tmp_path: Path) -> None:
    # sound begins at 0, pictures half a second later
    path = footage.make_clip(tmp_path / "a.mp4", 2, sound_delay=0)
    late = tmp_path / "late.mp4"
    args = ["-itsoffset", "0.5", *ffmpeg.input_args(path), *ffmpeg.input_args(path)]
    ffmpeg.run([*args, "-map", "0:v", "-map", "1:a", "-c", "copy", ffmpeg.file_url(late)])
    media = probe(late)
    assert media.frames.time(0) == pytest.approx(0.5, abs=0.02)
    out, _ = make([cut(late, media, 0, 5), cut(late, media, 20, 25)], tmp_path)
    assert footage.read_numbers(out) == [*range(5), *range(20, 25)]


@pytest.mark.parametrize("fps", ["24000/1001", "25", "30000/1001", "50", "60"])
def test_other_frame_rates_keep_first_and_last(tmp_path: Path, fps: str) -> None:
    path = footage.make_clip(tmp_path / "a.mp4", 2, fps=fps, audio=False)
    media = probe(path)
    rate = Fraction(fps)
    first, end = 7, 7 + round(rate)  # about one second
    out, report = make([cut(path, media, first, end)] * 2, tmp_path)
    shown = footage.read_numbers(out)
    duration = 2 * (end - first) / rate
    assert abs(report.frames / Fraction(30) - duration) <= Fraction(1, 30)
    halves = shown[: len(shown) // 2], shown[len(shown) // 2 :]
    for half in halves:
        assert half[0] == first
        assert half == sorted(half)
        # above 30 fps not every frame can be shown: the last one shown is the last that begins in a slot
        assert end - 1 - half[-1] <= (1 if rate > 30 else 0)
        # and none comes more than half an output frame early or late
        late = [abs((number - first) / rate - Fraction(n, 30)) for n, number in enumerate(half)]
        assert max(late) <= max(Fraction(1, 60), 1 / rate) + Fraction(1, 1000)


def test_variable_frame_rate_keeps_time(tmp_path: Path) -> None:
    path = footage.make_phone_clip(tmp_path / "phone.mp4", 3)
    media = probe(path)
    numbers = [n for n in range(90) if n % 7 not in (3, 4)]
    first, end = 9, 50
    out, report = make([cut(path, media, first, end)], tmp_path, Preset(240, 320))
    start, stop = numbers[first], numbers[end]
    assert report.frames == stop - start
    shown = footage.read_numbers(out)
    wanted = [max(n for n in numbers if n <= start + k) for k in range(stop - start)]
    assert shown == wanted


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation_is_applied_once(tmp_path: Path, rotation: int) -> None:
    path = quarters(tmp_path, rotation=rotation)
    out, _ = make([cut(path, probe(path), 0, 5)], tmp_path, Preset(180, 320))
    assert colors(pictures(out)[2]) == ["red", "green", "blue", "white"]


def quarters(tmp_path: Path, rotation: int = 0, size: tuple[int, int] = (180, 320), sar: str = "1") -> Path:
    """Upright picture of four colours: red and green above, blue and white below."""
    width, height = size[0] // 2, size[1] // 2
    parts = [f"color=c={name}:s={width}x{height}:d=0.5:r=30[{name}]" for name in ("red", "lime", "blue", "white")]
    graph = ";".join([*parts, "[red][lime]hstack[u];[blue][white]hstack[d];[u][d]vstack"])
    graph += {0: "", 90: ",transpose=cclock", 180: ",hflip,vflip", 270: ",transpose=clock"}[rotation]
    plain, path = tmp_path / "plain.mp4", tmp_path / "quarters.mp4"
    args = ["-f", "lavfi", "-i", f"{graph},setsar={sar}", "-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p"]
    ffmpeg.run([*args, ffmpeg.file_url(plain)])
    turned = ["-display_rotation:v:0", str(-rotation), *ffmpeg.input_args(plain), "-c", "copy"]
    ffmpeg.run([*turned, ffmpeg.file_url(path)])
    return path


def colors(picture: NDArray[np.uint8]) -> list[str]:
    """Names of the colours in the middle of the four quarters."""
    height, width, _ = picture.shape
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white", (0, 0, 0): "black"}
    spots = [(y, x) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4)]
    return [names[tuple(int(v > 128) for v in picture[spot])] for spot in spots]  # type: ignore[index]


@pytest.mark.parametrize(
    ("crop", "wanted"),
    [
        (Crop(), ["red", "green", "blue", "white"]),
        (Crop(x=0), ["red", "red", "blue", "blue"]),
        (Crop(x=1), ["green", "green", "white", "white"]),
        (Crop(x=1, y=0, zoom=2.2), ["green"] * 4),
        (Crop(x=0, y=1, zoom=2.2), ["blue"] * 4),
    ],
)
def test_crop_positions(tmp_path: Path, crop: Crop, wanted: list[str]) -> None:
    path = quarters(tmp_path, size=(640, 320))
    out, _ = make([cut(path, probe(path), 0, 5, crop=crop)], tmp_path, Preset(180, 320))
    assert colors(pictures(out)[2]) == wanted


def test_each_entry_has_its_own_crop(tmp_path: Path) -> None:
    path = quarters(tmp_path, size=(640, 320))
    media = probe(path)
    entries = [cut(path, media, 0, 5, crop=Crop(x=x)) for x in (0.0, 1.0)]
    out, _ = make(entries, tmp_path, Preset(180, 320))
    shown = pictures(out)
    assert colors(shown[4])[0] == "red"
    assert colors(shown[5])[0] == "green"


def test_pixels_become_square(tmp_path: Path) -> None:
    # a circle in stretched pixels must be a circle again
    path = tmp_path / "circle.mp4"
    circle = "color=black:s=240x240:d=0.2:r=30,format=gray,geq=lum='if(lt(hypot((X-120)*4/3,Y-120),90),235,16)'"
    ffmpeg.run(["-f", "lavfi", "-i", f"{circle},setsar=4/3,format=yuv420p", "-c:v", "libx264", ffmpeg.file_url(path)])
    for fit in Fit:
        out, _ = make([cut(path, probe(path), 0, 3)], tmp_path, Preset(320, 320), Framing(fit))
        white = pictures(out)[1][:, :, 0] > 160
        rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
        high, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert abs(high / wide - 1) < 0.03, fit


def test_fit_shows_all_of_the_picture(tmp_path: Path) -> None:
    path = quarters(tmp_path, size=(640, 320))
    media = probe(path)
    out, _ = make([cut(path, media, 0, 5)], tmp_path, Preset(320, 568), Framing(Fit.PAD, "#00ff00"))
    frame = pictures(out)[2]
    assert colors(frame[204:364]) == ["red", "green", "blue", "white"]
    assert tuple(frame[40, 160] > 128) == (False, True, False)
    out, _ = make([cut(path, media, 0, 5)], tmp_path, Preset(320, 568), Framing(Fit.FIT_BLUR))
    frame = pictures(out)[2]
    assert colors(frame[204:364]) == ["red", "green", "blue", "white"]
    # the ground: left red above, darker than the picture itself
    assert 60 < frame[60, 30, 0] < 230
    assert frame[60, 30, 1] < 60


def test_colours_stay_what_they_are(tmp_path: Path) -> None:
    # unmarked HD is BT.709, marked BT.601 is turned into BT.709, full range into TV range
    for name, size, tags in (
        (
            "hd.mp4",
            (1280, 720),
            "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p,setparams=colorspace=unknown",
        ),
        (
            "sd.mp4",
            (640, 480),
            "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p,setparams=colorspace=smpte170m",
        ),
        ("full.mp4", (640, 480), "scale=out_color_matrix=bt709:out_range=pc,format=yuv420p,setparams=colorspace=bt709"),
    ):
        path = tmp_path / name
        source = f"color=c=0x30a060:s={size[0]}x{size[1]}:d=0.2:r=30,format=rgb24,{tags}"
        ffmpeg.run(["-f", "lavfi", "-i", source, "-c:v", "libx264", "-crf", "4", ffmpeg.file_url(path)])
        out, _ = make([cut(path, probe(path), 0, 3)], tmp_path, Preset(180, 320))
        video = probe(out).video
        assert (video.color_space, video.color_primaries, video.color_transfer) == ("bt709",) * 3
        shown = pictures(out)[1][160, 90].astype(int)
        assert np.abs(shown - (0x30, 0xA0, 0x60)).max() <= 6, (name, shown)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_mapped_to_ordinary_brightness(tmp_path: Path, transfer: str) -> None:
    path = tmp_path / "hdr.mp4"
    tags = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    gradient = "gradients=s=320x180:d=0.2:r=30:c0=black:c1=white:n=2:x0=0:y0=0:x1=0:y1=180:speed=0.00001"
    source = f"{gradient},format=yuv420p10le,{tags}"
    args = ["-f", "lavfi", "-i", source, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"]
    ffmpeg.run([*args, "-tag:v", "hvc1", ffmpeg.file_url(path)])
    assert probe(path).video.is_hdr
    out, _ = make([cut(path, probe(path), 0, 5)], tmp_path, Preset(180, 320))
    video = probe(out).video
    assert (video.pix_fmt, video.color_transfer) == ("yuv420p", "bt709")
    assert np.ptp(pictures(out)[1]) > 80  # neither black nor blown out


def test_mixed_sources_make_one_clip(tmp_path: Path) -> None:
    paths = [
        footage.make_clip(tmp_path / "a.mp4", 1.5, (640, 360), fps=60),
        footage.make_phone_clip(tmp_path / "b.mp4", 1.5),
        footage.make_anamorphic_clip(tmp_path / "c.mp4", 1.5),
        footage.make_422_clip(tmp_path / "d.mp4", 1.5),
        footage.make_surround_clip(tmp_path / "e.mp4", 1.5),
        footage.make_silent_clip(tmp_path / "f.mp4", 1.5),
        footage.make_webm_clip(tmp_path / "g.webm", 1.5),
        footage.make_clip(tmp_path / "h.mp4", 1.5, (176, 144), fps="24000/1001"),
    ]
    entries = []
    for path in paths:
        media = probe(path)
        entries.append(cut(path, media, 5, len(media.frames) - 3))
    for framing in (Framing(), Framing(Fit.FIT_BLUR), Framing(Fit.PAD)):
        _, report = make(entries, tmp_path, Preset(270, 480), framing)
        wanted = Recipe(entries).duration
        assert abs(report.duration_seconds - float(wanted)) <= 1 / 30
        assert report.lufs == pytest.approx(-14, abs=1)
        assert report.true_peak is not None
        assert report.true_peak <= -1


@pytest.mark.parametrize("quality", list(Quality))
def test_quality_levels(tmp_path: Path, quality: Quality) -> None:
    path = footage.make_clip(tmp_path / "a.mp4", 1)
    out, report = make([cut(path, probe(path), 0, 30)], tmp_path, Preset(270, 480, quality=quality))
    video = probe(out).video
    assert (report.width, report.height) == ((134, 240) if quality is Quality.DRAFT else (270, 480))
    assert (video.profile, video.pix_fmt, video.sar) == ("High", "yuv420p", Fraction(1))


@pytest.mark.parametrize("fps", ["25", "24000/1001", "60"])
def test_other_output_rates(tmp_path: Path, fps: str) -> None:
    path = footage.make_clip(tmp_path / "a.mp4", 2)
    media = probe(path)
    out, report = make(
        [cut(path, media, 3, 33), cut(path, media, 10, 33)], tmp_path, Preset(320, 240, fps=Fraction(fps))
    )
    assert abs(report.duration_seconds - 53 / 30) <= float(1 / Fraction(fps))
    assert probe(out).video.avg_frame_rate == Fraction(fps)
