"""Asking Postiz what became of posts: one list call for all that are due to be asked about, whatever their number.

What comes back is judged (`verdicts`) and written, one conditional UPDATE for each publication; several processes may
do this at once. After acceptance nothing is ever posted again from here, whatever the state.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from jobs.services import active_job
from profiles.errors import DomainError
from profiles.models import Profile
from publishing.channels import health, integrations
from publishing.channels.connections import postiz_of
from publishing.channels.texts import web_link
from publishing.delivery import outcomes
from publishing.delivery.fingerprints import as_loaded
from publishing.delivery.sending import delete, is_out
from publishing.models import MediaUpload, PostizAccount, Publication
from publishing.postiz import errors
from publishing.postiz.client import Postiz
from publishing.postiz.errors import PostizError
from publishing.postiz.replies import Notification, Post
from publishing.states import State
from publishing.tracking import listing, reconcile, rhythm, verdicts
from publishing.tracking.verdicts import Meaning, Verdict
from publishing.transitions import Origin, note, problem, try_move

log = logging.getLogger(__name__)

RETRIES = 1
TAKE_BACK = "take_back"  # the kind of job
_AT_ONCE = 500
_HELD = timedelta(minutes=3)  # while one process asks about them, others leave these rows alone
_ASKED_ABOUT = (State.SUBMITTED, State.UNCONFIRMED, State.FAILED, State.CANCELLED)
_SLACK = timedelta(milliseconds=1)


def sync(profile: Profile) -> int:
    """Asks about what is due to be asked about. Returns how many. Call it in the profile's scope, outside any
    transaction; trouble with Postiz is noted and ends in another time to ask."""
    now = timezone.now()
    rows = Publication.objects.for_profile(profile).filter(next_check_at__lte=now, state__in=_ASKED_ABOUT)
    due = list(rows.select_related("integration", "profile").order_by("next_check_at", "id")[:_AT_ONCE])
    if not due or not rows.filter(pk__in=[row.pk for row in due]).update(next_check_at=now + _HELD):
        return 0
    check(profile, due)
    return len(due)


def check(profile: Profile, publications: Sequence[Publication]) -> bool:
    """Asks Postiz about these now. False when it can't be asked; why is noted on the account."""
    account = integrations.ensure_account(profile)
    if account is None:
        for publication in publications:
            reconcile.disconnected(publication)
        return False
    if account.paused_at is not None:
        reconcile.not_asked(publications, timezone.now() + health.WHILE_PAUSED)
        return False
    look = _Look(profile, account, list(publications))
    try:
        look.go(postiz_of(profile, retries=RETRIES))
    except PostizError as error:
        log.info("Profile %s: Postiz could not be asked: %s (%s)", profile.pk, error.code, error.detail)
        reconcile.not_asked(look.open, health.note_trouble(account, error))
        return False
    except DomainError:  # the key can't be read any more
        reconcile.not_asked(look.open, timezone.now() + health.WHILE_PAUSED)
        return False
    return True


