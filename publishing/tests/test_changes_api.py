"""What people do with publications that there are; words, slots, calendar and settings over HTTP."""

import socket
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from conftest import Person
from editai.clips.models import Clip
from jobs.models import Job
from profiles.models import Credential, Profile
from publishing import transitions
from publishing.models import CaptionSet, Decision, PostizAccount, Publication, PublishingSettings
from publishing.review import approval
from publishing.states import State
from publishing.tests.api import connected
from publishing.tests.builders import make_clip, make_integration, make_publication
from publishing.transitions import Origin, problem

BASE = "/api/v1/publishing/"
MISSED, ABSENT = problem("missed", "Too late."), problem("absent", "Postiz does not have it.")


@pytest.fixture
def profile(in_scope: Profile) -> Profile:
    return connected(in_scope)


def standing(profile: Profile, state: State, **fields: Any) -> Publication:
    """A publication that came to `state` by the steps that are allowed."""
    values = {"integration": make_integration(profile, "threads"), "state": State.SCHEDULED, **fields}
    if state in {State.DRAFT, State.AWAITING_APPROVAL, State.SCHEDULED}:
        return make_publication(profile, **{**values, "state": state})
    row = make_publication(profile, **values)
    now, claim = timezone.now(), uuid4()
    held = {"claim": claim, "claimed_until": now + timedelta(minutes=1)}
    sent = {"fingerprint_at": now, "submitting_since": now}

    def go(to: State, **more: Any) -> None:
        assert transitions.try_move(row, to, why="test", origin=Origin.SYSTEM, **more)

    if state == State.MISSED:
        go(State.MISSED, error=MISSED)
        return row
    go(State.UPLOADING, **held)
    if state in {State.UPLOADING, State.PUBLISHED}:
        if state == State.PUBLISHED:
            go(State.PUBLISHED, published_at=now)
        return row
    if state == State.FAILED:
        go(State.FAILED, error=problem("refused", "No."))
        return row
    go(State.SUBMITTING, claim=claim, **sent)
    if state == State.SUBMITTED:
        go(State.SUBMITTED, external_post_id="p1", submitted_at=now)
    elif state == State.UNCONFIRMED:
        go(State.UNCONFIRMED, error=ABSENT)
    return row


def send(person: Person, row: Publication, deed: str, **body: Any) -> Any:
    if deed == "patch":
        return person.client.patch(f"{BASE}publications/{row.pk}/", body, format="json")
    return person.client.post(f"{BASE}publications/{row.pk}/{deed}/", body, format="json")


def tomorrow() -> str:
    return (timezone.now() + timedelta(days=1)).isoformat()


S = State
# state -> what each deed answers with: status and, where it stays in hand, the state afterwards
DEEDS: dict[State, dict[str, tuple[int, str | None]]] = {
    S.DRAFT: {"patch": (200, "draft"), "cancel": (200, "cancelled"), "retry": (202, "scheduled")},
    S.AWAITING_APPROVAL: {"patch": (200, "awaiting_approval"), "cancel": (200, "cancelled"), "retry": (409, None)},
    S.SCHEDULED: {"patch": (200, "scheduled"), "cancel": (200, "cancelled"), "retry": (409, None)},
    S.UPLOADING: {"patch": (409, None), "cancel": (200, "cancelled"), "retry": (409, None)},
    S.SUBMITTING: {"patch": (409, None), "cancel": (409, None), "retry": (409, None)},
    S.SUBMITTED: {"patch": (202, "submitted"), "cancel": (202, "submitted"), "retry": (409, None)},
    S.UNCONFIRMED: {"patch": (409, None), "cancel": (202, "unconfirmed"), "resend": (202, "scheduled")},
    S.MISSED: {"patch": (200, "missed"), "cancel": (200, "cancelled"), "retry": (202, "scheduled")},
    S.FAILED: {"patch": (409, None), "cancel": (409, None), "retry": (202, "scheduled")},
    S.PUBLISHED: {"patch": (409, None), "cancel": (409, None), "retry": (409, None), "reconcile": (409, None)},
}
BODIES: dict[str, dict[str, Any]] = {"patch": {"caption": "New"}, "resend": {"understood": True}}
NAMES = {"patch": "edit"}


