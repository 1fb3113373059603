"""Publications of which nobody knows whether Postiz has them: looked for, adopted, or shown to be missing.

Nothing is ever sent again from here. Shown to be missing means: a list that Postiz gave, long enough after the call
that whatever the call set off over there must have ended, does not have it. Resending is then a person's decision
(`changes.publication_resend`), who is told that the first one may still turn up.
"""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from jobs import services as jobs
from jobs.models import Job
from profiles.models import Profile, User
from publishing import news
from publishing.delivery import claims
from publishing.delivery.outcomes import unconfirm
from publishing.delivery.sending import delete, is_out
from publishing.models import Publication
from publishing.postiz.client import Postiz
from publishing.postiz.replies import Post
from publishing.states import State
from publishing.tracking import rhythm
from publishing.transitions import Origin, note, problem, try_move

log = logging.getLogger(__name__)

KIND = "reconcile"
ABSENT = "absent"  # the code of a problem: `actions.PROVEN_ABSENT`


def request(profile: Profile, publication: Publication, by: User | None) -> Job:
    """The job that asks Postiz about it now."""
    params = {"publication_id": str(publication.pk)}
    return jobs.enqueue(profile=profile, kind=KIND, params=params, subject=publication.pk, by=by)


def adopt(publication: Publication, posts: Sequence[Post], postiz: Postiz) -> Post | None:
    """The post that is the publication's from now on; None when somebody else was faster. Of several the one that is
    out already, else the oldest, stays; the others are taken back as long as that is possible. Raises PostizError."""
    first, *extras = sorted(posts, key=lambda post: (not is_out(post), post.publish_date, post.id))
    if extras:
        _take_back_extras(publication, first, extras, postiz)
    done = try_move(
        publication,
        State.SUBMITTED,
        why="Found at Postiz",
        origin=Origin.SYNC,
        external_post_id=first.id[:100],
        external_group=first.group[:100],
        submitted_at=publication.submitted_at or timezone.now(),
        may_be_live=False,
        detail={"post_id": first.id},
    )
    return first if done else None


def _take_back_extras(publication: Publication, first: Post, extras: Sequence[Post], postiz: Postiz) -> None:
    now = timezone.now()
    possible = [post for post in extras if post.state == "QUEUE" and post.publish_date > now and not is_out(post)]
    for post in possible:
        if post.group != first.group:
            delete(postiz, post)
    left = len(extras) - len(possible)
    what = problem(
        "found_twice",
        f"Postiz had {len(extras) + 1} posts of it. {len(possible)} of them were taken back"
        + (f"; {left} could not be: it may be on the network more than once." if left else "."),
        next_step="Look at the channel.",
    )
    tell_once(publication, what, [post.id for post in extras])


def tell_once(publication: Publication, what: dict[str, Any], post_ids: Sequence[str]) -> None:
    """A line in the history and a notification, the first time that these posts are seen."""
    detail = {"code": what["code"], "post_ids": sorted(post_ids)}
    if publication.events.filter(detail=detail).exists():
        return
    with transaction.atomic():
        note(publication, str(what["message"]), origin=Origin.SYNC, detail=detail)
        news.tell(news.UNCONFIRMED, publication, what)


def not_found(publication: Publication, now: datetime) -> None:
    """Postiz listed, and does not have an unconfirmed publication: what that shows by now."""
    since = publication.submitting_since or now
    date = publication.fingerprint_at or now
    is_proven = rhythm.is_proven(publication, now)
    was_told = bool((publication.error or {}).get("is_told"))
    checks = publication.checks + 1
    what = _absent(checks, since, now) if is_proven else claims.unknown("Postiz does not list it yet.")
    with transaction.atomic():
        rows = Publication.objects.filter(pk=publication.pk, state=State.UNCONFIRMED)
        publication.error = {**what, "is_told": is_proven or was_told}
        publication.checks, publication.next_check_at = checks, rhythm.next_search(since, date, now)
        changed = rows.update(error=publication.error, checks=checks, next_check_at=publication.next_check_at)
        if changed and is_proven and not was_told:
            note(publication, str(what["message"]), origin=Origin.SYNC)
            news.tell(news.UNCONFIRMED, publication, what)


def _absent(checks: int, since: datetime, now: datetime) -> dict[str, Any]:
    step = "Send it again, or cancel it. The first one may still turn up late, and is looked for until then."
    what = problem(ABSENT, "Postiz did not confirm this post, and does not have it.", next_step=step, retryable=True)
    return {**what, "checks": checks, "sent_at": since.isoformat(), "asked_at": now.isoformat()}


def not_asked(publications: Sequence[Publication], until: datetime) -> None:
    """Postiz could not be asked: again at `until`. Who has been in the dark for long is told."""
    now = timezone.now()
    Publication.objects.filter(pk__in=[row.pk for row in publications], next_check_at__isnull=False).update(
        next_check_at=until
    )
    for publication in publications:
        error = publication.error or {}
        in_doubt = publication.state == State.UNCONFIRMED and not error.get("is_told")
        if in_doubt and rhythm.is_proven(publication, now):
            with transaction.atomic():
                publication.error = {**error, "is_told": True}
                rows = Publication.objects.filter(pk=publication.pk, state=State.UNCONFIRMED)
                if rows.update(error=publication.error):
                    news.tell(news.UNCONFIRMED, publication, publication.error)


def disconnected(publication: Publication) -> None:
    """Nobody can ask any more: the profile has no Postiz."""
    if publication.state == State.SUBMITTED:
        step = "Connect Postiz again, then reconcile."
        what = problem("postiz_not_connected", "Postiz was disconnected; this post may still go live.", next_step=step)
        unconfirm(publication, what, origin=Origin.SYNC, next_check_at=None)
    else:
        Publication.objects.filter(pk=publication.pk).update(next_check_at=None)
