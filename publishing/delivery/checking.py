"""Whether a publication may be sent as it is: to this channel, with this file. Problems are for people."""

from typing import Any

from editai.clips.models import Clip
from profiles.models import StoredFile
from publishing.models import Publication, Rendition
from publishing.postiz import errors
from publishing.transitions import problem


def channel_problem(publication: Publication) -> dict[str, Any] | None:
    channel = publication.integration
    channel.refresh_from_db()
    if channel.removed_at is not None:
        return problem("channel_gone", errors.ChannelGone.text, next_step="Choose another channel.", retryable=True)
    if channel.is_disabled:
        step = "Switch it on in Postiz, then retry."
        return problem("channel_disabled", "This channel is switched off in Postiz.", next_step=step, retryable=True)
    return None


def clip_problem(publication: Publication) -> dict[str, Any] | None:
    """Nothing is sent but the file that was chosen, of a clip that is still what its project gives."""
    found = Clip.objects.filter(pk=publication.clip_id).select_related("file").defer("recipe")
    clip: Clip | None = found.first()
    if clip is None or clip.trashed_at is not None:
        return problem("clip_deleted", "Its clip was deleted.", next_step="Restore the clip, or post another one.")
    if clip.is_stale:
        return problem("clip_stale", "Its clip is out of date.", next_step="Render it anew, and post that.")
    file = publication.file
    if not _is_chosen(file, publication.sha256) or not _is_of(clip, file):
        step = "Post the clip as it is now."
        return problem("clip_changed", "The clip's file is not the one that was chosen for this post.", next_step=step)
    return None


def _is_chosen(file: StoredFile | None, sha256: str) -> bool:
    if file is None:
        return False
    file.refresh_from_db()
    return file.state == StoredFile.State.STORED and file.sha256 == sha256 and bool(sha256)


def _is_of(clip: Clip, file: StoredFile | None) -> bool:
    """The clip's own file, or one that was made from it for a network."""
    if file is None or clip.file is None:
        return False
    made = Rendition.objects.filter(clip=clip, file=file, made_from=clip.file.sha256)
    return clip.file_id == file.pk or bool(made.exists())
