"""What probing says about honest files, and that its frame times are those ffmpeg itself uses."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from conftest import peak_memory
from jobs import ffmpeg
from segments.media_info import MediaInfo
from segments.probe import MediaError, probe
from segments.sniff import sniff
from segments.tests import footage

Maker = Callable[[Path], Path]

FILES: dict[str, tuple[str, Maker]] = {
    "h264": ("a.mp4", footage.make_clip),
    "no_bframes": ("a.mov", lambda p: footage.make_clip(p, bframes=0)),
    "mkv": ("a.mkv", footage.make_clip),
    "ts": ("a.ts", footage.make_clip),
    "avi": ("a.avi", lambda p: footage.make_clip(p, codec="mpeg4")),
    "avi_bframes": ("a.avi", footage.make_clip),
    "vp9": ("a.webm", footage.make_webm_clip),
    "vp8": ("a.webm", lambda p: footage.make_webm_clip(p, codec="libvpx")),
    "hevc": ("a.mp4", footage.make_hevc_clip),
    "422": ("a.mp4", footage.make_422_clip),
    "phone": ("a.mp4", footage.make_phone_clip),
    "anamorphic": ("a.mp4", footage.make_anamorphic_clip),
    "surround": ("a.mp4", footage.make_surround_clip),
    "silent": ("a.mp4", footage.make_silent_clip),
    "late_sound": ("a.mp4", lambda p: footage.make_clip(p, sound_delay=0.4)),
    "fragmented": ("a.mp4", lambda p: footage.make_clip(p, extra=("-movflags", "frag_keyframe+empty_moov"))),
    "offset": ("a.mkv", lambda p: footage.make_clip(p, extra=("-output_ts_offset", "3.3"))),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    paths: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in paths:
            suffix, maker = FILES[name]
            paths[name] = maker(tmp_path_factory.mktemp(name) / suffix)
        return paths[name]

    return get


def shown_by_ffmpeg(path: Path, info: MediaInfo) -> tuple[list[int], list[float]]:
    """Ticks on the file's own clock, and seconds as without -copyts, of the frames that ffmpeg shows."""
    args = [*ffmpeg.input_args(path), "-map", f"0:{info.video.index}", "-fps_mode", "passthrough"]
    args += ["-enc_time_base", "demux"]
    if info.audio:  # transport streams start with the earliest stream *in use*
        args += ["-map", f"0:{info.audio.index}"]
    ticks = framecrc_ticks(["-copyts", *args])
    times = framecrc_ticks(args)
    return ticks, [float(tick * info.video.time_base) for tick in times]


def framecrc_ticks(args: list[str]) -> list[int]:
    out = bytearray()
    ffmpeg.run([*args, "-f", "framecrc", "pipe:1"], on_stdout=out.extend)
    rows = [line.split(",") for line in out.decode().splitlines() if line.startswith("0,")]
    return [int(row[2]) for row in rows]


@pytest.mark.parametrize("name", FILES)
def test_frame_times_are_those_of_ffmpeg(made: Callable[[str], Path], name: str) -> None:
    info = probe(made(name))
    ticks, times = shown_by_ffmpeg(made(name), info)
    assert info.frames.pts.tolist() == ticks
    # ffmpeg rounds the start of the file to microseconds, then everything to ticks
    tolerance = float(info.frames.time_base) + 2e-6
    assert [info.frames.time(n) for n in range(len(ticks))] == pytest.approx(times, abs=tolerance)


@pytest.mark.parametrize("name", FILES)
def test_facts(made: Callable[[str], Path], name: str) -> None:
    info = probe(made(name))
    video = info.video
    assert len(info.frames) == (43 if name == "phone" else 60)
    assert info.frames.keyframes[0]
    assert info.size == made(name).stat().st_size
    shown = (240, 320) if name == "phone" else (320, 240)
    assert (video.display_width, video.display_height) == shown
    assert video.is_vfr == (name == "phone")
    assert info.duration_seconds == pytest.approx(2.0, abs=0.07)
    assert (info.audio is None) == (name == "silent")
    if "avi" not in name and name != "phone":
        assert video.avg_frame_rate == 30


