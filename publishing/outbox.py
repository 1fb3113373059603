"""The local outbox: what a profile without Postiz publishes lies here, file and words, for a person to post by hand.

An item holds copies of its own: it stays whatever becomes of the clip.
"""

from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from profiles import files
from profiles.api.errors import CHECK_FIELDS
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Profile, StoredFile, User
from publishing import transitions
from publishing.models import OutboxItem, Publication
from publishing.review import approval
from publishing.states import State
from publishing.transitions import Origin

LABEL = "Local outbox: not posted on any network"
_CLOCKS_DIFFER = timedelta(minutes=5)


def deliver(publication: Publication, claim: UUID) -> OutboxItem | None:
    """Puts `publication`, which a worker holds in state `uploading`, into the outbox: it is published then. None when
    the worker lost it to somebody else meanwhile; nothing is left behind.

    Call it outside any transaction. Raises NotApproved, Conflict (`clip_changed`) when the file is gone or is not what
    was chosen, StorageFull when there is no room for the copy. A crash leaves at most a copy that nobody keeps, which
    the sweep takes away.
    """
    approval.assert_approved(publication)
    video = _copy_of(publication.file, publication.sha256)
    cover = None
    try:
        cover = _copy_of(publication.cover) if publication.cover_id else None
        item = _put(publication, claim, video, cover)
    except BaseException:
        files.erase([row for row in (video, cover) if row is not None])
        raise
    if item is None:
        files.erase([row for row in (video, cover) if row is not None])
    return item


def _copy_of(file: StoredFile | None, sha256: str = "") -> StoredFile:
    gone = Conflict("The file that was chosen for this post is not there any more.", code="clip_changed")
    if file is None or file.state != StoredFile.State.STORED:
        raise gone
    try:
        made = files.copy(file, area="outbox")
    except FileNotFoundError:
        raise gone from None
    if sha256 and made.sha256 != sha256:
        files.erase([made])
        raise Conflict("The clip's file is not the one that was chosen for this post.", code="clip_changed")
    return made


def _put(publication: Publication, claim: UUID, video: StoredFile, cover: StoredFile | None) -> OutboxItem | None:
    with transaction.atomic():
        done = transitions.try_move(
            publication,
            State.PUBLISHED,
            why="Put into the local outbox",
            origin=Origin.WORKER,
            claim=claim,
            published_at=timezone.now(),
        )
        if not done:
            return None
        files.keep([video, cover])
        item: OutboxItem = OutboxItem.objects.create(
            profile_id=publication.profile_id, publication=publication, file=video, cover=cover
        )
    return item


def finish(
    *, profile: Profile, item: OutboxItem, by: User | None, url: str, posted_at: datetime | None = None
) -> OutboxItem:
    """ "Posted, here is the URL", says a person. Invalid for an address that is no web page, or a time that is to come
    or lies before the post was made; Conflict when it is finished already."""
    now = timezone.now()
    address = _web_address(url)
    if posted_at is not None and posted_at > now + _CLOCKS_DIFFER:
        raise Invalid(CHECK_FIELDS, fields={"posted_at": ["This lies in the future."]})
    with transaction.atomic():
        row = _locked(profile, item)
        if row.posted_at is not None:
            raise Conflict("This is finished already: undo that first.", code="already_finished")
        if posted_at is not None and posted_at < row.publication.created_at:
            raise Invalid(CHECK_FIELDS, fields={"posted_at": ["This lies before the post was made."]})
        _write(row, posted_at=posted_at or now, by=by, url=address)
        transitions.note(row.publication, "Posted by hand", origin=Origin.PERSON, by=by, detail={"url": address})
    return row


def undo(*, profile: Profile, item: OutboxItem, by: User | None) -> OutboxItem:
    """It was not posted after all. Nothing happens when it is not finished."""
    with transaction.atomic():
        row = _locked(profile, item)
        if row.posted_at is not None:
            detail = {"url": row.publication.release_url}
            _write(row, posted_at=None, by=None, url="")
            transitions.note(
                row.publication, "Not posted by hand after all", origin=Origin.PERSON, by=by, detail=detail
            )
    return row


def delete(*, profile: Profile, item: OutboxItem, by: User | None) -> None:
    """Throws the item and its files away; the publication keeps its history."""
    with transaction.atomic():
        row = _locked(profile, item)
        copies = [row.file, row.cover]
        transitions.note(row.publication, "Thrown out of the local outbox", origin=Origin.PERSON, by=by)
        row.delete()
        files.doom(copies)


def _locked(profile: Profile, item: OutboxItem) -> OutboxItem:
    rows = OutboxItem.objects.for_profile(profile).select_related("publication__integration", "file", "cover")
    row: OutboxItem | None = rows.select_for_update(of=("self",)).filter(pk=item.pk).first()
    if row is None:
        raise NotFound
    return row


def _write(row: OutboxItem, *, posted_at: datetime | None, by: User | None, url: str) -> None:
    row.posted_at, row.posted_by = posted_at, by
    row.save(update_fields=["posted_at", "posted_by"])
    Publication.objects.filter(pk=row.publication_id).update(release_url=url)
    row.publication.release_url = url


def _web_address(url: str) -> str:
    """`url`, if a browser may follow it: http(s) with a host, nothing that could be read as something else."""
    text = url.strip()
    clean = (
        len(text) <= 2000 and text.isprintable() and not any(letter.isspace() or letter in '\\<>"' for letter in text)
    )
    try:
        parts = urlsplit(text)
        valid = clean and parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        valid = False
    if not valid:
        raise Invalid(CHECK_FIELDS, fields={"url": ["An address like https://www.tiktok.com/@me/video/1 is needed."]})
    return text