@dataclass
class _Look:
    """One look at Postiz for some publications of a profile; `open`: those that nothing was found out about yet."""

    profile: Profile
    account: PostizAccount
    open: list[Publication]
    posts: list[Post] = field(default_factory=list)
    moved: dict[str, Post] = field(default_factory=dict)

    def go(self, postiz: Postiz) -> None:
        """Raises PostizError when it can't be asked about those that are open still."""
        self.postiz = postiz
        self.asked_at = timezone.now()  # before the list comes: that is what it proves something about
        self.posts = listing.around(postiz, [date for row in self.open for date in listing.dates_of(row)])
        health.note_fine(self.account)
        PostizAccount.objects.filter(pk=self.account.pk).update(listed_at=timezone.now())
        found = {row.pk: listing.of_publication(row, self.posts) for row in self.open}
        for publication in [row for row in self.open if found[row.pk]]:
            self._each(publication, partial(self._found, posts=found[publication.pk]))
        self._search([row for row in self.open if _was_there(row)])
        if any(_was_there(row) or self._is_proven(row) for row in self.open):
            _ = self.channels  # asked for once for all of them
        for publication in list(self.open):
            self._each(publication, self._not_listed)

    def _each(self, publication: Publication, act: Callable[[Publication], None]) -> None:
        """What goes wrong with one of them, now and each time, does not keep the others."""
        self.open.remove(publication)
        try:
            act(publication)
        except PostizError as error:
            log.info("Publication %s: %s (%s)", publication.pk, error.code, error.detail)
            reconcile.not_asked([publication], health.note_trouble(self.account, error))
        except Exception:
            log.exception("Publication %s could not be seen to; it is tried again.", publication.pk)

    def _search(self, missing: Sequence[Publication]) -> None:
        """What is not where it was: moved in Postiz, perhaps."""
        if missing:
            dates = [publication.fingerprint_at or publication.scheduled_at for publication in missing]
            self.moved = listing.by_id(self.postiz, {row.external_post_id for row in missing}, dates)

    @cached_property
    def channels(self) -> frozenset[str]:
        """Of the organisation that was asked. It may be another one than that which was handed the posts."""
        return integrations.ask(self.profile, self.account, self.postiz)

    def _is_proven(self, publication: Publication) -> bool:
        return publication.state == State.UNCONFIRMED and rhythm.is_proven(publication, self.asked_at)

    def _not_listed(self, publication: Publication) -> None:
        post = self.moved.get(publication.external_post_id)
        if post is not None:
            self._found(publication, [post])
        elif _was_there(publication):
            gone(publication, self.postiz, is_here=publication.integration.external_id in self.channels)
        elif publication.state == State.CANCELLED:  # it may turn up late
            now = timezone.now()
            following = rhythm.next_search(publication.submitting_since or now, publication.fingerprint_at or now, now)
            as_loaded(publication).update(next_check_at=following)
        elif self._is_proven(publication) and publication.integration.external_id not in self.channels:
            reconcile.elsewhere(publication)
        else:
            reconcile.not_found(publication, self.asked_at)

    def _found(self, publication: Publication, posts: Sequence[Post]) -> None:
        if publication.state == State.CANCELLED:
            self._turned_up(publication, posts)
            return
        post = posts[0] if publication.external_post_id else reconcile.oldest(posts)
        if not publication.external_post_id and not reconcile.adopt(publication, post):
            return
        if strays := listing.strays(publication, post, self.posts):
            reconcile.take_back_strays(publication, post, strays, self.postiz)
        _follow(publication, post)
        now = timezone.now()
        notices = self.notices if post.state == "ERROR" and not post.error else []
        write(publication, post, verdicts.judge(publication, post, notices, now), now)

    def _turned_up(self, publication: Publication, posts: Sequence[Post]) -> None:
        """It was cancelled while nobody knew whether Postiz had it; now Postiz has it."""
        out = [post for post in posts if is_out(post)]
        if out:
            link = web_link(out[0].release_url)
            message = "A cancelled post went out all the same" + (f": {link}" if link else ".")
            what = problem("cancelled_went_out", message, next_step="Delete it on the network.")
            values: dict[str, Any] = {"next_check_at": None, "may_be_live": True}
        else:
            for post in posts:
                delete(self.postiz, post)
            step = "Look at the channel: it may have gone out all the same."
            message = "A cancelled post turned up at Postiz, and was deleted."
            what = problem("cancelled_turned_up", message, next_step=step)
            values = {"next_check_at": timezone.now() + timedelta(minutes=1)}
        reconcile.tell_once(publication, what, [post.id for post in posts])
        as_loaded(publication).update(**values)

    @cached_property
    def notices(self) -> list[Notification]:
        """What Postiz told its people lately; nothing from versions that don't say."""
        try:
            return self.postiz.notifications().notifications
        except errors.Unsupported:
            return []


def _was_there(publication: Publication) -> bool:
    return bool(publication.external_post_id) and publication.state != State.CANCELLED


