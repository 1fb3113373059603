"""One publication on its way to Postiz, phase by phase; each leaves a state from which the periodic work goes on.

checked    nothing is sent that is not what was chosen, approved and in time
uploaded   its files are at Postiz, once for the profile
cleared    no earlier attempt has left a post behind
intended   `submitting`, with a fingerprint, committed BEFORE the call
called     the one call that may publish; never repeated unless surely nothing was sent
recorded   what came of it; whatever is not clear is `unconfirmed`, never sent again by itself
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from profiles.errors import Conflict
from profiles.models import Profile, StoredFile
from publishing.channels import health
from publishing.delivery import budget, claims, fingerprints, uploads, waiting
from publishing.delivery.checking import channel_problem, clip_problem
from publishing.delivery.outcomes import fail, miss, unconfirm
from publishing.models import PostizAccount, Publication
from publishing.postiz import errors
from publishing.postiz.client import Postiz, PostRequest, post_body
from publishing.postiz.errors import PostizError
from publishing.postiz.replies import Created, Media, Post
from publishing.review import approval
from publishing.states import State
from publishing.tracking import rhythm
from publishing.transitions import Origin, note, problem, try_move

log = logging.getLogger(__name__)

CALL_SECONDS = 70.0  # after its intent the call is over, or was not made: when an absence is proven rests on it
_COVER_BESIDE = frozenset({"pinterest"})  # a video needs its cover as a second item
_COVER_WITHIN = frozenset({"reddit"})  # … as its thumbnail
_COVER_SETTING = {"youtube": "thumbnail"}  # … as a setting


class Settled(Exception):
    """This publication is done with for now: it failed, went back to wait, or is somebody else's."""


class Halt(Exception):
    """Nothing more can be handed over for this profile before `until`; why is a problem for people."""

    def __init__(self, until: datetime, why: dict[str, Any], *, counts: bool = True) -> None:
        super().__init__(str(why["message"]))
        self.until, self.why, self.counts = until, why, counts


@dataclass(frozen=True)
class Held:
    """A publication in the hands of this worker."""

    publication: Publication
    claim: UUID
    profile: Profile
    account: PostizAccount
    postiz: Postiz

    def fail(self, what: dict[str, Any]) -> Settled:
        fail(self.publication, what, origin=Origin.WORKER, claim=self.claim)
        return Settled(str(what["message"]))

    def give_back(self, until: datetime, why: dict[str, Any], *, counts: bool = True, **fields: Any) -> Settled:
        waiting.give_back(self.publication, self.claim, until, why, counts=counts, **fields)
        return Settled(str(why["message"]))


def hand_over(held: Held, watch: uploads.Watch) -> None:
    """All phases. Raises Settled, Halt, claims.ClaimLost."""
    check(held)
    media = upload(held, watch)
    clear_earlier(held)
    check(held)  # hours may have passed
    submit(held, request_of(held, media))


def submit(held: Held, request: PostRequest) -> None:
    """The last three phases, for one call of the hour's budget. Raises Settled, Halt, claims.ClaimLost."""
    take_call(held)
    ends_at = time.monotonic() + CALL_SECONDS  # before the intent: from then on a clock runs for others, too
    try:
        request = intend(held, request)
    except BaseException:
        budget.refund(held.account)
        raise
    record(held, call(held, request, ends_at))


# --- checked --------------------------------------------------------------------------------------------


def check(held: Held) -> None:
    """Raises Settled unless the publication is what was chosen and approved, goes where it may, and is in time."""
    publication = held.publication
    claims.renew(publication, held.claim)
    if not Profile.objects.filter(pk=held.profile.pk, state=Profile.State.ACTIVE).exists():
        raise held.give_back(timezone.now(), problem("profile_deleted", "Its profile is being deleted."))
    if waiting.is_too_late(publication, waiting.grace_of(held.profile)):
        miss(publication, held.claim)
        raise Settled("missed")
    what = channel_problem(publication) or clip_problem(publication)
    if what is not None:
        raise held.fail(what)
    try:
        approval.assert_approved(publication)
    except approval.NotApproved as error:
        approval.put_back(publication, held.claim)
        raise Settled(error.message) from error


# --- uploaded -------------------------------------------------------------------------------------------


def upload(held: Held, watch: uploads.Watch) -> list[Media]:
    """The video, and its cover where the network takes one. Raises Settled, Halt."""
    publication = held.publication
    watch = replace(watch, alive=lambda: claims.renew(publication, held.claim))
    try:
        return [_ensure(held, file, watch) for file in _files(publication)]
    except uploads.Elsewhere as busy:
        why = problem("upload_elsewhere", "Its file is being uploaded by another worker.")
        raise held.give_back(busy.again, why) from busy
    except FileNotFoundError as error:
        raise held.fail(problem("clip_changed", "The clip's file is not there any more.")) from error
    except errors.Stopped as error:
        raise held.give_back(timezone.now(), problem(error.code, error.message)) from error
    except PostizError as error:
        raise unsent(held, error) from error