@pytest.mark.parametrize(
    ("state", "deed"), [(state, deed) for state, deeds in DEEDS.items() for deed in deeds], ids=str
)
def test_each_deed_in_each_state(state: State, deed: str, owner: Person, profile: Profile) -> None:
    row = standing(profile, state)
    offered = owner.client.get(f"{BASE}publications/{row.pk}/").json()["actions"]
    status, after = DEEDS[state][deed]
    answer = send(owner, row, deed, **BODIES.get(deed, {}))
    assert answer.status_code == status, answer.json()
    assert (NAMES.get(deed, deed) in offered) == (status < 400), "what is offered is what is possible"
    now = Publication.objects.get(pk=row.pk)
    assert now.state == (after or state)
    if status == 202:
        assert answer.json()["publications"][0]["id"] == str(row.pk)
    if status >= 400:
        assert not Job.objects.exists()
        assert now.caption == row.caption


def test_cancelled_stays_cancelled(owner: Person, profile: Profile) -> None:
    row = standing(profile, State.SCHEDULED)
    assert [send(owner, row, "cancel").json()["status"] for _ in range(2)] == ["cancelled"] * 2
    assert row.events.filter(to_state="cancelled").count() == 1


def test_a_change_is_told_with_who_and_checked_with_the_networks_rules(owner: Person, profile: Profile) -> None:
    row = standing(profile, State.SCHEDULED)
    refused = send(owner, row, "patch", caption="x" * 501)
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["caption"])
    wanted = tomorrow()
    answer = send(owner, row, "patch", caption="New {words}", scheduled_at=wanted)
    assert (answer.json()["caption"], answer.json()["is_immediate"]) == ("New {words}", False)
    history = owner.client.get(f"{BASE}publications/{row.pk}/").json()["history"]
    assert (history[-1]["by"], history[-1]["why"]) == (owner.user.username, "Changed: caption, time")
    assert Publication.objects.get(pk=row.pk).scheduled_at == datetime.fromisoformat(wanted)


@pytest.mark.parametrize("wrong", ["2020-01-01T00:00:00Z", "2030-01-01T00:00:00", "soon"])
def test_a_time_that_makes_no_sense_changes_nothing(wrong: str, owner: Person, profile: Profile) -> None:
    row = standing(profile, State.SCHEDULED)
    for deed in ("patch", "reschedule"):
        answer = send(owner, row, deed, scheduled_at=wrong)
        assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["scheduled_at"])
    assert Publication.objects.get(pk=row.pk).scheduled_at == row.scheduled_at


def test_other_words_void_an_approval_and_another_time_does_not(owner: Person, profile: Profile) -> None:
    PublishingSettings.objects.create(profile=profile, approval_required=True)
    row = standing(profile, State.AWAITING_APPROVAL)
    approval.approve(profile=profile, publications=[row], by=owner.user)
    assert send(owner, row, "reschedule", scheduled_at=tomorrow()).json()["status"] == "scheduled"
    assert send(owner, row, "patch", first_comment="And more").json()["status"] == "awaiting_approval"
    assert Decision.objects.filter(verdict="voided").count() == 1


def test_what_was_missed_goes_out_at_its_new_time(owner: Person, profile: Profile) -> None:
    row = standing(profile, State.MISSED)
    answer = send(owner, row, "reschedule", scheduled_at=tomorrow())
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (200, "scheduled", None)


def test_what_is_sent_again_has_the_clip_as_it_is_now(owner: Person, profile: Profile) -> None:
    row = standing(profile, State.MISSED)
    other = make_clip(profile)
    Clip.objects.filter(pk=row.clip_id).update(file=other.file)
    assert send(owner, row, "retry").status_code == 202
    now = Publication.objects.get(pk=row.pk)
    assert (now.file_id, now.sha256) == (other.file_id, other.file.sha256 if other.file else "")
    assert now.is_immediate
    stale = standing(profile, State.FAILED)
    Clip.objects.filter(pk=stale.clip_id).update(is_stale=True)
    refused = send(owner, stale, "retry").json()["error"]
    assert refused["code"] == "clip_stale"


