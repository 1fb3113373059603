"""kill -9 of a real Celery worker in the middle of handing a post over: one post each time, and it is known."""

import json
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests import stack
from tests.stack import Api, Installation, Machine, wait_until
from tests.stubs.postiz import StubPostiz

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
QUICK = {"EDITAI_JOB_LEASE_SECONDS": "6", "EDITAI_JOB_REAP_SECONDS": "2", "EDITAI_ALLOW_PRIVATE_HOSTS": "1"}
WHEN = [
    ("POST /upload", "received"),
    ("POST /upload", "after_commit"),
    ("POST /posts", "before_commit"),
    ("POST /posts", "after_commit"),
    ("POST /posts", "before_reply"),
]
MAKE_CLIPS = """
import json
from profiles import scope
from profiles.models import Profile
from publishing.tests.builders import make_clip
profile = Profile.objects.get(pk="{profile}")
with scope.activate(profile.pk):
    print(json.dumps([str(make_clip(profile).pk) for _ in range({count})]))
"""
# the five minutes of a dead worker's lease, and the two until a post is asked about, are over
LET_TIME_PASS = """
from datetime import timedelta
from django.utils import timezone
from profiles import scope
from publishing.models import MediaUpload, Publication
now = timezone.now()
with scope.all_profiles("hand over publications"):
    for model in (MediaUpload, Publication):
        model.objects.filter(claim__isnull=False).update(claimed_until=now - timedelta(seconds=1))
    Publication.objects.filter(next_check_at__isnull=False).update(next_check_at=now)
    Publication.objects.filter(due_at__isnull=False).update(due_at=now)
"""


@pytest.fixture(scope="module")
def stub() -> Iterator[StubPostiz]:
    with StubPostiz() as made:
        yield made


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with stack.embedded(tmp_path_factory.mktemp("publishing"), **QUICK) as made:
        yield made


@pytest.fixture(scope="module")
def api(installation: Installation, stub: StubPostiz) -> Api:
    made = installation.person("olga")
    body = {"api_key": stub.organisation().key, "url": stub.url}
    made.call("PUT", f"profiles/{made.profile_id}/credentials/postiz/", json=body)
    return made


@pytest.fixture(scope="module")
def clips(installation: Installation, api: Api) -> list[str]:
    code = MAKE_CLIPS.format(profile=api.profile_id, count=len(WHEN))
    said = installation.machines[0].manage("shell", "-v0", "-c", code)
    made: list[str] = json.loads(said.strip().splitlines()[-1])
    return made


def kill_worker(machine: Machine) -> int:
    """SIGKILL to the worker of the queue and to its pool; the supervisor starts another. How many processes."""
    found = machine.processes("--queues publish")
    assert found, "no worker to kill"
    for process in found:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    return len(found)


@pytest.mark.parametrize("number", range(len(WHEN)), ids=[" ".join(when) for when in WHEN])
def test_a_worker_killed_while_it_hands_over(
    installation: Installation, api: Api, clips: list[str], stub: StubPostiz, number: int
) -> None:
    (machine,) = installation.machines
    before = len(stub.posts)
    gate = stub.pause(*WHEN[number])
    body = {
        "clip_id": clips[number],
        "integration_ids": [stub.organisation().integration("instagram").id],
        "caption": f"Number {number}",
        "settings": {"instagram": {"post_type": "post"}},
    }
    publication = api.post("publishing/publish/", body, expect=202)["publications"][0]["id"]
    assert gate.wait(60), "no worker came"
    killed = kill_worker(machine)
    gate.resume()

    def in_state(*states: str) -> Any:
        row: dict[str, Any] = api.get(f"publishing/publications/{publication}/")
        return row if row["status"] in states else None

    assert in_state("uploading", "submitting")
    machine.manage("shell", "-v0", "-c", LET_TIME_PASS)
    wait_until(lambda: in_state("submitted", "published"), 90, "the post to be handed over, or found")
    stub.settle()
    machine.manage("shell", "-v0", "-c", LET_TIME_PASS)
    row = wait_until(lambda: in_state("published"), 90, "the post to be published")
    made = stub.posts[before:]
    print(f"killed {killed} processes at {' '.join(WHEN[number])}: {[event['to_state'] for event in row['history']]}")
    assert len(made) == 1
    assert stub.ledger.most() == 1
    assert len(stub.ledger) == before + 1
    assert row["release_url"] == made[0].release_url