def _files(publication: Publication) -> list[StoredFile]:
    files = [publication.file]
    if publication.integration.identifier in _COVER_BESIDE | _COVER_WITHIN | set(_COVER_SETTING):
        files.append(publication.cover)
    return [file for file in files if file is not None]


def _ensure(held: Held, file: StoredFile, watch: uploads.Watch) -> Media:
    media = uploads.ensure(
        profile=held.profile,
        account=held.account,
        postiz=held.postiz,
        file=file,
        watch=watch,
        by=held.publication.created_by,
    )
    claims.renew(held.publication, held.claim)
    return media


def unsent(held: Held, error: PostizError, **fields: Any) -> Exception:
    """What a refusal, or a call that never arrived, means for a publication of which nothing is at Postiz. To be
    raised: Settled when it is about this one, Halt when it is about all of the profile."""
    if isinstance(error, errors.Refused | errors.QuotaUsedUp):
        fail(
            held.publication,
            {**health.as_problem(error, retryable=True), "detail": error.detail[:500]},
            origin=Origin.WORKER,
            claim=held.claim,
            **fields,
        )
        return Settled(error.message)
    if isinstance(error, errors.RateLimited):
        until = budget.block(held.account, error.retry_after)
        why = budget.why_waiting(until)
        held.give_back(until, why, counts=False, **fields)
        return Halt(until, why, counts=False)
    until = health.note_trouble(held.account, error)
    why = health.as_problem(error)
    held.give_back(until, why, **fields)
    return Halt(until, why)


# --- cleared --------------------------------------------------------------------------------------------


def clear_earlier(held: Held) -> None:
    """Looks for posts of all earlier attempts. One that is still wanted is adopted; one that is not is taken back.
    Raises Settled unless there is none."""
    for at, entry in fingerprints.earlier(held.publication):
        try:
            found = find(held, at, entry["post_id"])
            live = [post for post in found if is_out(post)]
            if live or (found and not entry["is_void"] and found[0].state != "ERROR"):
                _adopt_earlier(held, (live or found)[0], at)
                raise Settled("An earlier attempt had arrived.")
            _take_back(held, found, at, entry["post_id"])
        except PostizError as error:
            raise unsent(held, error) from error
        claims.renew(held.publication, held.claim)


def find(held: Held, at: datetime, post_id: str) -> list[Post]:
    """What the attempt with this fingerprint left behind; `post_id`: of its post, empty when it is not known."""
    posts = held.postiz.list_posts(at - fingerprints.AROUND, at + fingerprints.AROUND)
    return [post for post in posts if post.id == post_id or fingerprints.matches(post, held.publication, at)]


def is_out(post: Post) -> bool:
    """Whatever its state says: what has a link or an id on the network is there."""
    return post.state == "PUBLISHED" or bool(post.release_url or post.release_id)


def _take_back(held: Held, found: Sequence[Post], at: datetime, post_id: str) -> None:
    if not found:
        return
    for post in found:
        delete(held.postiz, post)
    left = find(held, at, post_id)
    if left or any(post.state == "QUEUE" and held.postiz.may_be_past(post.publish_date) for post in found):
        what = problem(
            "earlier_attempt_alive",
            "An earlier attempt of this post is at Postiz and can't be taken back for certain; it may go live.",
            next_step="Look at the channel and at Postiz before you post it again.",
        )
        fail(held.publication, what, origin=Origin.WORKER, claim=held.claim, may_be_live=True)
        raise Settled(str(what["message"]))


def delete(postiz: Postiz, post: Post) -> None:
    """Takes a post back; whether it is gone says the list alone."""
    if post.group:
        postiz.delete_group(post.group)
    else:
        postiz.delete_post(post.id)


def _adopt_earlier(held: Held, post: Post, at: datetime) -> None:
    """The post of an earlier attempt becomes the publication's: nothing is sent."""
    publication, now = held.publication, timezone.now()
    with transaction.atomic():
        sent = try_move(
            publication,
            State.SUBMITTING,
            why="An earlier attempt is at Postiz after all",
            origin=Origin.WORKER,
            claim=held.claim,
            fingerprint_at=at,
            submitting_since=now,
            claimed_until=now + claims.LEASE,
        )
        if not sent:
            raise claims.ClaimLost
        try_move(
            publication,
            State.SUBMITTED,
            why="Its post is followed from here on",
            origin=Origin.WORKER,
            claim=held.claim,
            external_post_id=post.id,
            external_group=post.group,
            submitted_at=now,
            next_check_at=now,
        )


# --- intended -------------------------------------------------------------------------------------------


