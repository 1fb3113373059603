"""Which pictures people may upload. What the first bytes say is all that is believed before the sandbox decodes it:
text of any kind (SVG, HTML, playlists) has no name here, and what would be too large is never decoded."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from profiles.errors import Invalid, TooLarge

MAX_BYTES = 20 * 2**20
MAX_PIXELS = 40_000_000
MAX_SIDE = 16_384
MIN_SIDE = 320
MESSAGES = {
    "image_empty": "The file is empty.",
    "not_an_image": "This is no picture in a known form: send a JPEG, PNG or WebP file.",
    "image_animated": "This picture moves: send one that stands still.",
    "image_damaged": "The picture is damaged: it cannot be read to its end.",
    "image_too_small": f"The picture is too small: each side needs {MIN_SIDE} pixels or more.",
    "image_too_many_pixels": "The picture is too large: at most 40 million pixels, and 16384 on a side, are allowed.",
}
_MOST_PARTS = 2_000  # of a file, looked at before its size is known
# Start of frame, in all codings; between them lie tables (C4, CC) and one that is reserved (C8).
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True)
class Picture:
    """`demuxer`: of ffmpeg; `width`, `height`: as the file claims, before it is turned upright."""

    demuxer: str
    width: int
    height: int


def refused(code: str) -> Invalid:
    """The 400 of a key of MESSAGES."""
    return Invalid(MESSAGES[code], code=code, fields={"image": [MESSAGES[code]]})


def check_bytes(count: int) -> None:
    """TooLarge (413) for more bytes than a picture may have."""
    if count > MAX_BYTES:
        raise TooLarge(f"A picture may have {MAX_BYTES // 2**20} MB.")


def judge(path: Path) -> Picture:
    """What kind of picture a file claims to be. Raises Invalid (keys of MESSAGES), TooLarge."""
    size = path.stat().st_size
    check_bytes(size)
    if size == 0:
        raise refused("image_empty")
    with path.open("rb") as file:
        picture = _read(file)
    if picture.width * picture.height > MAX_PIXELS or max(picture.width, picture.height) > MAX_SIDE:
        raise refused("image_too_many_pixels")
    if min(picture.width, picture.height) < MIN_SIDE:
        raise refused("image_too_small")
    return picture


def _read(file: IO[bytes]) -> Picture:
    head = file.read(16)
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg(file)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(file)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _webp(file)
    raise refused("not_an_image")


def _jpeg(file: IO[bytes]) -> Picture:
    position = 2
    for _ in range(_MOST_PARTS):
        file.seek(position)
        part = file.read(9)
        if len(part) < 9 or part[0] != 0xFF:
            break
        if part[1] == 0xFF:  # padding
            position += 1
            continue
        if part[1] in _JPEG_SIZES:
            return Picture("jpeg_pipe", _number(part[7:9]), _number(part[5:7]))
        position += 2 + _number(part[2:4])
    raise refused("image_damaged")


def _png(file: IO[bytes]) -> Picture:
    """The size, once it is certain that no animation is announced before the first pixels."""
    size: tuple[int, int] | None = None
    for kind, position in _png_chunks(file):
        if kind == b"IHDR":
            file.seek(position)
            size = _number(file.read(4)), _number(file.read(4))
        elif kind == b"acTL":
            raise refused("image_animated")
        elif kind == b"IDAT" and size is not None:
            return Picture("png_pipe", *size)
    raise refused("image_damaged")


def _png_chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    position = 8
    for _ in range(_MOST_PARTS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        yield head[4:8], position + 8
        position += 12 + _number(head[:4])


def _webp(file: IO[bytes]) -> Picture:
    """By the first chunk: lossy, lossless, or extended, which says whether it moves."""
    file.seek(12)
    chunk = file.read(18)
    kind, body = chunk[:4], chunk[8:]
    if len(body) < 10:
        raise refused("image_damaged")
    if kind == b"VP8X":
        if body[0] & 0x02:
            raise refused("image_animated")
        return Picture("webp_pipe", _little(body[4:7]) + 1, _little(body[7:10]) + 1)
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return Picture("webp_pipe", _little(body[6:8]) & 0x3FFF, _little(body[8:10]) & 0x3FFF)
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = _little(body[1:5])
        return Picture("webp_pipe", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    raise refused("image_damaged")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
