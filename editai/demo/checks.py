"""Whether a clip is what it should be, as somebody looks who did not make it."""

from editai.clips.render.loudness import Loudness
from segments.media_info import MediaInfo

LOUDNESS, LOUDNESS_TOLERANCE, PEAK = -14.0, 1.0, -1.0


def faults_of(info: MediaInfo, found: Loudness, seconds: float, size: tuple[int, int]) -> list[str]:
    """What is wrong with a clip whose segments come to `seconds`."""
    video, audio = info.video, info.audio
    faults = []
    if (video.display_width, video.display_height, video.codec) != (*size, "h264"):
        faults.append(f"{video.display_width}x{video.display_height} {video.codec} instead of {size[0]}x{size[1]} h264")
    if audio is None or (audio.codec, audio.sample_rate) != ("aac", 48_000):
        faults.append("the sound is not AAC at 48 kHz")
    frame = 1 / float(video.avg_frame_rate)
    if abs(len(info.frames) * frame - seconds) > frame + 1e-6:
        faults.append("it is longer or shorter than its segments by more than a frame")
    if found.true_peak is not None and found.true_peak > PEAK:
        faults.append(f"its true peak is {found.true_peak} dBTP")
    return faults


def loudness_of(found: Loudness) -> str:
    if found.lufs is None:
        return "silent"
    text = f"{found.lufs:.1f} LUFS, true peak {found.true_peak} dBTP"
    if abs(found.lufs - LOUDNESS) > LOUDNESS_TOLERANCE:
        text += " (its peaks allow no more)"
    return text