def test_nothing_that_may_be_live_is_sent_again(owner: Person, profile: Profile) -> None:
    row = standing(profile, State.FAILED)
    Publication.objects.filter(pk=row.pk).update(may_be_live=True)
    assert send(owner, row, "retry").json()["error"]["code"] == "may_be_live"
    failed = standing(profile, State.FAILED)
    make_publication(profile, clip=failed.clip, integration=failed.integration, state=State.SCHEDULED)
    assert send(owner, failed, "retry").json()["error"]["code"] == "already_open"


def test_resending_takes_a_proof_and_a_word(owner: Person, profile: Profile) -> None:
    row = standing(profile, State.UNCONFIRMED)
    for body in ({}, {"understood": False}):
        answer = send(owner, row, "resend", **body)
        assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["understood"])
    Publication.objects.filter(pk=row.pk).update(error=problem("unknown", "Nobody knows."))
    assert send(owner, row, "resend", understood=True).status_code == 409
    assert Publication.objects.get(pk=row.pk).state == State.UNCONFIRMED


def test_lists_are_narrowed_down(owner: Person, profile: Profile) -> None:
    rows = {state: standing(profile, state) for state in (State.DRAFT, State.MISSED, State.FAILED, State.SCHEDULED)}

    def ids(**query: Any) -> set[str]:
        answer = owner.client.get(f"{BASE}publications/", query)
        assert answer.status_code == 200, answer.json()
        return {row["id"] for row in answer.json()["results"]}

    def of(*states: State) -> set[str]:
        return {str(rows[state].pk) for state in states}

    assert ids(state=["draft", "missed"]) == of(State.DRAFT, State.MISSED)
    assert ids(needs_attention="true") == of(State.MISSED, State.FAILED)
    assert ids(needs_attention="false") == of(State.DRAFT, State.SCHEDULED)
    assert ids(integration=rows[State.DRAFT].integration.external_id) == of(State.DRAFT)
    assert ids(clip=str(rows[State.MISSED].clip_id)) == of(State.MISSED)
    assert ids(network="x") == set()
    assert len(ids(network="threads")) == 4
    assert ids(scheduled_before=timezone.now().isoformat()) == set()
    for name in ("clip", "batch", "integration"):
        assert owner.client.get(f"{BASE}publications/", {name: str(uuid4())}).status_code == 404
    status = owner.client.get(f"{BASE}status/").json()
    assert (status["connection"], status["counts"]["needs_attention"], status["counts"]["waiting"]) == ("ok", 2, 1)
    failed = rows[State.FAILED]
    make_publication(profile, clip=failed.clip, integration=failed.integration)
    assert ids(needs_attention="true") == of(State.MISSED), "another post has taken its place"
    assert owner.client.get(f"{BASE}status/").json()["counts"]["needs_attention"] == 1


def postiz_at(port: int) -> None:
    url = f"http://127.0.0.1:{port}/public/v1"
    Credential.objects.update(settings={"url": url})
    PostizAccount.objects.update(base_url=url, integrations_at=None)


def test_a_postiz_in_trouble_does_not_keep_every_request_waiting(
    owner: Person, profile: Profile, private_hosts: None
) -> None:
    def connection_now() -> str:
        return str(owner.client.get(f"{BASE}status/").json()["connection"])

    with socket.create_server(("127.0.0.1", 0)) as closed:
        postiz_at(closed.getsockname()[1])
    assert [connection_now() for _ in range(2)] == ["trouble"] * 2  # found out, and asked once more
    with socket.create_server(("127.0.0.1", 0)) as silent:  # would keep whoever asks waiting
        postiz_at(silent.getsockname()[1])
        assert connection_now() == "trouble"
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()


# --- words ----------------------------------------------------------------------------------------------


