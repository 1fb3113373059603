"""What can go wrong in a render besides ffmpeg itself."""

from collections.abc import Sequence


class RenderError(Exception):
    """A clip that could not be made. `code` is stable, `message` a plain sentence without server paths."""

    code = "render_failed"

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(f"{self.code}: {message}")


class BadOutputError(RenderError):
    """The finished file is not what was ordered; it is not handed over. `faults`: all that was found."""

    code = "bad_output"

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = list(faults)
        super().__init__("The finished clip did not pass its check: " + "; ".join(self.faults) + ".")


class ChangingSourceError(RenderError):
    """A source whose picture or sound changes its form midway: size, pixel format, channels.

    ffmpeg rebuilds its filters then and loses its place, so what comes out would be wrong.
    """

    code = "source_changes"

    def __init__(self) -> None:
        super().__init__(
            "A source changes its picture size or format midway. Convert it to one form and upload it again."
        )
