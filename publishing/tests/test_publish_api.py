"""Publishing over HTTP: what is made of a request, what is refused and that nothing is left of it then."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from conftest import Person, make_person, person_of
from editai.clips.models import Clip
from jobs.models import Job
from profiles import scope
from profiles.errors import NotFound
from profiles.models import Ceiling, Profile
from publishing.models import Batch, CaptionSet, HashtagSet, Integration, Publication, PublicationEvent
from publishing.models.accounts import PublishingSettings
from publishing.planning.text_sets import captionset_update, hashtagset_update
from publishing.states import State
from publishing.tests.api import connected
from publishing.tests.builders import make_clip, make_integration, make_publication

PUBLISH, BULK = "/api/v1/publishing/publish/", "/api/v1/publishing/bulk-publish/"
IN_A_DAY = (timezone.now() + timedelta(days=1)).isoformat()


@pytest.fixture
def profile(in_scope: Profile) -> Profile:
    return connected(in_scope)


def rows_of(profile: Profile) -> int:
    return Publication.objects.count() + PublicationEvent.objects.count() + Batch.objects.count() + Job.objects.count()


# --- what works -----------------------------------------------------------------------------------------


def test_one_clip_goes_to_two_channels(owner: Person, profile: Profile) -> None:
    clip, one, two = make_clip(profile), make_integration(profile), make_integration(profile, "threads")
    body = {"clip_id": str(clip.pk), "caption": "Fresh {bread}", "integration_ids": [two.external_id, one.external_id]}
    answer = owner.client.post(PUBLISH, body | {"schedule_date": IN_A_DAY}, format="json")
    assert answer.status_code == 202, answer.json()
    made = answer.json()
    assert (made["kind"], made["status"]) == ("publish_clip", "queued")
    shown = [(row["status"], row["caption"], row["clip"], row["integration"]) for row in made["publications"]]
    common = ("scheduled", "Fresh {bread}", str(clip.pk))
    assert shown == [(*common, two.external_id), (*common, one.external_id)]
    for row in Publication.objects.all():
        assert clip.file is not None
        assert row.sha256 == clip.file.sha256
        assert row.scheduled_at == datetime.fromisoformat(IN_A_DAY)
        assert row.due_at is not None
        assert [event.to_state for event in row.events.all()] == ["scheduled"]
    job = Job.objects.get()
    assert job.params["publication_ids"] == [row["id"] for row in made["publications"]]
    listed = owner.client.get("/api/v1/publishing/publications/").json()["results"]
    assert {row["id"] for row in listed} == {row["id"] for row in made["publications"]}


def test_the_same_request_twice_is_one(owner: Person, profile: Profile) -> None:
    clip, channel = make_clip(profile), make_integration(profile)
    body = {"clip_id": str(clip.pk), "caption": "x", "integration_ids": [channel.external_id]}
    first, second = (
        owner.client.post(PUBLISH, body, format="json", headers={"Idempotency-Key": "k"}) for _ in range(2)
    )
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    assert first.json()["publications"] == second.json()["publications"]
    other = owner.client.post(PUBLISH, body | {"caption": "y"}, format="json", headers={"Idempotency-Key": "k"})
    assert other.status_code == 409
    assert Publication.objects.count() == 1


def test_without_postiz_it_goes_to_the_outbox(owner: Person, in_scope: Profile) -> None:
    clip = make_clip(in_scope)
    channels = owner.client.get("/api/v1/publishing/integrations/").json()["results"]
    assert [(row["identifier"], row["is_outbox"]) for row in channels] == [("outbox", True)]
    body = {"clip_id": str(clip.pk), "caption": "x", "integration_ids": [channels[0]["id"]]}
    answer = owner.client.post(PUBLISH, body, format="json")
    assert answer.status_code == 202, answer.json()
    assert answer.json()["publications"][0]["is_outbox"] is True
    status = owner.client.get("/api/v1/publishing/status/").json()
    assert (status["configured"], status["connection"]) == (False, "none")
    assert "outbox" in status["label"].lower()
    refused = owner.client.post("/api/v1/publishing/upload/", {"clip_id": str(clip.pk)}, format="json")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "postiz_not_connected")


@pytest.mark.parametrize(("required", "draft", "state"), [(False, True, "draft"), (True, False, "awaiting_approval")])
def test_drafts_and_what_needs_approval_begin_as_such(
    required: bool, draft: bool, state: str, owner: Person, profile: Profile
) -> None:
    PublishingSettings.objects.create(profile=profile, approval_required=required)
    clip, channel = make_clip(profile), make_integration(profile)
    ids = {"clip_id": str(clip.pk), "integration_ids": [channel.external_id]}
    body: dict[str, Any] = {**ids, "caption": "x", "draft": draft}
    answer = owner.client.post(PUBLISH, body, format="json")
    assert [row["status"] for row in answer.json()["publications"]] == [state]
    assert Publication.objects.get().due_at is None


def test_words_come_from_the_set_its_variants_or_what_was_used_last(owner: Person, profile: Profile) -> None:
    tags = HashtagSet.objects.create(profile=profile, name="Bakery", tags=["bread"])
    words = CaptionSet.objects.create(
        profile=profile,
        name="Morning",
        text="{clip} no. {number} from {brand}",
        first_comment="{project}",
        variants={"threads": {"text": "Short {clip}"}},
        hashtags=tags,
    )
    clips = [make_clip(profile, name=f"Rye {n}") for n in (1, 2)]
    one, two = make_integration(profile), make_integration(profile, "threads")
    ids = {"integration_ids": [one.external_id, two.external_id]}
    body = {"clip_ids": [str(clip.pk) for clip in clips], "caption_set_id": str(words.pk), **ids}
    made = owner.client.post(BULK, body | {"schedule_date": IN_A_DAY}, format="json").json()["publications"]
    captions = [row["caption"] for row in made]
    assert captions[0] == f"Rye 1 no. 1 from {profile.name}\n\n#bread"
    assert captions[1] == "Short Rye 1\n\n#bread"
    assert captions[2] == f"Rye 2 no. 2 from {profile.name}\n\n#bread"
    assert made[0]["first_comment"] == clips[0].project.name
    last = owner.client.get("/api/v1/publishing/caption-sets/last/").json()["results"]
    assert {row["network"]: row["caption"] for row in last} == {
        "instagram": "{clip} no. {number} from {brand}",
        "threads": "Short {clip}",
    }
    third = make_clip(profile, name="Spelt")
    again_body: dict[str, Any] = {"clip_id": str(third.pk), "use_last": True, **ids}
    again = owner.client.post(PUBLISH, again_body, format="json").json()["publications"]
    assert [row["caption"] for row in again] == [f"Spelt no. 1 from {profile.name}\n\n#bread", "Short Spelt\n\n#bread"]


def test_without_words_the_default_set_counts(owner: Person, profile: Profile) -> None:
    clip, channel = make_clip(profile, name="Rye"), make_integration(profile)
    body = {"clip_id": str(clip.pk), "integration_ids": [channel.external_id]}
    refused = owner.client.post(PUBLISH, body, format="json")
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["caption"])
    CaptionSet.objects.create(profile=profile, name="D", text="{clip}!", is_default=True)
    made = owner.client.post(PUBLISH, body, format="json").json()["publications"]
    assert made[0]["caption"] == "Rye!"


def test_words_for_one_network_leave_the_others_the_default_set(owner: Person, profile: Profile) -> None:
    clip, one, two = make_clip(profile, name="Rye"), make_integration(profile, "threads"), make_integration(profile)
    ids = {"clip_id": str(clip.pk), "integration_ids": [one.external_id, two.external_id]}
    body: dict[str, Any] = {**ids, "captions": {"threads": "Short"}}
    refused = owner.client.post(PUBLISH, body, format="json")
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["caption"])
    assert rows_of(profile) == 0
    CaptionSet.objects.create(profile=profile, name="D", text="{clip}!", is_default=True)
    made = owner.client.post(PUBLISH, body, format="json").json()["publications"]
    assert [row["caption"] for row in made] == ["Short", "Rye!"]


@pytest.mark.parametrize("field", ["captions", "settings"])
def test_a_network_that_is_misspelt_is_named(field: str, owner: Person, profile: Profile) -> None:
    clip, channel = make_clip(profile), make_integration(profile, "threads")
    ids = {"clip_id": str(clip.pk), "integration_ids": [channel.external_id], "caption": "x"}
    value: Any = "Short" if field == "captions" else {}
    refused = owner.client.post(PUBLISH, {**ids, field: {"thread": value}}, format="json")
    assert refused.status_code == 400
    assert "threads" in refused.json()["error"]["fields"][f"{field}.thread"][0]
    assert rows_of(profile) == 0
    # a network that is none of the chosen ones is no mistake: scripts keep the words for all of them in one place
    made = owner.client.post(PUBLISH, {**ids, field: {"mastodon": value}}, format="json")
    assert made.status_code == 202


def test_a_set_that_is_deleted_while_it_is_changed_is_gone(profile: Profile) -> None:
    for row, change in (
        (CaptionSet.objects.create(profile=profile, name="D", text="x"), captionset_update),
        (HashtagSet.objects.create(profile=profile, name="D", tags=[]), hashtagset_update),
    ):
        type(row).objects.filter(pk=row.pk).delete()
        with pytest.raises(NotFound):
            change(profile=profile, row=row, name="E")


def test_two_sources_of_words_are_one_too_many(owner: Person, profile: Profile) -> None:
    clip, channel = make_clip(profile), make_integration(profile, "threads")
    body: dict[str, Any] = {"clip_id": str(clip.pk), "integration_ids": [channel.external_id], "caption": "x"}
    assert owner.client.post(PUBLISH, body, format="json").status_code == 202
    body |= {"clip_id": str(make_clip(profile).pk), "use_last": True}
    refused = owner.client.post(PUBLISH, body, format="json")
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["use_last"])


# --- what is refused, with nothing left of it ------------------------------------------------------------


def _draft(profile: Profile) -> dict[str, Any]:
    clip, channel = make_clip(profile), make_integration(profile, "threads", external_id="good")
    return {"clip_id": str(clip.pk), "caption": "x", "integration_ids": [channel.external_id]}


Change = Callable[[Profile, dict[str, Any]], dict[str, Any]]


def _with(**values: Any) -> Change:
    return lambda profile, body: {**body, **values}


def _clip(**fields: Any) -> Change:
    return lambda profile, body: {**body, "clip_id": str(make_clip(profile, **fields).pk)}


def _unrendered(profile: Profile, body: dict[str, Any]) -> dict[str, Any]:
    clip = make_clip(profile)
    type(clip).objects.filter(pk=clip.pk).update(state="queued", file=None, rendered_hash="", rendered_at=None)
    return {**body, "clip_id": str(clip.pk)}


def _channel(**fields: Any) -> Change:
    return lambda profile, body: {
        **body,
        "integration_ids": ["good", make_integration(profile, **{"identifier": "threads", **fields}).external_id],
    }


def _foreign_clip(profile: Profile, body: dict[str, Any]) -> dict[str, Any]:
    other = make_person("foreign").profile
    with scope.activate(other.pk):
        return {**body, "clip_id": str(make_clip(other).pk)}


def _foreign_channel(profile: Profile, body: dict[str, Any]) -> dict[str, Any]:
    other = make_person("foreign").profile
    with scope.activate(other.pk):
        return {**body, "integration_ids": ["good", make_integration(other, external_id="theirs").external_id]}


def _open_already(profile: Profile, body: dict[str, Any]) -> dict[str, Any]:
    make_publication(
        profile, clip=_clip_of(body), integration=Integration.objects.get(external_id="good"), state=State.SCHEDULED
    )
    return body


def _clip_of(body: dict[str, Any]) -> Any:
    return Clip.objects.get(pk=body["clip_id"])


def _published_already(profile: Profile, body: dict[str, Any]) -> dict[str, Any]:
    row = make_publication(
        profile, clip=_clip_of(body), integration=Integration.objects.get(external_id="good"), state=State.SCHEDULED
    )
    for state in (State.UPLOADING, State.PUBLISHED):
        held = (
            {"claim": uuid4(), "claimed_until": timezone.now()}
            if state == State.UPLOADING
            else {
                "claim": None,
                "claimed_until": None,
                "published_at": timezone.now(),
            }
        )
        Publication.objects.filter(pk=row.pk).update(state=state, **held)
    return body


def _without_words(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in ("clip_id", "integration_ids")}


NAIVE, PAST = "2030-01-01T10:00:00", "2020-01-01T10:00:00Z"
BAD: dict[str, tuple[Change, int, str, str | None]] = {
    # what is wrong: how to make it so, status, code, field
    "naive date": (_with(schedule_date=NAIVE), 400, "invalid", "schedule_date"),
    "past date": (_with(schedule_date=PAST), 400, "past_date", "schedule_date"),
    "far date": (_with(schedule_date="2099-01-01T10:00:00Z"), 400, "too_far_ahead", "schedule_date"),
    "date at the edge of time": (_with(schedule_date="9999-12-31T23:59:59-14:00"), 400, "invalid", "schedule_date"),
    "no date at all": (_with(schedule_date="soon"), 400, "invalid", "schedule_date"),
    "no integration": (_with(integration_ids=[]), 400, "invalid", "integration_ids"),
    "integration twice": (_with(integration_ids=["good", "good"]), 400, "invalid", "integration_ids"),
    "unknown integration": (_with(integration_ids=["good", "nope"]), 404, "not_found", "integration_ids"),
    "foreign integration": (_foreign_channel, 404, "not_found", "integration_ids"),
    "disabled integration": (_channel(is_disabled=True), 400, "integration_disabled", "integration_ids"),
    "removed integration": (_channel(removed_at=timezone.now()), 404, "not_found", "integration_ids"),
    "unknown clip": (_with(clip_id=str(uuid4())), 404, "not_found", None),
    "foreign clip": (_foreign_clip, 404, "not_found", None),
    "unrendered clip": (_unrendered, 409, "clip_not_ready", "clip_id"),
    "stale clip": (_clip(is_stale=True), 409, "clip_stale", "clip_id"),
    "over-long caption": (_with(caption="x" * 501), 400, "rules_broken", "caption"),
    "caption that nothing holds": (_with(caption="x" * 30_000), 400, "invalid", "caption"),
    "missing network settings": (
        _channel(identifier="tiktok"),
        400,
        "rules_broken",
        "settings.tiktok.privacy_level",
    ),
    "wrong network setting": (
        lambda profile, body: {
            **_channel(identifier="instagram")(profile, body),
            "settings": {"instagram": {"post_type": "poem"}},
        },
        400,
        "rules_broken",
        "settings.instagram.post_type",
    ),
    "unknown placeholder": (_with(caption="{clips}", fill_in=True), 400, "unknown_placeholder", "caption"),
    "unknown field": (_with(scheduled_date=IN_A_DAY), 400, "invalid", "scheduled_date"),
    "two kinds of words": (_with(caption_set_id=str(uuid4())), 400, "invalid", "caption_set_id"),
    "unknown caption set": (
        lambda profile, body: {"caption_set_id": str(uuid4()), **_without_words(body)},
        404,
        "not_found",
        None,
    ),
    "open already": (_open_already, 409, "already_open", "clip_id"),
    "published already": (_published_already, 409, "already_published", "repost"),
}


@pytest.mark.parametrize("bulk", [False, True], ids=["publish", "bulk"])
@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_refused_as_a_whole(case: str, bulk: bool, owner: Person, profile: Profile) -> None:
    change, status, code, field = BAD[case]
    body = change(profile, _draft(profile))
    if bulk:  # beside one that is fine
        body["clip_ids"] = [str(make_clip(profile).pk), body.pop("clip_id")]
        field = "clip_ids" if field == "clip_id" else field
    before = rows_of(profile)
    answer = owner.client.post(BULK if bulk else PUBLISH, body, format="json", headers={"Idempotency-Key": "k"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code), error
    assert list(error.get("fields", {}))[:1] == ([field] if field else [])
    assert rows_of(profile) == before


@pytest.mark.parametrize("case", BAD)
def test_the_control_is_carried_out(case: str, owner: Person, profile: Profile) -> None:
    """What each case starts from is fine: it is refused for what it changed, and for nothing else."""
    assert owner.client.post(PUBLISH, _draft(profile), format="json").status_code == 202


def test_a_foreign_channel_cannot_be_told_from_none(owner: Person, profile: Profile) -> None:
    body = _draft(profile)
    foreign = owner.client.post(PUBLISH, _foreign_channel(profile, body), format="json")
    unknown = owner.client.post(PUBLISH, {**body, "integration_ids": ["good", "nope"]}, format="json")
    assert foreign.content == unknown.content


def test_a_repost_is_said_to_be_one(owner: Person, profile: Profile) -> None:
    body = _published_already(profile, _draft(profile))
    refused = owner.client.post(PUBLISH, body, format="json").json()["error"]
    assert refused["details"][0]["published_at"] is not None
    made = owner.client.post(PUBLISH, body | {"repost": True}, format="json")
    assert made.status_code == 202, made.json()
    assert made.json()["publications"][0]["repost_of"] == refused["details"][0]["id"]


@pytest.mark.parametrize(
    ("clips", "channels", "field"), [(101, 1, "clip_ids"), (1, 21, "integration_ids"), (60, 20, "clip_ids")]
)
def test_limits(clips: int, channels: int, field: str, owner: Person, profile: Profile) -> None:
    body = {
        "clip_ids": [str(uuid4()) for _ in range(clips)],
        "integration_ids": [f"c{number}" for number in range(channels)],
        "caption": "x",
    }
    answer = owner.client.post(BULK, body, format="json")
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [field])


def test_a_token_that_may_only_write_does_not_publish(owner: Person, profile: Profile) -> None:
    writer, publisher = (person_of(owner.user, ceiling=one).client for one in (Ceiling.WRITE, Ceiling.PUBLISH))
    body = _draft(profile)
    assert writer.post(PUBLISH, body, format="json").status_code == 403
    assert publisher.post(PUBLISH, body, format="json").status_code == 202


@pytest.mark.parametrize(
    ("method", "address", "body", "field"),
    [
        ("patch", "settings/", {"network_settings": {"tiktk": {"comment": True}}}, "network_settings.tiktk"),
        ("post", "caption-sets/", {"name": "n", "text": "t", "variants": {"tikok": {"text": "x"}}}, "variants.tikok"),
    ],
)
def test_a_misspelt_network_is_named(owner: Person, method: str, address: str, body: Any, field: str) -> None:
    answer = getattr(owner.client, method)(f"/api/v1/publishing/{address}", body, format="json")
    assert answer.status_code == 400
    assert "Did you mean tiktok?" in str(answer.json()["error"]["fields"][field])


def test_a_network_that_nobody_knows_yet_is_let_through(owner: Person) -> None:
    body = {"name": "n", "text": "t", "variants": {"brand-new-network": {"text": "x"}}}
    assert owner.client.post("/api/v1/publishing/caption-sets/", body, format="json").status_code == 201
