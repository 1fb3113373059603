"""Nothing reaches Postiz without approval: not before the upload, and not after it either."""

from typing import Any

import pytest

from conftest import Person
from profiles.models import Profile
from publishing.delivery import handing_over, sending
from publishing.models import Publication
from publishing.review import approval
from publishing.states import State
from publishing.tests.delivering import connect, due, fresh
from tests.stubs.postiz import StubPostiz

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz, owner: Person) -> Profile:
    connect(in_scope, stub)
    return in_scope


def require(profile: Profile) -> None:
    approval.require_approval(profile=profile, by=None, required=True)


def test_words_that_nobody_approved_are_not_even_uploaded_for(profile: Profile, stub: StubPostiz) -> None:
    require(profile)
    publication = due(profile)
    Publication.objects.filter(pk=publication.pk).update(state=State.AWAITING_APPROVAL)
    approval.approve(profile=profile, publications=[publication])
    Publication.objects.filter(pk=publication.pk).update(caption="Slipped in by a way that forgot to void it")
    handing_over.hand_over_due(profile=profile)
    assert fresh(publication).state == State.AWAITING_APPROVAL
    assert (stub.media, stub.posts) == ([], [])


def test_what_loses_its_leave_during_the_upload_is_not_submitted(
    profile: Profile, stub: StubPostiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication = due(profile)
    upload = sending.upload

    def upload_while_the_owner_turns_it_on(*arguments: Any) -> Any:
        made = upload(*arguments)
        require(profile)
        return made

    monkeypatch.setattr(sending, "upload", upload_while_the_owner_turns_it_on)
    handing_over.hand_over_due(profile=profile)
    row = fresh(publication)
    assert (row.state, row.claim, row.due_at) == (State.AWAITING_APPROVAL, None, None)
    assert len(stub.media) == 1
    assert stub.of_route("POST /posts") == []
    monkeypatch.undo()
    approval.approve(profile=profile, publications=[row])
    sending_again = handing_over.hand_over_due(profile=profile).publications
    assert [entry["state"] for entry in sending_again] == ["submitted"]
    assert len(stub.posts) == 1
    assert len(stub.media) == 1, "uploaded once"
