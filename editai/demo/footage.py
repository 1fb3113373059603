"""Footage for those who have none, and where to cut it."""

from pathlib import Path

from django.core.management.base import CommandError

from jobs import ffmpeg

OWN_SECONDS = 12
WANTED_SEGMENTS = 3
LONGEST_SEGMENT = 4.0  # seconds


def make_footage(path: Path, seconds: int = OWN_SECONDS) -> None:
    """Moving pictures and three tones that swell, one after the other."""
    picture = f"testsrc2=size=1280x720:rate=30:duration={seconds}"
    sound = f"aevalsrc='0.3*sin(2*PI*(220+110*floor(t/{seconds / 3}))*t)*(0.6+0.4*sin(2*PI*t))':s=48000:d={seconds}"
    encode = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-g", "60"]
    try:
        ffmpeg.run(
            ["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, *encode, "-c:a", "aac", ffmpeg.file_url(path)],
            limits=ffmpeg.Limits(wall_seconds=300),
        )
    except ffmpeg.FfmpegError as error:
        raise CommandError(f"The footage could not be made: {error.message}") from error


def spans(seconds: float) -> list[tuple[float, float]]:
    """Up to three parts of a video of this length, not overlapping; the whole of one that is very short."""
    count = min(WANTED_SEGMENTS, int(seconds / 0.5))
    if count < 1:
        return [(0.0, seconds)]
    room = seconds / count
    length = min(LONGEST_SEGMENT, room * 0.8)
    return [(n * room + (room - length) / 2, n * room + (room + length) / 2) for n in range(count)]
