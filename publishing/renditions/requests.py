"""Files made over so that they keep a network's rules: asking for them, putting them in place, finding them.

A rendition is made from the clip's own file and is good for that file only. Posts that are still to come pin the file
that was chosen with them: a rendition that such a post uses is not replaced.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from editai.clips.models import Clip
from editai.clips.services import lock_clip
from jobs import services as job_services
from jobs.models import Job
from profiles.errors import Conflict, Invalid
from profiles.files import doom
from profiles.models import Profile, StoredFile, User
from publishing.models import Rendition
from publishing.renditions.files import fresh
from publishing.rules import media_facts
from publishing.rules.media_rules import check_media
from publishing.rules.rulebook import Book, load
from publishing.to_come import posts_to_come, refuse_if_any

FIX = "fix_rendition"  # the kind of job
MAX_NETWORKS = 20


@dataclass(frozen=True)
class Made:
    """A finished rendition in the store. `made_from`: SHA-256 of the clip's file; `media`: facts with loudness."""

    network: str
    made_from: str
    file: StoredFile
    media: dict[str, Any]
    changes: list[str]


def request_fix(*, profile: Profile, clip: Clip, networks: Collection[str], by: User | None) -> Job:
    """The job that makes renditions of the clip for these networks. The same networks, file and rules asked again while
    it is under way: the same job.

    Raises NotFound, Invalid (`networks`), Conflict (`clip_not_ready`, `clip_stale`, `posts_to_come`), TooMany.
    """
    wanted = sorted(set(networks))
    if not 1 <= len(wanted) <= MAX_NETWORKS or not all(0 < len(name) <= 60 for name in wanted):
        message = f"One to {MAX_NETWORKS} networks are expected."
        raise Invalid(message, fields={"networks": [message]})
    book = load()
    with transaction.atomic():
        locked = lock_clip(profile=profile, clip_id=clip.pk)
        file = _file_of(locked)
        _refuse_if_used(profile, _replaced(profile, locked, wanted, book))
        return job_services.enqueue(
            profile=profile,
            kind=FIX,
            params={"clip_id": str(locked.pk), "sha256": file.sha256, "networks": wanted},
            subject=uuid5(locked.pk, "rendition:" + ",".join(wanted)),
            by=by,
            recipe_hash=_digest(file.sha256, wanted, book),
        )


def _file_of(clip: Clip) -> StoredFile:
    if clip.file is None or clip.state != Clip.State.READY:
        raise Conflict("The clip is not rendered yet: wait for it, or render it again.", code="clip_not_ready")
    if clip.is_stale:
        raise Conflict("The clip is out of date: render it again first.", code="clip_stale")
    return clip.file


def _digest(sha256: str, networks: Sequence[str], book: Book) -> str:
    rules = {network: {name: rule.value for name, rule in book.of(network).items()} for network in networks}
    return hashlib.sha256(json.dumps([sha256, rules], sort_keys=True).encode()).hexdigest()


def keeps_rules(rendition: Rendition, book: Book) -> bool:
    """Whether a rendition keeps the rules as they are now."""
    media = media_facts.of_rendition(rendition.media)
    found = check_media(rendition.network, book.of(rendition.network), media)
    return not any(finding.level == "fail" for finding in found)


def _replaced(profile: Profile, clip: Clip, networks: Sequence[str], book: Book) -> list[Rendition]:
    """The renditions whose place a new one will take."""
    good = fresh(profile, [clip], networks)
    rows = Rendition.objects.for_profile(profile).filter(clip=clip, network__in=networks).select_related("file")
    return [row for row in rows if (clip.pk, row.network) not in good or not keeps_rules(row, book)]


def _refuse_if_used(profile: Profile, rows: Sequence[Rendition]) -> None:
    """Raises Conflict when posts to come use one of these files. Call it with the clip locked."""
    posts = posts_to_come(profile, file__in=[row.file_id for row in rows])
    refuse_if_any(posts, "Posts that use this rendition are still to come: cancel them first.")


def put_in_place(profile: Profile, clip_id: UUID, made: Made) -> Rendition | None:
    """Writes the rendition in the place of older ones, whose files go, in the caller's transaction. None, and the
    new file goes, when the clip is gone or has another file by now. Raises Conflict (`posts_to_come`)."""
    clips = Clip.objects.for_profile(profile).filter(pk=clip_id, trashed_at=None).select_related("file")
    clip = clips.select_for_update(of=("self",)).first()
    if clip is None or clip.file is None or clip.file.sha256 != made.made_from:
        doom([made.file])
        return None
    of_clip = Rendition.objects.for_profile(profile).filter(clip=clip)
    # those of an earlier file of the clip are of no use any more, whatever their network
    rows = of_clip.filter(Q(network=made.network) | ~Q(made_from=made.made_from)).select_related("file")
    old = list(rows.select_for_update(of=("self",)))
    _refuse_if_used(profile, old)
    rows.delete()
    doom([row.file for row in old])
    row: Rendition = Rendition.objects.create(
        profile=profile,
        clip=clip,
        network=made.network,
        made_from=made.made_from,
        file=made.file,
        media=made.media,
        changes=made.changes,
        created_at=timezone.now(),
    )
    return row
