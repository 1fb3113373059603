"""Handing publications over: what the jobs call, and what asks for such a job.

Exactly-once does not depend on jobs. Any number of them may run over the same publications: each is taken by one
conditional UPDATE, and what a dead worker held is seen to by the next one (`claims.mend`).
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from django.utils import timezone

from jobs import services as jobs
from jobs.execution import Attempt
from jobs.models import Job
from profiles.errors import DomainError
from profiles.models import Profile, User
from publishing import outbox
from publishing.channels import health, integrations
from publishing.channels.connections import postiz_of
from publishing.delivery import claims, uploads, waiting
from publishing.delivery.checking import clip_problem
from publishing.delivery.outcomes import fail
from publishing.delivery.sending import Halt, Held, Settled, hand_over
from publishing.models import PostizAccount, Publication
from publishing.postiz.client import Postiz
from publishing.postiz.errors import PostizError
from publishing.review import approval
from publishing.states import State
from publishing.transitions import Origin, problem

log = logging.getLogger(__name__)

PUBLISH, BULK = "publish_clip", "bulk_publish"
RETRIES = 1  # of harmless calls: longer waits for Postiz are spent outside of a worker
_AT_ONCE = 200
_SECONDS = 240  # after this nothing new is begun: the next job goes on, and other profiles have their turn
_AFTER_A_FAULT = timedelta(minutes=1)


@dataclass(frozen=True)
class Report:
    """What became of the publications of a job: [{id, state, integration, error?}]."""

    publications: list[dict[str, Any]] = field(default_factory=list)

    def as_result(self) -> dict[str, Any]:
        return {"publications": self.publications}


def hand_over_due(*, profile: Profile, attempt: Attempt | None = None, only: Collection[UUID] | None = None) -> Report:
    """Hands over what is due (of `only`, if given) in the order of its times; reports on `only`, or on what was due.

    Call it in the profile's scope, outside any transaction. Raises Cancelled and LeaseLost between two publications.
    """
    claims.mend(profile)
    waiting.mark_missed(profile)
    rows = waiting.due(profile)
    if only is not None:
        rows = rows.filter(pk__in=list(only))
    wanted = list(rows.select_related("integration", "profile", "file", "cover", "created_by")[:_AT_ONCE])
    _Run(profile, attempt, len(wanted)).go(wanted)
    return _report(profile, [row.pk for row in wanted] if only is None else only)


def _report(profile: Profile, ids: Collection[UUID]) -> Report:
    rows = Publication.objects.for_profile(profile).filter(pk__in=list(ids)).select_related("integration")
    found: dict[UUID, Publication] = {row.pk: row for row in rows}
    return Report([_shown(found[pk]) for pk in ids if pk in found])


def _shown(row: Publication) -> dict[str, Any]:
    entry = {"id": str(row.pk), "state": str(row.state), "integration": row.integration.external_id}
    return {**entry, "error": row.error} if row.error else entry


class _Run:
    """One pass over due publications of a profile."""

    def __init__(self, profile: Profile, attempt: Attempt | None, total: int) -> None:
        self.profile, self.attempt, self.total = profile, attempt, total
        self.is_halted = False

    def go(self, publications: Sequence[Publication]) -> None:
        ends_at = time.monotonic() + _SECONDS
        for number, publication in enumerate(publications):
            if self.attempt is not None:
                self.attempt.check()
            if time.monotonic() > ends_at:
                return
            self._tell(number, 0.0)
            if publication.integration.is_outbox:
                self._guarded(publication, partial(_to_outbox, publication))
            elif not self.is_halted:
                self._to_postiz(number, publication)

    def _to_postiz(self, number: int, publication: Publication) -> None:
        try:
            account, postiz = self._opened
            watch = uploads.Watch(
                tell=lambda share: self._tell(number, share),
                should_stop=self.attempt.should_stop if self.attempt is not None else lambda: False,
            )
            self._guarded(
                publication,
                lambda claim: hand_over(Held(publication, claim, self.profile, account, postiz), watch),
            )
        except Halt as halt:
            self.is_halted = True
            rest = waiting.for_postiz(waiting.due(self.profile))
            waiting.put_off(rest, halt.until, halt.why, counts=halt.counts)
            log.info("Profile %s waits until %s: %s", self.profile.pk, halt.until, halt)

    @cached_property
    def _opened(self) -> tuple[PostizAccount, Postiz]:
        """The profile's Postiz, its channels freshly listed. Raises Halt when it can't be had now."""
        later = timezone.now() + health.WHILE_PAUSED
        try:
            account = integrations.ensure_account(self.profile)
            postiz = postiz_of(self.profile, retries=RETRIES)
        except DomainError as error:
            raise Halt(later, problem(error.code, error.message)) from error
        if account is None:
            raise Halt(later, problem("postiz_not_connected", "No Postiz is connected."))
        if account.paused_at is not None:
            raise Halt(later, account.problem or problem("paused", "Publishing is paused."))
        try:
            if not integrations.is_fresh(account):
                integrations.ask(self.profile, account, postiz)
        except PostizError as error:
            raise Halt(health.note_trouble(account, error), health.as_problem(error)) from error
        return account, postiz

    def _guarded(self, publication: Publication, work: Callable[[UUID], None]) -> None:
        """Takes the publication, and gives it back when something unforeseen happens before anything was sent."""
        claim = claims.take(publication)
        if claim is None:
            return
        try:
            work(claim)
        except (Settled, claims.ClaimLost) as settled:
            log.info("Publication %s: %s", publication.pk, settled)
        except Halt:
            raise
        except Exception:
            log.exception("Publication %s could not be handed over; it is tried again.", publication.pk)
            why = problem("internal_error", "Something went wrong on our side; it is tried again.")
            _give_back(publication, claim, why, _AFTER_A_FAULT)
        except BaseException:
            why = problem("worker_stopped", "The worker was stopped; another one goes on.")
            _give_back(publication, claim, why, timedelta(0))
            raise

    def _tell(self, number: int, share: float) -> None:
        if self.attempt is not None:
            which = f"Post {number + 1} of {self.total}" if self.total > 1 else "Post"
            self.attempt.report(f"{which}: uploading" if share else which, (number + share) / max(self.total, 1))


def _give_back(publication: Publication, claim: UUID, why: dict[str, Any], after: timedelta) -> None:
    if publication.state == State.UPLOADING:
        waiting.give_back(publication, claim, timezone.now() + after, why)


def _to_outbox(publication: Publication, claim: UUID) -> None:
    what = clip_problem(publication)
    if what is not None:
        fail(publication, what, origin=Origin.WORKER, claim=claim)
        return
    try:
        approval.assert_approved(publication)
        outbox.deliver(publication, claim)
    except approval.NotApproved:
        approval.put_back(publication, claim)
    except DomainError as error:
        what = problem(error.code, error.message, retryable=True)
        fail(publication, what, origin=Origin.WORKER, claim=claim)


# --- asking for it --------------------------------------------------------------------------------------


def request_hand_over(
    profile: Profile, publications: Sequence[Publication], by: User | None, *, kind: str = PUBLISH
) -> Job:
    """The job that hands these over as far as they are due; the others follow at their time. TooMany."""
    first = publications[0]
    params = {
        "clip_id": str(first.clip_id),
        "publication_ids": [str(row.pk) for row in publications],
        "caption": first.caption,
        "integration_ids": list(dict.fromkeys(row.integration.external_id for row in publications)),
        "schedule_date": None if first.is_immediate else first.scheduled_at.isoformat(),
    }
    return jobs.enqueue(profile=profile, kind=kind, params=params, by=by)