def test_a_placeholder_that_there_is_not_is_named(owner: Person, profile: Profile) -> None:
    body = {"name": "A", "text": "{clip}", "variants": {"threads": {"text": "{klip}"}}}
    error = owner.client.post(f"{BASE}caption-sets/", body, format="json").json()["error"]
    assert error["code"] == "unknown_placeholder"
    assert "{klip}" in error["fields"]["variants.threads.text"][0]
    assert "Did you mean clip?" in error["fields"]["variants.threads.text"][0]
    assert not CaptionSet.objects.exists()


def test_one_set_is_the_default(owner: Person, profile: Profile) -> None:
    made = [owner.client.post(f"{BASE}caption-sets/", {"name": n, "text": "x"}, format="json").json() for n in "AB"]
    for one in made:
        assert owner.client.post(f"{BASE}caption-sets/{one['id']}/set-default/").json()["is_default"] is True
    assert [str(pk) for pk in CaptionSet.objects.filter(is_default=True).values_list("pk", flat=True)] == [
        made[1]["id"]
    ]
    twice = owner.client.post(f"{BASE}caption-sets/", {"name": "A", "text": "y"}, format="json")
    assert (twice.status_code, twice.json()["error"]["code"]) == (409, "name_taken")


def test_hashtags_are_plain_words_and_come_once(owner: Person, profile: Profile) -> None:
    body = {"name": "T", "tags": ["#Bread", "bread", "brot_2", "#Bäckerei"]}
    made = owner.client.post(f"{BASE}hashtag-sets/", body, format="json").json()
    assert made["tags"] == ["Bread", "brot_2", "Bäckerei"]
    for wrong in ("two words", "#", "a#b", ""):
        answer = owner.client.post(f"{BASE}hashtag-sets/", {"name": "U", "tags": [wrong]}, format="json")
        assert answer.status_code == 400, wrong


def test_a_preview_counts_as_the_networks_do(owner: Person, profile: Profile) -> None:
    clip = make_clip(profile, name="Brot 🍞")
    row = CaptionSet.objects.create(profile=profile, name="P", text="{clip}", variants={"x": {"text": "X: {clip}"}})
    body = {"clip_id": str(clip.pk), "networks": ["x", "threads"]}
    found = owner.client.post(f"{BASE}caption-sets/{row.pk}/preview/", body, format="json").json()["results"]
    shown = {one["network"]: (one["caption"], one["length"], one["limit"]) for one in found}
    assert shown["x"] == ("X: Brot 🍞", 10, 280)
    assert shown["threads"][0] == "Brot 🍞"


# --- calendar, slots, settings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"start": "2030-01-01"}, "end"),
        ({"start": "2030-01-01", "end": "2030-06-01"}, "end"),
        ({"start": "2030-02-01", "end": "2030-01-01"}, "end"),
        ({"start": "2030-01-01T00:00:00", "end": "2030-01-02"}, "start"),
        ({"start": "2030-13-01", "end": "2030-01-02"}, "start"),
        ({"start": "0001-01-01", "end": "0001-01-02"}, "start"),
        ({"start": "2030-01-01", "end": "2030-01-02", "form": "x"}, "form"),
    ],
)
def test_a_range_that_makes_no_sense(query: dict[str, str], field: str, owner: Person, profile: Profile) -> None:
    answer = owner.client.get(f"{BASE}calendar/", query)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [field])


def test_a_day_of_the_calendar_is_the_profiles_day(owner: Person, profile: Profile) -> None:
    PublishingSettings.objects.create(profile=profile, time_zone="Pacific/Auckland")
    late = datetime.fromisoformat("2030-06-30T23:59:00+12:00")
    for number, moment in enumerate([late, late + timedelta(minutes=2)]):
        make_publication(profile, scheduled_at=moment, caption=str(number))
    answer = owner.client.get(f"{BASE}calendar/", {"start": "2030-06-30", "end": "2030-06-30"}).json()
    assert [(day["date"], [entry["caption"] for entry in day["entries"]]) for day in answer["days"]] == [
        ("2030-06-30", ["0"])
    ]