def _follow(publication: Publication, post: Post) -> None:
    """Takes over where the post is now: somebody may have moved it in Postiz."""
    at = publication.fingerprint_at
    values = {"external_group": post.group[:100]} if post.group != publication.external_group else {}
    as_loaded(publication).update(**values) if values else None
    if at is not None and abs(post.publish_date - at) <= _SLACK:
        return
    for microseconds in range(1, 1000):  # whole minutes are no fingerprint: others may be moved there too
        date = post.publish_date.replace(microsecond=post.publish_date.microsecond // 1000 * 1000 + microseconds)
        try:
            with transaction.atomic():
                fields = {"fingerprint_at": date, "scheduled_at": post.publish_date, "is_immediate": False}
                if not as_loaded(publication).update(**fields):
                    return  # somebody else was faster
                note(
                    publication,
                    f"Moved in Postiz to {post.publish_date:%Y-%m-%d %H:%M} UTC",
                    origin=Origin.SYNC,
                    detail={"from": at.isoformat() if at else None},
                )
        except IntegrityError:
            continue
        publication.fingerprint_at, publication.scheduled_at = date, post.publish_date
        return


def write(publication: Publication, post: Post, verdict: Verdict, now: datetime) -> None:
    """Makes a verdict the state of the publication."""
    following = rhythm.next_check(post.publish_date, now)
    match verdict.meaning:
        case Meaning.PUBLISHED:
            moment = max(post.publish_date, publication.submitted_at or post.publish_date)
            outcomes.publish(
                publication,
                url=verdict.url,
                release_id=verdict.release_id,
                published_at=moment,
                remark=verdict.problem,
            )
        case Meaning.STUCK:
            _in_doubt(publication, verdict, None)
        case Meaning.UNCERTAIN:
            _in_doubt(publication, verdict, following)
        case Meaning.FAILED:
            _failed(publication, verdict, following)
        case Meaning.ERROR:
            seen = publication.error_seen_at or now
            waits = (seen + verdicts.WITH_REASON, seen + verdicts.WITHOUT_REASON)
            look = [moment for moment in (following, *waits) if moment is not None and moment > now]
            _note(publication, next_check_at=min(look, default=None), error_seen_at=seen)
        case Meaning.LATE | Meaning.WAITS:
            _waits(publication, verdict, following)


def _waits(publication: Publication, verdict: Verdict, following: datetime | None) -> None:
    if publication.state == State.UNCONFIRMED:  # it was stuck, or could not be taken back: Postiz has it
        try_move(publication, State.SUBMITTED, why="Postiz has it", origin=Origin.SYNC, may_be_live=False)
    if publication.state == State.SUBMITTED and (publication.error or {}) != (verdict.problem or {}):
        if verdict.problem is not None:
            note(publication, str(verdict.problem["message"]), origin=Origin.SYNC)
        _note(publication, error=verdict.problem)
    _note(publication, next_check_at=following, error_seen_at=None)


def _failed(publication: Publication, verdict: Verdict, following: datetime | None) -> None:
    assert verdict.problem is not None
    if publication.state == State.FAILED:
        _note(publication, next_check_at=following)
        return
    outcomes.fail(
        publication,
        verdict.problem,
        origin=Origin.SYNC,
        may_be_live=verdict.may_be_live,
        next_check_at=following,  # a late success is still possible
    )
    # perhaps its file was lost over there: whoever tries again uploads it anew
    MediaUpload.objects.filter(sha256=publication.sha256, state=MediaUpload.State.UPLOADED).delete()


def _in_doubt(publication: Publication, verdict: Verdict, following: datetime | None) -> None:
    assert verdict.problem is not None
    reconcile.in_doubt(publication, verdict.problem, next_check_at=following, may_be_live=verdict.may_be_live)


def _note(publication: Publication, **fields: object) -> None:
    """Columns besides the state, while the row is as it was judged."""
    as_loaded(publication).update(**fields)
    for name, value in fields.items():
        setattr(publication, name, value)


def gone(publication: Publication, postiz: Postiz, *, is_here: bool) -> None:
    """Postiz had it, and has it no more: somebody removed it there. `is_here`: its channel is still in the Postiz that
    was asked; else that may be another one, or the channel was removed, which hides its posts."""
    now = timezone.now()
    if publication.state == State.FAILED:
        _note(publication, next_check_at=None)
        return
    if active_job(publication.profile, TAKE_BACK, publication.pk) is not None:
        _note(publication, next_check_at=now + timedelta(minutes=1))  # our own doing, which is not written yet
        return
    if not is_here:
        reconcile.elsewhere(publication)
        return
    may_be_out = postiz.may_be_past(publication.fingerprint_at or publication.scheduled_at)
    error = publication.error or {}
    if error.get("code") == "take_back_unverified" and not may_be_out:
        _taken_back_late(publication, then=str(error.get("then")))
        return
    step = "Nothing is to be done if you deleted it there; else post it again."
    what = problem("removed_in_postiz", "It was removed in Postiz.", next_step=step)
    outcomes.remove(publication, what, may_be_live=may_be_out or publication.may_be_live)


def _taken_back_late(publication: Publication, then: str) -> None:
    """The list says at last that it was taken back. What was to be changed is wanted still: its end is told."""
    if then == "change":
        message = "It was taken back from Postiz to be changed, and the change was not made."
        what = problem("change_not_made", message, next_step="Post it again, with the change.")
        outcomes.remove(publication, what, may_be_live=False)
        return
    try_move(
        publication,
        State.CANCELLED,
        why="Postiz does not have it any more",
        origin=Origin.SYNC,
        next_check_at=None,
        may_be_live=False,
    )
