"""Reads one untrusted file with PyAV and tells what is in it. Runs alone, as a script, inside `jobs.sandbox`.

    python -I segments/probe_child.py FORMAT /absolute/path

Standard output: one line of JSON, then (when the line has no "error") the frame times as int64 and one byte
per frame, 1 for keyframes, both in this machine's byte order and in the order of the packets. The frames
are found by demuxing; only the first pictures are decoded, to prove that the stream can be decoded and that
its packets and its pictures are the same in number and time. Everything read from the file is hostile:
every count has a cap.
"""

import json
import os
import struct
import sys
from array import array
from typing import Any, NoReturn

import av
from av.stream import Discard, Disposition

MAX_STREAMS = 64
MAX_FRAMES = 1_000_000
MAX_SECONDS = 24 * 3600
MIN_SIDE = 16
MAX_SIDE = 16_384
MAX_PIXELS = 40_000_000
MAX_TEXT = 64
DECODED_PACKETS = 48
# Streams that begin between keyframes have packets without pictures; this many are looked through for the
# first.
PACKETS_TO_FIRST_PICTURE = 1500
OPTIONS = {
    "protocol_whitelist": "file,pipe",
    "format_whitelist": "mov,matroska,webm,avi,mpegts,mp3,wav,flac,ogg,aac",
    "max_streams": "256",
}
MAY_COME_FROM_A_CUT = {"no_video_stream", "unsupported_format", "no_frames", "undecodable"}
SPACES = {0: "gbr", 1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc"}
TRANSFERS = {
    1: "bt709",
    6: "smpte170m",
    13: "iec61966-2-1",
    14: "bt2020-10",
    16: "smpte2084",
    18: "arib-std-b67",
}
PRIMARIES = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 12: "smpte432"}
RANGES = {1: "tv", 2: "pc"}


class Refused(Exception):
    """The file is not accepted; the argument is the code."""


def text(value: object) -> str:
    """A short printable form of anything the file says."""
    return "".join(c for c in str(value or "") if c.isprintable())[:MAX_TEXT]


