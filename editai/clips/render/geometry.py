"""Which pixels of a source are shown, and where. Pixels of the upright picture, after ffmpeg's autorotation."""

from dataclasses import dataclass
from fractions import Fraction

from editai.clips.render.spec import Crop
from segments.media_info import VideoStream


@dataclass(frozen=True)
class Rectangle:
    """`x`, `y`: upper left corner; all whole pixels."""

    x: int
    y: int
    width: int
    height: int


def upright(video: VideoStream) -> tuple[int, int, Fraction]:
    """(width, height, pixel aspect) of the decoded picture once ffmpeg has turned it."""
    sar = video.sar if video.sar > 0 else Fraction(1)
    if video.rotation in (90, 270):
        return video.height, video.width, 1 / sar
    return video.width, video.height, sar


def window(video: VideoStream, crop: Crop, target: tuple[int, int] | None) -> Rectangle:
    """The part of the picture that is shown.

    With a `target` size the window has that shape (in square pixels); without, the source's own. Sides are
    even where the picture has two pixels or more, so that chroma stays in place.
    """
    width, height, sar = upright(video)
    wide, high = Fraction(width), Fraction(height)
    if target is not None:
        aspect = Fraction(target[0], target[1]) / sar
        if wide > high * aspect:
            wide = high * aspect
        else:
            high = wide / aspect
    zoom = Fraction(crop.zoom)
    inner_width, inner_height = _even(wide / zoom, width), _even(high / zoom, height)
    return Rectangle(
        x=_offset(crop.x, width - inner_width),
        y=_offset(crop.y, height - inner_height),
        width=inner_width,
        height=inner_height,
    )


def fitted(video: VideoStream, shown: Rectangle, target: tuple[int, int]) -> Rectangle:
    """Place of the `shown` window in the output frame, whole and centred, with even numbers."""
    aspect = Fraction(shown.width, shown.height) * upright(video)[2]
    width = min(Fraction(target[0]), target[1] * aspect)
    wide, high = _even(width, target[0]), _even(width / aspect, target[1])
    return Rectangle((target[0] - wide) // 4 * 2, (target[1] - high) // 4 * 2, wide, high)


def _even(side: Fraction, limit: int) -> int:
    """Nearest even number from 2 to `limit`; an odd picture one pixel wide stays one pixel wide."""
    if limit < 2:
        return limit
    return max(2, min(limit // 2, (side / 2 + Fraction(1, 2)).__floor__()) * 2)


def _offset(position: float, room: int) -> int:
    return min(room, round(position * room) // 2 * 2)
