"""One request on its way through the stub, and the reading of its body."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any, BinaryIO

from .faults import Fault
from .models import Organisation, SeenRequest
from .replies import Refused, Reply, bad_request, too_large
from .state import World

PIECE = 256 * 1024


class Dropped(Exception):
    """The line is to be cut without a reply."""

    def __init__(self, reset: bool = False) -> None:
        super().__init__("dropped by the stub")
        self.reset = reset


class BodyEnded(Exception):
    """The client stopped in the middle of its body."""


class BodyReader:
    """The body of a request, in pieces: by Content-Length or chunked. Counts what it read in `seen.size`."""

    def __init__(self, stream: BinaryIO | io.BufferedIOBase, headers: Message, seen: SeenRequest) -> None:
        self._stream = stream
        self._seen = seen
        self._chunked = "chunked" in (headers.get("Transfer-Encoding") or "").lower()
        length = headers.get("Content-Length") or "0"
        self.declared = None if self._chunked else int(length) if length.isdigit() else 0
        self._left = self.declared or 0  # of the body, or of the chunk
        self.done = not self._chunked and self._left == 0

    def pieces(self) -> Iterator[bytes]:
        """All that is left; BodyEnded when it ends too early."""
        while not self.done:
            if self._chunked and self._left == 0:
                self._next_chunk()
                continue
            piece = self._stream.read1(min(PIECE, self._left)) if self._left else b""  # type: ignore[union-attr]
            if not piece:
                raise BodyEnded
            self._left -= len(piece)
            self._seen.size += len(piece)
            if self._chunked and self._left == 0:
                self._stream.readline(8)
            self.done = not self._chunked and self._left == 0
            yield piece

    def _next_chunk(self) -> None:
        line = self._stream.readline(64).split(b";")[0].strip()
        try:
            self._left = int(line, 16)
        except ValueError as error:
            raise BodyEnded from error
        if self._left == 0:
            while self._stream.readline(8192) not in (b"\r\n", b"\n", b""):
                continue
            self.done = True

    def drain(self, most: int | None = None) -> bool:
        """Reads and forgets, up to `most` bytes; False when there is more."""
        if most is not None and self.declared is not None and self._left > most:
            return False
        start = self._seen.size
        for _ in self.pieces():
            if most is not None and self._seen.size - start > most:
                return self.done
        return True


@dataclass(eq=False)
class Call:
    """A request with its world, and who is asking once that is known."""

    world: World
    method: str
    path: str  # below the API's prefix
    query: dict[str, str]
    headers: Message
    reader: BodyReader
    seen: SeenRequest
    host: str  # scheme and authority under which the stub is reached
    arguments: dict[str, str]
    fault: Fault | None = None

    @property
    def organisation(self) -> Organisation:
        assert self.seen.organisation is not None, "the call was let in without a key"
        return self.seen.organisation

    @property
    def json(self) -> dict[str, Any]:
        return self.seen.body if isinstance(self.seen.body, dict) else {}

    def read_json(self) -> None:
        """Puts the parsed body into `seen.body`; Refused with 413 or 400."""
        limit = self.world.limits.json_bytes
        if self.reader.declared is not None and self.reader.declared > limit:
            if not self.reader.drain(2**20):
                raise Refused(Reply(**{**vars(too_large()), "close": True}))
            raise Refused(too_large())
        text = b""
        for piece in self.reader.pieces():
            text += piece
            if len(text) > limit:
                raise Refused(Reply(**{**vars(too_large()), "close": True}))
        if not text.strip():
            self.seen.body = {}
            return
        try:
            self.seen.body = json.loads(text)
        except ValueError as error:  # also what is no UTF-8
            raise Refused(bad_request(f"Unexpected token in JSON: {error}")) from error


Apply = Callable[[], Reply]
"""What a checked request does, under the world's lock: changes, and gives the reply."""

Handler = Callable[[Call], Apply]
"""Checks a request (Refused with the reply of the refusal) and says what it would do."""
