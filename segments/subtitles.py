"""Subtitles that people upload, read with suspicion: capped, decoded by what they are, refused by line number."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import pysubs2
from charset_normalizer import from_bytes

from profiles.errors import Invalid, TooLarge

MAX_BYTES = 2 * 2**20
MAX_CUES = 10_000
MAX_CUE_CHARACTERS = 2_000  # what is longer is no cue but a file without line ends
_SAMPLE_BYTES = 32 * 1024
_REPORTED_LINES = 5
_TIMES = re.compile(r"\d{1,2}:\d{1,2}:\d{1,2}[.,]\d{1,3}", re.ASCII)
_WITHOUT_HOURS = re.compile(r"(?<![\d:])(\d{1,2}:\d{2}[.,]\d{1,3})", re.ASCII)
_TIME_LINE = re.compile(r"[^>]{0,100}-->", re.ASCII)
# Tags go before the library sees them: its patterns take quadratic time on "<<<<" and "{{{{".
_TAGS = re.compile(r"<[^<>\n]{0,200}>|\{[^{}\n]{0,200}\}")
_STRAY = str.maketrans("", "", "<>{}")
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "iso8859_2", "iso8859_15"]


@dataclass(frozen=True)
class Cue:
    """One subtitle: seconds from the start of its video, and plain text."""

    number: int  # from 1, in the order of the file
    start_time: float
    end_time: float
    text: str


@dataclass(frozen=True)
class Subtitles:
    cues: list[Cue]
    encoding: str


def read_srt(data: bytes | str, *, field: str = "srt") -> Subtitles:
    """Parses an SRT file. Missing numbers, blank lines and hours, dots for commas, and tags are forgiven; a time
    line that cannot be read or runs backwards is refused with its line number, as is a text without any time line.

    Raises TooLarge above MAX_BYTES, Invalid otherwise, with `field` as the name of the input.
    """
    size = len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise TooLarge(f"Subtitles may have {MAX_BYTES // 2**20} MB.")
    text, encoding = (data.removeprefix("\ufeff"), "utf-8") if isinstance(data, str) else _decode(data, field)
    if "\0" in text:
        raise _invalid(field, ["Line 1: this is no text file."])
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    problems = list(islice(_problems(lines), _REPORTED_LINES))
    if problems:
        raise _invalid(field, problems)
    parsed = pysubs2.SSAFile.from_string("\n".join(_plain(lines)), format_="srt")
    cues = [
        Cue(number, event.start / 1000, event.end / 1000, " ".join(event.plaintext.split())[:MAX_CUE_CHARACTERS])
        for number, event in enumerate(islice(parsed, MAX_CUES), start=1)
    ]
    return Subtitles(cues, encoding)


def _problems(lines: list[str]) -> Iterator[str]:
    """What makes the file unreadable, by line; looks at every line once."""
    cues = 0
    for number, line in enumerate(lines, start=1):
        if not _is_time_line(line):
            continue
        times = _TIMES.findall(_with_hours(line))
        if len(times) != 2:
            yield f"Line {number}: expected two times such as 00:01:02,500 --> 00:01:04,000."
            continue
        start, end = map(_milliseconds, times)
        if end < start:
            yield f"Line {number}: the subtitle ends before it starts."
        cues += 1
        if cues > MAX_CUES:
            yield f"Line {number}: more than {MAX_CUES} subtitles."
            return
    if not cues:
        yield "Line 1: there is no subtitle in this text; a time line looks like 00:01:02,500 --> 00:01:04,000."


def _is_time_line(line: str) -> bool:
    """An arrow with a digit somewhere before it; "left --> right" is something that somebody says."""
    arrow = _TIME_LINE.match(line)
    return arrow is not None and any(char.isdigit() for char in arrow[0])


def _with_hours(line: str) -> str:
    """The times of a time line, all with hours; what follows them (positions) is left away."""
    return _WITHOUT_HOURS.sub(r"00:\1", line[:100])


def _plain(lines: list[str]) -> Iterator[str]:
    """The lines as the library reads them safely: no tags, no runs of blank lines."""
    before = ""
    for line in lines:
        if _is_time_line(line):
            times = _TIMES.findall(_with_hours(line))
            before = f"{times[0]} --> {times[1]}"
        else:
            text = _TAGS.sub("", line).translate(_STRAY)
            if not text.strip() and not before.strip():
                continue
            before = text
        yield before


def _milliseconds(stamp: str) -> int:
    hours, minutes, rest = stamp.split(":")
    seconds, fraction = re.split(r"[.,]", rest)
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, "0"))


def _decode(data: bytes, field: str) -> tuple[str, str]:
    """Text and the name of its encoding: by byte order mark, UTF-8, UTF-16 without a mark, else the most plausible
    of the old one-byte alphabets, judged by a sample of the lines that are not plain ASCII."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _by_name(data, encoding, field), encoding.removesuffix("-sig")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and "\0" not in text:
        return text, "utf-8"
    zeros = data[:_SAMPLE_BYTES].count(0)
    if zeros:
        if zeros < len(data[:_SAMPLE_BYTES]) // 4:
            raise _invalid(field, ["Line 1: this is no text file."])
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
        return _by_name(data, encoding, field), encoding
    telling = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:_SAMPLE_BYTES]
    guess = from_bytes(telling, cp_isolation=_LEGACY).best() if telling else None
    encoding = guess.encoding if guess is not None else "cp1252"
    return data.decode(encoding, "replace"), encoding


def _by_name(data: bytes, encoding: str, field: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _invalid(field, [f"Line {line}: this is not {encoding.upper()} as the file claims."]) from None


def _invalid(field: str, problems: list[str]) -> Invalid:
    return Invalid("The subtitles cannot be read.", code="invalid_subtitles", fields={field: problems})
