"""Taking posts back from Postiz, to cancel or to change them: deleted there, and believed only once the list says so.

Deleting can't stop what is being published this moment, and removes nothing from a network.
"""

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from django.db.models import F
from django.utils import timezone

from jobs import services as jobs
from jobs.execution import JobError
from jobs.models import Job
from profiles.errors import DomainError
from profiles.models import Profile, User
from publishing.channels import integrations
from publishing.channels.connections import postiz_of
from publishing.delivery import claims, fingerprints, outcomes
from publishing.delivery.fingerprints import as_loaded
from publishing.delivery.sending import delete, is_out
from publishing.models import Publication
from publishing.postiz.client import Postiz
from publishing.postiz.errors import PostizError
from publishing.postiz.replies import Post
from publishing.preferences import due_at, preferences_of
from publishing.review import approval
from publishing.states import ON_ITS_WAY, OUTSIDE, State
from publishing.tracking import listing, reconcile, rhythm, sync, verdicts
from publishing.transitions import Origin, problem, try_move

log = logging.getLogger(__name__)

Then = Literal["cancel", "change"]
KIND = sync.TAKE_BACK
_ERASE_SECONDS = 5.0
_GIVEN_UP_AFTER = timedelta(minutes=5)


def request(
    profile: Profile, publication: Publication, *, then: Then, changes: Mapping[str, Any], by: User | None
) -> Job:
    """The job that takes it back, and then cancels it or applies `changes` (columns of the row)."""
    shown = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in changes.items()}
    params = {"publication_id": str(publication.pk), "then": then, "changes": shown}
    return jobs.enqueue(
        profile=profile,
        kind=KIND,
        params=params,
        subject=publication.pk,
        by=by,
        recipe_hash=_digest(then, shown),
    )


def take_back(publication: Publication, *, then: Then, changes: Mapping[str, Any], by: User | None = None) -> None:
    """Takes a publication back and cancels or changes it. Call it outside any transaction; safe to repeat.

    Raises JobError: `postiz_unavailable` and the like while nothing was touched, `already_published`,
    `take_back_unverified`, `take_back_too_late` and `channel_gone` (it is unconfirmed then), `not_certain_yet`,
    `wrong_state`. Who was told that nobody can tell (`_is_given_up`) may cancel all the same.
    """
    if publication.state == State.CANCELLED and then == "cancel":
        return
    if publication.state not in OUTSIDE:
        raise JobError("wrong_state", f"This publication is {publication.get_state_display().lower()} by now.")
    is_alone = not integrations.has_postiz(publication.profile)
    if then == "cancel" and is_alone and _is_given_up(publication, reconcile.NOT_CONNECTED):
        _let_go(publication, by)
        return
    postiz = _postiz(publication.profile)
    asked_at = timezone.now()
    posts = _located(publication, postiz)
    if any(is_out(post) for post in posts):
        post = next(post for post in posts if is_out(post))
        now = timezone.now()
        sync.write(publication, post, verdicts.judge(publication, post, [], now), now)
        raise JobError("already_published", "It is published already: delete it on the network.")
    if posts:
        _delete_all(publication, postiz, posts, then)
    elif not _is_here(publication, postiz):
        if then == "cancel" and _is_given_up(publication, reconcile.CHANNEL_GONE):
            _let_go(publication, by)
            return
        reconcile.elsewhere(publication)
        raise JobError(reconcile.CHANNEL_GONE, "Its channel is not in this Postiz any more; it may still go live.")
    else:
        _check_absence(publication, postiz, asked_at)
    _finish(publication, then, changes, by)


def _is_given_up(publication: Publication, code: str) -> bool:
    """Nobody can tell what becomes of it, for this reason, and people were told so."""
    error = publication.error or {}
    is_told = error.get("code") == code and bool(error.get("is_told"))
    return publication.state == State.UNCONFIRMED and is_told


def _let_go(publication: Publication, by: User | None) -> None:
    why = "Cancelled; it may still go live, which nobody can ask about"
    _cancel(publication, why, by, may_be_live=True, next_check_at=timezone.now() + claims.LEASE)


def _is_here(publication: Publication, postiz: Postiz) -> bool:
    """Whether its channel is in the organisation that was asked: else that one's list shows nothing."""
    account = integrations.ensure_account(publication.profile)
    if account is None:
        return False
    try:
        channels = integrations.ask(publication.profile, account, postiz)
    except PostizError as error:
        raise _untouched(error) from error
    return publication.integration.external_id in channels


def _postiz(profile: Profile) -> Postiz:
    try:
        return postiz_of(profile, retries=sync.RETRIES)
    except DomainError as error:
        raise JobError(error.code, error.message) from error


def _located(publication: Publication, postiz: Postiz) -> list[Post]:
    """Its posts, wherever somebody may have moved them. Nothing was touched when this fails."""
    try:
        return _find(publication, postiz)
    except PostizError as error:
        raise _untouched(error) from error


def _untouched(error: PostizError) -> JobError:
    return JobError(error.code, error.message, retryable=True, next_step=error.next_step)


def _find(publication: Publication, postiz: Postiz) -> list[Post]:
    posts = listing.around(postiz, listing.dates_of(publication))
    found = listing.of_publication(publication, posts)
    if found:
        return found + [post for post in listing.strays(publication, found[0], posts) if post not in found]
    if publication.external_post_id:
        known = listing.by_id(postiz, {publication.external_post_id}, listing.dates_of(publication))
        found = list(known.values())
    return found


