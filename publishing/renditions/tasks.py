"""The job that makes renditions: each network by itself, of the clip's file, checked before it counts."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from editai.clips.models import Clip
from jobs import ffmpeg
from jobs.execution import Attempt, Cancelled, JobError, Outcome, describe
from jobs.registry import job_kind
from jobs.transitions import LeaseLost
from profiles.models import StoredFile
from publishing.renditions import encode
from publishing.renditions.files import fresh
from publishing.renditions.plan import NotFixableError, Plan, plan, to_mend
from publishing.renditions.requests import FIX, Made, keeps_rules, put_in_place
from publishing.rules import media_facts
from publishing.rules.media_rules import check_media
from publishing.rules.rulebook import Book, Finding, Level, load

_ROUNDS = 3  # encodes until a file is small enough
_LOOKED, _MADE = 0.05, 0.97
_BY_HAND = "Change the clip, or leave this network out."


@job_kind(
    FIX,
    task_name="fix_rendition_task",
    queue="media",
    priority=40,  # somebody waits to publish
    max_attempts=3,
    label="Making a clip fit its networks",
)
def run_fix(attempt: Attempt) -> Outcome:
    """Makes the renditions of `params`: {clip_id, sha256, networks}. One that cannot be made does not keep the others;
    the job fails when none is there in the end."""
    return _Fixing(attempt).run()


class _Fixing:
    """One attempt. `sha256`: of the clip's file as it was when this was asked for."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.sha256: str = attempt.params["sha256"]
        self.networks: list[str] = attempt.params["networks"]
        self.clip_id = UUID(attempt.params["clip_id"])
        self.book: Book = load()
        self.facts: dict[str, Any] = {}

    def run(self) -> Outcome:
        rows = Clip.objects.filter(pk=self.clip_id, trashed_at=None).select_related("file", "preset").defer("recipe")
        clip: Clip | None = rows.first()
        if clip is None or clip.file is None or clip.file.sha256 != self.sha256:
            raise JobError("clip_changed", "The clip has changed since.", next_step="Ask for it again.")
        try:
            with self.attempt.local(clip.file) as source:
                self.attempt.report("Looking at the clip", 0.0)
                self.facts = encode.measured(self.attempt, source)
                self.attempt.report(fraction=_LOOKED)
                return self._all(clip, source)
        except FileNotFoundError as error:
            raise JobError("clip_changed", "The clip's file is gone.", next_step="Render the clip again.") from error

    def _all(self, clip: Clip, source: Path) -> Outcome:
        results: list[dict[str, Any]] = []
        errors: list[Exception] = []
        output: StoredFile | None = None
        share = (1 - _LOOKED) / len(self.networks)
        for number, network in enumerate(self.networks):
            span = (_LOOKED + share * number, _LOOKED + share * (number + 1))
            try:
                result, output = self._one(clip, network, source, span)
            except (Cancelled, LeaseLost, ffmpeg.Stopped):
                raise
            except Exception as error:  # noqa: BLE001 - one network's failure is its own
                errors.append(error)
                result = {"network": network, "state": "failed", "error": describe(error).as_json()}
            results.append(result)
        if len(errors) == len(self.networks):
            raise errors[0]
        result = {"clip_id": str(self.clip_id), "renditions": results}
        return Outcome(result, output=output if len(self.networks) == 1 else None)

    def _one(
        self, clip: Clip, network: str, source: Path, span: tuple[float, float]
    ) -> tuple[dict[str, Any], StoredFile | None]:
        """`state` of the result: made; kept (one that is good is there already); not_needed; superseded (the clip has
        another file by now)."""
        known = fresh(clip.profile, [clip], [network]).get((clip.pk, network))
        if known is not None and keeps_rules(known, self.book):
            return self._told(network, "kept", known.media, id=str(known.pk), changes=known.changes), known.file
        try:
            broken = to_mend(network, self.book.of(network), media_facts.of_rendition(self.facts))
            if not broken:
                return self._told(network, "not_needed", self.facts), clip.file
            wanted = plan(self.book.of(network), media_facts.of_rendition(self.facts), broken)
        except NotFixableError as error:
            raise JobError("not_fixable", f"{network}: {error.message}", next_step=_BY_HAND) from error
        path, media = self._make(network, source, wanted, span)
        self.attempt.report("Storing the rendition", span[0] + (span[1] - span[0]) * _MADE)
        file = self.attempt.store(path, "renditions", ".mp4")
        made = Made(network, self.sha256, file, media, list(wanted.changes))
        row = self.attempt.commit(partial(put_in_place, clip.profile, clip.pk, made))
        if row is None:
            return self._told(network, "superseded", media), None
        return self._told(network, "made", media, id=str(row.pk), changes=row.changes), file

    def _make(self, network: str, source: Path, wanted: Plan, span: tuple[float, float]) -> tuple[Path, dict[str, Any]]:
        """A file that keeps the rules, in the attempt's folder."""
        folder = self.attempt.scratch / "rendition"
        out = folder / "clip.mp4"
        first, last = span

        def tell(step: str, fraction: float) -> None:
            self.attempt.check()
            self.attempt.report(f"{step} ({network})", first + (last - first) * _MADE * fraction)

        failures: list[Finding] = []
        for _ in range(_ROUNDS):
            shutil.rmtree(folder, ignore_errors=True)  # of a network or a round before
            folder.mkdir(mode=0o700)
            encode.make(self.attempt, source, out, wanted, tell)
            media = encode.measured(self.attempt, out)
            failures = self._failures(network, media)
            if not failures:
                return out, media
            if {failure.rule for failure in failures} - {"max_bytes", "upload_max_bytes", "max_video_bitrate"}:
                break
            wanted = encode.tightened(wanted, media["size"])
        said = " ".join(failure.message for failure in failures)
        raise JobError(
            "not_fixable", f"{network}: the file that was made does not keep the rules. {said}", False, _BY_HAND
        )

    def _failures(self, network: str, media: dict[str, Any]) -> list[Finding]:
        found = check_media(network, self.book.of(network), media_facts.of_rendition(media))
        return [finding for finding in found if finding.level is Level.FAIL]

    def _told(self, network: str, state: str, media: dict[str, Any], **more: Any) -> dict[str, Any]:
        """One entry of the result, with what the rules still remark."""
        found = check_media(network, self.book.of(network), media_facts.of_rendition(media))
        remarks = [finding.as_dict() for finding in found if finding.level is not Level.PASS]
        return {"network": network, "state": state, "changes": [], **more, "findings": remarks}