def promised_end(path: str, family: str) -> int:
    """Largest offset that the outermost structure of the file speaks of; more than its size means cut short.

    A fragmented MP4 is made to survive a sudden end, a live WebM has no length: they promise nothing.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        if family == "mov":
            return mov_end(file, size)
        head = file.read(4096)
    if family == "matroska":
        return matroska_end(head)
    if family == "avi" and len(head) >= 8:
        length = struct.unpack_from("<I", head, 4)[0]
        return 0 if length >= 0xFFFF0000 else int(length)  # without the 8 bytes before it: some writers count so
    return 0


def mov_end(file: Any, size: int) -> int:
    """Walk the top-level boxes without reading them."""
    offset, has_moov = 0, False
    for _ in range(10_000):
        file.seek(offset)
        head = file.read(16)
        if len(head) < 8:
            break
        length, name = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if name == b"moof":
            return 0
        has_moov = has_moov or name == b"moov"
        if length < 8 or not name.isalnum():  # 0: to the end of the file; else nonsense that the demuxer has to judge
            break
        offset += length
    return offset if has_moov or offset > size else 0


def matroska_end(head: bytes) -> int:
    """End of the first Segment by its header, 0 when it is of unknown length."""
    offset = 0
    for _ in range(4):
        identifier, width = vint(head, offset, keep_marker=True)
        length, more = vint(head, offset + width, keep_marker=False)
        if not width or not more:
            return 0
        body = offset + width + more
        unknown = length == (1 << (7 * more)) - 1
        if identifier == 0x18538067:
            return 0 if unknown else body + length
        offset = body + length
    return 0


def vint(data: bytes, offset: int, *, keep_marker: bool) -> tuple[int, int]:
    """(value, bytes used) of an EBML number; (0, 0) when there is none."""
    if offset >= len(data) or not data[offset]:
        return 0, 0
    width = 9 - data[offset].bit_length()
    value = int.from_bytes(data[offset : offset + width], "big")
    return (value if keep_marker else value & ((1 << (7 * width)) - 1)), width


def choose_video(container: Any) -> Any:
    """The video stream to use: the default one, else the first, never a cover picture. Raises Refused."""
    if len(container.streams) > MAX_STREAMS:
        raise Refused("too_many_streams")
    films = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not films:
        raise Refused("attached_picture_only" if container.streams.video else "no_video_stream")
    chosen = [s for s in films if s.disposition & Disposition.default] or films
    if chosen[0].codec_context is None:
        raise Refused("unsupported_format")
    return chosen[0]


def check_size(width: int, height: int) -> None:
    """Raises Refused for pictures that are too small or too large to work with."""
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise Refused("too_many_pixels")
    if min(width, height) < MIN_SIDE:
        raise Refused("bad_dimensions")


def is_hidden(codec: str, packet: Any) -> bool:
    """Does the packet carry a picture that is never shown (alternate reference frames of VP8)?"""
    return codec == "vp8" and packet.size > 0 and not bytes(packet)[0] & 0x10


def audio_facts(container: Any) -> dict[str, Any] | None:
    """The sound to use: the default stream, else the first that says how it sounds."""
    usable = [s for s in container.streams.audio if s.codec_context and s.channels and s.rate]
    chosen = [s for s in usable if s.disposition & Disposition.default] or usable
    if not chosen:
        return None
    stream = chosen[0]
    return {
        "index": stream.index,
        "codec": text(stream.codec_context.name),
        "sample_rate": stream.rate,
        "channels": stream.channels,
        "layout": text(stream.layout.name),
    }


def ratio(value: Any) -> list[int]:
    """A fraction as two numbers; nothing, zero and nonsense become 0/1."""
    return [value.numerator, value.denominator] if value and value > 0 else [0, 1]


class Reading:
    """What one pass over the packets of the video stream finds."""

    def __init__(self, container: Any, video: Any) -> None:
        self.times = array("q")
        self.keys = bytearray()
        self.shown: list[int] = []
        self.first: Any = None
        self.last_duration = 0
        self.guessed = 0
        self._video = video
        self._fed = 0
        self._limit = float(MAX_SECONDS / video.time_base)
        for packet in container.demux(video):
            if packet.size and not packet.is_discard and not is_hidden(video.codec_context.name, packet):
                self._note(packet)
            if self._fed < PACKETS_TO_FIRST_PICTURE and (self.first is None or self._fed < DECODED_PACKETS):
                self._decode(packet)

    def _note(self, packet: Any) -> None:
        moment = packet.pts if packet.pts is not None else packet.dts
        if moment is None:
            self.guessed += 1
            return
        if self.times and abs(moment - self.times[0]) >= self._limit:
            raise Refused("too_long")
        if len(self.times) >= MAX_FRAMES:
            raise Refused("too_many_frames")
        self.guessed += packet.pts is None
        self.times.append(moment)
        self.keys.append(packet.is_keyframe)
        self.last_duration = packet.duration or self.last_duration

    def _decode(self, packet: Any) -> None:
        self._fed += 1
        try:
            frames = self._video.codec_context.decode(packet)
        except av.error.InvalidDataError:
            return  # a packet without its keyframe, or damage: what matters is whether any picture comes
        except av.error.EOFError:
            return
        for frame in frames:
            if self.first is None:
                self.first = frame
                check_size(frame.width, frame.height)
            if frame.pts is not None:
                self.shown.append(frame.pts)


def examine(path: str, family: str) -> tuple[dict[str, Any], Reading]:
    """Everything about the file. Raises Refused, av.error.FFmpegError, MemoryError."""
    with av.open(f"file:{path}", format=family, options=OPTIONS, metadata_errors="replace") as container:
        video = choose_video(container)
        context = video.codec_context
        check_size(context.width, context.height)
        for stream in container.streams:
            if stream.index != video.index:
                stream.discard = Discard.all
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS)}
        reading = Reading(container, video)
        if not reading.times and not reading.guessed:
            raise Refused("no_frames")
        if reading.first is None:
            raise Refused("undecodable")
        first = reading.first
        facts = {
            "container": text(container.format.name),
            "start_us": container.start_time or 0,
            "shown": reading.shown[:DECODED_PACKETS],
            "guessed": reading.guessed,
            "last_duration": reading.last_duration,
            "audio": audio_facts(container),
            "video": {
                "index": video.index,
                "codec": text(context.name),
                "profile": text(context.profile),
                "pix_fmt": text(first.format.name),
                "width": first.width,
                "height": first.height,
                "sar": ratio(video.sample_aspect_ratio),
                "rotation": first.rotation,
                "rate": ratio(video.average_rate),
                "time_base": ratio(video.time_base),
                "bit_rate": context.bit_rate or 0,
                "is_interlaced": bool(first.interlaced_frame),
                "color_space": SPACES.get(int(first.colorspace), "unknown"),
                "color_transfer": TRANSFERS.get(int(first.color_trc), "unknown"),
                "color_primaries": PRIMARIES.get(int(first.color_primaries), "unknown"),
                "color_range": RANGES.get(int(first.color_range), "unknown"),
            },
        }
    return facts, reading


def refuse(code: str) -> NoReturn:
    """Say why and leave; the caller reads the code, not the exit status."""
    os.write(1, json.dumps({"error": code}).encode() + b"\n")
    os._exit(0)


def main(family: str, path: str) -> None:
    """Write the findings, or one line with the reason of a refusal."""
    av.logging.set_level(av.logging.PANIC)
    is_short = promised_end(path, family) > os.path.getsize(path)
    try:
        facts, reading = examine(path, family)
    except Refused as refusal:
        refuse("truncated" if is_short and refusal.args[0] in MAY_COME_FROM_A_CUT else refusal.args[0])
    except (MemoryError, OverflowError):
        refuse("too_complex")
    except (av.error.DecoderNotFoundError, av.error.PatchWelcomeError):
        refuse("truncated" if is_short else "unsupported_format")
    except (av.error.FFmpegError, ValueError):
        refuse("truncated" if is_short else "damaged")
    if is_short:
        refuse("truncated")
    sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n")
    sys.stdout.buffer.write(reading.times.tobytes())
    sys.stdout.buffer.write(bytes(reading.keys))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
