"""Uploaded pictures are hostile until they were decoded in the sandbox; what comes out is a plain JPEG. No database."""

import struct
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from editai.clips.pictures import Picture, judge
from editai.clips.stills import LIMITS, MAX_COVER_BYTES, cover_size, still_of_clip, still_of_picture
from editai.clips.tests.images import chunk, draw, exif_turned, jpeg_markers, pixels, png
from jobs import ffmpeg
from profiles.errors import Invalid, TooLarge
from segments.tests import footage

RUN = partial(ffmpeg.run, limits=LIMITS)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="640"><image href="file:///etc/passwd"/></svg>'
WEBP_HEAD = b"RIFF" + struct.pack("<I", 100) + b"WEBP"


def still(path: Path, size: tuple[int, int] = (270, 480)) -> Path:
    out = path.with_name("still.jpg")
    still_of_picture(path, judge(path), out, size, run=RUN)
    return out


def written(folder: Path, content: bytes) -> Path:
    path = folder / "upload"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_the_three_kinds(tmp_path: Path, suffix: str) -> None:
    path = draw(tmp_path / f"picture{suffix}", (640, 480))
    assert (judge(path).width, judge(path).height) == (640, 480)
    out = still(path)
    again = judge_size(out)
    assert again == (270, 480)


def judge_size(path: Path) -> tuple[int, int]:
    """The size of any JPEG, also a small one."""
    data = path.read_bytes()
    at = next(n for n in range(2, len(data)) if data[n] == 0xFF and data[n + 1] in (0xC0, 0xC1, 0xC2))
    height, width = struct.unpack(">HH", data[at + 5 : at + 9])
    return width, height


