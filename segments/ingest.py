"""Preparing a source, step by step: probe, pictures, proxy. A step that is done is never done again, so an attempt
after a crash goes on where the last one stopped.

What a step makes shows at once: segments may be marked as soon as the probe has found the frames, and the poster is
there while the proxy is still being encoded. Each write is fenced (`Attempt.commit`), and meets no row once the source
has been thrown away.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from jobs.execution import Attempt, JobError, Outcome
from jobs.ffmpeg import Limits
from profiles.files import doom
from profiles.models import StoredFile
from segments.derivatives import write_pictures, write_proxy, write_waveform
from segments.media_info import MediaInfo
from segments.models import SourceVideo
from segments.probe import probe

AREA = "derived"
_PROBED, _PICTURED, _HEARD = 0.05, 0.2, 0.25  # shares of the whole that are done then


def prepare(attempt: Attempt) -> Outcome:
    """Runs what is left of the ingest of the source that the job names."""
    steps = _Steps(attempt, UUID(str(attempt.params["source_video_id"])))
    source = steps.load()
    with attempt.local(source.original) as path:
        info = source.info if source.is_markable else steps.probe(path)
        steps.pictures(path, info)
        steps.proxy(path, info)
        steps.waveform(path, info)
    return Outcome(result={"source_video_id": str(source.pk)}, apply=steps.ready)


class _Steps:
    """The steps of one attempt at one source."""

    def __init__(self, attempt: Attempt, source_id: UUID) -> None:
        self.attempt, self.source_id = attempt, source_id

    def load(self) -> SourceVideo:
        """The row as it is now. JobError when it was thrown away."""
        rows = SourceVideo.objects.for_profile(self.attempt.profile).select_related("original")
        source: SourceVideo | None = rows.filter(pk=self.source_id, trashed_at=None).first()
        if source is None:
            raise _gone()
        return source

    def probe(self, path: Path) -> MediaInfo:
        """Streams and frame times; marking may begin. Raises MediaError for what is no video."""
        self.attempt.report("Looking at the file", 0.0)
        self._save(state=SourceVideo.State.PROCESSING)
        with self.attempt.counted():
            info = probe(path, should_stop=self.attempt.should_stop, on_usage=self.attempt.count)
        video = info.video
        self._save(
            duration_seconds=info.duration_seconds,
            width=video.display_width,
            height=video.display_height,
            frame_rate=float(video.avg_frame_rate),
            has_audio=info.audio is not None,
            media=info.as_dict(),
            frame_index=info.frames.to_bytes(),
        )
        return info

    def pictures(self, path: Path, info: MediaInfo) -> None:
        """Poster and filmstrip, from one decode of the keyframes."""
        source = self.load()
        if source.poster_id and source.filmstrip_id:
            return
        poster, strip = self.attempt.scratch / "poster.jpg", self.attempt.scratch / "filmstrip.jpg"
        run = self._runner("Making pictures", _PROBED, _PICTURED, info)
        geometry, _ = write_pictures(path, info, poster, strip, run=run)
        stored = {"poster": self._store(poster, ".jpg"), "filmstrip": self._store(strip, ".jpg")}
        self._keep(stored, filmstrip_grid=geometry.as_dict())

    def proxy(self, path: Path, info: MediaInfo) -> None:
        """The light copy for the browser, and the peaks of its sound from the same decode."""
        source = self.load()
        if source.proxy_id:
            return
        out, peaks = self.attempt.scratch / "proxy.mp4", self.attempt.scratch / "waveform.bin"
        wanted = peaks if info.audio and not source.waveform_id else None
        run = self._runner("Making a light copy", _PICTURED, 1.0, info)
        write_proxy(path, info, out, waveform=wanted, run=run)
        stored = {"proxy": self._store(out, ".mp4")}
        if wanted:
            stored["waveform"] = self._store(peaks, ".bin")
        self._keep(stored)

    def waveform(self, path: Path, info: MediaInfo) -> None:
        """The peaks alone, should the proxy have been there without them."""
        if info.audio is None or self.load().waveform_id:
            return
        peaks = self.attempt.scratch / "waveform.bin"
        write_waveform(path, info, peaks, run=self._runner("Drawing the sound", 0.9, 1.0, info))
        self._keep({"waveform": self._store(peaks, ".bin")})

    def ready(self) -> None:
        """The end, inside the fenced transaction of the job."""
        if not self._row().update(state=SourceVideo.State.READY):
            raise _gone()

    def _row(self) -> Any:
        return SourceVideo.objects.for_profile(self.attempt.profile).filter(pk=self.source_id, trashed_at=None)

    def _save(self, **columns: Any) -> None:
        def write() -> None:
            if not self._row().update(**columns):
                raise _gone()

        self.attempt.commit(write)

    def _store(self, path: Path, suffix: str) -> StoredFile:
        return self.attempt.store(path, AREA, suffix)

    def _keep(self, stored: dict[str, StoredFile], **columns: Any) -> None:
        """Points the row to new files; what they replace goes."""

        def write() -> None:
            source = self._row().select_for_update(of=("self",), no_key=True).first()
            if source is None:
                raise _gone()
            before = [getattr(source, name) for name in stored]
            self._row().update(**stored, **columns)
            doom(before)

        self.attempt.commit(write)

    def _runner(self, step: str, first: float, last: float, info: MediaInfo) -> Callable[..., Any]:
        return partial(self.attempt.ffmpeg, step=step, span=(first, last), limits=limits_for(info))


def limits_for(info: MediaInfo) -> Limits:
    """What one ffmpeg process may use on a source: by its length, within the bounds of the runner."""
    seconds = max(600.0, 20 * info.duration_seconds)
    return Limits(cpu_seconds=seconds, wall_seconds=min(2 * seconds, 24 * 3600))


def _gone() -> JobError:
    return JobError("source_deleted", "The footage was deleted while it was being prepared.")
