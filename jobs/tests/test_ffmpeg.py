"""The ffmpeg runner: what it refuses, what it reports, and that it always ends what it started."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs import ffmpeg
from jobs.ffmpeg import FfmpegError, Limits, Stopped
from jobs.tests.test_sandbox import processes_with, wait_until_gone

ROOT = Path(__file__).resolve().parents[2]
QUICK = Limits(cpu_seconds=30, wall_seconds=30, silence_seconds=20)
ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=10"]
TWO_SECONDS = ["-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=2"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mkv"
    ffmpeg.run([*TWO_SECONDS, "-c:v", "mpeg4", ffmpeg.file_url(path)], limits=QUICK)
    return path


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A named pipe held open, from which nothing ever comes."""
    path = tmp_path / "pipe.mkv"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    yield path
    os.close(descriptor)


def sources() -> Iterator[Path]:
    for top in ("jobs", "segments", "editai", "profiles", "costs", "publishing", "bench"):
        yield from (path for path in (ROOT / top).rglob("*.py") if "tests" not in path.parts)


def test_one_module_starts_ffmpeg() -> None:
    users = [p for p in sources() if re.search(r"imageio_ffmpeg|get_ffmpeg_exe", p.read_text())]
    assert users == [ROOT / "jobs" / "ffmpeg.py"]


def test_media_is_opened_in_the_child_only() -> None:
    """PyAV follows references like ffmpeg does and crashes like it: never in a web process or a worker."""
    users = [p for p in sources() if re.search(r"^\s*(import|from) (av|cv2)\b", p.read_text(), re.MULTILINE)]
    assert users == [ROOT / "segments" / "probe_child.py"]


def test_a_run_reports_and_measures(tmp_path: Path) -> None:
    seen: list[float] = []
    out = tmp_path / "out.mp4"
    result = ffmpeg.run(
        [*TWO_SECONDS, "-c:v", "mpeg4", ffmpeg.file_url(out)], limits=QUICK, duration=1.5, on_progress=seen.append
    )
    assert out.stat().st_size > 1000
    assert seen == sorted(seen)
    assert seen[-1] == 1.5  # never more than the caller expects
    assert 0 < result.usage.cpu_seconds < 10
    assert result.usage.max_rss > 10 * 2**20
    assert result.stderr == ""


def test_standard_output_is_free_for_samples(clip: Path) -> None:
    raw = bytearray()
    args = [*ffmpeg.input_args(clip), "-pix_fmt", "gray", "-f", "rawvideo", "pipe:1"]
    ffmpeg.run(args, limits=QUICK, on_stdout=raw.extend)
    assert len(raw) == 20 * 64 * 64


def test_stderr_comes_back_when_asked(clip: Path) -> None:
    args = ["-v", "info", *ffmpeg.input_args(clip), "-f", "null", "-"]
    assert "Video: mpeg4" in ffmpeg.run(args, limits=QUICK).stderr


@pytest.mark.parametrize(
    "args",
    [
        ["-i", "in.mp4", "out.mp4"],
        ["-protocol_whitelist", "file", "-i", "file:in.mp4", "out.mp4"],
        [*ffmpeg.input_args(Path("a.mp4")), "-i", "http://localhost/b.mp4", "out.mp4"],
        ["-f", "lavfi", "-i", "movie=/etc/passwd", "out.mp4"],
        ["-f", "lavfi", "-i", "amovie=/etc/passwd", "out.mp4"],
    ],
)
def test_inputs_without_whitelists_are_refused(args: list[str]) -> None:
    with pytest.raises(ValueError, match=r"input_args|may not read"):
        ffmpeg.run(args)


def test_every_input_has_whitelists_and_a_pixel_limit() -> None:
    args = ffmpeg.guard_inputs([*ffmpeg.input_args(Path("-i")), *ffmpeg.input_args(Path("b.mp4"))], 1234)
    text = " ".join(args)
    assert text.count("-max_pixels 1234 -i file:/") == 2
    assert text.count("-protocol_whitelist file,pipe -format_whitelist mov,") == 2
    assert not {"concat", "hls", "dash", "image2", "lavfi"} & set(ffmpeg.FORMATS)


