"""Publications of which nobody knows whether Postiz has them: looked for, adopted, or shown to be missing.

Nothing is ever sent again from here. Shown to be missing means: a list that Postiz gave, long enough after the call
that whatever the call set off over there must have ended, does not have it. Resending is then a person's decision
(`changes.publication_resend`), who is told that the first one may still turn up.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs import services as jobs
from jobs.models import Job
from profiles.models import Profile, User
from publishing import news
from publishing.delivery import claims
from publishing.delivery.fingerprints import as_loaded
from publishing.delivery.outcomes import unconfirm
from publishing.delivery.sending import delete, is_out
from publishing.models import Publication
from publishing.postiz.client import Postiz
from publishing.postiz.replies import Post
from publishing.states import OUTSIDE, State
from publishing.tracking import rhythm
from publishing.transitions import Origin, note, problem, try_move

log = logging.getLogger(__name__)

KIND = "reconcile"
ABSENT = "absent"  # the code of a problem: `actions.PROVEN_ABSENT`
NOT_CONNECTED, CHANNEL_GONE = "postiz_not_connected", "channel_gone"  # codes, too: nobody there can tell


def request(profile: Profile, publication: Publication, by: User | None) -> Job:
    """The job that asks Postiz about it now."""
    params = {"publication_id": str(publication.pk)}
    return jobs.enqueue(profile=profile, kind=KIND, params=params, subject=publication.pk, by=by)


def oldest(posts: Sequence[Post]) -> Post:
    """Of several posts of a publication the one to follow: that is out already, else the oldest."""
    return min(posts, key=lambda post: (not is_out(post), post.publish_date, post.id))


def adopt(publication: Publication, post: Post) -> bool:
    """`post` is the publication's from now on. False when somebody else was faster."""
    return try_move(
        publication,
        State.SUBMITTED,
        why="Found at Postiz",
        origin=Origin.SYNC,
        external_post_id=post.id[:100],
        external_group=post.group[:100],
        submitted_at=publication.submitted_at or timezone.now(),
        may_be_live=False,
        detail={"post_id": post.id},
    )


def take_back_strays(publication: Publication, own: Post, strays: Sequence[Post], postiz: Postiz) -> None:
    """Posts of it besides the one that is followed are deleted as long as that is possible. Raises PostizError."""
    now = timezone.now()
    possible = [post for post in strays if post.state == "QUEUE" and post.publish_date > now and not is_out(post)]
    for post in possible:
        if post.group != own.group:
            delete(postiz, post)
    certain = [post for post in possible if not postiz.may_be_past(post.publish_date)]
    left = len(strays) - len(certain)
    what = problem(
        "found_twice",
        f"Postiz had {len(strays) + 1} posts of it. {len(certain)} of them were taken back"
        + (f"; {left} could not be for certain: it may be on the network more than once." if left else "."),
        next_step="Look at the channel.",
    )
    tell_once(publication, what, [post.id for post in strays])


def tell_once(publication: Publication, what: dict[str, Any], post_ids: Sequence[str]) -> None:
    """A line in the history and a notification, the first time that these posts are seen."""
    detail = {"code": what["code"], "post_ids": sorted(post_ids)}
    if publication.events.filter(detail=detail).exists():
        return
    with transaction.atomic():
        note(publication, str(what["message"]), origin=Origin.SYNC, detail=detail)
        news.tell(news.UNCONFIRMED, publication, what)


def not_found(publication: Publication, asked_at: datetime) -> None:
    """Its own Postiz, asked at `asked_at`, does not list an unconfirmed publication: what that shows."""
    now = timezone.now()
    since = publication.submitting_since or now
    date = publication.fingerprint_at or now
    is_proven = rhythm.is_proven(publication, asked_at)
    was_told = bool((publication.error or {}).get("is_told"))
    checks = publication.checks + 1
    what = _absent(checks, since, asked_at) if is_proven else claims.unknown("Postiz does not list it yet.")
    with transaction.atomic():
        rows = as_loaded(publication)
        publication.error = {**what, "is_told": is_proven or was_told}
        publication.checks, publication.next_check_at = checks, rhythm.next_search(since, date, now)
        changed = rows.update(error=publication.error, checks=checks, next_check_at=publication.next_check_at)
        if changed and is_proven and not was_told:
            note(publication, str(what["message"]), origin=Origin.SYNC)
            news.tell(news.UNCONFIRMED, publication, what)


def _absent(checks: int, since: datetime, asked_at: datetime) -> dict[str, Any]:
    step = "Send it again, or cancel it. The first one may still turn up late, and is looked for until then."
    what = problem(ABSENT, "Postiz did not confirm this post, and does not have it.", next_step=step, retryable=True)
    return {**what, "checks": checks, "sent_at": since.isoformat(), "asked_at": asked_at.isoformat()}


def not_asked(publications: Sequence[Publication], until: datetime) -> None:
    """Postiz could not be asked: again at `until`. Who has been in the dark for long is told."""
    now = timezone.now()
    Publication.objects.filter(pk__in=[row.pk for row in publications], next_check_at__isnull=False).update(
        next_check_at=until
    )
    for publication in publications:
        error = publication.error or {}
        is_open = publication.state == State.UNCONFIRMED and not error.get("is_told")
        if is_open and rhythm.is_proven(publication, now):
            with transaction.atomic():
                publication.error = {**error, "is_told": True}
                if as_loaded(publication).update(error=publication.error):
                    news.tell(news.UNCONFIRMED, publication, publication.error)


def disconnected(publication: Publication) -> None:
    """Nobody can ask any more: the profile has no Postiz."""
    if publication.state in OUTSIDE:
        step = "Connect Postiz again, or cancel it and look at the channel."
        what = problem(NOT_CONNECTED, "Postiz was disconnected; this post may still go live.", next_step=step)
        in_doubt(publication, what, next_check_at=None)
    else:
        as_loaded(publication).update(next_check_at=None)


def elsewhere(publication: Publication) -> None:
    """The channel is not in the Postiz that was asked, which may be another one: its list shows nothing."""
    step = "Look at the channel, and into the Postiz that was connected before; or cancel it."
    message = "Its channel is not in this Postiz any more; it may still go live."
    in_doubt(publication, problem(CHANNEL_GONE, message, next_step=step), next_check_at=None)


def in_doubt(
    publication: Publication, what: dict[str, Any], *, next_check_at: datetime | None, may_be_live: bool = True
) -> None:
    """Unconfirmed, for this reason now; told the first time."""
    now_so: dict[str, Any] = {"next_check_at": next_check_at, "may_be_live": may_be_live}
    if publication.state != State.UNCONFIRMED:
        try:
            unconfirm(publication, what, origin=Origin.SYNC, **now_so)
        except IntegrityError:  # it had failed, and another post of the clip has taken its place since
            as_loaded(publication).update(error=what, **now_so)
        return
    was_told = bool((publication.error or {}).get("is_told"))
    with transaction.atomic():
        if as_loaded(publication).update(error={**what, "is_told": True}, **now_so) and not was_told:
            note(publication, str(what["message"]), origin=Origin.SYNC)
            news.tell(news.UNCONFIRMED, publication, what)