def request_of(held: Held, media: Sequence[Media]) -> PostRequest:
    """The body of the post; its date is a stand-in until `intend` gives it its own."""
    publication = held.publication
    network = publication.integration.identifier
    video, *covers = media
    settings, items = dict(publication.settings), [video]
    if covers and network in _COVER_BESIDE:
        items.append(covers[0])
    elif covers and network in _COVER_WITHIN:
        items = [replace(video, thumbnail=covers[0].path)]
    elif covers and network in _COVER_SETTING:
        settings[_COVER_SETTING[network]] = {"id": covers[0].id, "path": covers[0].path}
    return PostRequest(
        channel_id=publication.integration.external_id,
        network=network,
        text=publication.caption,
        media=items,
        date=publication.scheduled_at,
        settings=settings,
        client_ref=str(publication.pk),
        comment=publication.first_comment,
    )


def take_call(held: Held) -> None:
    """One call of the hour's budget; without it the publication waits. Raises Settled."""
    until = budget.take(held.account, held.publication)
    if until is not None:
        raise held.give_back(until, budget.why_waiting(until), counts=False)


def intend(held: Held, request: PostRequest) -> PostRequest:
    """Commits what is about to be sent. From here on the publication is outside until the contrary is known."""
    for date in fingerprints.candidates(held.publication):
        dated = replace(request, date=date)
        try:
            body = post_body(dated)
        except errors.Refused as error:
            raise unsent(held, error) from error
        try:
            if _intend(held, date, hashlib.sha256(body).hexdigest()):
                return dated
        except IntegrityError:
            continue  # another publication of this channel has this very millisecond
        raise claims.ClaimLost
    raise Conflict("There is no free millisecond in this second.", code="busy")


def _intend(held: Held, date: datetime, digest: str) -> bool:
    now = timezone.now()
    return try_move(
        held.publication,
        State.SUBMITTING,
        why="Handing it over to Postiz",
        origin=Origin.WORKER,
        claim=held.claim,
        fingerprint_at=date,
        submitting_since=now,
        claimed_until=now + claims.LEASE,
        checks=0,
        detail={"fingerprint": date.isoformat(), "request_sha256": digest},
    )


# --- called ---------------------------------------------------------------------------------------------


def call(held: Held, request: PostRequest, ends_at: float | None = None) -> Created | Exception:
    """The one call, over at `ends_at` (of `time.monotonic`; it may stop while a machine sleeps, so the claim is looked
    at, too). What went wrong is returned, to be recorded like a reply; what ends this process is recorded as
    not confirmed, and goes on."""
    until = held.publication.claimed_until
    if until is None or timezone.now() > until - claims.LEASE + timedelta(seconds=CALL_SECONDS):
        return errors.NotSentInTime("This worker stood still for too long; it is tried again.")
    try:
        return held.postiz.create_post(request, ends_at=ends_at)
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not look like a refusal
        return error
    except BaseException:
        with suppress(Settled):
            record(held, errors.OutcomeUnknown("The worker was stopped in the middle of handing it over."))
        raise


# --- recorded -------------------------------------------------------------------------------------------


def record(held: Held, reply: Created | Exception) -> None:
    """Writes what came of the call. Raises Settled, Halt."""
    if isinstance(reply, Created):
        budget.learn(held.account, reply.rate, held.publication)
        health.note_fine(held.account)
        _accepted(held, reply)
        return
    if isinstance(reply, PostizError) and not isinstance(reply, errors.OutcomeUnknown):
        if isinstance(reply, errors.Unavailable | errors.BadKey | errors.NoSubscription):  # turned away uncounted
            budget.refund(held.account)
        raise unsent(held, reply, fingerprint_at=None, submitting_since=None)
    if not isinstance(reply, errors.OutcomeUnknown):
        log.error("Handing over publication %s went wrong.", held.publication.pk, exc_info=reply)
    _unknown(held)


def _accepted(held: Held, created: Created) -> None:
    publication = held.publication
    assert publication.fingerprint_at is not None
    now = timezone.now()
    done = try_move(
        publication,
        State.SUBMITTED,
        why="Postiz took it over",
        origin=Origin.WORKER,
        claim=held.claim,
        external_post_id=created.post_id[:100],
        submitted_at=now,
        next_check_at=rhythm.next_check(publication.fingerprint_at, now),
        detail={"post_id": created.post_id},
    )
    if not done:
        _came_late(publication, created)


def _came_late(publication: Publication, created: Created) -> None:
    """The lease ended before the reply came, and the row says `unconfirmed`, or more. The next check finds the post by
    its fingerprint; the history keeps its id."""
    fresh = Publication.objects.get(pk=publication.pk)
    note(fresh, "A late reply: Postiz took it over", origin=Origin.WORKER, detail={"post_id": created.post_id})
    Publication.objects.filter(pk=publication.pk, state=State.UNCONFIRMED).update(next_check_at=timezone.now())


def _unknown(held: Held) -> None:
    unconfirm(
        held.publication,
        claims.unknown("Postiz did not confirm that it took this post over."),
        origin=Origin.WORKER,
        claim=held.claim,
        next_check_at=timezone.now() + claims.RECONCILE_AFTER,
        is_told=False,
    )
    raise Settled("not confirmed")