def test_slots_are_replaced_as_a_whole(owner: Person, profile: Profile) -> None:
    channel = make_integration(profile)
    url = f"{BASE}integrations/{channel.external_id}/slots/"
    slots = [{"weekday": 4, "time": "18:30"}, {"weekday": 0, "time": "09:00"}]
    assert owner.client.put(url, {"slots": slots}, format="json").json()["slots"] == slots[::-1]
    for wrong in ([{"weekday": 7, "time": "18:30"}], [{"weekday": 1, "time": "25:00"}], [slots[0]] * 2):
        assert owner.client.put(url, {"slots": wrong}, format="json").status_code == 400
    assert owner.client.get(url).json()["slots"] == slots[::-1]


def test_settings_are_checked_and_approval_is_for_owners(owner: Person, member: Any, profile: Profile) -> None:
    editor, url = member("editor"), f"{BASE}settings/"
    for body, field in (
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"network_settings": {"tiktok": {"privacy_level": "EVERYONE"}}}, "network_settings.tiktok.privacy_level"),
        ({"hand_over_minutes": -1}, "hand_over_minutes"),
        ({"zone": "UTC"}, "zone"),
    ):
        answer = editor.client.patch(url, body, format="json")
        assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [field])
    assert editor.client.patch(url, {"approval_required": True}, format="json").status_code == 403
    assert not PublishingSettings.objects.exists()
    row = standing(profile, State.SCHEDULED, scheduled_at=timezone.now() + timedelta(days=9))
    wanted: dict[str, Any] = {
        "time_zone": "Europe/Berlin",
        "hand_over_minutes": 60,
        "network_settings": {"tiktok": {"duet": False}},
    }
    assert editor.client.patch(url, wanted, format="json").json() == {
        "approval_required": False,
        "grace_minutes": 60,
        **wanted,
    }
    assert Publication.objects.get(pk=row.pk).due_at == row.scheduled_at - timedelta(hours=1)
    assert owner.client.patch(url, {"approval_required": True}, format="json").json()["approval_required"] is True
    assert Publication.objects.get(pk=row.pk).state == State.AWAITING_APPROVAL
    removed = editor.client.patch(url, {"network_settings": {"tiktok": None}}, format="json").json()
    assert removed["network_settings"] == {}


def test_networks_name_their_sources(owner: Person, profile: Profile) -> None:
    found = {one["network"]: one for one in owner.client.get(f"{BASE}networks/").json()["results"]}
    assert {field["name"] for field in found["tiktok"]["settings"] if field["required"]} >= {"privacy_level"}
    assert all(rule["source"] and rule["checked_on"] for one in found.values() for rule in one["rules"])


def test_preflight_and_fix(owner: Person, profile: Profile) -> None:
    clip, channel = make_clip(profile), make_integration(profile, "threads")
    body = {"clip_id": str(clip.pk), "integration_ids": [channel.external_id], "caption": "x" * 501}
    found = owner.client.post(f"{BASE}preflight/", body, format="json").json()["results"]
    assert [(row["network"], row["level"], row["can_fix"]) for row in found] == [("threads", "fail", False)]
    broken = [(one["rule"], one["limit"]) for one in found[0]["findings"] if one["level"] == "fail"]
    assert ("caption_max", 500) in broken
    fix = {"clip_id": str(clip.pk), "integration_ids": [channel.external_id]}
    assert owner.client.post(f"{BASE}fix/", fix, format="json").json()["kind"] == "fix_rendition"
    wrong = owner.client.post(f"{BASE}fix/", {"clip_id": str(clip.pk)}, format="json")
    assert (wrong.status_code, list(wrong.json()["error"]["fields"])) == (400, ["networks"])


def test_an_upload_is_a_job(owner: Person, profile: Profile) -> None:
    clip = make_clip(profile)
    answer = owner.client.post(f"{BASE}upload/", {"clip_id": str(clip.pk)}, format="json")
    assert (answer.status_code, answer.json()["kind"]) == (202, "upload_clip")
    path = owner.client.post(f"{BASE}upload/", {"clip_id": "/etc/passwd"}, format="json")
    assert (path.status_code, list(path.json()["error"]["fields"])) == (400, ["clip_id"])
