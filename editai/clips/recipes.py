"""From a project to recipes: the entries in the order of a variant, as plain values that are kept with the clip."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice, permutations
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from editai.clips.models import ExportPreset
from editai.clips.render.spec import MAX_ZOOM, Crop, Framing, Preset, Recipe, RenderInput, recipe_digest
from editai.projects.models import Project
from editai.projects.timeline import Placed
from segments.media_info import FrameIndex, MediaInfo
from segments.models import SourceVideo

MAX_VARIANTS = 10
# Once all orders are used up, variants come a little closer: seen on a phone, and too little to lose a head.
_CLOSER = 1.04

Plan = dict[str, Any]


def plan_of(project: Project, placed: Sequence[Placed], preset: ExportPreset, quality: str, variant: int) -> Plan:
    """What makes variant `variant` (from 1) of the project as it is now; JSON values, kept in `Clip.recipe`."""
    order, zoom = arranged(placed, variant)
    return {
        "variant": variant,
        "preset": preset.slug,
        "size": [preset.width, preset.height],
        "frame_rate": preset.frame_rate,
        "quality": quality,
        "framing": project.framing,
        "opening": str(order[0].entry.segment_id) if order else None,
        "entries": [_entry_plan(item, zoom) for item in order],
    }


def _entry_plan(item: Placed, zoom: float) -> dict[str, Any]:
    entry = item.entry
    closer = entry.zoom * zoom
    return {
        "segment": str(entry.segment_id),
        "source": str(item.segment.source_id),
        "sha256": item.source.sha256,
        "pts": [item.start_pts, item.end_pts],
        "crop": [entry.crop_x, entry.crop_y, closer if closer <= MAX_ZOOM else entry.zoom / zoom],
        "volume": entry.volume,
        "is_muted": entry.is_muted,
        "fades": [entry.fade_in, entry.fade_out],
    }


def arranged(placed: Sequence[Placed], variant: int) -> tuple[list[Placed], float]:
    """The entries in the order of this variant, and the factor on their zoom.

    Variant 1 is the project's own order. The following ones open with the second entry, the third, and so on, the
    others staying in order; then come the orders that are left. No two variants look the same: what repeats an
    order (few segments, or the same one again and again) comes closer instead.
    """
    looks = [_look(item) for item in placed]
    seen: dict[tuple[Any, ...], tuple[int, ...]] = {}
    for order in islice(_orders(len(placed)), 1000):  # equal entries repeat orders: look no further than this
        seen.setdefault(tuple(looks[n] for n in order), order)
        if len(seen) == variant:
            break
    orders = list(seen.values()) or [()]
    turn, which = divmod(variant - 1, len(orders))
    return [placed[n] for n in orders[which]], _CLOSER**turn


def _look(item: Placed) -> tuple[Any, ...]:
    """What of an entry can be seen and heard: equal for entries that may change places unnoticed."""
    entry = item.entry
    crop = (round(value, 4) for value in (entry.crop_x, entry.crop_y, entry.zoom))
    is_audible = bool(item.source.has_audio) and not entry.is_muted and entry.volume > 0
    sound = (entry.volume, entry.fade_in, entry.fade_out) if is_audible else ()
    return (item.source.sha256, item.start_pts, item.end_pts, *crop, *(round(value, 4) for value in sound))


def _orders(count: int) -> Iterator[tuple[int, ...]]:
    for opening in range(count):
        yield (opening, *(n for n in range(count) if n != opening))
    yield from permutations(range(count))


def digest_of(plan: Plan, sources: Mapping[UUID, SourceVideo]) -> str:
    """The recipe's digest; only what the sources are counts, not where they lie."""
    return recipe_digest(build(plan, sources))


def build(
    plan: Plan,
    sources: Mapping[UUID, SourceVideo],
    paths: Mapping[UUID, Path] | None = None,
    frames: Mapping[UUID, FrameIndex] | None = None,
) -> Recipe:
    """The renderer's recipe. `paths` and `frames` are needed for rendering only. KeyError for a missing source,
    SpecError for what can't be rendered."""
    media = {source_id: _media_of(source) for source_id, source in sources.items()}
    entries = []
    for item in plan["entries"]:
        source_id = UUID(item["source"])
        start, end = item["pts"]
        info = media[source_id]
        entries.append(
            RenderInput(
                path=paths[source_id] if paths else Path("/"),
                sha256=item["sha256"],
                video=info.video,
                audio=info.audio,
                start_pts=start,
                end_pts=end,
                seek_pts=_keyframe_tick(frames[source_id], start) if frames else None,
                crop=Crop(*item["crop"]),
                volume=item["volume"],
                mute=item["is_muted"],
                fade_in=item["fades"][0],
                fade_out=item["fades"][1],
            )
        )
    width, height = plan["size"]
    preset = Preset(width=width, height=height, fps=Fraction(plan["frame_rate"]), quality=plan["quality"])
    return Recipe(entries, preset, Framing(plan["framing"]))


def _media_of(source: SourceVideo) -> MediaInfo:
    """What the probe found. The frame times are left out: nothing here looks at them."""
    return MediaInfo.from_dict(dict(source.media or {}), cast(FrameIndex, None))


def _keyframe_tick(frames: FrameIndex, start_pts: int) -> int:
    first = int(frames.pts.searchsorted(start_pts))
    return frames.tick(frames.keyframe_at_or_before(min(first, len(frames) - 1)))
