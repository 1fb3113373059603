"""Many publications, several worker processes, large files and a Postiz that means harm."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from conftest import make_person
from jobs import reaper
from jobs.models import Job, Status
from profiles import scope
from profiles.models import Profile
from profiles.services import profile_create
from publishing import periodic
from publishing.delivery import handing_over, uploads
from publishing.models import Integration, PostizAccount, Publication
from publishing.states import State
from publishing.tests.builders import make_clip
from publishing.tests.delivering import due, fresh
from tests.soak.crew import Crew, Worker, crew
from tests.soak.fault_matrix import connect, message
from tests.stubs.postiz import Fault, Organisation, StubPostiz, faults

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600), pytest.mark.django_db(transaction=True)]
WORKERS = 4
NETWORKS = ("instagram", "facebook", "threads", "bluesky")
CLIPS = 5
LARGE = 900 * 10**6
MOST_GROWN = 150 * 2**20  # bytes
MOST_HOSTILE = 100 * 2**20
ONE_CALL, TWO_CALLS = 30, 60  # seconds: each may take 25, and is made once more after a pause


@dataclass
class Brand:
    """A profile, and the organisation that is its own."""

    profile: Profile
    organisation: Organisation


@pytest.fixture(autouse=True)
def _private_hosts(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = True


@pytest.fixture
def stub() -> Iterator[StubPostiz]:
    with StubPostiz(organisations=0) as made:
        yield made


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Crew]:
    with crew(tmp_path, WORKERS) as made:
        yield made


def brands(stub: StubPostiz, count: int) -> list[Brand]:
    user = make_person("olga").user
    made = []
    for number in range(count):
        brand = Brand(profile_create(user=user, name=f"Brand {number}"), stub.add_organisation())
        with scope.activate(brand.profile.pk):
            connect(brand.profile, stub, brand.organisation)
        made.append(brand)
    return made


def run_jobs(hands: Crew, jobs: list[Job], seed: int) -> None:
    """Every worker gets all of the messages, each in another order, at the same moment."""
    chance, futures = random.Random(seed), []
    for _ in hands.members:
        messages = [message(job) for job in jobs]
        chance.shuffle(messages)
        futures.append(hands.start({"do": "jobs", "jobs": messages, "now": timezone.now().isoformat()}))
    for future in futures:
        future.result(120)


def waiting_jobs() -> list[Job]:
    with scope.all_profiles("dispatch waiting jobs"):
        return list(Job.objects.filter(status=Status.QUEUED, run_at__lte=timezone.now()))


def test_two_brands_over_four_workers_never_meet(stub: StubPostiz, hands: Crew) -> None:
    """The brands have the very same files. Messages come to all workers, so each job and each post is fought over."""
    pair = brands(stub, 2)
    owner: dict[str, Brand] = {}
    for number in range(CLIPS):
        for brand in pair:
            with scope.activate(brand.profile.pk):
                clip = make_clip(brand.profile, content=b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes([number]) * 1000)
                rows = [due(brand.profile, network, clip=clip) for network in NETWORKS]
                owner |= {str(row.pk): brand for row in rows}
                for row in rows:
                    handing_over.request_hand_over(brand.profile, [row], None)
    with time_machine.travel(timezone.now(), tick=True) as clock:
        for turn in range(12):
            periodic.due_everywhere()
            run_jobs(hands, waiting_jobs(), turn)
            states = count_states()
            if states == {State.SUBMITTED: len(owner)}:
                break
            clock.shift(timedelta(seconds=10))
    assert states == {State.SUBMITTED: 2 * CLIPS * len(NETWORKS)}, states
    keys = {brand.organisation.key for brand in pair}
    assert {seen.authorization for seen in stub.requests} <= keys
    posts = stub.of_route("POST /posts")
    for seen in posts:
        brand = owner[seen.body["posts"][0]["settings"]["client_ref"]]
        assert seen.organisation is brand.organisation
        assert seen.authorization == brand.organisation.key
        assert brand.organisation.find(seen.body["posts"][0]["integration"]["id"]) is not None
    ledger = stub.settle()
    uploaded = Counter(media.organisation.name for media in stub.media)
    print(
        f"{len(posts)} posts in {turn + 1} turns of {WORKERS} workers, {len(ledger)} publications, most: "
        f"{ledger.most()}; uploads: {dict(uploaded)}; {len(stub.requests)} requests, none with a foreign key"
    )
    assert (len(posts), len(ledger), ledger.most()) == (40, 40, 1)
    assert uploaded == {brand.organisation.name: CLIPS for brand in pair}


def count_states() -> dict[Any, int]:
    with scope.all_profiles("ask about publications"):
        return dict(Counter(Publication.objects.values_list("state", flat=True)))


def test_120_posts_over_four_workers_with_30_an_hour(stub: StubPostiz, hands: Crew) -> None:
    """As in `publishing/tests/test_budget.py`, but with four workers at once over the same posts."""
    (brand,) = brands(stub, 1)
    with scope.activate(brand.profile.pk):
        clips = [make_clip(brand.profile) for _ in range(30)]
        rows = [due(brand.profile, network, clip=clip) for clip in clips for network in NETWORKS]
    hours: list[int] = []
    with time_machine.travel(timezone.now(), tick=True) as clock:
        for turn in range(100):
            with scope.activate(brand.profile.pk):
                for share in range(WORKERS):
                    handing_over.request_hand_over(brand.profile, rows[share::WORKERS], None)
            reaper.reap()
            run_jobs(hands, waiting_jobs(), turn)
            with scope.activate(brand.profile.pk):
                following = Publication.objects.filter(state=State.SCHEDULED).order_by("due_at").first()
            if following is None:
                break
            assert following.due_at is not None
            pause = max(following.due_at - timezone.now(), timedelta(0)) + timedelta(seconds=1)
            hours += [len(stub.posts)] if pause > timedelta(minutes=5) else []
            clock.shift(pause)
    hours.append(len(stub.posts))
    sent = stub.of_route("POST /posts")
    order = {str(row.pk): number for number, row in enumerate(rows)}
    places = [order[seen.body["posts"][0]["settings"]["client_ref"]] for seen in sent]
    by_hour = [places[start:end] for start, end in pairwise([0, *hours])]
    print(
        f"posts of each hour: {[len(hour) for hour in by_hour]}; replies {Counter(seen.status for seen in sent)}; "
        f"states {count_states()}"
    )
    assert count_states() == {State.SUBMITTED: 120}
    assert {seen.status for seen in sent} == {201}
    # what is left is told by replies while other calls are under way: on the safe side, a call may remain unused
    assert max(map(len, by_hour)) <= 30
    assert len(by_hour) <= 5
    # those of one hour are handed over side by side; none takes the place of an earlier one that has to wait
    assert [sorted(hour) for hour in by_hour] == [list(range(start, end)) for start, end in pairwise([0, *hours])]
    assert stub.settle().most() == 1


def test_a_large_clip_is_uploaded_in_flat_memory(stub: StubPostiz, hands: Crew, tmp_path: Path) -> None:
    (brand,) = brands(stub, 1)
    path = tmp_path / "large.mp4"
    with path.open("wb") as file:
        file.write(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
        file.truncate(LARGE)
    with scope.activate(brand.profile.pk):
        clip = make_clip(brand.profile, path=path)
        job = uploads.request_upload(profile=brand.profile, clip=clip, by=None)
    done = hands.run({"do": "jobs", "jobs": [message(job)], "quick": False}).result
    with scope.activate(brand.profile.pk):
        job.refresh_from_db()
        assert job.status == Status.SUCCEEDED, job.error
    (media,) = stub.media
    assert (media.size, media.sha256) == (LARGE, clip.file.sha256 if clip.file else "")
    print(
        f"{LARGE // 10**6} MB in {done['seconds']:.1f} s: worker {done['idle'] >> 20} MB idle, at its peak "
        f"{done['grown'] >> 20} MB above"
    )
    assert done["grown"] < MOST_GROWN


HOSTILE: dict[str, Fault] = {
    "gzip bomb (1 GiB)": faults.gzip(2**30),
    "1 byte/s": faults.slow_drip(1.0),
    "10 GB body": faults.huge_body(10 * 10**9),
    "100,000 channels": faults.huge_integrations(100_000),
    "20,000 channels": faults.huge_integrations(20_000),
}


def harm(stub: StubPostiz, route: str, fault: Fault, brand: Brand) -> None:
    stub.faults.script(route, fault, times=-1, match=lambda seen: seen.organisation is brand.organisation)


def test_a_hostile_postiz_costs_little_and_holds_up_nobody(stub: StubPostiz, hands: Crew) -> None:
    """Channels are listed and posts are asked about at once, of a Postiz that means harm in every way that there is;
    another brand's post is handed over in the meantime."""
    lists = ["gzip bomb (1 GiB)", "1 byte/s", "10 GB body"]
    *many, asked, calm = brands(stub, len(lists) + len(HOSTILE) + 2)
    listing, syncing = many[: len(HOSTILE)], many[len(HOSTILE) :]
    for brand in (*syncing, asked):
        handed_over(brand)
    for name, brand in zip(lists, syncing, strict=True):
        harm(stub, "GET /posts", HOSTILE[name], brand)
    for (_, fault), brand in zip(HOSTILE.items(), listing, strict=True):
        harm(stub, "GET /integrations", fault, brand)
    with scope.activate(calm.profile.pk):
        publication = due(calm.profile)
        job = handing_over.request_hand_over(calm.profile, [publication], None)
        PostizAccount.objects.update(integrations_at=None)  # so that it is listed at the same time
    synced = hands.start({"do": "sync"})
    refreshed = [hands.start({"do": "refresh", "profile": str(brand.profile.pk)}) for brand in listing]
    began = time.monotonic()
    hands.start({"do": "jobs", "jobs": [message(job)], "quick": False}).result(60)
    waited = time.monotonic() - began
    assert not synced.done(), "nothing was going on meanwhile: this proves nothing"
    with scope.activate(calm.profile.pk):
        assert fresh(publication).state == State.SUBMITTED
    print(f"meanwhile another brand's post was handed over in {waited:.1f} s")
    for name, brand, future in zip(HOSTILE, listing, refreshed, strict=True):
        shown = said(f"list of channels, {name}", future)
        with scope.activate(brand.profile.pk):
            known = Integration.objects.filter(removed_at=None).count()
        print(f"    {'taken' if shown['value'] else 'refused'}; {known} channels known")
        assert shown["value"] is (name == "20,000 channels")
        assert known <= 1010
        assert shown["seconds"] < ONE_CALL
    assert said(f"list of posts of four brands: {', '.join(lists)}, and an honest one", synced)["seconds"] < TWO_CALLS
    with scope.activate(asked.profile.pk):
        account = PostizAccount.objects.get(profile=asked.profile)
        assert account.listed_at is not None
    for brand in syncing:
        with scope.activate(brand.profile.pk):
            assert Publication.objects.get().state == State.SUBMITTED  # nothing is known, so nothing is claimed
            problem = PostizAccount.objects.get(profile=brand.profile).problem
            assert problem is not None
            print(f"    {problem['code']}: {problem['message']}")


def handed_over(brand: Brand) -> None:
    """A post of the brand is at Postiz, and it is time to ask about it."""
    with scope.activate(brand.profile.pk):
        due(brand.profile)
        handing_over.hand_over_due(profile=brand.profile)
        assert Publication.objects.filter(state=State.SUBMITTED).update(next_check_at=timezone.now()) == 1


def said(what: str, future: "Future[Worker]") -> dict[str, Any]:
    shown: dict[str, Any] = future.result(120).result
    print(f"{what}: {shown['seconds']:.1f} s, {shown['grown'] >> 20} MB above idle")
    assert shown["grown"] < MOST_HOSTILE
    return shown
