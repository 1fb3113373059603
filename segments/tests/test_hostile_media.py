"""Files made to harm: refused with a code a person understands, cheaply, with nothing else read or asked.

Beside every playlist lies another tenant's film; a socket listens where the playlists point to.
"""

import random
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import peak_memory
from jobs import ffmpeg
from segments import probe as probing
from segments.derivatives import write_proxy
from segments.media_info import MediaInfo
from segments.probe import MESSAGES, MediaError, probe
from segments.tests import footage

Make = Callable[[Path], Path]
VICTIM = "victim.mp4"
MAX_RSS = 500 * 2**20


def most_memory() -> int:
    """Bytes. A child too short to be sampled counts the peak of pytest itself, which started it."""
    return max(MAX_RSS, peak_memory() + 1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    footage.make_clip(tmp_path / VICTIM, 0.5, (64, 64), audio=False)
    return tmp_path


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def nobody_called(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return True
    return False


def playlists(folder: Path, port: int) -> dict[str, bytes]:
    """Text files that some demuxer takes for films and that point elsewhere."""
    away = f"http://127.0.0.1:{port}/hit"
    near = (folder / VICTIM).absolute()
    mpd = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" profiles="x"'
        ' mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"'
        ' bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
    )
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><image href="{}"/></svg>'
    texts = {
        "concat_relative": f"ffconcat version 1.0\nfile {VICTIM}\n",
        "concat_absolute": f"ffconcat version 1.0\nfile '{near}'\n",
        "concat_http": f"ffconcat version 1.0\nfile {away}.mp4\n",
        "hls_http": hls.format(away + ".ts"),
        "hls_relative": hls.format(VICTIM),
        "hls_file": hls.format(f"file://{near}"),
        "hls_key": hls.format(f'seg.ts\n#EXT-X-KEY:METHOD=AES-128,URI="{away}"'),
        "dash_relative": mpd.format(VICTIM),
        "dash_http": mpd.format(away + ".mp4"),
        "svg_file": svg.format(f"file://{near}"),
        "svg_http": svg.format(away + ".png"),
        "subtitles": "1\n00:00:00,000 --> 00:00:09,000\nhello\n",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n",
        "html": "<!doctype html><title>film</title>",
        "hls_behind_an_id3_tag": "ID3\x03\0\0\0\0\0\0" + hls.format(away + ".ts"),
        "hls_utf16": "",
    }
    contents = {name: text.encode("latin-1") for name, text in texts.items()}
    contents["hls_utf16"] = hls.format(away + ".ts").encode("utf-16")
    contents["hls_behind_a_box"] = b"\0\0\0\x10ftypisom\0\0\0\0" + contents["hls_http"]
    return contents


NAMES = list(playlists(Path(), 0))


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8"])
@pytest.mark.parametrize("name", NAMES)
def test_playlists_are_not_films(folder: Path, listener: socket.socket, name: str, suffix: str) -> None:
    path = folder / f"upload{suffix}"
    path.write_bytes(playlists(folder, listener.getsockname()[1])[name])
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.code in {"not_a_video", "damaged", "no_video_stream"}
    assert caught.value.usage.max_rss < most_memory()
    # the second line of defence, were the first one missing: no demuxer for them in ffmpeg itself
    opened = ffmpeg.input_args(path)
    with pytest.raises(ffmpeg.FfmpegError) as refused:
        ffmpeg.run([*opened, "-map", "0:v", "-f", "null", "-"], limits=footage.LIMITS)
    assert refused.value.code == "invalid_media"
    assert nobody_called(listener)


def test_the_attack_works_without_the_whitelist(folder: Path) -> None:
    """The control: with all formats allowed the relative playlist does show the other tenant's film."""
    path = folder / "upload.mp4"
    path.write_bytes(playlists(folder, 0)["concat_relative"])
    frames = bytearray()
    opened = ffmpeg.input_args(path, formats=("concat", *ffmpeg.FORMATS))
    ffmpeg.run([*opened, "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"], on_stdout=frames.extend)
    assert len(frames) == 15 * 64 * 64


@pytest.mark.parametrize("family", ["mov", "matroska", "avi", "mpegts", "mp3", "ogg"])
def test_the_child_does_not_follow_playlists_either(folder: Path, listener: socket.socket, family: str) -> None:
    """Were the sniffing deceived: the demuxer is forced, whatever the text says."""
    script = str(Path(probing.__file__).with_name("probe_child.py"))
    for content in playlists(folder, listener.getsockname()[1]).values():
        path = folder / "upload.mp4"
        path.write_bytes(content)
        out = bytearray()
        command = [sys.executable, "-I", script, family, str(path)]
        ffmpeg.run_limited(command, limits=probing.PROBE_LIMITS, on_stdout=out.extend)
        assert out.startswith(b'{"error":')
    assert nobody_called(listener)


def run_to(path: Path, *args: str) -> Path:
    ffmpeg.run([*args, ffmpeg.file_url(path)], limits=ffmpeg.Limits(wall_seconds=120))
    return path


def box(name: bytes, body: bytes) -> bytes:
    """One box of an MP4 file."""
    return (8 + len(body)).to_bytes(4, "big") + name + body


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def noise(path: Path) -> Path:
    path.write_bytes(random.Random(3).randbytes(200_000))
    return path


def zeros(path: Path) -> Path:
    path.write_bytes(bytes(200_000))
    return path


def mov_of_noise(path: Path) -> Path:
    path.write_bytes(box(b"ftyp", b"isom\0\0\0\0isom") + box(b"moov", random.Random(4).randbytes(50_000)))
    return path


def cut_off(share: float, *, front: bool, suffix: str = ".mp4") -> Make:
    """A film of which only a share was uploaded; `front`: with its index before the pictures."""

    def make(path: Path) -> Path:
        whole = path.with_name(f"whole{suffix}")
        footage.make_clip(whole, 2, extra=("-movflags", "+faststart") if front else ())
        path.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
        return path

    return make


def one_pixel(path: Path) -> Path:
    return run_to(path, "-f", "lavfi", "-i", "color=red:s=1x1:r=1:d=2", "-c:v", "ffv1")


def narrow(path: Path) -> Path:
    return footage.make_clip(path, 0.5, (320, 14), audio=False)


def giant(path: Path) -> Path:
    """42 million pixels in a small file."""
    source = ["-f", "lavfi", "-i", "color=s=8192x5120:r=1:d=1", "-frames:v", "1"]
    return run_to(path, *source, "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1")


def sound_with_cover(path: Path) -> Path:
    sound = footage.make_sound(path.with_name("sound.mp3"))
    picture = ["-f", "lavfi", "-i", "color=red:s=64x64:r=1:d=1"]
    maps = ["-map", "0", "-map", "1", "-c:a", "copy", "-c:v", "mjpeg", "-disposition:v", "attached_pic"]
    return run_to(path, *ffmpeg.input_args(sound), *picture, *maps)


def seventy_streams(path: Path) -> Path:
    clip = footage.make_clip(path.with_name("small.mkv"), 0.2, (16, 16), audio=False)
    return run_to(path, *ffmpeg.input_args(clip), *["-map", "0:0"] * 70, "-c", "copy")


def ten_thousand_streams(path: Path) -> Path:
    data = footage.make_clip(path.with_name("small.mp4"), 0.2, (16, 16), audio=False).read_bytes()
    moov, trak = data.index(b"moov") - 4, data.index(b"trak") - 4
    end = moov + int.from_bytes(data[moov : moov + 4], "big")
    after = trak + int.from_bytes(data[trak : trak + 4], "big")
    body = data[moov + 8 : trak] + data[trak:after] * 10_000 + data[after:end]
    path.write_bytes(data[:moov] + box(b"moov", body) + data[end:])
    return path


def a_million_frames(path: Path) -> Path:
    clip = footage.make_clip(path.with_name("s.mp4"), 20, (16, 16), 500, audio=False, bframes=0, gop=500)
    return run_to(path, "-stream_loop", "100", *ffmpeg.input_args(clip), "-c", "copy")


def a_day(path: Path) -> Path:
    clip = footage.make_clip(path.with_name("s.mp4"), 1000, (16, 16), 1, audio=False, bframes=0)
    return run_to(path, "-stream_loop", "86", *ffmpeg.input_args(clip), "-c", "copy")


def a_day_between_frames(path: Path) -> Path:
    source = ["-f", "lavfi", "-i", "testsrc2=s=64x64:r=1:d=3", "-vf", "setpts=N*50000/TB"]
    return run_to(path, *source, "-fps_mode", "passthrough", "-c:v", "mpeg4")


def mov_metadata(path: Path) -> Path:
    """A title of one gigabyte (sparse)."""
    size = 2**30
    with path.open("wb") as file:
        file.write(box(b"ftyp", b"isom\0\0\0\0isom"))
        for name, more in ((b"moov", 24), (b"udta", 16), (b"\xa9nam", 8)):
            file.write((size + more).to_bytes(4, "big") + name)
        file.truncate(file.tell() + size)
    return path


def mkv_metadata(path: Path) -> Path:
    """A tag of 200 MB (sparse)."""
    size = 200 * 2**20

    def element(identifier: str, length: int) -> bytes:
        return bytes.fromhex(identifier) + (length | 1 << 56).to_bytes(8, "big")

    with path.open("wb") as file:
        file.write(bytes.fromhex("1a45dfa380") + bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7)
        file.write(element("1254c367", size + 38) + element("7373", size + 28) + element("67c8", size + 18))
        file.write(element("45a3", 4) + b"TEST" + element("4487", size))
        file.truncate(file.tell() + size)
    return path


def unknown_codec(path: Path) -> Path:
    data = footage.make_clip(path.with_name("s.mp4"), 0.5, (64, 64), audio=False).read_bytes()
    path.write_bytes(data.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"))
    return path


def no_pictures(path: Path) -> Path:
    return run_to(path, "-f", "lavfi", "-i", "color=s=64x64:r=1:d=1", "-vf", "select=0", "-c:v", "mpeg4")


def undecodable(path: Path) -> Path:
    """A sound container, a sound picture rate, and noise where the pictures should be."""
    data = bytearray(footage.make_clip(path.with_name("s.mp4"), 0.5, (64, 64), audio=False).read_bytes())
    start = data.index(b"mdat") + 4
    length = int.from_bytes(data[start - 8 : start - 4], "big") - 8
    data[start : start + length] = random.Random(5).randbytes(length)
    path.write_bytes(data)
    return path


REFUSED: list[tuple[str, str, Make, set[str]]] = [
    ("empty", "a.mp4", empty, {"zero_length"}),
    ("noise", "a.mp4", noise, {"not_a_video"}),
    ("zeros", "a.mp4", zeros, {"not_a_video"}),
    ("mov_of_noise", "a.mp4", mov_of_noise, {"damaged", "no_video_stream"}),
    ("index_missing", "a.mp4", cut_off(0.7, front=False), {"truncated"}),
    ("index_cut", "a.mp4", cut_off(0.985, front=False), {"truncated"}),
    ("pictures_cut", "a.mp4", cut_off(0.6, front=True), {"truncated"}),
    ("index_at_front_cut", "a.mp4", cut_off(0.01, front=True), {"truncated"}),
    ("mkv_cut", "a.mkv", cut_off(0.6, front=False, suffix=".mkv"), {"truncated"}),
    ("avi_cut", "a.avi", cut_off(0.6, front=False, suffix=".avi"), {"truncated"}),
    ("one_pixel", "a.mkv", one_pixel, {"bad_dimensions"}),
    ("narrow", "a.mp4", narrow, {"bad_dimensions"}),
    ("giant", "a.mp4", giant, {"too_many_pixels"}),
    ("sound_with_cover", "a.mp3", sound_with_cover, {"attached_picture_only"}),
    ("seventy_streams", "a.mkv", seventy_streams, {"too_many_streams"}),
    ("ten_thousand_streams", "a.mp4", ten_thousand_streams, {"too_complex", "too_many_streams"}),
    ("a_million_frames", "a.mp4", a_million_frames, {"too_many_frames"}),
    ("a_day", "a.mp4", a_day, {"too_long"}),
    ("a_day_between_frames", "a.mkv", a_day_between_frames, {"too_long"}),
    ("mov_metadata", "a.mp4", mov_metadata, {"damaged", "no_video_stream", "too_complex"}),
    ("mkv_metadata", "a.mkv", mkv_metadata, {"damaged", "no_video_stream", "too_complex"}),
    ("unknown_codec", "a.mp4", unknown_codec, {"unsupported_format"}),
    ("no_pictures", "a.mkv", no_pictures, {"no_frames", "damaged"}),
    ("undecodable", "a.mp4", undecodable, {"undecodable"}),
]


@pytest.mark.parametrize(("name", "file", "make", "codes"), REFUSED, ids=[case[0] for case in REFUSED])
def test_refused(tmp_path: Path, name: str, file: str, make: Make, codes: set[str]) -> None:
    path = make(tmp_path / file)
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.code in codes
    assert caught.value.message == MESSAGES[caught.value.code]
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.usage.max_rss < most_memory()
    assert caught.value.usage.cpu_seconds < (20 if name == "a_million_frames" else 6)


def cut_and_usable(path: Path) -> MediaInfo:
    info = probe(path)
    write_proxy(path, info, path.with_name("proxy.mp4"))
    return info


@pytest.mark.parametrize(("suffix", "extra"), [(".ts", ()), (".mp4", ("-movflags", "frag_keyframe+empty_moov"))])
def test_files_made_for_a_sudden_end_are_kept(tmp_path: Path, suffix: str, extra: tuple[str, ...]) -> None:
    whole = footage.make_clip(tmp_path / f"whole{suffix}", 2, extra=extra)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size * 7 // 10])
    info = cut_and_usable(path)
    assert 20 < len(info.frames) < 58


def test_a_false_duration_is_not_believed(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "a.mp4", 1, audio=False)
    data = bytearray(path.read_bytes())
    place = data.index(b"mvhd") + 20
    data[place : place + 4] = b"\x7f\xff\xff\xff"
    path.write_bytes(data)
    assert probe(path).duration_seconds == pytest.approx(1.0, abs=0.05)


def test_pictures_may_change_their_size(tmp_path: Path) -> None:
    """Two recordings in one transport stream: everything is brought to the size of the first."""
    parts = [footage.make_clip(tmp_path / f"{n}.ts", 1, size) for n, size in enumerate([(320, 240), (640, 480)])]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = cut_and_usable(path)
    assert (info.video.width, info.video.height) == (320, 240)
    assert probe(tmp_path / "proxy.mp4").video.width == 320


def test_time_is_bounded(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "a.mp4", 0.5)
    with pytest.raises(MediaError) as caught:
        probe(path, limits=ffmpeg.Limits(wall_seconds=0.01))
    assert caught.value.code == "too_complex"


def test_memory_is_bounded(tmp_path: Path) -> None:
    path = footage.make_clip(tmp_path / "a.mp4", 0.5)
    with pytest.raises(MediaError) as caught:
        probe(path, limits=ffmpeg.Limits(address_space=100 * 2**20))
    assert caught.value.code in {"too_complex", "damaged"}


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_never_do_worse_than_a_refusal(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    suffix, codec = rng.choice(
        [(".mp4", "libx264"), (".mkv", "libx264"), (".webm", "libvpx"), (".avi", "mpeg4"), (".ts", "libx264")]
    )
    path = footage.make_clip(tmp_path / f"a{suffix}", 0.5, (64, 64), codec=codec)
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([3, 30, 300])):
        data[rng.randrange(8, len(data))] = rng.randrange(256)
    path.write_bytes(data)
    try:
        info = probe(path)
    except MediaError as error:
        assert error.usage.max_rss < most_memory()  # noqa: PT017
    else:
        assert 0 < info.duration_seconds < probing.MAX_SECONDS


def test_what_the_child_says_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It read hostile bytes: were it taken over, its answer must be harmless too."""
    path = footage.make_clip(tmp_path / "a.mp4", 0.5)
    good = probing._ask_child(path, "mov", probing.PROBE_LIMITS, None)[0]
    line, _, blob = good.partition(b"\n")
    answers = [b"", b"\n", b"[]\n", b"{}\n", b"nonsense", line + b"\n" + blob[:-1], b'{"error": "<script>"}\n']
    answers += [good.replace(b'"time_base": [1, 15360]', b'"time_base": [1, 0]')]
    answers += [good.replace(b'"time_base": [1, 15360]', b'"time_base": [-1, 15360]')]
    answers += [line.replace(b'"shown": [', b'"shown": ["x", ') + b"\n" + blob]
    answers += [line.replace(b'"sar": [1, 1]', b'"sar": "1:1"') + b"\n" + blob]
    answers += [line.replace(b'"sample_rate": 48000', b'"sample_rate": "x"') + b"\n" + blob]
    assert len(set(answers)) == len(answers)
    assert good not in answers
    for answer in answers:
        monkeypatch.setattr(probing, "_ask_child", lambda *_, answer=answer: (answer, ffmpeg.Usage()))
        with pytest.raises(MediaError) as caught:
            pytest.fail(f"accepted: {probe(path)} from {answer[:400]!r}")
        assert caught.value.code == "damaged", answer[:80]


def test_a_flood_from_the_child_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = footage.make_clip(tmp_path / "a.mp4", 0.5)
    script = tmp_path / "probe_child.py"
    script.write_text("import os\nwhile True: os.write(1, bytes(1 << 20))")
    monkeypatch.setattr(probing, "__file__", str(tmp_path / "probe.py"))
    with pytest.raises(MediaError) as caught:
        probe(path)
    assert caught.value.code == "too_complex"
