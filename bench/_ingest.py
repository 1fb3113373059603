"""Cost of a filmstrip: one pass over the keyframes against one ffmpeg for each thumbnail.

    bench/ingest [RUNS]

Anchor: sixty times `-ss N -i SOURCE -frames:v 1`, as the system did that this one replaces. Both ways run in
turn on the same made film (two minutes, 1280x720, H.264 with B-frames, a keyframe every two seconds); counted are
the CPU seconds of the children. Prints the ratio of the medians; the goal is at most 0.15.
"""

import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from jobs import ffmpeg  # noqa: E402
from segments.derivatives import write_pictures  # noqa: E402
from segments.media_info import MediaInfo  # noqa: E402
from segments.probe import probe  # noqa: E402

SECONDS = 120
THUMBNAILS = 60
GOAL = 0.15


def make_film(path: Path) -> None:
    """Moving test picture with grain, so that decoding costs what it costs with real footage."""
    picture = f"testsrc2=s=1280x720:r=30:d={SECONDS},noise=alls=12:allf=t"
    coding = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "28", "-bf", "2", "-g", "60", "-pix_fmt", "yuv420p"]
    ffmpeg.run(["-f", "lavfi", "-i", picture, *coding, ffmpeg.file_url(path)])


def strip_seconds(film: Path, info: MediaInfo, folder: Path) -> float:
    """CPU of our way: poster and filmstrip (100 tiles) together."""
    return write_pictures(film, info, folder / "poster.jpg", folder / "strip.jpg")[1].cpu_seconds


def thumbnail_seconds(film: Path, folder: Path) -> float:
    """CPU of the anchor."""
    total = 0.0
    for number in range(THUMBNAILS):
        args = ["-ss", str(number * SECONDS / THUMBNAILS), *ffmpeg.input_args(film), "-frames:v", "1"]
        args += ["-vf", "scale=160:90", "-f", "mjpeg", ffmpeg.file_url(folder / f"{number}.jpg")]
        total += ffmpeg.run(args).usage.cpu_seconds
    return total


def main() -> int:
    """Measure and print; 1 when the goal is missed."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        film = folder / "film.mp4"
        make_film(film)
        info = probe(film)
        ours, anchor = [], []
        for _ in range(runs):
            ours.append(strip_seconds(film, info, folder))
            anchor.append(thumbnail_seconds(film, folder))
    ratio = statistics.median(ours) / statistics.median(anchor)
    print(
        f"filmstrip CPU / one process per thumbnail: {ratio:.3f} (goal <= {GOAL}; "
        f"{statistics.median(ours):.2f} s / {statistics.median(anchor):.2f} s, {runs} runs in turn)"
    )
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
