"""Handing over: one post, whatever happens; and nothing that is not what was chosen."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from editai.clips.models import Clip
from editai.notify.models import Notification
from jobs import services
from profiles import credentials, scope
from profiles.models import Profile, StoredFile
from publishing import periodic
from publishing.channels.connections import POSTIZ, postiz_of
from publishing.channels.integrations import ensure_outbox, listed, usable
from publishing.delivery import claims, handing_over, sending, uploads, waiting
from publishing.models import OutboxItem, PostizAccount, Publication, PublishingSettings
from publishing.postiz.client import Postiz
from publishing.states import State
from publishing.tests.builders import make_clip, make_publication
from publishing.tests.delivering import account_of, channel, connect, due, fresh, told
from publishing.tracking.sync import sync
from publishing.transitions import Origin, move
from tests.stubs.postiz import Fault, StubPostiz, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def hand_over(profile: Profile) -> list[dict[str, object]]:
    return handing_over.hand_over_due(profile=profile).publications


def test_a_post_is_handed_over_once_with_its_fingerprint_and_mark(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile, caption="Look & see")
    before = timezone.now()
    assert [entry["state"] for entry in hand_over(profile)] == ["submitted"]
    row = fresh(publication)
    assert row.state == State.SUBMITTED
    [post] = stub.posts
    assert (post.id, post.content) == (row.external_post_id, "Look & see")
    assert post.settings["client_ref"] == str(row.pk)
    assert post.date == row.fingerprint_at
    assert row.fingerprint_at.microsecond % 1000 == 0 != row.fingerprint_at.microsecond
    assert timedelta(seconds=95) < row.fingerprint_at - before < timedelta(seconds=110)
    [media] = stub.media
    assert (media.sha256, post.media) == (row.sha256, [media.path])
    assert hand_over(profile) == []
    assert len(stub.posts) == 1
    assert [event.to_state for event in row.events.all()] == ["uploading", "submitting", "submitted"]


def test_the_first_comment_goes_along(profile: Profile, stub: StubPostiz) -> None:
    due(profile, first_comment="More on our page")
    hand_over(profile)
    [seen] = stub.of_route("POST /posts")
    values = seen.body["posts"][0]["value"]
    assert [(value["content"], len(value["image"])) for value in values] == [
        ("Look at this", 1),
        ("More on our page", 0),
    ]
    assert set(seen.body) == {"type", "date", "shortLink", "tags", "posts"}


def test_a_post_of_another_day_keeps_its_time_to_the_second(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile, ahead=timedelta(days=3))
    hand_over(profile)
    [post] = stub.posts
    assert timedelta(0) <= post.date - publication.scheduled_at.replace(microsecond=0) < timedelta(seconds=1)


def test_posts_of_one_channel_at_one_time_have_different_fingerprints(profile: Profile, stub: StubPostiz) -> None:
    at = timezone.now() + timedelta(days=1)
    twin = int(uuid.uuid4().int // 999 * 999)
    rows = [due(profile, ahead=timedelta(days=1), scheduled_at=at, id=uuid.UUID(int=twin + 999 * n)) for n in range(3)]
    hand_over(profile)
    assert len({post.date for post in stub.posts}) == 3
    assert {fresh(row).state for row in rows} == {State.SUBMITTED}


UNCLEAR: list[Callable[[], Fault]] = [
    faults.drop_after_commit,
    faults.drop_before_commit,
    faults.error_500_after,
    faults.error_500_before,
    faults.html_502,
    faults.html_504,
    faults.truncated_json,
    faults.empty_list,
    faults.invalid_utf8,
]


@pytest.mark.parametrize("fault", UNCLEAR, ids=lambda make: make.__name__)
def test_what_is_not_clear_is_unconfirmed_and_never_sent_again(
    profile: Profile, stub: StubPostiz, fault: Callable[[], Fault]
) -> None:
    publication = due(profile)
    stub.faults.script("POST /posts", fault())
    hand_over(profile)
    row = fresh(publication)
    assert row.state == State.UNCONFIRMED
    assert row.may_be_live
    assert row.next_check_at - timezone.now() < timedelta(seconds=6)
    assert told(publication) == []  # the next look may well clear it up
    hand_over(profile)
    assert len(stub.of_route("POST /posts")) == 1


def test_an_empty_401_is_no_bad_key_and_waits(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    stub.faults.script("POST /posts", faults.empty_401())
    hand_over(profile)
    row = fresh(publication)
    assert (row.state, row.fingerprint_at, row.error["code"]) == (State.SCHEDULED, None, "postiz_unavailable")
    assert timezone.now() < row.due_at < timezone.now() + timedelta(minutes=1)
    assert account_of(profile).paused_at is None
    Publication.objects.filter(pk=row.pk).update(due_at=timezone.now())
    hand_over(profile)
    assert fresh(publication).state == State.SUBMITTED
    assert account_of(profile).problem is None
    assert stub.settle().most() == 1


def test_trouble_stops_the_whole_profile_instead_of_trying_each(profile: Profile, stub: StubPostiz) -> None:
    rows = [due(profile) for _ in range(5)]
    stub.faults.script("POST /upload", faults.html_502(), times=-1)
    hand_over(profile)
    assert len(stub.of_route("POST /upload")) <= 4  # one post's tries
    assert {fresh(row).state for row in rows} == {State.SCHEDULED}
    assert all(fresh(row).due_at > timezone.now() for row in rows)
    assert all(fresh(row).error["code"] == "postiz_unavailable" for row in rows)


def test_a_refused_key_pauses_the_profile_and_a_new_one_lifts_that(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    good, stub.organisation().key = stub.organisation().key, "another-key-0000"
    hand_over(profile)
    row, account = fresh(publication), account_of(profile)
    assert (row.state, row.error["code"]) == (State.SCHEDULED, "postiz_key_refused")
    assert account.paused_at is not None
    assert account.problem["code"] == "postiz_key_refused"
    assert Notification.objects.filter(event="account_disconnected").count() == 1
    Publication.objects.filter(pk=row.pk).update(due_at=timezone.now())
    stub.forget_requests()
    hand_over(profile)
    assert stub.requests == []  # a paused one is not tried
    stub.organisation().key = good
    connect(profile, stub)
    assert fresh(publication).due_at <= timezone.now()
    assert account_of(profile).paused_at is None
    hand_over(profile)
    assert fresh(publication).state == State.SUBMITTED


def test_a_refusal_fails_with_the_words_of_postiz_and_can_be_retried(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile, settings={})
    hand_over(profile)
    row = fresh(publication)
    assert (row.state, row.may_be_live, row.fingerprint_at) == (State.FAILED, False, None)
    assert "post_type" in row.error["message"]
    assert told(publication) == ["publication_failed"]
    move(row, State.SCHEDULED, why="again", origin=Origin.PERSON, settings={"post_type": "post"}, due_at=timezone.now())
    hand_over(profile)
    assert fresh(publication).state == State.SUBMITTED


def test_a_stale_changed_or_deleted_clip_is_never_posted(profile: Profile, stub: StubPostiz) -> None:
    rows = [due(profile) for _ in range(4)]
    stale, changed, trashed, doomed = (row.clip for row in rows)
    Clip.objects.filter(pk=stale.pk).update(is_stale=True)
    other = make_clip(profile)
    Clip.objects.filter(pk=changed.pk).update(file=other.file)
    Clip.objects.filter(pk=trashed.pk).update(trashed_at=timezone.now())
    StoredFile.objects.filter(pk=doomed.file.pk).update(sha256="0" * 64)
    hand_over(profile)
    codes = [fresh(row).error["code"] for row in rows]
    assert codes == ["clip_stale", "clip_changed", "clip_deleted", "clip_changed"]
    assert {fresh(row).state for row in rows} == {State.FAILED}
    assert stub.of_route("POST /upload", "POST /posts") == []


def test_a_channel_that_is_gone_or_off_fails_before_anything_is_uploaded(profile: Profile, stub: StubPostiz) -> None:
    gone, off = due(profile, "facebook"), due(profile, "threads")
    stub.organisation().integration("facebook").deleted = True
    stub.organisation().integration("threads").disabled = True
    PostizAccount.objects.update(integrations_at=None)
    hand_over(profile)
    assert [fresh(row).error["code"] for row in (gone, off)] == ["channel_gone", "channel_disabled"]
    assert stub.of_route("POST /upload", "POST /posts") == []


def test_too_late_is_missed_and_never_posted_by_itself(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile, ahead=-timedelta(minutes=61))
    in_time = due(profile, ahead=-timedelta(minutes=59))
    hand_over(profile)
    assert (fresh(publication).state, fresh(in_time).state) == (State.MISSED, State.SUBMITTED)
    assert told(publication) == ["publication_missed"]
    assert len(stub.posts) == 1


def test_without_approval_nothing_leaves(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    PublishingSettings.objects.create(profile=profile, approval_required=True)
    hand_over(profile)
    assert fresh(publication).state == State.AWAITING_APPROVAL
    assert stub.of_route("POST /upload", "POST /posts") == []


def test_a_dead_worker_before_the_call_gives_the_post_back(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    assert claims.take(fresh(publication)) is not None
    hand_over(profile)
    assert fresh(publication).state == State.UPLOADING  # it may still live
    Publication.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    hand_over(profile)
    assert fresh(publication).state == State.SUBMITTED
    assert stub.settle().most() == 1


def test_a_dead_worker_in_the_call_leaves_it_unconfirmed(profile: Profile, stub: StubPostiz) -> None:
    publication, gate = held_in_call(profile)
    hand_over(profile)
    assert fresh(publication).state == State.SUBMITTING
    Publication.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    hand_over(profile)
    assert fresh(publication).state == State.UNCONFIRMED
    assert stub.of_route("POST /posts") == []
    assert gate.account.pk == account_of(profile).pk


def held_in_call(profile: Profile) -> tuple[Any, sending.Held]:
    """As a worker leaves it that dies right after the intent was committed."""
    publication = fresh(due(profile))
    claim = claims.take(publication)
    assert claim is not None
    held = sending.Held(publication, claim, profile, account_of(profile), postiz_of(profile, retries=0))
    media = sending.upload(held, uploads.Watch())
    sending.intend(held, sending.request_of(held, media))
    return publication, held


def test_a_reply_after_the_lease_is_not_lost(profile: Profile, stub: StubPostiz) -> None:
    publication, held = held_in_call(profile)
    Publication.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    claims.mend(profile)
    media = uploads.known_media(profile, held.account, publication.file)
    assert media is not None
    request = replace(sending.request_of(held, [media]), date=publication.fingerprint_at)
    sending.record(held, held.postiz.create_post(request))
    row = fresh(publication)
    assert row.state == State.UNCONFIRMED
    assert row.events.filter(detail__post_id=stub.posts[0].id).exists()
    sync(profile)
    assert (fresh(publication).state, fresh(publication).external_post_id) == (State.SUBMITTED, stub.posts[0].id)


def test_a_worker_that_stood_still_too_long_does_not_send(profile: Profile, stub: StubPostiz) -> None:
    publication, held = held_in_call(profile)
    held.publication.claimed_until = timezone.now() + timedelta(seconds=30)
    media = uploads.known_media(profile, held.account, publication.file)
    assert media is not None
    reply = sending.call(held, sending.request_of(held, [media]))
    assert stub.of_route("POST /posts") == []
    with pytest.raises(sending.Halt):
        sending.record(held, reply)
    assert fresh(publication).state == State.SCHEDULED


def test_cancelling_while_a_worker_uploads_stops_it(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    row = fresh(publication)
    profile_id = profile.pk

    def cancel(_: object) -> None:
        with scope.activate(profile_id):
            move(fresh(row), State.CANCELLED, why="no", origin=Origin.PERSON)

    watch = uploads.Watch(tell=lambda share: cancel(None) if fresh(row).state == State.UPLOADING else None)
    claim = claims.take(row)
    held = held_of(profile, row, claim)
    with pytest.raises(claims.ClaimLost):
        sending.hand_over(held, watch)
    assert fresh(publication).state == State.CANCELLED
    assert stub.of_route("POST /posts") == []


def held_of(profile: Profile, row: Publication, claim: uuid.UUID | None) -> sending.Held:
    assert claim is not None
    return sending.Held(row, claim, profile, account_of(profile), postiz_of(profile, retries=0))


def test_without_postiz_it_goes_to_the_outbox(in_scope: Profile) -> None:
    box = ensure_outbox(in_scope)
    assert list(usable(in_scope)) == [box]
    publication = make_publication(
        in_scope, integration=box, state=State.SCHEDULED, scheduled_at=timezone.now(), due_at=timezone.now()
    )
    hand_over(in_scope)
    assert fresh(publication).state == State.PUBLISHED
    assert OutboxItem.objects.get(publication=publication).file.sha256 == publication.sha256


def test_the_outbox_is_hidden_from_who_has_postiz(profile: Profile) -> None:
    ensure_outbox(profile)
    assert not [row for row in listed(profile) if row.is_outbox]
    assert [row.is_disabled for row in listed(profile)].count(True) == 1
    assert not [row for row in usable(profile) if row.is_disabled]


def test_a_missing_key_waits_and_says_so(profile: Profile) -> None:
    publication = due(profile)
    credentials.credential_delete(profile=profile, kind=POSTIZ)
    hand_over(profile)
    row = fresh(publication)
    assert (row.state, row.error["code"]) == (State.SCHEDULED, "postiz_not_connected")
    assert row.due_at > timezone.now()


def test_what_is_due_gets_one_job_and_none_when_jobs_hold_it(profile: Profile) -> None:
    publication = due(profile)
    job = periodic.due_of(profile)
    assert job is not None
    assert (job.kind, job.queue, job.subject) == ("bulk_publish", "publish", profile.pk)
    assert periodic.due_of(profile) == job  # at most one at a time
    services.job_cancel(profile=profile, job=job)
    asked = handing_over.request_hand_over(profile, [publication], None)
    assert (asked.kind, asked.params["publication_ids"]) == ("publish_clip", [str(publication.pk)])
    assert periodic.due_of(profile) is None


def test_a_job_reports_on_what_it_was_asked_for(profile: Profile) -> None:
    rows = [due(profile), due(profile, "facebook", ahead=timedelta(days=9), due_at=timezone.now() + timedelta(days=8))]
    report = handing_over.hand_over_due(profile=profile, only=[row.pk for row in rows])
    assert [(entry["id"], entry["state"]) for entry in report.publications] == [
        (str(rows[0].pk), "submitted"),
        (str(rows[1].pk), "scheduled"),
    ]


def test_lateness_of_now_counts_from_the_end_of_the_hourly_limit(profile: Profile) -> None:
    now = timezone.now()
    publication = due(profile, scheduled_at=now - timedelta(hours=3))
    until = now - timedelta(minutes=5)
    waiting.put_off(waiting.due(profile), until, {"code": "rate_limited", "message": "x"}, counts=False)
    assert not waiting.is_too_late(fresh(publication), timedelta(minutes=60))
    waiting.put_off(waiting.due(profile), until, {"code": "postiz_unavailable", "message": "y"})
    assert not waiting.is_too_late(fresh(publication), timedelta(minutes=60))
    assert waiting.is_too_late(fresh(publication), timedelta(minutes=4))
    assert channel(profile).identifier == "instagram"


def test_the_call_is_over_soon_after_its_intent_or_is_not_made(
    profile: Profile, stub: StubPostiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    publication = due(profile)
    real = sending.intend

    def stands_still(*rest: Any) -> Any:
        intended = real(*rest)
        time.sleep(0.3)
        return intended

    monkeypatch.setattr(sending, "CALL_SECONDS", 0.2)
    monkeypatch.setattr(sending, "intend", stands_still)
    hand_over(profile)
    assert stub.of_route("POST /posts") == []
    assert fresh(publication).state == State.SCHEDULED


def test_what_ends_the_worker_in_the_call_is_not_swallowed(
    profile: Profile, stub: StubPostiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [due(profile), due(profile)]

    def ends(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Postiz, "create_post", ends)
    with pytest.raises(KeyboardInterrupt):
        hand_over(profile)
    assert [fresh(row).state for row in rows] == [State.UNCONFIRMED, State.SCHEDULED]


def test_a_body_that_cannot_be_made_costs_no_call(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    claim = claims.take(row := fresh(publication))
    held = held_of(profile, row, claim)
    media = sending.upload(held, uploads.Watch())
    row.settings = {"x": float("nan")}
    before = account_of(profile).rate_remaining
    with pytest.raises(ValueError, match="not JSON compliant"):
        sending.submit(held, sending.request_of(held, media))
    assert account_of(profile).rate_remaining == before


def test_a_dead_worker_does_not_make_it_late(profile: Profile, stub: StubPostiz) -> None:
    now = timezone.now()
    publication = due(profile, scheduled_at=now - timedelta(hours=3))
    why = {"code": "rate_limited", "message": "x"}
    waiting.put_off(waiting.due(profile), now - timedelta(minutes=5), why, counts=False)
    claims.take(fresh(publication))
    Publication.objects.update(claimed_until=now - timedelta(seconds=1))
    assert claims.mend(profile) == 1
    assert waiting.mark_missed(profile) == 0
    assert fresh(publication).state == State.SCHEDULED


def test_a_stale_clip_does_not_even_go_to_the_outbox(in_scope: Profile) -> None:
    clip = make_clip(in_scope, is_stale=True)
    now = timezone.now()
    box = ensure_outbox(in_scope)
    publication = make_publication(
        in_scope, clip=clip, integration=box, state=State.SCHEDULED, scheduled_at=now, due_at=now
    )
    hand_over(in_scope)
    assert (fresh(publication).state, fresh(publication).error["code"]) == (State.FAILED, "clip_stale")
    assert not OutboxItem.objects.exists()
