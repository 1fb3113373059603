"""Writes about a clip's cover: the still that networks show before a clip plays.

Made within the request: one picture, in the sandbox, within LIMITS, and at most SLOTS at once for one caller (see
docs/decisions). What is there at the end is a JPEG of our own making, whatever was sent.
"""

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from math import floor
from pathlib import Path

from django.conf import settings
from django.db import transaction

from costs.storage.quota import check_upload
from editai.clips.models import Clip
from editai.clips.pictures import judge
from editai.clips.render.spec import Preset, Quality
from editai.clips.selectors import media_facts
from editai.clips.services import lock_clip
from editai.clips.stills import LIMITS, cover_size, still_of_clip, still_of_picture
from editai.clips.users import Why, ask_before_change
from editai.projects.services import lock_project
from jobs import ffmpeg
from profiles import files
from profiles.api.errors import CHECK_FIELDS
from profiles.api.slots import Slots
from profiles.api.uploads import SUFFIX
from profiles.errors import Conflict, Invalid, NotFound, TooMany
from profiles.models import Profile, StoredFile

AREA = "covers"
SLOTS = Slots("covers in the making", 2)

Source = Clip.CoverSource
_run = partial(ffmpeg.run, limits=LIMITS)


def cover_set_image(*, profile: Profile, clip: Clip, path: Path) -> None:
    """Makes an uploaded picture the cover, cropped to the clip's shape.

    Invalid (keys of `pictures.MESSAGES`), TooLarge, Conflict when somebody still uses the clip, TooMany when the
    server is too busy to make it in time.
    """
    picture = judge(path)
    size = cover_size(*_size_of(clip))
    with _made(profile, lambda out: still_of_picture(path, picture, out, size, run=_run)) as stored:
        _put(profile, clip, stored, Source.IMAGE, None)


def cover_set_frame(*, profile: Profile, clip: Clip, at_seconds: float) -> None:
    """Makes the picture that is on screen at `at_seconds` of the clip the cover.

    Conflict (`not_rendered`) without a file, (`changed_meanwhile`) when it was replaced on the way; Invalid for a time
    beyond its end; and as for `cover_set_image`.
    """
    if clip.file is None or clip.duration_seconds is None:
        raise Conflict("This clip has not been rendered yet.", code="not_rendered")
    if at_seconds >= clip.duration_seconds:
        problem = f"This lies beyond the end of the clip, which is {clip.duration_seconds:.3f} s long."
        raise Invalid(CHECK_FIELDS, code="invalid_times", fields={"at_seconds": [problem]})
    rate = frame_rate_of(clip)
    frame = frame_at(at_seconds, rate)
    try:
        with (
            files.local_path(clip.file) as path,
            _made(profile, lambda out: still_of_clip(path, frame, rate, out, run=_run)) as stored,
        ):
            _put(profile, clip, stored, Source.FRAME, round(frame / rate, 6))
    except FileNotFoundError:
        raise Conflict("The clip was rendered anew meanwhile: try again.", code="changed_meanwhile") from None


def cover_remove(*, profile: Profile, clip: Clip) -> None:
    """NotFound when there is none; Conflict when somebody still uses the clip."""
    if clip.cover_id is None:
        raise NotFound
    _put(profile, clip, None, "", None)


def frame_rate_of(clip: Clip) -> float:
    """Frames a second of the clip's file."""
    facts = media_facts(clip)
    return float(facts["video"]["frame_rate"] if facts else clip.preset.frame_rate)


def frame_at(seconds: float, frame_rate: float) -> int:
    """The number of the frame that is on screen then. Times that stand in answers are rounded: they mean their own."""
    return floor(seconds * frame_rate + 1e-3)


def _size_of(clip: Clip) -> tuple[int, int]:
    facts = media_facts(clip)
    if facts:
        return facts["video"]["width"], facts["video"]["height"]
    return Preset(width=clip.preset.width, height=clip.preset.height, quality=Quality(clip.quality)).size


@contextmanager
def _made(profile: Profile, write: Callable[[Path], None]) -> Generator[StoredFile]:
    """A stored picture that `write(path)` makes; it goes again when the block fails."""
    # named like an upload: what a killed process leaves behind is swept with those
    with tempfile.NamedTemporaryFile(suffix=SUFFIX, dir=settings.FILE_UPLOAD_TEMP_DIR, delete=False) as file:
        out = Path(file.name)
    try:
        try:
            write(out)
        except ffmpeg.FfmpegError as error:
            raise _as_answer(error) from error
        stored = files.store(profile=profile, path=out, area=AREA, suffix=".jpg")
    finally:
        out.unlink(missing_ok=True)
    try:
        yield stored
    except BaseException:
        with transaction.atomic():
            files.doom([stored])
        raise


def _as_answer(error: ffmpeg.FfmpegError) -> Exception:
    if error.code in {"timed_out", "stalled"}:
        return TooMany("The server is too busy to make this picture. Try again soon.", code="busy", retry_after=10)
    return error


def _put(profile: Profile, clip: Clip, stored: StoredFile | None, source: str, at_seconds: float | None) -> None:
    with transaction.atomic():
        lock_project(profile=profile, project_id=clip.project_id)
        locked = lock_clip(profile=profile, clip_id=clip.pk)
        if source == Source.FRAME and locked.file_id != clip.file_id:
            raise Conflict("The clip was rendered anew meanwhile: try again.", code="changed_meanwhile")
        ask_before_change(profile, [locked.pk], Why.COVER)
        if stored is not None and source == Source.IMAGE:
            check_upload(profile, stored)
        before = locked.cover
        locked.cover, locked.cover_source, locked.cover_at_seconds = stored, source, at_seconds
        locked.save(update_fields=["cover", "cover_source", "cover_at_seconds", "updated_at"])
        files.doom([before])
