"""From a recipe to a finished, checked clip.

Sound and picture are made apart, each once, straight from the sources: the sound first, mixed, levelled and
encoded; then the picture in one encode; then both are put together without encoding anything again. More
sources than one process should open are done in parts that are joined as they are; their sound is one piece.
"""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from editai.clips.render.errors import ChangingSourceError
from editai.clips.render.facts import Facts
from editai.clips.render.graph import mux_command, picture_command, sound_command
from editai.clips.render.loudness import level
from editai.clips.render.runner import Meter, Runner
from editai.clips.render.spec import SAMPLE_RATE, Recipe
from editai.clips.render.timeline import Slot, grouped, lay_out, total_frames, total_samples
from editai.clips.render.verify import verify
from jobs.ffmpeg import FfmpegError, Usage

logger = logging.getLogger(__name__)

Report = Callable[[str, float], None]

# Shares of the whole work, as found on ordinary footage.
MIXED, LEVELLED, ENCODED, JOINED = 0.08, 0.15, 0.95, 0.97
ENCODER_THREADS = 2
_SOUND_FAILURES = {"ffmpeg_failed", "invalid_media", ChangingSourceError.code}


@dataclass(frozen=True)
class RenderReport:
    """A finished clip: what it is (measured on the file) and what it cost.

    `duration_seconds` of the picture; `lufs` and `true_peak` (dBTP) of the encoded sound, None for silence;
    `loudness_reached`: False when the peak limit did not allow the loudness; `unreadable_sound`: numbers of
    entries (from 0) whose sound could not be decoded and is silent; `parts`: encodes of the picture that were
    joined; `facts`: what the file is (`facts.describe`); `usage`: CPU and wall seconds of all processes, memory of
    the largest.
    """

    width: int
    height: int
    frames: int
    duration_seconds: float
    size: int
    lufs: float | None
    true_peak: float | None
    loudness_reached: bool
    parts: int
    usage: Usage
    facts: Facts
    unreadable_sound: tuple[int, ...] = field(default=())


def render(
    recipe: Recipe,
    out: Path,
    scratch: Path,
    *,
    run: Runner,
    report: Report | None = None,
    threads: int = ENCODER_THREADS,
) -> RenderReport:
    """Make the clip of `recipe` and move it to `out` once it has passed its check.

    `scratch`: an existing private folder for intermediate files (sound at 0.4 MB per second, the picture up to
    twice); what is left there after an error is the caller's to remove. `report(step, fraction)`: fraction of
    the whole, never falling. `threads`: of the encoder. Raises RenderError (ChangingSourceError,
    BadOutputError) and what `run` raises (FfmpegError, Stopped); then nothing is at `out`.
    """
    work = _Work(recipe, scratch, Meter(run), _Progress(report), threads)
    frames, samples = total_frames(work.slots), total_samples(work.slots)
    sound, is_limited = work.sound(samples)
    picture, parts = work.picture(frames)
    clip = scratch / "clip.mp4"
    work.progress.tell("Putting picture and sound together", ENCODED)
    work.meter.run(mux_command(picture, sound, recipe.preset, clip))
    picture.unlink()
    sound.unlink()
    work.progress.tell("Checking the clip", JOINED)
    verified = verify(clip, recipe.preset, frames, samples, work.meter)
    found = verified.loudness
    shutil.move(clip, out)
    work.progress.tell("Checking the clip", 1.0)
    width, height = recipe.preset.size
    return RenderReport(
        width=width,
        height=height,
        frames=frames,
        duration_seconds=float(frames / recipe.preset.fps),
        size=verified.facts["size"],
        facts=verified.facts,
        lufs=found.lufs,
        true_peak=found.true_peak,
        loudness_reached=not is_limited,
        parts=parts,
        usage=work.meter.usage,
        unreadable_sound=tuple(sorted(work.unreadable)),
    )


