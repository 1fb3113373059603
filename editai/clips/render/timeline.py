"""Where each entry lies in the output, in whole frames and whole samples.

Borders are rounded from the running sum, never entry by entry: errors do not add up, and the whole is within
half a frame of the sum of the entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from editai.clips.render.spec import SAMPLE_RATE, Recipe, RenderInput

MAX_INPUTS = 16
# What may be decoded side by side, in pixels of all pictures together: sixteen of 1080p, four of 2160p.
MAX_INPUT_PIXELS = MAX_INPUTS * 1920 * 1088


@dataclass(frozen=True)
class Slot:
    """An entry's place: `frames` output frames from `first_frame`, `samples` from `first_sample`.

    `number` counts the recipe's entries from 0.
    """

    number: int
    entry: RenderInput
    first_frame: int
    frames: int
    first_sample: int
    samples: int


def rounded(value: Fraction) -> int:
    """Nearest whole number, halves up."""
    return (value + Fraction(1, 2)).__floor__()


def samples_until(frame: int, fps: Fraction) -> int:
    """Samples of sound before output frame `frame`."""
    return rounded(frame * SAMPLE_RATE / fps)


def lay_out(recipe: Recipe) -> list[Slot]:
    """Slots of all entries that get at least one output frame, without gap, from 0.

    An entry can be left out when it is shorter than an output frame. Never empty: the clip has at least one
    frame.
    """
    fps = recipe.preset.fps
    slots: list[Slot] = []
    elapsed = Fraction(0)
    first = 0
    for number, entry in enumerate(recipe.entries):
        elapsed += entry.duration
        end = rounded(elapsed * fps)
        if number == len(recipe.entries) - 1:
            end = max(1, end)
        if end > first:
            sample = samples_until(first, fps)
            slots.append(Slot(number, entry, first, end - first, sample, samples_until(end, fps) - sample))
        first = end
    return slots


def total_frames(slots: Sequence[Slot]) -> int:
    return slots[-1].first_frame + slots[-1].frames


def total_samples(slots: Sequence[Slot]) -> int:
    return slots[-1].first_sample + slots[-1].samples


def grouped(
    slots: Sequence[Slot], *, max_inputs: int = MAX_INPUTS, max_pixels: int | None = MAX_INPUT_PIXELS
) -> list[list[Slot]]:
    """Cut into runs of neighbours that one ffmpeg process may open at once, of about equal length.

    A single entry above `max_pixels` stands alone.
    """
    groups: list[list[Slot]] = [[]]
    share = -(-len(slots) // -(-len(slots) // max_inputs))
    weight = 0
    for slot in slots:
        pixels = slot.entry.video.width * slot.entry.video.height
        full = len(groups[-1]) >= share or (max_pixels is not None and weight + pixels > max_pixels)
        if groups[-1] and full:
            groups.append([])
            weight = 0
        groups[-1].append(slot)
        weight += pixels
    return groups
