"""The only place where a publication's state changes: one conditional UPDATE, and its line in the history."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from profiles.errors import Conflict
from profiles.models import User
from publishing.delivery import fingerprints
from publishing.models import Publication, PublicationEvent
from publishing.states import ALLOWED, IN_HAND, ON_ITS_WAY, OUTSIDE, State

Origin = PublicationEvent.Origin
_RELEASED = {"claim": None, "claimed_until": None}
_TO_BE_SENT_ANEW = frozenset({State.DRAFT, State.AWAITING_APPROVAL, State.SCHEDULED})


def problem(code: str, message: str, *, next_step: str = "", retryable: bool = False) -> dict[str, Any]:
    """What `Publication.error` holds: what went wrong, and who has to do what."""
    return {"code": code, "message": message, "next_step": next_step, "retryable": retryable}


def begin_all(
    publications: Sequence[Publication],
    *,
    why: str,
    origin: Origin = Origin.PERSON,
    by: User | None = None,
    details: Mapping[UUID, Mapping[str, Any]] | None = None,
) -> Sequence[Publication]:
    """Writes new publications of one profile, each with the first line of its history: two inserts, whatever their
    number. `details`: by id. IntegrityError when one of the same clip and channel is open already; nothing is written
    then."""
    events = [
        _event(publication, "", State(publication.state), origin, by, why, (details or {}).get(publication.pk, {}))
        for publication in publications
    ]
    with transaction.atomic():
        Publication.objects.bulk_create(publications)
        PublicationEvent.objects.bulk_create(events)
    return publications


def try_move(
    publication: Publication,
    to: State,
    *,
    why: str,
    origin: Origin,
    by: User | None = None,
    claim: UUID | None = None,
    detail: Mapping[str, Any] | None = None,
    **fields: Any,
) -> bool:
    """`publication` into the state `to`, together with `fields`, if its row is still as it was loaded: in the same
    state, at the same attempt if it is outside, and held by `claim` when one is given. False when somebody else was
    faster: nothing is written then.
    A worker that takes the row gives the claim that it will hold it by, and `claimed_until` among the `fields`.

    A row that leaves the hands of a worker loses its claim; one that is to be sent anew keeps its fingerprint among the
    earlier ones; one that is fine again loses its error. The passed object is brought up to date. Raises ValueError for
    a step that is never allowed.
    """
    before = State(publication.state)
    if to not in ALLOWED[before]:
        raise ValueError(f"A publication never goes from {before} to {to}.")
    values = {"state": to, **fields}
    if before in OUTSIDE | {State.FAILED} and to in _TO_BE_SENT_ANEW:
        # void: an unconfirmed one that turns up after all is what was wanted; others failed or were taken back
        values = fingerprints.anew(publication, is_void=before != State.UNCONFIRMED) | values
    if to not in ON_ITS_WAY:
        values |= _RELEASED
    elif before not in ON_ITS_WAY:
        values["claim"] = claim
    if to in IN_HAND - {State.MISSED} or to in {State.SUBMITTED, State.PUBLISHED, State.CANCELLED}:
        values.setdefault("error", None)
    with transaction.atomic():
        rows = Publication.objects.filter(pk=publication.pk, state=before)
        if before in OUTSIDE | {State.FAILED}:
            rows = fingerprints.as_loaded(publication)
        if claim is not None and before in ON_ITS_WAY:
            rows = rows.filter(claim=claim)
        # bulk_update and update() leave `updated_at` alone: save() of the loaded row would overwrite others' fields
        if not rows.update(**values):
            return False
        for name, value in values.items():
            setattr(publication, name, value)
        _tell(publication, before, to, origin, by, why, detail or {})
    return True


def move(publication: Publication, to: State, *, why: str, origin: Origin, **options: Any) -> Publication:
    """As `try_move`. Raises Conflict (`publication_changed`) when somebody else was faster or the step makes no sense
    from its state."""
    if to not in ALLOWED[State(publication.state)]:
        shown = State(publication.state).label.lower()
        raise Conflict(f"This publication is {shown}: it can't become {to.label.lower()}.", code="wrong_state")
    if not try_move(publication, to, why=why, origin=origin, **options):
        raise Conflict("This publication has just changed. Look again.", code="publication_changed")
    return publication


def note(
    publication: Publication,
    why: str,
    *,
    origin: Origin,
    by: User | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """A line in the history without a change of state."""
    _tell(publication, State(publication.state), State(publication.state), origin, by, why, detail or {})


def _tell(
    publication: Publication,
    before: State | str,
    to: State,
    origin: Origin,
    by: User | None,
    why: str,
    detail: Mapping[str, Any],
) -> None:
    _event(publication, before, to, origin, by, why, detail).save(force_insert=True)


def _event(
    publication: Publication,
    before: State | str,
    to: State,
    origin: Origin,
    by: User | None,
    why: str,
    detail: Mapping[str, Any],
) -> PublicationEvent:
    return PublicationEvent(
        profile_id=publication.profile_id,
        publication=publication,
        origin=origin,
        by=by,
        from_state=before,
        to_state=to,
        why=why[:500],
        detail=dict(detail),
    )
