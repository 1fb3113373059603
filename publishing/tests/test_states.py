"""Only the steps of the table are possible, for the code and for the database."""

from datetime import timedelta
from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from profiles.models import Profile
from publishing import state_guard
from publishing.models import Publication
from publishing.states import ALLOWED, FINAL, OPEN, State
from publishing.tests.builders import make_publication
from publishing.transitions import Origin, move, try_move

pytestmark = pytest.mark.django_db


def force(publication: Publication, state: State) -> None:
    """Puts the row into `state` with all that the constraints ask for, past the guard."""
    held = state in {State.UPLOADING, State.SUBMITTING}
    with connection.cursor() as cursor:
        drop = f"DROP TRIGGER {state_guard.TRIGGER}"
        cursor.execute(f"{drop} ON {state_guard.TABLE}" if connection.vendor == "postgresql" else drop)
    Publication.objects.filter(pk=publication.pk).update(
        state=state,
        fingerprint_at=timezone.now(),
        external_post_id="p1",
        error={"code": "x"},
        claim=publication.pk if held else None,
        claimed_until=timezone.now() + timedelta(minutes=1) if held else None,
    )
    state_guard.install(connection.alias)
    publication.refresh_from_db()


@pytest.mark.parametrize("before", list(State))
def test_the_database_refuses_every_other_step(in_scope: Profile, before: State) -> None:
    publication = make_publication(in_scope)
    force(publication, before)
    for after in State:
        held = after in {State.UPLOADING, State.SUBMITTING}
        values = {
            "state": after,
            "claim": publication.pk if held else None,
            "claimed_until": timezone.now() if held else None,
        }
        allowed = after == before or after in ALLOWED[before]
        try:
            with transaction.atomic():
                Publication.objects.filter(pk=publication.pk).update(**values)
                transaction.set_rollback(True)
        except IntegrityError:
            assert not allowed, (before, after)
        else:
            assert allowed, (before, after)


def test_a_publication_begins_in_hand_only(in_scope: Profile) -> None:
    for state in set(State) - set(state_guard.BEGINNINGS):
        with pytest.raises(IntegrityError), transaction.atomic():
            make_publication(in_scope, state=state, error={"code": "x"}, fingerprint_at=timezone.now())


def test_the_table_knows_every_state_and_leaves_only_final_ones_without_a_way_on() -> None:
    assert set(ALLOWED) == set(State) == OPEN | FINAL
    assert all(ALLOWED[state] for state in OPEN)
    assert not any(state in ALLOWED[state] for state in State)


@pytest.mark.parametrize(
    ("before", "after"), [pair for pair in product(State, State) if pair[1] not in ALLOWED[pair[0]]]
)
def test_the_code_refuses_them_before_it_asks(before: State, after: State) -> None:
    with pytest.raises(ValueError, match="never goes"):
        try_move(Publication(state=before), after, why="because", origin=Origin.SYSTEM)


def test_a_step_is_told_with_who_and_why_and_happens_once(in_scope: Profile) -> None:
    publication = make_publication(in_scope, state=State.SCHEDULED)
    other = Publication.objects.get(pk=publication.pk)
    move(publication, State.CANCELLED, why="Not wanted any more", origin=Origin.PERSON)
    assert not try_move(other, State.MISSED, why="late", origin=Origin.SYSTEM, error={"code": "late"})
    assert publication.state == State.CANCELLED
    lines = [(event.from_state, event.to_state, event.why) for event in publication.events.all()]
    assert lines == [("scheduled", "cancelled", "Not wanted any more")]


def test_one_open_publication_of_a_clip_for_each_channel(in_scope: Profile) -> None:
    first = make_publication(in_scope)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_publication(in_scope, clip=first.clip, integration=first.integration)
    move(first, State.CANCELLED, why="x", origin=Origin.PERSON)
    make_publication(in_scope, clip=first.clip, integration=first.integration)
