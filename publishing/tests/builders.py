"""Rows for the tests of publishing: a rendered clip without any rendering, a channel, a publication."""

import itertools
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from editai.clips.models import Clip, ExportPreset
from editai.projects.models import Project
from profiles import files
from profiles.models import Profile
from publishing.models import Integration, Publication
from publishing.states import State

_numbers = itertools.count(1)


def make_clip(profile: Profile, *, content: bytes | None = None, path: Path | None = None, **fields: Any) -> Clip:
    """A clip that is ready, whose file is `path` (taken over) or holds `content` (by default unlike any other)."""
    number = next(_numbers)
    with tempfile.TemporaryDirectory() as folder:
        made = path or Path(folder) / "made.mp4"
        if path is None:
            made.write_bytes(content or b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"%d" % number * 100)
        file = files.store(profile=profile, path=made, area="clips", suffix=".mp4")
    project = fields.pop("project", None) or Project.objects.create(profile=profile, name=f"Project {number}")
    values: dict[str, Any] = {
        "name": f"Clip {number}",
        "state": Clip.State.READY,
        "preset": ExportPreset.objects.order_by("position")[0],
        "recipe_hash": f"recipe {number}",
        "rendered_hash": f"recipe {number}",
        "duration_seconds": 9.0,
        "rendered_at": timezone.now(),
        **fields,
    }
    clip: Clip = Clip.objects.create(profile=profile, project=project, file=file, **values)
    return clip


def make_integration(profile: Profile, identifier: str = "instagram", **fields: Any) -> Integration:
    number = next(_numbers)
    values = {"external_id": f"cm{number}", "name": f"My {identifier} {number}", **fields}
    integration: Integration = Integration.objects.create(profile=profile, identifier=identifier, **values)
    return integration


def make_publication(
    profile: Profile, *, clip: Clip | None = None, integration: Integration | None = None, **fields: Any
) -> Publication:
    """A publication as it is: written past the services, tomorrow at this time unless `fields` say otherwise."""
    clip = clip or make_clip(profile)
    values: dict[str, Any] = {
        "state": State.DRAFT,
        "caption": "Look at this",
        "clip_name": clip.name,
        "file": clip.file,
        "sha256": clip.file.sha256 if clip.file else "",
        "scheduled_at": timezone.now() + timedelta(days=1),
        **fields,
    }
    publication: Publication = Publication.objects.create(
        profile=profile, clip=clip, integration=integration or make_integration(profile), **values
    )
    return publication