def test_the_pixel_limit_works(clip: Path) -> None:
    args = [*ffmpeg.input_args(clip), "-f", "null", "-"]
    with pytest.raises(FfmpegError):
        ffmpeg.run(["-xerror", *args], limits=Limits(wall_seconds=20, max_pixels=1000))


def test_no_environment_reaches_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_API_KEY", "sk-canary-77f3")
    marker = str(tmp_path / "environment.mkv")
    seen: list[bytes] = []

    def look() -> bool:
        for process in processes_with(marker):
            name = Path(f"/proc/{process}/exe").resolve().name
            if name.startswith("ffmpeg"):
                seen.append(Path(f"/proc/{process}/environ").read_bytes())
        return bool(seen)

    with pytest.raises(Stopped):
        ffmpeg.run([*ENDLESS, "-c:v", "mpeg4", f"file:{marker}"], limits=QUICK, should_stop=look)
    assert seen == [b""]


def test_stop_ends_it_within_a_second(tmp_path: Path) -> None:
    marker = str(tmp_path / "stopped.mkv")
    begin = time.monotonic()
    with pytest.raises(Stopped) as caught:
        ffmpeg.run(
            [*ENDLESS, "-c:v", "mpeg4", f"file:{marker}"],
            limits=QUICK,
            should_stop=lambda: time.monotonic() - begin > 0.5,
        )
    assert time.monotonic() - begin < 1.5
    assert processes_with(marker) == []
    assert caught.value.usage.cpu_seconds > 0


def test_an_exception_in_a_callback_ends_it(tmp_path: Path) -> None:
    marker = str(tmp_path / "raised.mkv")

    def report(_: float) -> None:
        raise LookupError("lost the lease")

    with pytest.raises(LookupError):
        ffmpeg.run([*ENDLESS, "-c:v", "mpeg4", f"file:{marker}"], limits=QUICK, on_progress=report)
    assert processes_with(marker) == []


def test_a_parent_killed_hard_leaves_no_ffmpeg(tmp_path: Path) -> None:
    marker = str(tmp_path / "orphan.mkv")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from jobs import ffmpeg\n"
        "ffmpeg.run(['-re', '-f', 'lavfi', '-i', 'testsrc2=s=64x64:r=10', '-c:v', 'mpeg4', 'file:' + sys.argv[2]])\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(ROOT), marker])
    end = time.monotonic() + 15
    while not Path(marker).exists() and time.monotonic() < end:
        time.sleep(0.05)
    children = [p for p in processes_with(marker) if p != parent.pid]
    assert children, "ffmpeg did not start"
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert wait_until_gone(marker, 3) == []


