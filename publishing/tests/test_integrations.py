"""Channels as Postiz lists them, hostile lists included; and clips that have posts to come."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from editai.clips.users import Why, ask_before_change, dependants_of, tell_purged
from profiles import credentials
from profiles.errors import Conflict
from profiles.models import Profile
from publishing.channels import integrations
from publishing.channels.connections import POSTIZ, postiz_of
from publishing.channels.texts import clean
from publishing.models import Integration, PostizAccount, Publication
from publishing.states import State
from publishing.tests.builders import make_publication
from publishing.tests.delivering import account_of, channel, connect, due, fresh
from tests.stubs.postiz import StubPostiz, faults

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_pauses")]


@pytest.fixture
def profile(in_scope: Profile, stub: StubPostiz) -> Profile:
    connect(in_scope, stub)
    return in_scope


def test_the_list_is_taken_over_and_kept_for_five_minutes(profile: Profile, stub: StubPostiz) -> None:
    there = {item.id for item in stub.organisation().integrations}
    assert {row.external_id for row in integrations.listed(profile)} == there
    first = stub.organisation().integrations[0]
    row = Integration.objects.get(external_id=first.id)
    assert (row.identifier, row.name, row.customer) == (first.identifier, first.name, "Client A")
    assert integrations.refresh(profile)
    assert stub.requests == []
    PostizAccount.objects.update(integrations_at=timezone.now() - timedelta(minutes=6))
    assert integrations.refresh(profile)
    assert [seen.route for seen in stub.requests] == ["GET /integrations"]


def test_a_channel_that_vanishes_comes_back_as_the_same_row(profile: Profile, stub: StubPostiz) -> None:
    item = stub.organisation().integration("facebook")
    row: Any = channel(profile, "facebook")
    item.deleted = True
    assert integrations.refresh(profile, force=True)
    row.refresh_from_db()
    assert row.removed_at is not None
    assert row not in integrations.listed(profile)
    item.deleted, item.identifier = False, "facebook-business"  # its kind may change, too
    assert integrations.refresh(profile, force=True)
    row.refresh_from_db()
    assert (row.removed_at, row.identifier) == (None, "facebook-business")


def test_an_answer_that_fails_changes_nothing(profile: Profile, stub: StubPostiz) -> None:
    before = set(integrations.usable(profile))
    for fault in (faults.html_502(), faults.empty_401(), faults.truncated_json(), faults.huge_body(6 * 2**20)):
        stub.faults.script("GET /integrations", fault)
        assert not integrations.refresh(profile, force=True)
        assert set(integrations.usable(profile)) == before
        assert account_of(profile).problem is not None
    assert integrations.refresh(profile, force=True)
    assert account_of(profile).problem is None


def test_a_hundred_thousand_channels_are_a_thousand_and_none_is_called_gone(profile: Profile, stub: StubPostiz) -> None:
    stub.faults.script("GET /integrations", faults.huge_integrations(20_000))
    before = integrations.listed(profile).count()
    assert integrations.refresh(profile, force=True)
    assert integrations.listed(profile).count() == before + 1000


def test_wild_rows_are_kept_as_data_or_left_out(profile: Profile, stub: StubPostiz) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": "a/../../b",
            "name": "N\0ul",
            "identifier": "tiktok",
            "picture": "javascript:x",
            "disabled": False,
        },
        {"id": "outbox", "name": "mine", "identifier": "tiktok"},
        {"id": "cmbox", "name": "mine", "identifier": "outbox"},
        {"id": "nothing", "name": "x", "identifier": ""},
    ]
    stub.faults.script("GET /integrations", faults.reply_with(200, rows))
    assert integrations.refresh(profile, force=True), account_of(profile).problem
    [row] = integrations.listed(profile)
    assert (row.external_id, row.name) == ("a/../../b", "Nul")
    assert not Integration.objects.filter(identifier="outbox").exists()
    assert clean("half \ud800 a character", 8) == "half ? a"


def test_another_address_begins_with_a_fresh_budget(profile: Profile) -> None:
    PostizAccount.objects.update(rate_remaining=0, rate_resets_at=timezone.now() + timedelta(hours=1))
    credential = credentials.credential_get(profile=profile, kind=POSTIZ)
    assert credential is not None
    integrations.ensure_account(profile)
    assert account_of(profile).rate_remaining == 0
    type(credential).objects.filter(pk=credential.pk).update(settings={"url": "https://other.example/public/v1"})
    integrations.ensure_account(profile)
    account = account_of(profile)
    assert (account.rate_remaining, account.rate_resets_at, account.integrations_at) == (30, None, None)


# --- clips that have posts to come ----------------------------------------------------------------------


def test_posts_to_come_keep_their_clip_as_it_is(profile: Profile) -> None:
    publication = due(profile)
    clip_id = publication.clip_id
    for why in Why:
        with pytest.raises(Conflict) as refused:
            ask_before_change(profile, [clip_id], why)
        assert refused.value.code == "posts_to_come"
        assert [entry["id"] for entry in refused.value.details or []] == [publication.pk]
    assert [found.id for found in dependants_of(profile, [clip_id], 5)] == [publication.pk]
    draft: Any = make_publication(profile)
    ask_before_change(profile, [draft.clip_id], Why.TRASH)  # only an intention
    ask_before_change(profile, [], Why.TRASH)


def test_a_purged_clip_leaves_the_history_of_its_posts(profile: Profile) -> None:
    draft: Any = make_publication(profile)
    out = make_publication(profile, clip=draft.clip, integration=channel(profile, "facebook"), state=State.SCHEDULED)
    Publication.objects.filter(pk=out.pk).update(state=State.CANCELLED)
    tell_purged(profile, [draft.clip.pk])
    for row in (fresh(draft), fresh(out)):
        assert (row.state, row.clip_id, row.file_id) == (State.CANCELLED, None, None)
        assert row.clip_name
    busy = due(profile)
    with pytest.raises(Conflict):
        tell_purged(profile, [busy.clip_id])


def test_lists_of_two_workers_at_once_remove_nothing(
    profile: Profile, stub: StubPostiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One list was begun earlier, and is written in the middle of the other's writing."""
    account, client = account_of(profile), postiz_of(profile)
    channels, earlier = client.integrations(), timezone.now() - timedelta(seconds=1)
    write, bulk_create = integrations._take_over, Integration.objects.bulk_create

    def overtaken(_: Any, rows: Any, **options: Any) -> Any:
        monkeypatch.undo()
        done = bulk_create(rows, **options)
        write(profile, channels, earlier)
        return done

    monkeypatch.setattr(type(Integration.objects), "bulk_create", overtaken)
    ids = integrations.ask(profile, account, client)
    assert set(Integration.objects.filter(removed_at=None).values_list("external_id", flat=True)) == ids
