"""The render job: clips one after the other, each from its sources to a stored, checked file."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from editai.clips.models import Clip
from editai.clips.render.errors import RenderError
from editai.clips.rendering import Claim, claim, mark_failed, render_clip
from editai.clips.services import RENDER
from jobs import ffmpeg
from jobs.execution import Attempt, Cancelled, Outcome, describe
from jobs.registry import job_kind, register_error
from jobs.transitions import LeaseLost
from profiles.models import StoredFile

register_error(RenderError)

_LOOK_AGAIN_SECONDS = 0.5


@job_kind(
    RENDER,
    task_name="render_clip_task",
    queue="media",
    priority=50,  # after ingest, which somebody waits for
    max_attempts=3,
    label="Rendering clips",
)
def run_render(attempt: Attempt) -> Outcome:
    """Renders the clips of `params["clips"]`: `[{id, recipe_hash}]`. One that fails does not keep the others; the
    job fails when none came out."""
    wanted: list[dict[str, str]] = attempt.params["clips"]
    # by id, the same order in every job: of two jobs with clips in common one waits, never each for the other
    turns = sorted(range(len(wanted)), key=lambda n: wanted[n]["id"])
    errors: dict[int, Exception] = {}
    for turn, number in enumerate(turns):
        span = (turn / len(turns), (turn + 1) / len(turns))
        try:
            _one(attempt, wanted[number], span, f" {turn + 1} of {len(turns)}" if len(turns) > 1 else "")
        except (Cancelled, LeaseLost, ffmpeg.Stopped):
            raise
        except Exception as error:  # noqa: BLE001 - one bad variant fails only itself
            errors[number] = error
            if len(wanted) > 1:
                mark_failed(attempt, wanted[number], describe(error).as_json())
    if len(errors) == len(wanted):
        raise next(iter(errors.values()))
    return _outcome(attempt, wanted)


def _one(attempt: Attempt, item: Mapping[str, str], span: tuple[float, float], which: str) -> None:
    clip_id, digest = UUID(item["id"]), item["recipe_hash"]
    attempt.report(f"Preparing clip{which}", span[0])
    while (found := claim(attempt, clip_id, digest)) is Claim.ELSEWHERE:
        attempt.report("Waiting: another job is rendering this very clip")
        time.sleep(_LOOK_AGAIN_SECONDS)
        attempt.check()
    if found is Claim.MINE:
        render_clip(attempt, clip_id, digest, span, which)


def _outcome(attempt: Attempt, wanted: list[dict[str, str]]) -> Outcome:
    rows = Clip.objects.filter(pk__in=[item["id"] for item in wanted], trashed_at=None).select_related("file", "job")
    clips = {str(clip.pk): clip for clip in rows}
    shown = [_shown(clips.get(item["id"]), item) for item in wanted]
    output: StoredFile | None = None
    if len(wanted) == 1 and (only := clips.get(wanted[0]["id"])) is not None:
        output = only.file
    return Outcome({"clips": shown}, output=output)


def _shown(clip: Clip | None, item: Mapping[str, str]) -> dict[str, Any]:
    """A clip in the job's result. `state`: ready, failed, superseded (asked for anew meanwhile) or gone (deleted)."""
    if clip is None:
        return {"id": item["id"], "state": "gone"}
    state = "superseded" if clip.recipe_hash != item["recipe_hash"] else str(clip.state)
    facts = {"id": item["id"], "name": clip.name, "variant": clip.variant, "state": state}
    return {**facts, "error": clip.error} if clip.error else facts
