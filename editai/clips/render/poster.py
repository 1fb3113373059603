"""The still picture that stands for a finished clip."""

from pathlib import Path

from editai.clips.render.runner import Runner
from jobs.ffmpeg import Usage, file_url, input_args

WIDTH = 540
# Never ask for a picture behind the last one: a frame of the slowest output rate in use.
_LAST_PICTURE_SECONDS = 0.05


def poster(
    clip: Path, out: Path, *, duration_seconds: float, run: Runner, fraction: float = 0.1, width: int = WIDTH
) -> Usage:
    """Write the picture at `fraction` (0 to 1) of the clip as JPEG of `width` pixels, never enlarged, to `out`.

    `clip` is one of our own (`RenderReport.duration_seconds`). Raises FfmpegError.
    """
    seconds = max(0.0, min(fraction * duration_seconds, duration_seconds - _LAST_PICTURE_SECONDS))
    shape = f"scale='min({width},iw)':-2:flags=area:out_color_matrix=bt601:out_range=pc,format=yuvj420p"
    args = ["-ss", f"{seconds:.6f}", *input_args(clip), "-map", "0:v:0", "-frames:v", "1", "-vf", shape]
    args += [
        "-c:v",
        "mjpeg",
        "-q:v",
        "3",
        "-map_metadata",
        "-1",
        "-fflags",
        "+bitexact",
        "-f",
        "image2",
        "-update",
        "1",
    ]
    return run([*args, file_url(out)]).usage
