"""Approval: it counts for one fingerprint, nothing passes without it, and turning it on catches what is scheduled."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from conftest import Person
from editai.notify.models import Notification
from profiles import scope
from profiles.errors import Conflict, Invalid, NotFound
from profiles.models import Profile
from publishing.models import Decision, Publication, PublicationEvent, PublishingSettings
from publishing.review import approval
from publishing.states import State
from publishing.tests.builders import make_clip, make_integration, make_publication

pytestmark = pytest.mark.django_db


@pytest.fixture
def brand(in_scope: Profile) -> Profile:
    """A brand that requires approval."""
    PublishingSettings.objects.create(profile=in_scope, approval_required=True)
    return in_scope


@pytest.fixture
def waiting(brand: Profile) -> Publication:
    return make_publication(brand, state=State.AWAITING_APPROVAL)


def fresh(publication: Publication) -> Any:
    return Publication.objects.select_related("cover").get(pk=publication.pk)


def yes(publication: Publication, by: Any = None, **options: Any) -> Any:
    return approval.approve(profile=publication.profile, publications=[publication], by=by, **options)[0]


def held_by_a_worker(publication: Publication) -> tuple[Any, UUID]:
    claim = uuid4()
    held = {"state": State.UPLOADING, "claim": claim, "claimed_until": timezone.now() + timedelta(minutes=5)}
    Publication.objects.filter(pk=publication.pk).update(**held)
    return fresh(publication), claim


def test_a_brand_that_does_not_ask_for_approval_lets_everything_through(in_scope: Profile) -> None:
    publication = make_publication(in_scope, state=State.SCHEDULED)
    assert not approval.needed(in_scope)
    approval.assert_approved(publication)
    assert approval.next_state(publication) == State.SCHEDULED


def test_a_yes_schedules_and_is_written_down(owner: Person, waiting: Publication) -> None:
    with pytest.raises(approval.NotApproved):
        approval.assert_approved(waiting)
    before = timezone.now()
    row = yes(waiting, owner.user, comment="Fine")
    assert row.state == State.SCHEDULED
    assert row.approved_at >= before
    assert before <= row.due_at <= row.scheduled_at
    approval.assert_approved(fresh(waiting))
    decision = Decision.objects.get()
    assert (decision.verdict, decision.by, decision.comment) == ("approved", owner.user, "Fine")
    assert decision.fingerprint == approval.fingerprint(fresh(waiting))
    line = PublicationEvent.objects.get()
    assert (line.from_state, line.to_state, line.by) == ("awaiting_approval", "scheduled", owner.user)
    assert line.why == "Approved: Fine"


def test_as_soon_as_possible_counts_from_the_approval(brand: Profile) -> None:
    long_ago = timezone.now() - timedelta(hours=8)
    row = make_publication(brand, state=State.AWAITING_APPROVAL, is_immediate=True, scheduled_at=long_ago)
    assert timezone.now() - yes(row).scheduled_at < timedelta(minutes=1)


@pytest.mark.parametrize(
    "change",
    [
        {"caption": "Something else"},
        {"first_comment": "First!"},
        {"settings": {"privacy": "public"}},
        {"sha256": "0" * 64},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_yes_counts_for_what_it_was_said_to(waiting: Publication, change: dict[str, Any]) -> None:
    yes(waiting)
    Publication.objects.filter(pk=waiting.pk).update(**change)  # a way that forgot to void it
    with pytest.raises(approval.NotApproved):
        approval.assert_approved(fresh(waiting))
    assert approval.next_state(fresh(waiting)) == State.AWAITING_APPROVAL


def test_another_cover_or_channel_is_something_else(brand: Profile, waiting: Publication) -> None:
    yes(waiting)
    row = fresh(waiting)
    row.cover = make_clip(brand).file
    with pytest.raises(approval.NotApproved):
        approval.assert_approved(row)
    row = fresh(waiting)
    row.integration = make_integration(brand)
    with pytest.raises(approval.NotApproved):
        approval.assert_approved(row)


def test_another_time_is_not(waiting: Publication) -> None:
    yes(waiting)
    Publication.objects.filter(pk=waiting.pk).update(scheduled_at=timezone.now() + timedelta(days=9))
    approval.assert_approved(fresh(waiting))


def test_what_was_shown_and_what_is_there_must_be_the_same(waiting: Publication) -> None:
    shown = {waiting.pk: approval.fingerprint(waiting)}
    Publication.objects.filter(pk=waiting.pk).update(caption="Changed meanwhile")
    with pytest.raises(Conflict) as refused:
        yes(waiting, shown=shown)
    assert refused.value.code == "changed"
    assert fresh(waiting).state == State.AWAITING_APPROVAL
    assert not Decision.objects.exists()


def test_all_or_none_are_approved(brand: Profile, waiting: Publication) -> None:
    draft = make_publication(brand)
    with pytest.raises(Conflict) as refused:
        approval.approve(profile=brand, publications=[waiting, draft], by=None)
    assert refused.value.code == "not_waiting"
    assert fresh(waiting).state == State.AWAITING_APPROVAL


def test_a_second_yes_finds_nothing_waiting(waiting: Publication) -> None:
    yes(waiting)
    with pytest.raises(Conflict, match="waits for no decision: it is scheduled"):
        yes(waiting)
    assert Decision.objects.count() == 1


def test_a_no_makes_it_a_draft_and_is_told_once(owner: Person, brand: Profile, waiting: Publication) -> None:
    other = make_publication(brand, clip=waiting.clip, state=State.AWAITING_APPROVAL)
    with pytest.raises(Invalid):
        approval.ask_for_change(profile=brand, publications=[waiting], by=owner.user, comment=" ")
    approval.ask_for_change(profile=brand, publications=[waiting, other], by=owner.user, comment="Louder, please")
    assert {fresh(waiting).state, fresh(other).state} == {State.DRAFT}
    told = Notification.objects.get()
    assert told.event == "change_requested"
    assert "Louder, please" in told.text
    assert owner.user.username in told.text
    assert PublicationEvent.objects.filter(why="A change is asked for: Louder, please").count() == 2


def test_a_no_after_a_yes_counts(owner: Person, brand: Profile, waiting: Publication) -> None:
    yes(waiting)
    approval.ask_for_change(profile=brand, publications=[waiting], by=owner.user, comment="Wait")
    row = fresh(waiting)
    assert row.approved_at is None
    assert row.due_at is None
    assert not approval.is_approved(row)


def test_void_sends_it_back_to_the_reviewer(owner: Person, waiting: Publication) -> None:
    row = yes(waiting)
    Publication.objects.filter(pk=row.pk).update(caption="Better")
    row.caption = "Better"
    approval.void(row, "the caption changed", by=owner.user)
    assert fresh(waiting).state == State.AWAITING_APPROVAL
    assert fresh(waiting).approved_at is None
    assert Decision.objects.first().verdict == "voided"
    # back to the very words that were approved: still nobody has approved this change
    Publication.objects.filter(pk=row.pk).update(caption=waiting.caption)
    assert not approval.is_approved(fresh(waiting))


def test_void_leaves_what_needs_no_approval_scheduled(in_scope: Profile) -> None:
    row = make_publication(in_scope, state=State.SCHEDULED)
    approval.void(row, "the caption changed")
    assert fresh(row).state == State.SCHEDULED
    assert not Decision.objects.exists()


def test_void_is_refused_for_what_a_worker_holds(waiting: Publication) -> None:
    yes(waiting)
    row, _ = held_by_a_worker(waiting)
    with pytest.raises(Conflict) as refused:
        approval.void(row, "the caption changed")
    assert refused.value.code == "wrong_state"


def test_a_worker_puts_back_what_is_not_approved(brand: Profile, owner: Person) -> None:
    row, claim = held_by_a_worker(make_publication(brand, state=State.SCHEDULED))
    with pytest.raises(approval.NotApproved):
        approval.assert_approved(row)
    assert not approval.put_back(fresh(row), uuid4()), "another worker's claim"
    assert fresh(row).state == State.UPLOADING
    assert approval.put_back(row, claim)
    assert fresh(row).state == State.AWAITING_APPROVAL
    assert fresh(row).claim is None


def test_turning_it_on_holds_what_nobody_approved(in_scope: Profile, owner: Person) -> None:
    scheduled = make_publication(in_scope, state=State.SCHEDULED, due_at=timezone.now())
    approved = make_publication(in_scope, state=State.AWAITING_APPROVAL)
    yes(approved)
    draft = make_publication(in_scope)
    approval.require_approval(profile=in_scope, by=owner.user, required=True)
    assert [fresh(row).state for row in (scheduled, approved, draft)] == [
        State.AWAITING_APPROVAL,
        State.SCHEDULED,
        State.DRAFT,
    ]
    assert fresh(scheduled).due_at is None
    approval.require_approval(profile=in_scope, by=owner.user, required=False)
    assert not approval.needed(in_scope)
    assert fresh(scheduled).state == State.AWAITING_APPROVAL, "somebody may have meant to say no"


def test_other_brands_are_left_alone(in_scope: Profile, stranger: Person, owner: Person) -> None:
    with scope.activate(stranger.profile.pk):
        theirs = make_publication(stranger.profile, state=State.SCHEDULED)
    approval.require_approval(profile=in_scope, by=owner.user, required=True)
    with pytest.raises(NotFound):
        approval.approve(profile=in_scope, publications=[theirs], by=owner.user)
    with scope.activate(stranger.profile.pk):
        assert fresh(theirs).state == State.SCHEDULED
        assert not approval.needed(stranger.profile)
