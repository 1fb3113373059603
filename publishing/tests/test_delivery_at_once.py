"""Several workers over the same posts, and over two profiles: one post each, and no key at the wrong organisation."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from conftest import Person
from jobs import execution, registry
from profiles import scope
from profiles.models import Profile
from publishing import periodic
from publishing.delivery import claims, handing_over
from publishing.models import Integration, MediaUpload, Publication
from publishing.states import State
from publishing.tests.builders import make_clip
from publishing.tests.delivering import connect, due, fresh
from publishing.tracking.sync import sync
from tests.racing import race
from tests.stubs.postiz import StubPostiz, faults

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_pauses")]
FILM = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom the same film of both"
NETWORKS = ("instagram", "facebook", "threads", "bluesky")


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def work(profile: Profile) -> Any:
    with scope.activate(profile.pk):
        return handing_over.hand_over_due(profile=profile)


def test_one_of_many_takes_a_post(profile: Profile) -> None:
    publication = due(profile)
    seen = [fresh(publication) for _ in range(6)]  # all of them have seen that it is free

    def take(number: int) -> object:
        with scope.activate(profile.pk):
            return claims.take(seen[number])

    taken = race(take, 6)
    assert not [error for error in taken if isinstance(error, Exception)]
    assert len([claim for claim in taken if claim is not None]) == 1


def test_four_workers_over_the_same_posts(profile: Profile, stub: StubPostiz) -> None:
    rows = [due(profile, network) for network in NETWORKS for _ in range(3)]
    outcomes = race(lambda _: work(profile), 4)
    assert not [error for error in outcomes if isinstance(error, Exception)]
    for _ in range(5):  # those that waited for an upload, or for their turn
        Publication.objects.filter(state=State.SCHEDULED).update(due_at=timezone.now())
        work(profile)
    assert {fresh(row).state for row in rows} == {State.SUBMITTED}
    refs = Counter(post.settings["client_ref"] for post in stub.posts)
    assert set(refs.values()) == {1}
    assert len(stub.posts) == 12
    assert len(stub.media) == 12
    assert stub.settle().most() == 1


def test_four_workers_and_one_file_upload_it_once(profile: Profile, stub: StubPostiz) -> None:
    clip = make_clip(profile)
    rows = [due(profile, network, clip=clip) for network in NETWORKS]
    race(lambda number: work_on(profile, rows[number]), 4)
    for _ in range(3):
        Publication.objects.filter(state=State.SCHEDULED).update(due_at=timezone.now())
        work(profile)
    assert {fresh(row).state for row in rows} == {State.SUBMITTED}
    assert len(stub.of_route("POST /upload")) == 1
    assert MediaUpload.objects.count() == 1


def work_on(profile: Profile, publication: Publication) -> object:
    with scope.activate(profile.pk):
        return handing_over.hand_over_due(profile=profile, only=[publication.pk])


def test_a_message_that_comes_twice_does_nothing_the_second_time(profile: Profile, stub: StubPostiz) -> None:
    publication = due(profile)
    job = handing_over.request_hand_over(profile, [publication], None)
    kind = registry.kind_named("publish_clip")
    assert kind is not None
    race(lambda _: execution.execute(kind, str(profile.pk), str(job.pk)), 3)
    execution.execute(kind, str(profile.pk), str(job.pk))
    job.refresh_from_db()
    assert job.status == "succeeded"
    assert job.result is not None
    assert [entry["state"] for entry in job.result["publications"]] == ["submitted"]
    assert len(stub.of_route("POST /posts")) == 1


def test_the_lease_of_one_in_the_call_ends_while_another_works(profile: Profile, stub: StubPostiz) -> None:
    """The first worker hangs in its call until it counts as dead; the others look, and adopt what it made."""
    publication = due(profile)
    gate = stub.pause("POST /posts", "after_commit")
    first = threading.Thread(target=closing, args=[lambda: work(profile)])
    first.start()
    assert gate.wait(10)
    Publication.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    work(profile)
    assert fresh(publication).state == State.UNCONFIRMED
    Publication.objects.update(next_check_at=timezone.now())
    sync(profile)
    assert fresh(publication).state == State.SUBMITTED
    gate.resume()
    first.join(20)
    row = fresh(publication)
    assert (row.state, row.external_post_id) == (State.SUBMITTED, stub.posts[0].id)
    assert len(stub.of_route("POST /posts")) == 1


def closing(act: Callable[[], object]) -> None:
    """What a thread does, and the end of its connection."""
    try:
        act()
    finally:
        connections.close_all()


def test_two_profiles_two_organisations_forty_posts_four_workers(
    owner: Person, stranger: Person, stub: StubPostiz
) -> None:
    """Acceptance: no key is ever seen at the other's organisation, no channel of one in a request of the other."""
    stub.add_organisation()
    profiles = [owner.profile, stranger.profile]
    for number, profile in enumerate(profiles):
        with scope.activate(profile.pk):
            connect(profile, stub, number)
            clips = [
                make_clip(profile, content=b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom one film of both") for _ in range(5)
            ]
            for clip in clips:
                for network in NETWORKS:
                    due(profile, network, clip=clip)
    stub.faults.script("POST /posts", faults.drop_after_commit(), times=4)
    errors = [one for one in race(lambda number: work(profiles[number % 2]), 4) if isinstance(one, Exception)]
    assert errors == []
    for _ in range(6):
        for profile in profiles:
            with scope.activate(profile.pk):
                Publication.objects.filter(state=State.SCHEDULED).update(due_at=timezone.now())
                Publication.objects.filter(state=State.UNCONFIRMED).update(next_check_at=timezone.now())
                sync(profile)
            work(profile)
    for number, profile in enumerate(profiles):
        with scope.activate(profile.pk):
            states = Counter(Publication.objects.values_list("state", flat=True))
            channels = set(Integration.objects.values_list("external_id", flat=True))
        assert states == {State.SUBMITTED: 20}, states
        organisation = stub.organisation(number)
        mine = [seen for seen in stub.requests if seen.authorization == organisation.key]
        assert {seen.organisation for seen in mine} == {organisation}
        sent = {seen.body["posts"][0]["integration"]["id"] for seen in mine if seen.route == "POST /posts"}
        assert sent <= channels
        assert {post.integration.id for post in stub.posts if post.organisation is organisation} <= channels
    assert {seen.authorization for seen in stub.requests} == {stub.organisation(0).key, stub.organisation(1).key}
    assert len(stub.of_route("POST /posts")) == 40
    assert len(stub.of_route("POST /upload")) == 2  # the very same film, once for each profile
    assert stub.settle().most("ref") == 1
    assert len(stub.ledger) == 40


def test_a_profile_whose_postiz_hangs_does_not_hold_the_others_up(
    owner: Person, stranger: Person, stub: StubPostiz
) -> None:
    stub.add_organisation()
    for number, profile in enumerate([owner.profile, stranger.profile]):
        with scope.activate(profile.pk):
            connect(profile, stub, number)
            due(profile)
            handing_over.hand_over_due(profile=profile)
            Publication.objects.update(next_check_at=timezone.now())
    slow = stub.organisation(0)
    stub.faults.script("GET /posts", faults.hang(3), match=lambda seen: seen.organisation is slow)
    syncing = threading.Thread(target=closing, args=[periodic.sync_everywhere])
    begun = time.monotonic()
    syncing.start()
    while not asked_about(stub, 1) and time.monotonic() - begun < 10:
        time.sleep(0.05)
    waited = time.monotonic() - begun
    syncing.join(30)
    assert waited < 2.5 < time.monotonic() - begun


def asked_about(stub: StubPostiz, number: int) -> bool:
    organisation = stub.organisation(number)
    return any(seen.organisation is organisation and seen.status == 200 for seen in stub.of_route("GET /posts"))
