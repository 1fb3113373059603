"""Which file goes to which network: the one that was made over for it, while it is fresh, else the clip's own."""

from collections.abc import Collection, Sequence
from uuid import UUID

from editai.clips.models import Clip
from profiles.files import doom
from profiles.models import Profile, StoredFile
from publishing.models import Rendition

Renditions = dict[tuple[UUID, str], Rendition]


def fresh(profile: Profile, clips: Sequence[Clip], networks: Collection[str] | None = None) -> Renditions:
    """The renditions of these clips that were made from the file that each has now, with their files: one query."""
    rows = Rendition.objects.for_profile(profile).filter(clip__in=[clip.pk for clip in clips])
    if networks is not None:
        rows = rows.filter(network__in=networks)
    made_from = {clip.pk: clip.file.sha256 for clip in clips if clip.file is not None}
    stored = rows.filter(file__state=StoredFile.State.STORED).select_related("file")
    return {(row.clip_id, row.network): row for row in stored if row.made_from == made_from.get(row.clip_id)}


def purge(profile: Profile, clip_ids: Collection[UUID]) -> None:
    """Deletes the renditions of these clips with their files, in the caller's transaction."""
    rows = list(Rendition.objects.for_profile(profile).filter(clip__in=clip_ids).select_related("file"))
    Rendition.objects.for_profile(profile).filter(pk__in=[row.pk for row in rows]).delete()
    doom([row.file for row in rows])
