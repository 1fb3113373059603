"""How a reply goes over the line: quickly, slowly, compressed, too long, or not at all."""

import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

from .replies import Reply

BLANKS = b" " * (256 * 1024)


def send(handler: BaseHTTPRequestHandler, reply: Reply, stopping: threading.Event) -> None:
    """Writes the reply; OSError when the client is gone."""
    packed = b"".join(_compressed(reply)) if reply.gzip else None
    length = len(packed) if packed is not None else len(reply.body) + reply.padding
    headers = {"Content-Type": reply.content_type} if reply.content_type else {}
    headers |= {"Content-Encoding": "gzip"} if packed is not None else {}
    headers |= reply.headers
    headers["Content-Length"] = str(reply.declared if reply.declared is not None else length)
    if reply.close:
        headers["Connection"] = "close"
        handler.close_connection = True
    handler.send_response(reply.status)
    for name, value in headers.items():
        if reply.header_pause:
            handler.flush_headers()
            stopping.wait(reply.header_pause)
        handler.send_header(name, value)
    handler.end_headers()
    if packed is not None:
        handler.wfile.write(packed)
    elif reply.drip is not None:
        _drip(handler, reply, stopping)
    else:
        handler.wfile.write(reply.body)
        for piece in _padding(reply.padding):
            handler.wfile.write(piece)


def _drip(handler: BaseHTTPRequestHandler, reply: Reply, stopping: threading.Event) -> None:
    size, pause = reply.drip or (1, 0)
    for at in range(0, len(reply.body), size):
        if stopping.wait(pause):
            break
        handler.wfile.write(reply.body[at : at + size])
    handler.close_connection = True


def _padding(count: int) -> Iterator[bytes]:
    """`count` blanks: JSON stays JSON behind them."""
    while count > 0:
        yield BLANKS[:count]
        count -= len(BLANKS)


def _compressed(reply: Reply) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)
    yield packer.compress(reply.body)
    for piece in _padding(reply.padding):
        yield packer.compress(piece)
    yield packer.flush()


def cut(handler: BaseHTTPRequestHandler, *, reset: bool) -> None:
    """Ends the connection without a word; `reset`: by RST, as a crashed process does."""
    handler.close_connection = True
    line = handler.connection
    try:
        if reset:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            line.close()
        else:
            line.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client was first
