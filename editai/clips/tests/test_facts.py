"""What a file is, told by looking at it. No database."""

from pathlib import Path

import pytest

from editai.clips.render.facts import facts_of, has_edit_list, index_comes_first
from jobs import ffmpeg
from segments.probe import MediaError
from segments.tests.footage import make_clip


def test_an_ordinary_file(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 2, gop=20, extra=("-movflags", "+faststart"))
    facts = facts_of(path)
    size = path.stat().st_size
    video = facts.pop("video")
    assert facts == {
        "container": "mp4",
        "size": size,
        "duration_seconds": 2.0,
        "bit_rate": size * 4,
        "faststart": True,
        "edit_list": True,  # frames out of order and the encoder's first samples need one
        "audio": {"codec": "aac", "sample_rate": 48_000, "channels": 2},
    }
    assert video.pop("bit_rate") > 1000
    assert video == {
        "codec": "h264",
        "profile": "High",
        "pix_fmt": "yuv420p",
        "width": 320,
        "height": 240,
        "rotation": 0,
        "frame_rate": 30.0,
        "is_cfr": True,
        "is_interlaced": False,
        "keyframe_seconds": pytest.approx(20 / 30, abs=1e-6),
    }


def test_what_is_out_of_the_ordinary_shows(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mov", 2, (240, 320), "30000/1001", audio=False, rotation=90, vfr=True, gop=1000)
    facts = facts_of(path)
    assert (facts["container"], facts["faststart"], facts["audio"]) == ("mov", False, None)
    video = facts["video"]
    assert (video["width"], video["height"], video["rotation"], video["is_cfr"]) == (240, 320, 90, False)
    assert video["keyframe_seconds"] == pytest.approx(facts["duration_seconds"], abs=0.05)
    other = facts_of(make_clip(tmp_path / "a.mkv", 1, fps=25, channels=1))
    assert (other["container"], other["faststart"], other["edit_list"]) == ("matroska", None, None)
    assert (other["video"]["frame_rate"], other["audio"]["channels"]) == (25.0, 1)


def test_edit_lists(tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mp4", 1, audio=False, bframes=0)
    bare = tmp_path / "bare.mp4"
    args = [*ffmpeg.input_args(plain), "-c", "copy", "-use_editlist", "0"]
    ffmpeg.run([*args, ffmpeg.file_url(bare)])
    assert not has_edit_list(bare)
    assert has_edit_list(make_clip(tmp_path / "late.mp4", 1, sound_delay=0.5))


def test_nonsense_ends(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    endless = b"\0\0\0\x08free" * 100_000
    for content in (b"", b"\0" * 100, b"\0\0\0\x01mdat" + bytes(8), b"\xff\xff\xff\xffmoov" + bytes(20), endless):
        path.write_bytes(content)
        assert (index_comes_first(path), has_edit_list(path)) == (content[4:8] == b"moov", False)
        with pytest.raises(MediaError):
            facts_of(path)