REFUSED = {
    "nothing": (b"", "image_empty"),
    "svg": (SVG, "not_an_image"),
    "html": (b"<!doctype html><img src=x onerror=alert(1)>", "not_an_image"),
    "playlist": (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not_an_image"),
    "concat": (b"ffconcat version 1.0\nfile /etc/passwd\n", "not_an_image"),
    "gif": (b"GIF89a" + bytes(100), "not_an_image"),
    "video": (b"\0\0\0\x18ftypmp42" + bytes(100), "not_an_image"),
    "two bytes of JPEG": (b"\xff\xd8", "not_an_image"),
    "JPEG without a picture": (b"\xff\xd8\xff\xe0\x00\x04ab" * 3, "image_damaged"),
    "endless JPEG tables": (b"\xff\xd8" + b"\xff\xfe\x00\x02" * 50_000, "image_damaged"),
    "JPEG padding": (b"\xff\xd8" + b"\xff" * 100_000, "image_damaged"),
    "PNG head alone": (b"\x89PNG\r\n\x1a\n", "image_damaged"),
    "PNG of a huge chunk": (b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31 - 1) + b"IHDR" + bytes(20), "image_damaged"),
    "animated PNG": (png(before=chunk(b"acTL", struct.pack(">II", 2, 0))), "image_animated"),
    "animated WebP": (WEBP_HEAD + b"VP8X" + struct.pack("<I", 10) + b"\x02" + bytes(20), "image_animated"),
    "WebP head alone": (WEBP_HEAD, "image_damaged"),
    "too small": (png(319, 320), "image_too_small"),
    "no size": (png(0, 0), "image_too_small"),
    "too wide": (png(16_385, 320, rows=1), "image_too_many_pixels"),
    "too many pixels": (png(8_000, 8_000, rows=1), "image_too_many_pixels"),
    "a bomb": (png(2**31 - 1, 2**31 - 1, rows=0), "image_too_many_pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_before_anything_decodes_it(tmp_path: Path, name: str) -> None:
    content, code = REFUSED[name]
    began = time.thread_time()
    with pytest.raises(Invalid) as caught:
        judge(written(tmp_path, content))
    assert (caught.value.code, list(caught.value.fields or {})) == (code, ["image"])
    assert time.thread_time() - began < 0.2


def test_too_many_bytes(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with path.open("wb") as file:
        file.truncate(20 * 2**20 + 1)
    with pytest.raises(TooLarge):
        judge(path)


def test_what_only_decoding_shows(tmp_path: Path) -> None:
    whole = draw(tmp_path / "picture.jpg").read_bytes()
    damaged = {
        "cut PNG": png(640, 640)[:-30],
        "cut JPEG": whole[: len(whole) // 2],
        "noise": whole[:700] + bytes(range(256)) * 20,
        "head of a JPEG": whole[:700],
    }
    for name, content in damaged.items():
        with pytest.raises(Invalid) as caught:
            still(written(tmp_path, content))
        assert caught.value.code == "image_damaged", name


def test_a_head_that_lies_meets_the_limit_of_pixels(tmp_path: Path) -> None:
    path = written(tmp_path, png(8_000, 8_000))
    out = tmp_path / "out.jpg"
    began = time.monotonic()
    with pytest.raises(Invalid) as caught:
        still_of_picture(path, Picture("png_pipe", 640, 640), out, (270, 480), run=RUN)
    assert caught.value.code == "image_damaged"
    assert time.monotonic() - began < 8


def test_a_picture_called_by_another_name_is_not_read_as_that(tmp_path: Path) -> None:
    """The demuxer is forced: text behind a JPEG's first bytes is never a playlist."""
    path = written(tmp_path, b"\xff\xd8\xff#EXTM3U\nfile:///etc/passwd\n")
    with pytest.raises(Invalid):
        still_of_picture(path, Picture("jpeg_pipe", 640, 640), tmp_path / "out.jpg", (270, 480), run=RUN)


def test_the_largest_picture_is_made_in_time(tmp_path: Path) -> None:
    path = draw(tmp_path / "large.jpg", (7_300, 5_400))
    began = time.monotonic()
    assert judge_size(still(path, (1080, 1920))) == (1080, 1920)
    assert time.monotonic() - began < 8


def test_the_middle_is_kept_without_distortion(tmp_path: Path) -> None:
    """Thirds of red, green and blue; cropped upright, green alone is left."""
    parts = "color=red:s=300x400:r=1:d=1[r];color=lime:s=300x400:r=1:d=1[g];color=blue:s=300x400:r=1:d=1[b]"
    path = tmp_path / "thirds.png"
    args = ["-f", "lavfi", "-i", f"{parts};[r][g][b]hstack=3", "-frames:v", "1", "-update", "1"]
    ffmpeg.run([*args, ffmpeg.file_url(path)])
    for red, green, blue in pixels(still(path)):
        assert (red < 20, green > 230, blue < 20) == (True, True, True)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_photos_come_out_upright(tmp_path: Path, orientation: int) -> None:
    """Red above, blue below, once the phone's note is obeyed."""
    turn = {1: "null", 3: "hflip,vflip", 6: "transpose=cclock", 8: "transpose=clock"}[orientation]
    parts = "color=red:s=400x400:r=1:d=1[r];color=blue:s=400x400:r=1:d=1[b];[r][b]vstack"
    path = tmp_path / "photo.jpg"
    args = ["-f", "lavfi", "-i", f"{parts},{turn}", "-frames:v", "1", "-update", "1", ffmpeg.file_url(path)]
    ffmpeg.run(args)
    path.write_bytes(exif_turned(path.read_bytes(), orientation))
    above, below = pixels(still(path), (1, 2))
    assert above[0] > 200 > 60 > above[2]
    assert below[2] > 200 > 60 > below[0]


def test_what_is_transparent_becomes_black(tmp_path: Path) -> None:
    found = pixels(still(written(tmp_path, png(pixel=b"\xff\xff\xff\x00"))), (1, 1))
    assert max(found[0]) < 10
    found = pixels(still(written(tmp_path, png(pixel=b"\xff\xff\xff\xff"))), (1, 1))
    assert min(found[0]) > 245


def test_nothing_but_the_picture_is_left(tmp_path: Path) -> None:
    path = draw(tmp_path / "picture.jpg")
    path.write_bytes(exif_turned(path.read_bytes(), 6))
    data = still(path).read_bytes()
    assert set(jpeg_markers(data)) <= {0xE0, 0xDB, 0xC0, 0xC4}  # JFIF, tables, the frame: no EXIF, profile or comment
    assert b"GPS" not in data
    profile = chunk(b"iCCP", b"P3\0\0" + b"x\x9c")
    text = chunk(b"tEXt", b"Comment\0<script>alert(1)</script>")
    data = still(written(tmp_path, png(before=text + profile))).read_bytes()
    assert b"script" not in data
    assert set(jpeg_markers(data)) <= {0xE0, 0xDB, 0xC0, 0xC4}


def test_even_noise_is_small_enough(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1920, 1080, 3), np.uint8).tobytes()
    path = tmp_path / "noise.png"
    raw = tmp_path / "noise.raw"
    raw.write_bytes(noise)
    whitelists = ffmpeg.input_args(raw, formats=("rawvideo",))
    args = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", "1080x1920", *whitelists]
    ffmpeg.run([*args, "-frames:v", "1", "-update", "1", ffmpeg.file_url(path)])
    assert still(path, (1080, 1920)).stat().st_size <= MAX_COVER_BYTES


def test_the_frame_is_the_one_that_is_meant(tmp_path: Path) -> None:
    """29.97 frames a second, keyframes far apart: every one of the first, the last and some between."""
    clip = footage.make_clip(tmp_path / "clip.mp4", 3, fps="30000/1001", gop=40)
    count = len(footage.read_numbers(clip))
    for frame in (0, 1, 39, 40, 41, count - 2, count - 1):
        out = tmp_path / "still.jpg"
        still_of_clip(clip, frame, 29.97003, out, run=RUN)
        assert number_in(out) == frame
        assert judge_size(out) == (320, 240)


def number_in(path: Path) -> int:
    columns = [sum(pixel) > 3 * 128 for pixel in pixels(path, (footage.BITS, 1))]
    return footage._from_gray(sum(1 << place for place, is_white in enumerate(columns) if is_white))


@pytest.mark.parametrize(
    ("clip", "cover"),
    [
        ((1080, 1920), (1080, 1920)),
        ((540, 960), (540, 960)),
        ((2160, 3840), (1080, 1920)),
        ((3840, 2160), (1920, 1080)),
    ],
)
def test_sizes(clip: tuple[int, int], cover: tuple[int, int]) -> None:
    assert cover_size(*clip) == cover
