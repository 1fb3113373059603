"""Pictures to upload: good ones by ffmpeg, PNG by hand, with anything in it."""

import struct
import zlib
from pathlib import Path

from jobs import ffmpeg


def draw(path: Path, size: tuple[int, int] = (640, 480)) -> Path:
    """A test picture; `path`'s suffix (.jpg, .png, .webp) says of what kind."""
    lavfi = f"testsrc2=s={size[0]}x{size[1]}:r=1:d=1"
    kind = {".webp": ["-c:v", "libwebp"]}.get(path.suffix, [])
    ffmpeg.run(["-f", "lavfi", "-i", lavfi, "-frames:v", "1", *kind, "-update", "1", ffmpeg.file_url(path)])
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int = 320,
    height: int = 320,
    pixel: bytes = b"\xff\x00\x00",
    *,
    before: bytes = b"",
    rows: int | None = None,
) -> bytes:
    """A PNG of one colour, RGB or RGBA by the length of `pixel`; `before`: chunks before the pixels; `rows`: fewer than
    it promises."""
    color = {3: 2, 4: 6}[len(pixel)]
    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    lines = (b"\0" + pixel * width for _ in range(height if rows is None else rows))  # none is made for no row
    pixels = zlib.compress(b"".join(lines))
    parts = chunk(b"IHDR", header), before, chunk(b"IDAT", pixels), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def exif_turned(jpeg: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that says how to hold it, and where it was taken."""
    tags = struct.pack(">HHHIHH", 2, 0x0112, 3, 1, orientation, 0) + struct.pack(">HHI4s", 0x010E, 2, 4, b"GPS\0")
    body = b"Exif\0\0" + b"MM\0*" + struct.pack(">I", 8) + tags + struct.pack(">I", 0)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def pixels(path: Path, size: tuple[int, int] = (3, 3)) -> list[tuple[int, int, int]]:
    """The colours of a JPEG, averaged to `size`, row by row."""
    raw = bytearray()
    args = ["-f", "jpeg_pipe", *ffmpeg.input_args(path, formats=("jpeg_pipe",)), "-vf"]
    args += [f"scale={size[0]}:{size[1]}:flags=area,format=rgb24", "-f", "rawvideo", "pipe:1"]
    ffmpeg.run(args, on_stdout=raw.extend)
    return [(raw[n], raw[n + 1], raw[n + 2]) for n in range(0, len(raw), 3)]


def jpeg_markers(data: bytes) -> list[int]:
    """The markers before the pixels."""
    found, position = [], 2
    while data[position + 1] != 0xDA:
        found.append(data[position + 1])
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return found
