"""Review links: whoever holds one plays a clip, reads its words, and approves or asks for a change. No account.

A link carries the right to approve of the member who made it, for one clip: it dies with that right, when it expires or
is revoked, and with its clip. Only a hash of its secret is kept.
"""

import hashlib
import json
import secrets
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.urls import get_script_prefix, reverse
from django.utils import timezone

from editai.clips.models import Clip
from profiles.errors import Conflict, NotFound
from profiles.models import Membership, Profile, User
from profiles.tokens import digest
from publishing.models import Decision, Publication, ReviewLink
from publishing.review import approval

DEFAULT_DAYS, LONGEST_DAYS = 7, 30
MOST_SHOWN = 100  # publications of one clip
_SECRET_BYTES = 24
_OPENED_STEP = timedelta(minutes=1)  # how exact `opened_at` is: not one write a look
_form_signer = Signer(salt="editai.review-form")


class Changed(Conflict):
    """What waits for a decision is not what the form was about (any more)."""

    code = "changed"


# --- links ----------------------------------------------------------------------------------------------


def link_create(
    *, profile: Profile, clip: Clip, by: User, days: int = DEFAULT_DAYS, note: str = ""
) -> tuple[ReviewLink, str]:
    """A link's row and its address, which nobody can tell again. Conflict when the clip has no file to play."""
    if clip.file_id is None:
        raise Conflict("This clip is not rendered yet: there is nothing to play.", code="clip_not_ready")
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    link: ReviewLink = ReviewLink.objects.create(
        profile=profile,
        clip=clip,
        token_hash=digest(secret),
        note=note,
        expires_at=timezone.now() + timedelta(days=min(days, LONGEST_DAYS)),
        created_by=by,
    )
    # below a brand's prefix there is no such page
    path = reverse("review-page", args=[profile.pk, secret]).removeprefix(get_script_prefix())
    return link, f"{settings.PUBLIC_URL}/{path.lstrip('/')}"


def link_revoke(*, profile: Profile, link: ReviewLink) -> None:
    """Idempotent; the row stays as history."""
    rows = ReviewLink.objects.for_profile(profile).filter(pk=link.pk, revoked_at=None)
    rows.update(revoked_at=timezone.now())


def link_named(profile: Profile, secret: str) -> ReviewLink:
    """The usable link with this secret, with its clip; NotFound for any other."""
    rows = ReviewLink.objects.for_profile(profile).filter(token_hash=digest(secret), clip__trashed_at=None)
    link: ReviewLink | None = rows.select_related("clip__file", "clip__poster", "created_by").first()
    if link is None or not is_usable(link):
        raise NotFound
    link.profile = profile
    return link


def is_usable(link: ReviewLink) -> bool:
    """Whether it still opens anything: it runs, and who made it may still approve here."""
    if not is_current(link) or link.created_by_id is None:
        return False
    rows = Membership.objects.filter(profile_id=link.profile_id, user_id=link.created_by_id, user__is_active=True)
    membership = rows.first()
    return membership is not None and membership.may_approve


def is_current(link: ReviewLink) -> bool:
    """Whether it is neither revoked nor expired."""
    return link.revoked_at is None and link.expires_at > timezone.now()


def note_opened(link: ReviewLink) -> None:
    now = timezone.now()
    if link.opened_at is None or now - link.opened_at > _OPENED_STEP:
        ReviewLink.objects.filter(pk=link.pk).update(opened_at=now)


# --- what is shown, and what is said to it ----------------------------------------------------------------


def waiting(link: ReviewLink) -> list[Publication]:
    """What of the link's clip waits for a decision, the most urgent first."""
    rows = approval.waiting(link.profile).filter(clip_id=link.clip_id).select_related("integration", "file", "cover")
    return list(rows[:MOST_SHOWN])


def publication_named(link: ReviewLink, publication_id: UUID) -> Publication:
    """A publication of the link's clip, with its files; NotFound for any other."""
    rows = Publication.objects.filter(profile_id=link.profile_id, clip_id=link.clip_id, pk=publication_id)
    row: Publication | None = rows.select_related("file", "cover").first()
    if row is None:
        raise NotFound
    return row


def decisions(link: ReviewLink) -> list[Decision]:
    """What was said with this link, newest first."""
    rows = Decision.objects.filter(profile_id=link.profile_id, link=link).select_related("publication__integration")
    return list(rows.order_by("-at", "-id")[:MOST_SHOWN])


def form_token(link: ReviewLink, publications: list[Publication]) -> str:
    """Goes along with the form: proves what its reader had before them."""
    return _form_signer.sign_object([str(link.pk), _digest_of(publications)])


def decide(
    *, profile: Profile, link: ReviewLink, token: str, approves: bool, reviewer: str, comment: str
) -> list[Publication]:
    """A yes or a no to all that waits, if it is what `token` was made for. Raises Changed when it is not, NotFound when
    the link has died meanwhile, Invalid for a no without a comment."""
    with transaction.atomic():
        locked = ReviewLink.objects.for_profile(profile).select_for_update(of=("self",)).filter(pk=link.pk).first()
        if locked is None or not is_usable(locked):
            raise NotFound
        rows = waiting(link)
        if not rows or not _is_for(token, link, rows):
            raise Changed("Something has changed since you opened this page.")
        act = approval.approve if approves else approval.ask_for_change
        return act(
            profile=profile,
            publications=rows,
            link=link,
            reviewer=reviewer,
            comment=comment,
            shown={row.pk: approval.fingerprint(row) for row in rows},
        )


def _is_for(token: str, link: ReviewLink, rows: list[Publication]) -> bool:
    try:
        payload = _form_signer.unsign_object(token)
    except (BadSignature, ValueError):
        return False
    return bool(payload == [str(link.pk), _digest_of(rows)])


def _digest_of(publications: list[Publication]) -> str:
    """Over all that the page shows: media and words, channels, times."""
    parts = sorted(
        (str(row.pk), approval.fingerprint(row), row.is_immediate or row.scheduled_at.isoformat())
        for row in publications
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
