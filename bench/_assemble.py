"""bench/assemble [VIDEO]            CPU of one 30 s clip made of ten 3 s segments, as a share of the predecessor's
bench/assemble --memory [VIDEO]   peak memory of 100 segments of 1 s, as a multiple of that of 16

Baseline of the first ("the predecessor"): each cut encoded by x264 `-preset fast -crf 23` with AAC, the cuts joined
by copying, the whole encoded again in two passes, `-preset medium -b:v 10M`, scaled and then cropped to 1080x1920;
its loudness is left as it is. Ours is all of `render`, standard quality: mixing, loudness, encode, check.
Quality is VMAF against a lossless render of our filter graph. Goal: CPU <= 0.35 at a VMAF not below the baseline's.

VIDEO: footage of at least 40 s; without it some is made (45 s of 1080p30, one keyframe in 250).
BENCH_RUNS (default 5): runs of each, taken in turn; the median counts. Exit code 1: the goal was missed.
"""

import os
import re
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from editai.clips.render.graph import picture_graph, picture_input
from editai.clips.render.render import RenderReport, render
from editai.clips.render.spec import Preset, Recipe, RenderInput
from editai.clips.render.timeline import lay_out
from jobs.ffmpeg import Limits, Result, Usage, file_url, input_args, run
from segments.media_info import MediaInfo
from segments.probe import probe

CUTS, CUT_SECONDS = 10, 3
GOAL = 0.35
MANY, ONE_PROCESS = 100, 16
LIMITS = Limits(cpu_seconds=7200)
VMAF_EVERY = 10
NO_DIGEST = "0" * 64


def ffmpeg(args: list[str]) -> Result:
    return run(args, limits=LIMITS)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def make_footage(path: Path) -> Path:
    """Three kinds of picture one after the other: fine growing detail, hard edges, slow colour; grain on all."""
    say("making 45 s of footage")
    scenes = [
        "mandelbrot=s=1920x1080:r=30:end_scale=0.05:end_pts=450",
        "testsrc2=s=1920x1080:r=30",
        "gradients=s=1920x1080:r=30:n=6:seed=3:speed=0.02",
    ]
    args: list[str] = []
    for scene in scenes:
        args += ["-f", "lavfi", "-t", "15", "-i", scene]
    args += ["-f", "lavfi", "-t", "45", "-i", "anoisesrc=seed=5:amplitude=0.3:color=pink:r=48000,tremolo=f=3:d=0.9"]
    joined = "".join(f"[{n}:v]format=yuv420p,setsar=1[s{n}];" for n in range(3)) + "[s0][s1][s2]concat=n=3"
    args += ["-filter_complex", f"{joined},noise=c0s=5:c0f=t+u:all_seed=7[v]", "-map", "[v]", "-map", "3:a", "-ac", "2"]
    args += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "250", "-bf", "3", "-c:a", "aac"]
    ffmpeg([*args, file_url(path)])
    return path


def spread(path: Path, media: MediaInfo, count: int, seconds: float) -> list[RenderInput]:
    """`count` segments from all over the source, none beginning on a keyframe if that can be helped."""
    room = media.frames.end_seconds - seconds - 1
    entries = []
    for n in range(count):
        begin = 0.5 + room * ((n * 7) % count) / count
        first, end = media.frames.span(begin, begin + seconds)
        entries.append(RenderInput.of(path, NO_DIGEST, media, first, end))
    return entries


def ours(recipe: Recipe, out: Path, scratch: Path) -> Usage:
    return checked(recipe, out, scratch).usage


def checked(recipe: Recipe, out: Path, scratch: Path) -> RenderReport:
    return render(recipe, out, scratch, run=run)


def predecessor(recipe: Recipe, out: Path, scratch: Path) -> Usage:
    usage = Usage()
    names = []
    source = recipe.entries[0]
    zero = probe(source.path).frames.zero_pts * source.video.time_base
    for n, entry in enumerate(recipe.entries):
        cut = scratch / f"cut{n}.mp4"
        args = ["-threads", "4", "-ss", f"{float(entry.start - zero):.6f}", *input_args(entry.path)]
        args += ["-t", f"{float(entry.duration):.6f}", "-c:v", "libx264", "-preset", "fast", "-crf", "23"]
        usage += ffmpeg([*args, "-c:a", "aac", "-ar", "48000", "-ac", "2", file_url(cut)]).usage
        names.append(cut.name)
    listing, joined = scratch / "list.txt", scratch / "joined.mp4"
    listing.write_text("".join(f"file '{name}'\n" for name in names))
    together = ["-f", "concat", *input_args(listing, formats=("concat", "mov")), "-c", "copy", file_url(joined)]
    usage += ffmpeg(together).usage
    shape = "scale=1080:1920:force_original_aspect_ratio=increase,crop=1080:1920,fps=30"
    encode = [*input_args(joined), "-vf", shape, "-c:v", "libx264", "-preset", "medium", "-b:v", "10M"]
    encode += ["-pix_fmt", "yuv420p", "-passlogfile", str(scratch / "passes")]
    usage += ffmpeg([*encode, "-pass", "1", "-an", "-f", "null", "-"]).usage
    return usage + ffmpeg([*encode, "-pass", "2", "-c:a", "aac", "-ar", "48000", file_url(out)]).usage


