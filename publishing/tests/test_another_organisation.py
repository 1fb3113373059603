"""The key of another organisation is stored while posts are out: what it does not list proves nothing."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from jobs.execution import JobError
from profiles import credentials
from profiles.models import Profile
from publishing import actions
from publishing.actions import Action
from publishing.channels import health, integrations
from publishing.channels.connections import POSTIZ, postiz_of
from publishing.delivery import waiting
from publishing.delivery.handing_over import hand_over_due
from publishing.models import Publication
from publishing.postiz.errors import BadKey
from publishing.states import State
from publishing.tests.delivering import account_of, connect, due, fresh, told
from publishing.tracking import reconcile, rhythm, take_back
from publishing.tracking.sync import sync
from tests.stubs.postiz import Fault, StubPostiz, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]
DAY = timedelta(days=1)


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    stub.add_organisation()
    return in_scope


def sent(profile: Profile, stub: StubPostiz, fault: Fault | None = None) -> Any:
    publication = due(profile, ahead=DAY)
    if fault is not None:
        stub.faults.script("POST /posts", fault)
    hand_over_due(profile=profile)
    return fresh(publication)


def look(publication: Any) -> Any:
    Publication.objects.filter(pk=publication.pk).update(next_check_at=timezone.now())
    assert sync(publication.profile) == 1
    return fresh(publication)


def test_an_unconfirmed_post_is_not_shown_to_be_missing_there(profile: Profile, stub: StubPostiz) -> None:
    publication = sent(profile, stub, faults.drop_after_commit())
    with time_machine.travel(timezone.now() + rhythm.PROOF_AFTER, tick=True):
        connect(profile, stub, 1)
        row = look(publication)
        assert (row.state, row.error["code"], row.may_be_live) == (State.UNCONFIRMED, "channel_gone", True)
        assert Action.RESEND not in actions.possible(row)
        look(publication)
        assert told(row) == ["publication_unconfirmed"]
        connect(profile, stub, 0)  # back again, it is looked for by itself
        assert sync(profile) == 1
        assert fresh(publication).state == State.SUBMITTED
    assert stub.settle().most() == 1


@pytest.mark.parametrize("then", ["cancel", "change"])
@pytest.mark.parametrize("fault", [None, faults.drop_after_commit])
def test_what_that_one_does_not_list_was_not_taken_back(
    profile: Profile, stub: StubPostiz, then: Any, fault: Any
) -> None:
    publication = sent(profile, stub, fault and fault())
    connect(profile, stub, 1)
    changes = {"caption": "Better"} if then == "change" else {}
    later = timezone.now() + rhythm.PROOF_AFTER
    with time_machine.travel(later, tick=True), pytest.raises(JobError, match="channel_gone"):
        take_back.take_back(publication, then=then, changes=changes)
    row = fresh(publication)
    assert (row.state, row.error["code"], row.may_be_live) == (State.UNCONFIRMED, "channel_gone", True)
    assert told(row) == ["publication_unconfirmed"]
    assert not stub.posts[0].deleted


def test_who_was_told_that_it_may_go_live_can_let_it_go(profile: Profile, stub: StubPostiz) -> None:
    publication = sent(profile, stub)
    connect(profile, stub, 1)
    with pytest.raises(JobError, match="channel_gone"):
        take_back.take_back(publication, then="cancel", changes={})
    take_back.take_back(fresh(publication), then="cancel", changes={})
    row = fresh(publication)
    assert (row.state, row.may_be_live) == (State.CANCELLED, True)
    assert "may still go live" in row.events.last().why


def test_without_any_postiz_it_can_be_let_go_as_well(profile: Profile, stub: StubPostiz) -> None:
    publication = sent(profile, stub, faults.drop_after_commit())
    credentials.credential_delete(profile=profile, kind=POSTIZ)
    with pytest.raises(JobError, match="postiz_not_connected"):
        take_back.take_back(fresh(publication), then="cancel", changes={})  # nobody was told yet
    reconcile.disconnected(fresh(publication))
    assert told(publication) == ["publication_unconfirmed"]
    assert fresh(publication).error["code"] == "postiz_not_connected"
    take_back.take_back(fresh(publication), then="cancel", changes={})
    assert (fresh(publication).state, fresh(publication).may_be_live) == (State.CANCELLED, True)


def test_a_take_back_in_doubt_is_not_ended_by_another_organisation(profile: Profile, stub: StubPostiz) -> None:
    publication = sent(profile, stub)
    stub.faults.script("DELETE /posts/group/:group", faults.html_502(), times=-1)
    with pytest.raises(JobError, match="take_back_unverified"):
        take_back.take_back(publication, then="cancel", changes={})
    connect(profile, stub, 1)
    row = look(publication)
    assert (row.state, row.error["code"], row.may_be_live) == (State.UNCONFIRMED, "channel_gone", True)


def test_the_refusal_of_the_key_before_does_not_pause_the_new_one(profile: Profile, stub: StubPostiz) -> None:
    old = integrations.ensure_account(profile)
    assert old is not None
    connect(profile, stub, 1)
    health.note_trouble(old, BadKey())
    assert account_of(profile).paused_at is None
    health.note_trouble(integrations.ensure_account(profile), BadKey())  # type: ignore[arg-type]
    assert account_of(profile).paused_at is not None


def test_a_new_key_does_not_make_those_late_that_waited_for_the_limit(profile: Profile, stub: StubPostiz) -> None:
    now = timezone.now()
    publication = due(profile, scheduled_at=now - timedelta(hours=3))
    why = {"code": "rate_limited", "message": "x"}
    waiting.put_off(waiting.due(profile), now - timedelta(minutes=5), why, counts=False)
    connect(profile, stub)
    assert waiting.mark_missed(profile) == 0
    assert fresh(publication).due_at <= timezone.now()


def test_channels_are_those_of_the_client_that_was_asked(profile: Profile, stub: StubPostiz) -> None:
    account = integrations.ensure_account(profile)
    assert account is not None
    ids = integrations.ask(profile, account, postiz_of(profile, retries=0))
    assert ids == {channel.id for channel in stub.organisation().integrations}
