"""The render as a whole: parts, progress, cancelling, the check of the result, memory."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from editai.clips.render import render as render_module
from editai.clips.render import verify as verify_module
from editai.clips.render.errors import BadOutputError, ChangingSourceError
from editai.clips.render.graph import picture_command, sound_command
from editai.clips.render.poster import poster
from editai.clips.render.render import RenderReport, render
from editai.clips.render.runner import Meter
from editai.clips.render.spec import Preset, Recipe, RenderInput
from editai.clips.render.timeline import grouped, lay_out
from jobs import ffmpeg
from segments.probe import probe
from segments.tests import footage

SMALL = Preset(320, 240)


def entries_of(path: Path, spans: Sequence[tuple[int, int]]) -> list[RenderInput]:
    media = probe(path)
    return [RenderInput.of(path, "0" * 64, media, first, end) for first, end in spans]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return footage.make_clip(tmp_path / "a.mp4", 3, bframes=3, gop=20)


def make(recipe: Recipe, tmp_path: Path, **options: Any) -> tuple[Path, RenderReport]:
    out, scratch = tmp_path / "out.mp4", tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    return out, render(recipe, out, scratch, run=options.pop("run", ffmpeg.run), **options)


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(24000, 1001)])
def test_parts_are_the_same_clip(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, fps: Fraction) -> None:
    recipe = Recipe(entries_of(clip, [(n * 7, n * 7 + 5) for n in range(9)]), Preset(320, 240, fps=fps))
    whole, one = make(recipe, tmp_path)
    numbers, sound = footage.read_numbers(whole), footage.read_sound(whole)
    monkeypatch.setattr(render_module, "grouped", lambda slots, **_: grouped(slots, max_inputs=2))
    parted, many = make(recipe, tmp_path)
    assert (one.parts, many.parts) == (1, 5)
    assert many.frames == one.frames
    assert many.duration_seconds == one.duration_seconds
    assert footage.read_numbers(parted) == numbers
    assert (many.lufs, many.true_peak) == (one.lufs, one.true_peak)
    assert footage.sound_shift(sound, footage.read_sound(parted)) == 0


def test_more_than_sixteen_entries(tmp_path: Path, clip: Path) -> None:
    spans = [(n * 4, n * 4 + 3) for n in range(20)]
    out, report = make(Recipe(entries_of(clip, spans), SMALL), tmp_path)
    assert report.parts == 2
    assert footage.read_numbers(out) == [n for first, end in spans for n in range(first, end)]


def test_progress_never_falls_and_names_its_steps(tmp_path: Path, clip: Path) -> None:
    told: list[tuple[str, float]] = []
    recipe = Recipe(entries_of(clip, [(0, 80)] * 2), Preset(1080, 1920))
    make(recipe, tmp_path, report=lambda step, share: told.append((step, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert len(set(shares)) > 6
    assert list(dict.fromkeys(step for step, _ in told)) == [
        "Mixing the sound",
        "Setting the loudness",
        "Encoding the picture",
        "Putting picture and sound together",
        "Checking the clip",
    ]


def test_stopped_leaves_nothing_at_the_end(tmp_path: Path, clip: Path) -> None:
    calls: list[int] = []

    def run(args: Sequence[str], **options: Any) -> ffmpeg.Result:
        calls.append(1)
        return ffmpeg.run(args, should_stop=lambda: len(calls) > 3, **options)

    with pytest.raises(ffmpeg.Stopped):
        make(Recipe(entries_of(clip, [(0, 60)]), SMALL), tmp_path, run=run)
    assert not (tmp_path / "out.mp4").exists()


def test_a_wrong_result_is_not_handed_over(tmp_path: Path, clip: Path) -> None:
    recipe = Recipe(entries_of(clip, [(0, 60), (10, 30)]), SMALL)

    def run(args: Sequence[str], **options: Any) -> ffmpeg.Result:
        # an encoder that loses frames
        changed = [word.replace("settb=1/30,", "trim=end_frame=50,settb=1/30,") for word in args]
        return ffmpeg.run(changed, **options)

    with pytest.raises(BadOutputError) as caught:
        make(recipe, tmp_path, run=run)
    assert caught.value.code == "bad_output"
    assert any("number of frames is 50 instead of 80" in fault for fault in caught.value.faults)
    assert not (tmp_path / "out.mp4").exists()


def test_the_check_sees_what_is_wrong(tmp_path: Path) -> None:
    meter = Meter(ffmpeg.run)
    plain = footage.make_clip(tmp_path / "plain.mp4", 1, audio=False, vfr=True, sar="4/3", pix_fmt="yuv422p")
    with pytest.raises(BadOutputError) as caught:
        verify_module.verify(plain, Preset(322, 240), 30, 48_000, meter)
    found = " ".join(caught.value.faults)
    for word in ("profile", "pixel format", "size", "pixel shape", "number of frames", "not constant", "no sound"):
        assert word in found
    assert "index is not at the front" in found
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(BadOutputError):
        verify_module.verify(tmp_path / "empty.mp4", Preset(), 30, 48_000, meter)
    loud = tmp_path / "loud.mp4"
    picture = ["-f", "lavfi", "-i", "color=gray:s=320x240:r=30:d=1"]
    args = [*picture, "-f", "lavfi", "-t", "1", "-i", "aevalsrc='sin(2*PI*999*t)|sin(2*PI*999*t)':s=48000"]
    args += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart"]
    ffmpeg.run([*args, ffmpeg.file_url(loud)])
    with pytest.raises(BadOutputError, match="true peak"):
        verify_module.verify(loud, Preset(320, 240), 30, 48_000, meter)


def test_source_paths_may_look_like_anything(tmp_path: Path) -> None:
    folder = tmp_path / "va r',[x]:;%d -y"
    folder.mkdir()
    path = footage.make_clip(folder / "a.mp4", 1)
    scratch = folder / "scratch"
    scratch.mkdir()
    out = folder / "out.mp4"
    report = render(Recipe(entries_of(path, [(0, 20)]), SMALL), out, scratch, run=ffmpeg.run)
    assert report.frames == 20
    assert out.stat().st_size == report.size


def test_a_source_that_is_gone_is_an_error(tmp_path: Path, clip: Path) -> None:
    recipe = Recipe(entries_of(clip, [(0, 60)]), SMALL)
    clip.unlink()
    with pytest.raises(ffmpeg.FfmpegError):
        make(recipe, tmp_path)
    assert not (tmp_path / "out.mp4").exists()


def test_a_picture_that_changes_its_size_is_an_error(tmp_path: Path) -> None:
    first = footage.make_clip(tmp_path / "a.ts", 1)
    second = footage.make_clip(tmp_path / "b.ts", 1, (640, 360), extra=["-output_ts_offset", "1"])
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(ChangingSourceError) as caught:
        make(Recipe(entries_of(both, [(20, 40)]), SMALL), tmp_path)
    assert caught.value.code == "source_changes"
    assert not (tmp_path / "out.mp4").exists()
    # one side of the change alone is fine
    make(Recipe(entries_of(both, [(2, 20)]), SMALL), tmp_path)


def test_commands_open_sources_with_one_thread_and_whitelists(tmp_path: Path, clip: Path) -> None:
    slots = lay_out(Recipe(entries_of(clip, [(0, 20), (30, 50)]), SMALL))
    recipe = Recipe([slot.entry for slot in slots], SMALL)
    for args in (
        picture_command(slots, SMALL, recipe.framing, tmp_path / "o.mp4", threads=2),
        sound_command(slots, tmp_path / "o.wav"),
    ):
        first = args[: args.index("-i")]
        assert first[first.index("-threads") + 1] == "1"
        assert args.count("-format_whitelist") == args.count("-i") == 2
        assert not any(str(clip) in word for word in args if "trim" in word)


def test_poster_is_the_picture_at_its_place(tmp_path: Path, clip: Path) -> None:
    out, numbers = tmp_path / "poster.jpg", []
    for fraction in (0.0, 1 / 3, 1.0):
        poster(clip, out, duration_seconds=3.0, fraction=fraction, run=ffmpeg.run)
        assert out.read_bytes()[:3] == b"\xff\xd8\xff"
        still = tmp_path / "still.mkv"
        ffmpeg.run([*ffmpeg.input_args(out, formats=("jpeg_pipe", "image2")), ffmpeg.file_url(still)])
        assert (probe(still).video.width, probe(still).video.height) == (320, 240)
        numbers += footage.read_numbers(still)
    assert numbers == [0, 30, 89]
