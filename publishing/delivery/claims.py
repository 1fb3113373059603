"""Who holds a publication: taken by one conditional UPDATE, held for a while, taken back when its worker is gone."""

from datetime import timedelta
from uuid import UUID, uuid4

from django.utils import timezone

from profiles.models import Profile
from publishing.delivery import outcomes
from publishing.models import Publication
from publishing.states import ON_ITS_WAY, State
from publishing.transitions import Origin, problem, try_move

LEASE = timedelta(minutes=5)  # longer than any wait without a sign of life: the last byte of an upload, a POST
RECONCILE_AFTER = timedelta(seconds=5)


class ClaimLost(Exception):
    """Another worker has the publication now; what this one still does must not be written."""


def take(publication: Publication) -> UUID | None:
    """Holds a scheduled publication for this worker: the claim, or None when another was faster."""
    claim = uuid4()
    taken = try_move(
        publication,
        State.UPLOADING,
        why="A worker takes it up",
        origin=Origin.WORKER,
        claim=claim,
        claimed_until=timezone.now() + LEASE,
    )
    return claim if taken else None


def renew(publication: Publication, claim: UUID) -> None:
    """Holds it for another while; ClaimLost when it isn't this worker's any more."""
    until = timezone.now() + LEASE
    rows = Publication.objects.filter(pk=publication.pk, claim=claim, state__in=sorted(ON_ITS_WAY))
    if not rows.update(claimed_until=until):
        raise ClaimLost
    publication.claimed_until = until


def mend(profile: Profile) -> int:
    """Sees to what dead workers held: what was surely not sent is scheduled again; what may have been sent is not
    confirmed, and looked for. Returns how many."""
    held = Publication.objects.for_profile(profile).filter(claim__isnull=False, claimed_until__lt=timezone.now())
    return sum(_mend(publication) for publication in held.select_related("integration", "profile"))


def _mend(publication: Publication) -> bool:
    now = timezone.now()
    if publication.state == State.UPLOADING:
        return try_move(
            publication,
            State.SCHEDULED,
            why="Its worker is gone; nothing was sent",
            origin=Origin.SYSTEM,
            claim=publication.claim,
            due_at=now,
            error=publication.error,  # since when it is late stands there (`waiting`)
        )
    return outcomes.unconfirm(
        publication,
        unknown("Its worker is gone in the middle of handing it over."),
        origin=Origin.SYSTEM,
        claim=publication.claim,
        next_check_at=now,
        is_told=False,
    )


def unknown(message: str) -> dict[str, object]:
    """The problem of what may be at Postiz, or not."""
    return problem("outcome_unknown", message, next_step="Wait: Postiz is being asked. Do not post it again.")
