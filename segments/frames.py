"""Frame times of a source for players and marking tools, run-length coded."""

from itertools import groupby, pairwise
from typing import Any

from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, Invalid
from segments.models import SourceVideo

MAX_RUNS = 50_000  # of frames of equal length, in one answer


def frame_table(source: SourceVideo, start: float | None, end: float | None) -> dict[str, Any]:
    """The frames that begin in `[start, end)` seconds of the source; all without. See FramesSerializer.

    Conflict before the probe, Invalid for a range without frames or with too many changes of their length.
    """
    if not source.is_markable:
        raise Conflict("This footage is still being looked at: try again in a moment.", code="source_not_ready")
    frames = source.frames
    begins = frames.boundaries[:-1]
    first = 0 if start is None else int(begins.searchsorted(start))
    beyond = len(frames) if end is None else int(begins.searchsorted(end))
    if first >= beyond:
        raise Invalid(CHECK_FIELDS, fields={"end": ["No frame begins in this range."]})
    ticks = [frames.tick(number) for number in range(first, beyond + 1)]
    lengths = (after - before for before, after in pairwise(ticks))
    runs = [[length, sum(1 for _ in group)] for length, group in groupby(lengths)]
    if len(runs) > MAX_RUNS:
        raise Invalid(CHECK_FIELDS, fields={"end": ["Too many frames of different lengths: ask for a shorter range."]})
    return {
        "frame_count": len(frames),
        "time_base": [frames.time_base.numerator, frames.time_base.denominator],
        "zero_tick": frames.zero_pts,
        "first_frame": first,
        "end_frame": beyond,
        "first_tick": ticks[0],
        "runs": runs,
        "keyframes": (frames.keyframes[first:beyond].nonzero()[0] + first).tolist(),
    }