def test_the_phone_is_turned_once(made: Callable[[str], Path]) -> None:
    video = probe(made("phone")).video
    assert (video.rotation, video.width, video.height) == (90, 320, 240)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotation(tmp_path: Path, rotation: int) -> None:
    size = (240, 320) if rotation in (90, 270) else (320, 240)
    path = footage.make_clip(tmp_path / "r.mp4", 0.5, size, audio=False, rotation=rotation)
    video = probe(path).video
    assert (video.rotation, video.width, video.height) == (rotation, 320, 240)
    assert (video.display_width, video.display_height) == size


def test_streams(made: Callable[[str], Path]) -> None:
    info = probe(made("surround"))
    assert info.audio is not None
    assert (info.audio.channels, info.audio.codec, info.audio.sample_rate) == (6, "aac", 48_000)
    assert (info.video.index, info.audio.index) == (0, 1)
    assert probe(made("anamorphic")).video.sar == Fraction(4, 3)
    assert probe(made("422")).video.pix_fmt == "yuv422p"
    assert probe(made("hevc")).video.codec == "hevc"
    assert probe(made("vp8")).container == "matroska"


def test_ntsc_rate(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "n.mkv", 2, fps="30000/1001", audio=False)
    assert probe(path).video.avg_frame_rate == Fraction(30000, 1001)
    assert not probe(path).video.is_vfr


def test_a_cover_picture_is_not_the_film(tmp_path: Path) -> None:
    film = footage.make_clip(tmp_path / "film.mp4", 1)
    cover = tmp_path / "cover.mp4"
    picture = ["-f", "lavfi", "-i", "color=red:s=600x600:r=1:d=1"]
    args = [*picture, *ffmpeg.input_args(film), "-map", "0", "-map", "1", "-c", "copy", "-c:v:0", "mjpeg"]
    ffmpeg.run([*args, "-disposition:v:0", "attached_pic", ffmpeg.file_url(cover)])
    info = probe(cover)
    assert (info.video.display_width, len(info.frames)) == (320, 30)


def test_facts_survive_json(made: Callable[[str], Path]) -> None:
    info = probe(made("phone"))
    assert MediaInfo.from_dict(json.loads(json.dumps(info.as_dict())), info.frames) == info


def test_cost_is_told(made: Callable[[str], Path]) -> None:
    spent: list[ffmpeg.Usage] = []
    probe(made("h264"), on_usage=spent.append)
    assert len(spent) == 1
    assert 0 < spent[0].cpu_seconds < 5
    # a child too short to be sampled counts the peak of pytest itself
    assert spent[0].max_rss < max(200 * 2**20, peak_memory() + 1)


def test_cost_is_told_once(tmp_path: Path) -> None:
    path = footage.make_sound(tmp_path / "sound.mp3")
    spent: list[ffmpeg.Usage] = []
    with pytest.raises(MediaError) as caught:
        probe(path, on_usage=spent.append)
    assert len(spent) == 1
    assert caught.value.usage == ffmpeg.Usage()
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.usage.cpu_seconds > 0


def test_stop(made: Callable[[str], Path]) -> None:
    with pytest.raises(ffmpeg.Stopped):
        probe(made("h264"), should_stop=lambda: True)


def test_a_missing_file_is_the_callers_fault(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "nothing.mp4")


@pytest.mark.parametrize("name", ["sound.mp3", "sound.wav", "sound.flac", "sound.ogg", "sound.aac", "sound.mp4"])
def test_sound_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError) as caught:
        probe(footage.make_sound(tmp_path / name))
    assert caught.value.code == "no_video_stream"


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("h264", "mov"),
        ("fragmented", "mov"),
        ("mkv", "matroska"),
        ("vp9", "matroska"),
        ("avi", "avi"),
        ("ts", "mpegts"),
    ],
)
def test_sniff_knows_containers(made: Callable[[str], Path], name: str, family: str) -> None:
    assert sniff(made(name).read_bytes()[:4096]) == family


STRANGERS = [
    b"",
    b"\0",
    b"#EXTM3U\n",
    b"ffconcat version 1.0\n",
    b"<svg xmlns=''>",
    b"<?xml version='1.0'?><MPD>",
    b"1\n00:00:01,000 -->",
    b"\xff\xd8\xff\xe0JFIF",
    b"\x89PNG\r\n",
    b"GIF89a",
    b"%PDF-1.4",
    b"PK\3\4",
    b"RIFF\0\0\0\0WEBP",
    b"<html>",
    b"\xff\xfe<\0s\0v\0g\0",
]


@pytest.mark.parametrize("head", STRANGERS)
def test_sniff_knows_nothing_else(head: bytes) -> None:
    assert sniff(head) is None
