"""Whether clips still show what their project would give now. Compared by recipe: undoing an edit clears it too."""

from collections.abc import Sequence
from uuid import UUID

from editai.clips.models import Clip
from editai.clips.recipes import digest_of, plan_of
from editai.clips.render.spec import SpecError
from editai.clips.users import Why, ask_before_change
from editai.projects.models import Project
from editai.projects.timeline import Placed, timeline_of


def refresh(project: Project, *, may_refuse: bool = True) -> None:
    """Sets `is_stale` of the project's rendered clips. Call it with the project locked, after the change.

    Before a clip turns stale its users are asked, and a Conflict of theirs undoes the change, unless `may_refuse` is
    False: for what must go through in any case, such as a restore from the trash or the end of a render.
    """
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
        if value and changed and may_refuse:
            _ask(project, changed)
        if changed:
            Clip.objects.filter(pk__in=changed).update(is_stale=value)


def digest_now(clip: Clip) -> str:
    """The digest of the clip as its project would give it now; empty when it could not be made at all. Call it with the
    project locked."""
    return _digest(clip.project, timeline_of(clip.project), clip)


def _ask(project: Project, clip_ids: Sequence[UUID]) -> None:
    rows = Clip.objects.filter(pk__in=clip_ids).order_by("pk").select_for_update(of=("self",))
    ask_before_change(project.profile, list(rows.values_list("pk", flat=True)), Why.STALE)


def _digest(project: Project, placed: Sequence[Placed], clip: Clip) -> str:
    """The digest of the clip as it would be now; empty when it could not be made at all."""
    if not placed or any(item.problem for item in placed):
        return ""
    sources = {item.source.pk: item.source for item in placed}
    try:
        return digest_of(plan_of(project, placed, clip.preset, clip.quality, clip.variant), sources)
    except SpecError:
        return ""