class _Progress:
    """Fractions of the whole that never fall."""

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._reached = 0.0

    def tell(self, step: str, fraction: float) -> None:
        self._reached = max(self._reached, min(1.0, fraction))
        if self._report:
            self._report(step, self._reached)

    def between(self, step: str, low: float, high: float) -> Callable[[float], None]:
        """Takes fractions of one step and reports them as fractions of the whole."""
        return lambda share: self.tell(step, low + (high - low) * min(1.0, max(0.0, share)))


class _Work:
    """The steps of one render."""

    def __init__(self, recipe: Recipe, scratch: Path, meter: Meter, progress: _Progress, threads: int) -> None:
        self.recipe, self.scratch, self.meter, self.progress = recipe, scratch, meter, progress
        self.threads = threads
        self.slots = lay_out(recipe)
        self.unreadable: set[int] = set()

    def sound(self, samples: int) -> tuple[Path, bool]:
        """The levelled, encoded sound of the whole clip, and whether the peak limit held it down."""
        tell = self.progress.between("Mixing the sound", 0.0, MIXED)
        tell(0.0)
        groups = grouped(self.slots, max_pixels=None)
        mixes = []
        for number, group in enumerate(groups):
            mixes += self._mix(group)
            tell((number + 1) / len(groups))
        encoded = self.scratch / "sound.m4a"
        tell = self.progress.between("Setting the loudness", MIXED, LEVELLED)
        levelled = level(mixes, encoded, self.recipe.preset, samples, self.meter, tell)
        for mix in mixes:
            mix.unlink()
        return encoded, levelled.is_limited

    def _mix(self, group: list[Slot]) -> list[Path]:
        """Mix a group; if that fails find the entries whose sound cannot be read and make them silent."""
        out = self.scratch / f"mix-{group[0].number:05d}.wav"
        seconds = sum(slot.samples for slot in group) / SAMPLE_RATE
        try:
            command = sound_command(group, out, silent=frozenset(self.unreadable))
            self.meter.run_unchanging(command, duration=seconds)
        except (FfmpegError, ChangingSourceError) as error:
            audible = [slot for slot in group if slot.entry.is_audible and slot.number not in self.unreadable]
            if error.code not in _SOUND_FAILURES or not audible:
                raise
            out.unlink(missing_ok=True)
            if len(group) > 1:
                return [path for slot in group for path in self._mix([slot])]
            logger.warning("sound of entry %d cannot be read (%s): silence", group[0].number, error.code)
            self.unreadable.add(group[0].number)
            return self._mix(group)
        return [out]

    def picture(self, frames: int) -> tuple[Path, int]:
        """The encoded picture of the whole clip and the number of parts it was encoded in."""
        preset, framing = self.recipe.preset, self.recipe.framing
        groups = grouped(self.slots)
        is_parted = len(groups) > 1
        whole = self.scratch / ("picture.ts" if is_parted else "picture.mp4")
        for number, group in enumerate(groups):
            step = f"Encoding the picture, part {number + 1} of {len(groups)}" if is_parted else "Encoding the picture"
            part = self.scratch / "part.ts" if is_parted else whole
            length = total_frames(group) - group[0].first_frame
            low, high = (LEVELLED + (ENCODED - LEVELLED) * at / frames for at in _span(group))
            tell = self.progress.between(step, low, high)
            tell(0.0)
            seconds = float(length / preset.fps)
            self.meter.run_unchanging(
                picture_command(group, preset, framing, part, threads=self.threads, part=is_parted),
                duration=seconds,
                on_progress=_share_of(seconds, tell),
            )
            if is_parted:
                _append(part, whole, is_first=number == 0)
        return whole, len(groups)


def _span(group: list[Slot]) -> tuple[int, int]:
    return group[0].first_frame, total_frames(group)


def _share_of(seconds: float, tell: Callable[[float], None]) -> Callable[[float], None]:
    return lambda done: tell(done / seconds)


def _append(part: Path, whole: Path, *, is_first: bool) -> None:
    """Move the bytes of `part` to the end of `whole`; at most one part is on disk twice."""
    if is_first:
        part.replace(whole)
        return
    with whole.open("ab") as target, part.open("rb") as source:
        shutil.copyfileobj(source, target, 1024 * 1024)
    part.unlink()
