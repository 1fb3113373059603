"""Refusals name what was typed in, and what to do about it."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from conftest import Person
from profiles.errors import Conflict
from profiles.models import Profile
from publishing.models import Publication
from publishing.states import State
from publishing.tests.api import connected
from publishing.tests.builders import make_clip, make_integration, make_publication
from publishing.to_come import posts_to_come, refuse_if_any
from publishing.transitions import Origin, try_move

BASE = "/api/v1/publishing/"


@pytest.fixture
def profile(in_scope: Profile) -> Profile:
    return connected(in_scope)


def ask(owner: Person, path: str, **parameters: str) -> tuple[int, dict[str, Any]]:
    answer = owner.client.get(f"{BASE}{path}", parameters)
    return answer.status_code, answer.json().get("error", {}).get("fields", {})


def test_a_broken_rule_names_the_clips_by_the_field_of_the_request(owner: Person, profile: Profile) -> None:
    channel = make_integration(profile, "threads")
    clips = [make_clip(profile, name=name, duration_seconds=4000.0) for name in ("Rye", "Oats")]
    body = {"integration_ids": [channel.external_id], "caption": "x"}
    many = {**body, "clip_ids": [str(clip.pk) for clip in clips]}
    error = owner.client.post(f"{BASE}bulk-publish/", many, format="json").json()["error"]
    assert (error["code"], list(error["fields"])) == ("rules_broken", ["clip_ids"])
    assert [any(name in text for text in error["fields"]["clip_ids"]) for name in ("Rye", "Oats")] == [True, True]
    assert {one["field"] for one in error["details"]} == {"clip_ids"}
    single = {**body, "clip_id": str(clips[0].pk)}
    error = owner.client.post(f"{BASE}publish/", single, format="json").json()["error"]
    assert (error["code"], list(error["fields"])) == ("rules_broken", ["clip_id"])


def test_what_was_published_says_how_to_post_it_again(owner: Person, profile: Profile) -> None:
    clip, channel = make_clip(profile), make_integration(profile, "threads")
    row = make_publication(profile, clip=clip, integration=channel, state=State.SCHEDULED)
    now, claim = timezone.now(), uuid4()
    until = now + timedelta(minutes=1)
    assert try_move(row, State.UPLOADING, why="x", origin=Origin.WORKER, claim=claim, claimed_until=until)
    assert try_move(row, State.PUBLISHED, why="x", origin=Origin.WORKER, claim=claim, published_at=now)
    body = {"clip_id": str(clip.pk), "integration_ids": [channel.external_id], "caption": "x"}
    error = owner.client.post(f"{BASE}publish/", body, format="json").json()["error"]
    assert (error["code"], error["details"][0]["id"]) == ("already_published", str(row.pk))
    assert error["message"].endswith("Send repost: true to publish it again.")


def test_posts_to_come_say_status_as_publications_do(owner: Person, profile: Profile) -> None:
    row = make_publication(profile, state=State.SCHEDULED)
    make_publication(profile, state=State.DRAFT)
    with pytest.raises(Conflict) as caught:
        refuse_if_any(posts_to_come(profile, clip=row.clip), "Not now.")
    assert [one["status"] for one in caught.value.details or []] == ["scheduled"]
    for name in ("status", "state"):
        found = owner.client.get(f"{BASE}publications/", {name: "scheduled"}).json()["results"]
        assert [one["id"] for one in found] == [str(row.pk)]
    assert Publication.objects.count() == 2


def test_a_slot_needs_a_channel(owner: Person, profile: Profile) -> None:
    status, fields = ask(owner, "calendar/next-slot/")
    assert (status, list(fields)) == (400, ["integration"])
    assert ask(owner, "calendar/next-slot/", integration="nobody")[0] == 404


def test_what_was_used_last_is_not_narrowed_down(owner: Person, profile: Profile) -> None:
    status, fields = ask(owner, "caption-sets/last/", integration="x")
    assert (status, list(fields)) == (400, ["integration"])
    assert ask(owner, "caption-sets/last/")[0] == 200