def test_silence_is_a_stall(pipe: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(FfmpegError) as caught:
        ffmpeg.run([*ffmpeg.input_args(pipe), "-f", "null", "-"], limits=Limits(wall_seconds=30, silence_seconds=1))
    assert caught.value.code == "stalled"
    assert time.monotonic() - begin < 4
    assert processes_with(str(pipe)) == []


def test_repeated_progress_without_progress_is_a_stall(pipe: Path, clip: Path) -> None:
    """ffmpeg goes on printing its progress twice a second while an input in the middle of a file is silent."""
    with pipe.open("wb", buffering=0) as writer:
        writer.write(clip.read_bytes()[: clip.stat().st_size * 3 // 4])
        args = [*ffmpeg.input_args(pipe), "-c", "copy", "-f", "null", "-"]
        with pytest.raises(FfmpegError) as caught:
            ffmpeg.run(args, limits=Limits(wall_seconds=30, silence_seconds=2))
    assert caught.value.code == "stalled"


def test_long_work_without_results_is_no_stall(clip: Path) -> None:
    """One picture at the end of much decoding: the processor works, so it is let be."""
    args = ["-stream_loop", "4000", *ffmpeg.input_args(clip), "-vf", "select=eq(n\\,70000)", "-frames:v", "1"]
    try:
        ffmpeg.run([*args, "-f", "null", "-"], limits=Limits(wall_seconds=60, silence_seconds=0.5))
    except FfmpegError as error:
        # ten times the silence may be over on a slow machine, but never the silence itself
        assert error.usage.wall_seconds > 4  # noqa: PT017


def test_the_wall_clock_limit() -> None:
    begin = time.monotonic()
    with pytest.raises(FfmpegError) as caught:
        ffmpeg.run([*ENDLESS, "-f", "null", "-"], limits=Limits(wall_seconds=1))
    assert caught.value.code == "timed_out"
    assert time.monotonic() - begin < 2.5
    assert caught.value.usage.wall_seconds >= 1


def test_the_cpu_limit() -> None:
    busy = ["-f", "lavfi", "-i", "mandelbrot=s=640x480:r=30"]
    with pytest.raises(FfmpegError) as caught:
        ffmpeg.run([*busy, "-f", "null", "-"], limits=Limits(cpu_seconds=1, wall_seconds=40))
    assert caught.value.code == "timed_out"


def test_a_full_disk_is_named() -> None:
    with pytest.raises(FfmpegError) as caught:
        ffmpeg.run([*TWO_SECONDS, "-c:v", "mpeg4", "-f", "mpegts", "file:/dev/full"], limits=QUICK)
    assert caught.value.code == "disk_full"
    assert caught.value.message == ffmpeg.MESSAGES["disk_full"]


def test_a_result_beyond_the_size_limit_is_named(tmp_path: Path) -> None:
    args = ["-f", "lavfi", "-i", "testsrc2=s=640x480:r=30:d=5", "-c:v", "rawvideo"]
    with pytest.raises(FfmpegError) as caught:
        ffmpeg.run([*args, ffmpeg.file_url(tmp_path / "big.avi")], limits=Limits(file_size=1_000_000))
    assert caught.value.code == "too_large"
    assert (tmp_path / "big.avi").stat().st_size <= 1_000_000


def test_damaged_media_is_named_without_paths(tmp_path: Path) -> None:
    path = tmp_path / "secret-folder.mp4"
    path.write_bytes(os.urandom(5000))
    with pytest.raises(FfmpegError) as caught:
        ffmpeg.run([*ffmpeg.input_args(path), "-f", "null", "-"], limits=QUICK)
    assert caught.value.code == "invalid_media"
    assert "secret-folder" not in str(caught.value) + caught.value.message
    assert "secret-folder" in caught.value.stderr_tail  # for the log


def test_a_wrong_argument_is_not_blamed_on_the_media(tmp_path: Path) -> None:
    with pytest.raises(FfmpegError) as caught:
        ffmpeg.run([*TWO_SECONDS, "-vf", "nosuchfilter", ffmpeg.file_url(tmp_path / "x.mp4")], limits=QUICK)
    assert caught.value.code == "ffmpeg_failed"


def test_odd_names_are_only_names(tmp_path: Path, clip: Path) -> None:
    """A name that looks like an option, a pattern, a protocol or a filter is a file all the same."""
    folder = tmp_path / "-y %03d"
    folder.mkdir()
    odd = folder / "concat:a|b, 'c';[d]?.mkv"
    odd.write_bytes(clip.read_bytes())
    args = [*ffmpeg.input_args(odd), "-c", "copy", "-f", "matroska", ffmpeg.file_url(folder / "http:x.mkv")]
    ffmpeg.run(args, limits=QUICK)
    assert (folder / "http:x.mkv").stat().st_size > 1000


def test_every_code_has_a_plain_sentence() -> None:
    for code, sentence in ffmpeg.MESSAGES.items():
        assert sentence.endswith("."), code
        assert "/" not in sentence