def lossless(recipe: Recipe, out: Path) -> None:
    slots = lay_out(recipe)
    args = [word for slot in slots for word in picture_input(slot.entry)]
    args += ["-filter_complex", picture_graph(slots, recipe.preset, recipe.framing), "-map", "[picture]"]
    ffmpeg([*args, "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", file_url(out)])


def vmaf(clip: Path, reference: Path) -> float:
    graph = f"[0:v]setpts=N[a];[1:v]setpts=N[b];[a][b]libvmaf=n_threads=2:n_subsample={VMAF_EVERY}"
    args = ["-v", "info", *input_args(clip), *input_args(reference), "-filter_complex", graph, "-f", "null", "-"]
    found = re.search(r"VMAF score: ([\d.]+)", ffmpeg(args).stderr)
    if not found:
        raise SystemExit("ffmpeg gave no VMAF score")
    return float(found[1])


def compare(source: Path, folder: Path) -> int:
    runs = int(os.environ.get("BENCH_RUNS", "5"))
    recipe = Recipe(spread(source, probe(source), CUTS, CUT_SECONDS), Preset())
    ways: dict[str, Callable[[Recipe, Path, Path], Usage]] = {"ours": ours, "predecessor": predecessor}
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(runs):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                usage = way(recipe, folder / f"{name}.mp4", Path(scratch))
            spent[name].append(usage.cpu_seconds)
            say(f"run {number + 1} of {runs}, {name}: {usage.cpu_seconds:.1f} CPU-s, {usage.wall_seconds:.1f} s")
    reference = folder / "lossless.mp4"
    lossless(recipe, reference)
    scores = {name: vmaf(folder / f"{name}.mp4", reference) for name in ways}
    sizes = {name: (folder / f"{name}.mp4").stat().st_size / 1e6 for name in ways}
    cpu = {name: statistics.median(values) for name, values in spent.items()}
    ratio = cpu["ours"] / cpu["predecessor"]
    reached = ratio <= GOAL and scores["ours"] >= scores["predecessor"]
    print(
        f"{ratio:.3f} of the predecessor's CPU ({cpu['ours']:.1f} / {cpu['predecessor']:.1f} s, median of {runs}) "
        f"at VMAF {scores['ours']:.2f} against {scores['predecessor']:.2f} and "
        f"{sizes['ours']:.1f} against {sizes['predecessor']:.1f} MB; goal: at most {GOAL} at no lower VMAF: "
        f"{'reached' if reached else 'MISSED'}"
    )
    return 0 if reached else 1


def memory(source: Path, folder: Path) -> int:
    media = probe(source)
    peaks = {}
    for count in (ONE_PROCESS, MANY):
        recipe = Recipe(spread(source, media, count, 1), Preset())
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            report = checked(recipe, folder / "many.mp4", Path(scratch))
        peaks[count] = report.usage.max_rss
        say(
            f"{count} segments in {report.parts} parts: {report.usage.max_rss / 2**20:.0f} MB, "
            f"{report.usage.cpu_seconds:.0f} CPU-s, {report.frames} frames"
        )
    ratio = peaks[MANY] / peaks[ONE_PROCESS]
    print(
        f"{ratio:.2f} of the memory of {ONE_PROCESS} segments is what {MANY} segments take "
        f"({peaks[MANY] / 2**20:.0f} / {peaks[ONE_PROCESS] / 2**20:.0f} MB, largest process, one run); "
        f"goal: at most 1.25: {'reached' if ratio <= 1.25 else 'MISSED'}"
    )
    return 0 if ratio <= 1.25 else 1


def main(words: list[str]) -> int:
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return 0
    videos = [word for word in words if word != "--memory"]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        source = Path(videos[0]).resolve() if videos else make_footage(folder / "footage.mp4")
        return memory(source, folder) if "--memory" in words else compare(source, folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
