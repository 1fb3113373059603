"""Multipart bodies read piece by piece: 900 MB go through without being held."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

HEAD_BYTES = 64
PART_HEAD_BYTES = 16 * 1024


class BrokenForm(Exception):
    """The body is no whole multipart form; its text is what Postiz says."""


@dataclass
class Part:
    """A part that was counted and hashed: `head` is its beginning."""

    name: str
    filename: str | None
    content_type: str
    size: int = 0
    head: bytes = b""
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def feed(self, piece: bytes | memoryview) -> None:
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(piece[: HEAD_BYTES - len(self.head)])
        self.size += len(piece)
        self.digest.update(piece)


def boundary_of(content_type: str) -> bytes:
    """The boundary of a Content-Type; BrokenForm without one."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not content_type.lower().startswith("multipart/form-data") or found is None:
        raise BrokenForm("Multipart: Boundary not found")
    return found.group(1).encode("latin-1")


def read_parts(pieces: Iterator[bytes], boundary: bytes) -> list[Part]:
    """All parts; BrokenForm when the form ends before its last boundary. Reads `pieces` to their end."""
    mark = b"\r\n--" + boundary
    buffer = b"\r\n"  # so that the first boundary looks like the others
    parts: list[Part] = []
    current: Part | None = None
    for piece in pieces:
        buffer += piece
        while True:
            at = buffer.find(mark)
            if at < 0:
                keep = len(mark) - 1
                if current is not None and len(buffer) > keep:
                    current.feed(memoryview(buffer)[: len(buffer) - keep])
                    buffer = buffer[len(buffer) - keep :]
                break
            rest = buffer[at + len(mark) :]
            if rest.startswith(b"--"):
                if current is not None:
                    current.feed(buffer[:at])
                for _ in pieces:  # the epilogue
                    continue
                return parts
            end = rest.find(b"\r\n\r\n")
            if end < 0:
                if len(rest) > PART_HEAD_BYTES:
                    raise BrokenForm("Multipart: Malformed part header")
                break
            if current is not None:
                current.feed(buffer[:at])
            current = _part(rest[:end])
            parts.append(current)
            buffer = rest[end + 4 :]
    raise BrokenForm("Multipart: Unexpected end of form")


def _part(head: bytes) -> Part:
    text = head.decode("utf-8", "replace")
    name = re.search(r'[; ]name="([^"]*)"', text)
    filename = re.search(r'filename="([^"]*)"', text)
    kind = re.search(r"content-type:\s*(\S+)", text, re.I)
    return Part(
        name.group(1) if name else "",
        filename.group(1) if filename else None,
        kind.group(1) if kind else "application/octet-stream",
    )
