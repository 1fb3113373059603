"""The recipe: what it refuses, what its digest tells apart, where entries land, which pixels are shown."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from editai.clips.render.geometry import Rectangle, fitted, window
from editai.clips.render.spec import Crop, Fit, Framing, Preset, Quality, Recipe, RenderInput, SpecError, recipe_digest
from editai.clips.render.timeline import MAX_INPUTS, grouped, lay_out, samples_until, total_frames, total_samples
from segments.media_info import AudioStream, VideoStream

HD = VideoStream(
    index=0,
    codec="h264",
    profile="High",
    pix_fmt="yuv420p",
    width=1920,
    height=1080,
    sar=Fraction(1),
    rotation=0,
    display_width=1920,
    display_height=1080,
    avg_frame_rate=Fraction(30),
    is_vfr=False,
    time_base=Fraction(1, 30000),
    start_pts=0,
    bit_rate=0,
)
SOUND = AudioStream(index=1, codec="aac", sample_rate=48000, channels=2, layout="stereo")


DIGEST = "77480da14f3a6a1ed489f3bb246aefb43f12cc6552a7bc19cfa902e296f67389"


def entry(start: int = 0, end: int = 30_000, **changes: Any) -> RenderInput:
    plain: dict[str, Any] = {"path": Path("/a.mp4"), "sha256": "a" * 64, "video": HD, "audio": SOUND}
    return RenderInput(**{**plain, "start_pts": start, "end_pts": end, **changes})


# --- what is refused ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("crop.x", lambda: Crop(x=1.1)),
        ("crop.y", lambda: Crop(y=float("nan"))),
        ("crop.zoom", lambda: Crop(zoom=0.5)),
        ("framing.color", lambda: Framing(Fit.PAD, "black:drawtext")),
        ("preset.width", lambda: Preset(width=1081)),
        ("preset.height", lambda: Preset(height=0)),
        ("preset.fps", lambda: Preset(fps=Fraction(0))),
        ("end_pts", lambda: entry(5, 5)),
        ("seek_pts", lambda: entry(5, 9, seek_pts=6)),
        ("sha256", lambda: entry(sha256="A" * 64)),
        ("volume", lambda: entry(volume=-1)),
        ("fade_in", lambda: entry(fade_in=float("inf"))),
        ("entries", lambda: Recipe([])),
    ],
)
def test_refused(field: str, make: Any) -> None:
    with pytest.raises(SpecError) as caught:
        make()
    assert caught.value.field == field


# --- the digest ---------------------------------------------------------------------------------------------
def test_digest_is_stable() -> None:
    # A literal: when this changes, stored clips are made again. Raise RENDERER_VERSION on purpose, not by chance.
    assert recipe_digest(Recipe([entry()])) == DIGEST


def test_digest_ignores_what_does_not_show() -> None:
    one = Recipe([entry(), entry(0, 9, mute=True, volume=0.3, fade_in=1)])
    other = Recipe(
        (
            entry(path=Path("/elsewhere/b.mp4"), seek_pts=0, volume=1, crop=Crop(0.5, 0.50000001)),
            entry(0, 9, volume=0),
        ),
        Preset(fps=30),  # type: ignore[arg-type]
        Framing(Fit.FILL, "#ffffff"),
    )
    assert recipe_digest(one) == recipe_digest(other)


@pytest.mark.parametrize(
    "changed",
    [
        Recipe([entry(1)]),
        Recipe([entry(0, 29_000)]),
        Recipe([entry(sha256="b" * 64)]),
        Recipe([entry(crop=Crop(x=0.4))]),
        Recipe([entry(crop=Crop(zoom=1.5))]),
        Recipe([entry(volume=0.5)]),
        Recipe([entry(mute=True)]),
        Recipe([entry(fade_out=0.5)]),
        Recipe([entry(audio=None)]),
        Recipe([entry(), entry()]),
        Recipe([entry()], Preset(quality=Quality.BEST)),
        Recipe([entry()], Preset(fps=Fraction(25))),
        Recipe([entry()], Preset(loudness_lufs=None)),
        Recipe([entry()], framing=Framing(Fit.PAD)),
    ],
)
def test_digest_tells_apart(changed: Recipe) -> None:
    assert recipe_digest(changed) != recipe_digest(Recipe([entry()]))


def test_digest_follows_the_order() -> None:
    a, b = entry(), entry(30_000, 60_000)
    assert recipe_digest(Recipe([a, b])) != recipe_digest(Recipe([b, a]))


# --- places in the output -----------------------------------------------------------------------------------
def test_borders_are_rounded_from_the_running_sum() -> None:
    # 1.5 frames of 30 fps each: rounded one by one this would be 2 * 21 = 42 frames
    slots = lay_out(Recipe([entry(0, 1500)] * 21))
    assert [slot.frames for slot in slots[:4]] == [2, 1, 2, 1]
    assert total_frames(slots) == 32  # 31.5
    assert total_samples(slots) == 32 * 1600


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(50)])
def test_slots_have_no_gap(fps: Fraction) -> None:
    recipe = Recipe([entry(0, 1001 * n) for n in range(1, 40)], Preset(fps=fps))
    slots = lay_out(recipe)
    for before, after in pairwise(slots):
        assert after.first_frame == before.first_frame + before.frames
        assert after.first_sample == before.first_sample + before.samples
    assert abs(total_frames(slots) / fps - recipe.duration) <= 1 / fps / 2
    assert total_samples(slots) == samples_until(total_frames(slots), fps)


def test_entries_shorter_than_a_frame_are_left_out_but_the_clip_has_one() -> None:
    slots = lay_out(Recipe([entry(0, 100), entry(0, 300), entry(0, 30_000)]))
    assert [(slot.number, slot.frames) for slot in slots] == [(2, 30)]
    assert total_frames(lay_out(Recipe([entry(0, 10)]))) == 1


def test_groups_are_bounded_and_even() -> None:
    slots = lay_out(Recipe([entry()] * 100))
    groups = grouped(slots)
    assert [slot.number for group in groups for slot in group] == list(range(100))
    assert len(groups) == 7
    assert max(map(len, groups)) <= MAX_INPUTS
    assert min(map(len, groups)) >= 10
    assert len(grouped(slots[:16])) == 1
    assert len(grouped(slots[:17])) == 2


def test_large_pictures_make_small_groups() -> None:
    large = replace(HD, width=3840, height=2160)
    slots = lay_out(Recipe([entry(video=large)] * 10))
    assert [len(group) for group in grouped(slots)] == [4, 4, 2]
    huge = replace(HD, width=7680, height=4320)
    assert [len(group) for group in grouped(lay_out(Recipe([entry(video=huge)] * 3)))] == [1, 1, 1]


# --- geometry -----------------------------------------------------------------------------------------------
VERTICAL = (1080, 1920)


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        (Crop(), Rectangle(656, 0, 608, 1080)),
        (Crop(x=0), Rectangle(0, 0, 608, 1080)),
        (Crop(x=1), Rectangle(1312, 0, 608, 1080)),
        (Crop(zoom=2), Rectangle(808, 270, 304, 540)),
        (Crop(x=0, y=1, zoom=2), Rectangle(0, 540, 304, 540)),
    ],
)
def test_window_of_a_lying_picture(crop: Crop, expected: Rectangle) -> None:
    assert window(HD, crop, VERTICAL) == expected


def test_window_of_a_turned_phone_picture_is_the_whole() -> None:
    phone = replace(HD, rotation=90)
    assert window(phone, Crop(), VERTICAL) == Rectangle(0, 0, 1080, 1920)


def test_window_counts_pixel_shape() -> None:
    # 704x576 with 16:11 pixels is 16:9; 9:16 of its height is 324 square pixels = 222.75 of its own
    anamorphic = replace(HD, width=704, height=576, sar=Fraction(16, 11))
    shown = window(anamorphic, Crop(), VERTICAL)
    assert (shown.width, shown.height) == (222, 576)
    # turned by 90 degrees its pixels are 11:16
    turned = window(replace(anamorphic, rotation=270), Crop(), VERTICAL)
    assert abs(turned.width * Fraction(11, 16) / turned.height - Fraction(9, 16)) < Fraction(1, 100)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 3), (17, 5), (5, 17), (853, 481), (16384, 16)])
def test_window_never_leaves_the_picture(size: tuple[int, int]) -> None:
    video = replace(HD, width=size[0], height=size[1])
    for x in (0.0, 0.37, 1.0):
        for zoom in (1.0, 1.3, 10.0):
            for target in (VERTICAL, None):
                shown = window(video, Crop(x, 1 - x, zoom), target)
                assert shown.width >= 1
                assert shown.height >= 1
                assert 0 <= shown.x <= size[0] - shown.width
                assert 0 <= shown.y <= size[1] - shown.height


def test_fitted_is_centred_and_even() -> None:
    place = fitted(HD, window(HD, Crop(), None), VERTICAL)
    assert place == Rectangle(0, 656, 1080, 608)
    tall = replace(HD, width=500, height=1080)
    place = fitted(tall, window(tall, Crop(), None), VERTICAL)
    assert (place.height, place.y) == (1920, 0)
    assert place.x * 2 + place.width in (1078, 1080)


def test_drafts_are_half_as_large() -> None:
    assert Preset(quality=Quality.DRAFT).size == (540, 960)