def _delete_all(publication: Publication, postiz: Postiz, posts: Sequence[Post], then: Then) -> None:
    """Deletes, and looks. From the first call on it is open what comes of it until the list has said so."""
    try:
        for post in posts:
            delete(postiz, post)
        left = _find(publication, postiz)
    except PostizError as error:
        log.warning("Taking back %s: %s (%s)", publication.pk, error.code, error.detail)
        left = list(posts)
    if left:
        raise _doubtful(publication, "take_back_unverified", "It could not be taken back for certain", then)
    if any(post.state == "QUEUE" and postiz.may_be_past(post.publish_date) for post in posts):
        raise _doubtful(publication, "take_back_too_late", "It was taken back at the last moment", then)


def _doubtful(publication: Publication, code: str, message: str, then: Then) -> JobError:
    step = "Look at the channel. Postiz is asked again; nothing is posted by itself."
    what = {**problem(code, f"{message}: it may still go live.", next_step=step), "then": then}
    soon = timezone.now() + timedelta(seconds=30)
    if publication.state == State.UNCONFIRMED:
        as_loaded(publication).update(error={**what, "is_told": True}, may_be_live=True, next_check_at=soon)
    else:
        outcomes.unconfirm(publication, what, origin=Origin.WORKER, next_check_at=soon)
    return JobError(code, str(what["message"]), next_step=step)


def _check_absence(publication: Publication, postiz: Postiz, asked_at: datetime) -> None:
    """Its Postiz, asked at `asked_at`, does not have it. Raises JobError unless that is enough."""
    if publication.external_post_id:
        if postiz.may_be_past(publication.fingerprint_at or timezone.now()):
            sync.gone(publication, postiz, is_here=True)
            raise JobError("removed_in_postiz", "It is not at Postiz any more, and its time has passed.")
        return  # deleted there by somebody, or by an attempt of this very job
    if not rhythm.is_proven(publication, asked_at):
        raise JobError(
            "not_certain_yet",
            "Postiz does not list it, but may still be working at it.",
            retryable=True,
            next_step="Try again in a few minutes.",
            by_hand=True,
        )


def _finish(publication: Publication, then: Then, changes: Mapping[str, Any], by: User | None) -> None:
    if then == "cancel":
        # one that never was seen there is looked for a little longer
        following = None if publication.external_post_id else timezone.now() + claims.LEASE
        _cancel(publication, "Taken back from Postiz", by, may_be_live=False, next_check_at=following)
    elif not _change(publication, changes, by):
        raise _changed()


def _cancel(publication: Publication, why: str, by: User | None, **fields: Any) -> None:
    if not try_move(publication, State.CANCELLED, why=why, origin=Origin.PERSON, by=by, due_at=None, **fields):
        raise _changed()


def _changed() -> JobError:
    return JobError("publication_changed", "This publication has just changed. Look again.")


def _change(publication: Publication, changes: Mapping[str, Any], by: User | None) -> bool:
    fields = dict(changes)
    if "scheduled_at" in fields:
        fields |= {"scheduled_at": datetime.fromisoformat(fields["scheduled_at"]), "is_immediate": False}
    for name, value in fields.items():
        setattr(publication, name, value)
    to = approval.next_state(publication)  # as it will be
    due = due_at(publication, preferences_of(publication.profile), timezone.now())
    return try_move(
        publication,
        to,
        why="Taken back from Postiz and changed",
        origin=Origin.PERSON,
        by=by,
        due_at=due if to == State.SCHEDULED else None,
        detail={"changed": sorted(changes)},
        **fingerprints.anew(publication, is_void=True),  # its old words are not what is wanted, whatever it was before
        **fields,
    )


def _digest(then: str, changes: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([then, changes], sort_keys=True).encode()).hexdigest()


# --- before a profile is erased -------------------------------------------------------------------------


def before_erasing(profile: Profile) -> bool:
    """Takes back all that can be: True when nothing is left to do. A few seconds a call; see `profiles.erasure`."""
    claims.mend(profile)
    if not integrations.has_postiz(profile):
        return True
    ends_at = time.monotonic() + _ERASE_SECONDS
    rows = Publication.objects.for_profile(profile).select_related("integration", "profile")
    # one that can't be taken back does not keep the others: what was tried least comes first
    for publication in rows.filter(state__in=sorted(OUTSIDE)).order_by("checks", "fingerprint_at", "id"):
        if _is_past(publication):
            continue  # out, or never to come: nothing can be taken back any more
        if time.monotonic() > ends_at:
            return False
        try:
            take_back(publication, then="cancel", changes={})
        except JobError as error:
            log.info("Before profile %s is erased: %s: %s", profile.pk, publication.pk, error)
            Publication.objects.filter(pk=publication.pk).update(checks=F("checks") + 1)
    return not any(not _is_past(row) for row in rows.filter(state__in=[*OUTSIDE, *ON_ITS_WAY]))


def _is_past(publication: Publication) -> bool:
    at = publication.fingerprint_at
    return at is not None and publication.state not in ON_ITS_WAY and timezone.now() > at + _GIVEN_UP_AFTER
