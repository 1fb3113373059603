"""How a render starts ffmpeg: through a runner that is given to it, counting what that costs."""

from collections.abc import Callable, Sequence
from typing import Protocol

from editai.clips.render.errors import ChangingSourceError
from jobs.ffmpeg import FfmpegError, Result, Usage

_REBUILT = "Reconfiguring filter graph"


class Runner(Protocol):
    """`jobs.ffmpeg.run`, or the same bound to an attempt (its cancel switch, its limits)."""

    def __call__(
        self,
        args: Sequence[str],
        *,
        duration: float | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Result: ...


class Meter:
    """Calls the runner and adds up CPU seconds, wall seconds and the highest memory of one process."""

    def __init__(self, run: Runner) -> None:
        self._run = run
        self.usage = Usage()

    def run(
        self,
        args: Sequence[str],
        *,
        duration: float | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Result:
        """Run ffmpeg; `duration` in seconds of output. Raises what the runner raises (FfmpegError, Stopped)."""
        try:
            result = self._run(args, duration=duration, on_progress=on_progress)
        except FfmpegError as error:
            self.usage += error.usage
            raise
        self.usage += result.usage
        return result

    def run_unchanging(
        self,
        args: Sequence[str],
        *,
        duration: float | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> Result:
        """The same for graphs whose filters count frames or samples. Raises ChangingSourceError, and as `run`."""
        result = self.run(["-v", "info", *args], duration=duration, on_progress=on_progress)
        if _REBUILT in result.stderr:
            raise ChangingSourceError
        return result

    def count(self, usage: Usage) -> None:
        """Add what another child cost."""
        self.usage += usage
