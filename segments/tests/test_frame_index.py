"""Times of frames: snapping, spans, the stored form."""

from fractions import Fraction

import numpy as np
import pytest

from segments.media_info import FrameIndex

RATE = Fraction(30000, 1001)


def make_index(pts: list[int], base: Fraction = Fraction(1, 1000), zero: int = 0, end: int | None = None) -> FrameIndex:
    ticks = np.array(pts, np.int64)
    keys = np.zeros(len(pts), np.bool_)
    keys[::10] = True
    return FrameIndex(ticks, keys, base, zero, end if end is not None else pts[-1] + 40)


@pytest.fixture
def ntsc() -> FrameIndex:
    """Ten seconds of 29.97 frames per second that start at tick 2002."""
    return make_index([2002 + 1001 * n for n in range(300)], Fraction(1, 30000), zero=2002, end=2002 + 300 * 1001)


def test_times_count_from_source_time_zero(ntsc: FrameIndex) -> None:
    assert ntsc.time(0) == 0
    assert ntsc.time(30) == pytest.approx(30 * 1001 / 30000)
    assert ntsc.end_seconds == ntsc.time(300) == pytest.approx(300 * 1001 / 30000)
    assert (ntsc.tick(0), ntsc.tick(300)) == (2002, 2002 + 300 * 1001)


@pytest.mark.parametrize("index", [-1, 301])
def test_frames_that_do_not_exist_have_no_time(ntsc: FrameIndex, index: int) -> None:
    with pytest.raises(IndexError):
        ntsc.time(index)


def test_the_first_picture_may_come_late() -> None:
    late = make_index([500, 540, 580], zero=0)
    assert late.time(0) == 0.5
    assert late.snap(0.0) == (0, 500)


@pytest.mark.parametrize(
    ("seconds", "index"), [(0.0, 0), (-3.0, 0), (0.019, 0), (0.02, 0), (0.021, 1), (0.1, 2), (99.0, 3)]
)
def test_snap_goes_to_the_nearest_frame(seconds: float, index: int) -> None:
    frames = make_index([0, 40, 90, 200])
    assert frames.snap(seconds) == (index, [0, 40, 90, 200][index])


def test_spans_are_half_open_and_stable(ntsc: FrameIndex) -> None:
    first, end = ntsc.span(1.0, 2.0)
    assert (first, end) == (30, 60)
    for first, end in [(0, 1), (0, 300), (17, 18), (123, 299), (299, 300)]:
        assert ntsc.span(ntsc.time(first), ntsc.time(end)) == (first, end)


def test_a_span_has_at_least_one_frame(ntsc: FrameIndex) -> None:
    assert ntsc.span(1.001, 1.002) == (30, 31)
    assert ntsc.span(10.009, ntsc.end_seconds) == (299, 300)


@pytest.mark.parametrize(
    ("start", "end"),
    [(1, 1), (2, 1), (-0.1, 1), (0, 10.04), (10.02, 10.03), (50, 60), (float("nan"), 1), (0, float("nan")), (0, 1e300)],
)
def test_impossible_spans_are_refused(ntsc: FrameIndex, start: float, end: float) -> None:
    with pytest.raises(ValueError, match=r"span|expected"):
        ntsc.span(start, end)


def test_the_end_may_be_named_roughly(ntsc: FrameIndex) -> None:
    """Players round durations: half a frame beyond the end means the end."""
    assert ntsc.span(9.0, 10.02) == (270, 300)


def test_keyframe_before() -> None:
    frames = make_index(list(range(0, 1000, 10)))
    assert [frames.keyframe_at_or_before(n) for n in (0, 9, 10, 55)] == [0, 0, 10, 50]


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 5000])
def test_the_stored_form_gives_the_same_index(count: int) -> None:
    rng = np.random.default_rng(count)
    pts = np.cumsum(rng.integers(1, 90_000, count)) - 2**33
    index = FrameIndex(pts, rng.random(count) < 0.1, Fraction(1, 90_000), -(2**33), int(pts[-1]) + 1)
    back = FrameIndex.from_bytes(index.to_bytes())
    assert back == index
    assert np.array_equal(back.pts, pts)
    assert np.array_equal(back.keyframes, index.keyframes)


def test_a_constant_rate_is_stored_small() -> None:
    an_hour = make_index([512 * n for n in range(108_000)], Fraction(1, 15360), end=512 * 108_000)
    assert len(an_hour.to_bytes()) < 5000


def test_damaged_blobs_are_refused(ntsc: FrameIndex) -> None:
    blob = ntsc.to_bytes()
    for bad in (b"", b"EAFI", blob[:-3], blob[:60], b"X" + blob[1:], blob[:4] + b"\x09\x00" + blob[6:]):
        with pytest.raises(ValueError, match="frame index"):
            FrameIndex.from_bytes(bad)


@pytest.mark.parametrize("pts", [[], [5, 5], [10, 5]])
def test_times_must_rise(pts: list[int]) -> None:
    with pytest.raises(ValueError, match="frame"):
        make_index(pts, end=100)
