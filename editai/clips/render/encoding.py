"""Encoder settings. The same for all parts of a clip: they are joined without a new encode, so headers must agree."""

from dataclasses import dataclass

from editai.clips.render.spec import SAMPLE_RATE, Preset, Quality

KEYFRAME_SECONDS = 2
# The networks' ceiling for 1080x1920; a clip of noise may not grow without limit.
MAX_BIT_RATE = 15_000_000
# Ticks per second of the finished track: a multiple of the frame rate, at least this many.
_LEAST_TRACK_CLOCK = 10_000


@dataclass(frozen=True)
class Level:
    """x264 preset and constant rate factor, AAC bits per second."""

    preset: str
    crf: int
    audio_bit_rate: int


LEVELS = {
    Quality.DRAFT: Level("ultrafast", 26, 128_000),
    Quality.STANDARD: Level("veryfast", 20, 192_000),
    Quality.BEST: Level("faster", 18, 192_000),
}


def picture(preset: Preset, threads: int) -> list[str]:
    """H.264 High, yuv420p, constant frame rate, closed GOPs of two seconds."""
    level = LEVELS[preset.quality]
    width, height = preset.size
    # the ceiling shrinks with the picture: a draft has a quarter of the pixels
    ceiling = max(1_000_000, MAX_BIT_RATE * width * height // (1080 * 1920))
    keyframes = round(preset.fps * KEYFRAME_SECONDS)
    return [
        *("-c:v", "libx264", "-preset", level.preset, "-crf", str(level.crf), "-profile:v", "high"),
        *("-maxrate", str(ceiling), "-bufsize", str(2 * ceiling)),
        *("-g", str(keyframes), "-pix_fmt", "yuv420p", "-threads", str(threads)),
        # stitchable: headers do not depend on the content; 8x8dct: High even with the fastest preset
        *("-x264-params", "stitchable=1:open-gop=0:8x8dct=1"),
        *("-fps_mode", "passthrough"),
    ]


def track_clock(preset: Preset) -> list[str]:
    """A clock on which every frame of the finished track is a whole number of ticks, also at 23.976."""
    ticks = preset.fps.numerator
    while ticks < _LEAST_TRACK_CLOCK:
        ticks *= 2
    return ["-video_track_timescale", str(ticks)]


def sound(preset: Preset) -> list[str]:
    """AAC-LC, 48 kHz, stereo."""
    rate = LEVELS[preset.quality].audio_bit_rate
    return ["-c:a", "aac", "-profile:a", "aac_low", "-b:a", str(rate), "-ar", str(SAMPLE_RATE), "-ac", "2"]


# Plain 32-bit float: sums and gains above full scale survive until the limiter. RF64 beyond 4 GB.
INTERMEDIATE_SOUND = ["-c:a", "pcm_f32le", "-f", "wav", "-rf64", "auto"]
