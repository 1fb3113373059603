"""What waits for a person is in one list, and says what to do."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from conftest import Person
from profiles.models import Profile
from publishing.actions import next_step
from publishing.models import Decision, Publication
from publishing.states import State
from publishing.tests.builders import make_publication
from publishing.transitions import Origin, problem, try_move

pytestmark = pytest.mark.django_db


def listed(owner: Person) -> dict[str, str]:
    rows = owner.client.get("/api/v1/publishing/publications/", {"needs_attention": "true"}).json()["results"]
    return {row["id"]: row["next_step"] for row in rows}


def test_what_waits_for_an_approval(owner: Person, in_scope: Profile) -> None:
    waiting = make_publication(in_scope, state=State.AWAITING_APPROVAL)
    assert listed(owner) == {str(waiting.pk): "Somebody with the right to approve has to decide."}


def test_a_draft_once_a_change_was_asked_for(owner: Person, in_scope: Profile) -> None:
    make_publication(in_scope)
    sent_back = make_publication(in_scope)
    Decision.objects.create(profile=in_scope, publication=sent_back, verdict=Decision.Verdict.CHANGES, fingerprint="f")
    assert listed(owner) == {str(sent_back.pk): "Finish it, then send it on its way."}


def test_what_waits_for_a_key_but_not_what_waits_for_the_hour(owner: Person, in_scope: Profile) -> None:
    refused = problem("postiz_key_refused", "Postiz rejected the API key.", next_step="Enter the API key again.")
    paused = make_publication(in_scope, state=State.SCHEDULED, error=refused)
    make_publication(in_scope, state=State.SCHEDULED, error=problem("rate_limited", "Hourly limit reached."))
    assert listed(owner) == {str(paused.pk): "Enter the API key again."}


def test_who_is_held_by_a_worker_says_for_how_long(in_scope: Profile) -> None:
    publication: Publication = make_publication(in_scope, state=State.SCHEDULED)
    until = timezone.now() + timedelta(minutes=5)
    assert try_move(publication, State.UPLOADING, why="x", origin=Origin.WORKER, claim=uuid4(), claimed_until=until)
    assert f"{until:%H:%M} UTC" in next_step(publication)
