"""Whether clips still show what their project would give now. Compared by recipe: undoing an edit clears it too."""

from collections.abc import Sequence

from editai.clips.models import Clip
from editai.clips.recipes import digest_of, plan_of
from editai.clips.render.spec import SpecError
from editai.projects.models import Project
from editai.projects.timeline import Placed, timeline_of


def refresh(project: Project) -> None:
    """Sets `is_stale` of the project's rendered clips. Call it with the project locked, after the change."""
    rendered = Clip.objects.filter(project=project, trashed_at=None).exclude(rendered_hash="")
    clips = list(rendered.select_related("preset").defer("recipe"))
    if not clips:
        return
    placed = timeline_of(project)
    now: dict[tuple[str, str, int], str] = {}
    for clip in clips:
        look = (clip.preset_id, clip.quality, clip.variant)
        if look not in now:
            now[look] = _digest(project, placed, clip)
    stale = {clip.pk: now[clip.preset_id, clip.quality, clip.variant] != clip.rendered_hash for clip in clips}
    for value in (True, False):
        changed = [clip.pk for clip in clips if stale[clip.pk] is value and clip.is_stale is not value]
        if changed:
            Clip.objects.filter(pk__in=changed).update(is_stale=value)


def _digest(project: Project, placed: Sequence[Placed], clip: Clip) -> str:
    """The digest of the clip as it would be now; empty when it could not be made at all."""
    if not placed or any(item.problem for item in placed):
        return ""
    sources = {item.source.pk: item.source for item in placed}
    try:
        return digest_of(plan_of(project, placed, clip.preset, clip.quality, clip.variant), sources)
    except SpecError:
        return ""
