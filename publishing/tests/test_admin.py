"""Publishing in the admin: every page opens, secrets stay hidden, and actions do what the services allow."""

from datetime import time, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from conftest import Person
from profiles import scope
from profiles.models import Membership, Profile
from publishing.models import (
    Batch,
    CaptionSet,
    HashtagSet,
    MediaUpload,
    OutboxItem,
    PostizAccount,
    Publication,
    PublishingSettings,
    Rendition,
    ReviewLink,
    Slot,
)
from publishing.review import approval
from publishing.review import links as review
from publishing.states import State
from publishing.tests.builders import make_clip, make_integration, make_publication
from publishing.tests.test_outbox import delivered

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def browser(owner: Person) -> Client:
    client = Client()
    client.force_login(owner.user)
    return client


@pytest.fixture
def rows(in_scope: Profile, owner: Person) -> dict[str, Any]:
    """One row of everything that can be looked at, by the name of its model."""
    PublishingSettings.objects.create(profile=in_scope, approval_required=True)
    clip = make_clip(in_scope)
    waiting = make_publication(in_scope, clip=clip, state=State.AWAITING_APPROVAL, release_url="javascript:alert(1)")
    link, _ = review.link_create(profile=in_scope, clip=clip, by=owner.user)
    approval.approve(profile=in_scope, publications=[waiting], link=link, reviewer="Ann <b>", comment="Fine")
    PublishingSettings.objects.update(approval_required=False)
    item = delivered(in_scope, settings={"privacy": "public"})
    hashtags = HashtagSet.objects.create(profile=in_scope, name="Bread", tags=["bread"])
    made = {
        "publication": waiting,
        "publicationevent": waiting.events.first(),
        "decision": waiting.decisions.first(),
        "reviewlink": link,
        "outboxitem": item,
        "publishingsettings": PublishingSettings.objects.get(),
        "postizaccount": PostizAccount.objects.create(profile=in_scope, base_url="https://postiz.example"),
        "integration": waiting.integration,
        "slot": Slot.objects.create(profile=in_scope, integration=waiting.integration, weekday=0, time=time(9)),
        "mediaupload": MediaUpload.objects.create(profile=in_scope, base_url="https://postiz.example", sha256="0" * 64),
        "batch": Batch.objects.create(profile=in_scope, total=3),
        "hashtagset": hashtags,
        "captionset": CaptionSet.objects.create(profile=in_scope, name="Words", text="Hello", hashtags=hashtags),
        "rendition": Rendition.objects.create(
            profile=in_scope, clip=clip, network="x", made_from="0" * 64, file=clip.file, media={}
        ),
    }
    return made


def test_every_row_can_be_looked_at_and_none_edited_past_the_services(browser: Client, rows: dict[str, Any]) -> None:
    for name, row in rows.items():
        listing = browser.get(reverse(f"admin:publishing_{name}_changelist"))
        assert listing.status_code == 200, name
        address = reverse(f"admin:publishing_{name}_change", args=[row.pk])
        page = browser.get(address)
        assert page.status_code == 200, name
        assert b'name="_save"' not in page.content, name
        assert browser.post(address, {}).status_code == 403, name
        assert browser.get(reverse(f"admin:publishing_{name}_add")).status_code == 403, name
        assert browser.get(reverse(f"admin:publishing_{name}_delete", args=[row.pk])).status_code == 403, name


def test_no_model_of_a_profile_was_forgotten(rows: dict[str, Any]) -> None:
    registered = {model._meta.model_name for model in admin.site._registry if model._meta.app_label == "publishing"}
    assert registered - {"networkrule"} == set(rows)


def test_secrets_and_foreign_words_are_no_danger(browser: Client, rows: dict[str, Any]) -> None:
    link = rows["reviewlink"]
    page = browser.get(reverse("admin:publishing_reviewlink_change", args=[link.pk])).content.decode()
    assert ReviewLink.objects.get(pk=link.pk).token_hash not in page
    publication = browser.get(reverse("admin:publishing_publication_change", args=[rows["publication"].pk]))
    text = publication.content.decode()
    assert 'href="javascript:' not in text
    assert "Ann &lt;b&gt;" in text
    assert "Approved by Ann" in text


def test_errors_times_and_networks_are_told_in_words(browser: Client, rows: dict[str, Any]) -> None:
    row = rows["publication"]
    told = {"code": "x", "message": "It was refused.", "next_step": "Shorten it.", "retryable": False}
    Publication.objects.filter(pk=row.pk).update(error=told, may_be_live=True)
    page = browser.get(reverse("admin:publishing_publication_change", args=[row.pk])).content.decode()
    assert "It was refused. Shorten it." in page
    assert "retryable" not in page
    assert "Yes: look at the network" in page
    assert f"{row.created_at:%H:%M} UTC" in page
    type(row.integration).objects.filter(pk=row.integration.pk).update(identifier="linkedin")
    assert "LinkedIn" in browser.get(reverse("admin:publishing_integration_changelist")).content.decode()


def test_an_item_of_the_outbox_brings_its_file(browser: Client, rows: dict[str, Any]) -> None:
    page = browser.get(reverse("admin:publishing_outboxitem_change", args=[rows["outboxitem"].pk])).content.decode()
    assert "Local outbox: not posted on any network" in page
    link = next(part.split('"')[0] for part in page.split('href="') if "/stream/" in part.split('"')[0])
    assert Client().get(link.replace("&amp;", "&")).status_code == 200


@pytest.mark.parametrize("address", ["http://[x", "https://[::1", "javascript:alert(1)", "http://"])
def test_an_odd_address_of_a_live_post_breaks_no_page(address: str, browser: Client, in_scope: Profile) -> None:
    row = make_publication(in_scope, release_url=address)
    listed, shown = "admin:publishing_publication_changelist", "admin:publishing_publication_change"
    for page in (browser.get(reverse(listed)), browser.get(reverse(shown, args=[row.pk]))):
        assert page.status_code == 200
        assert 'href="javascript:' not in page.content.decode()


def act(browser: Client, action: str, *rows: Any, **fields: str) -> Any:
    name = rows[0]._meta.model_name
    body = {"action": action, "_selected_action": [str(row.pk) for row in rows], **fields}
    return browser.post(reverse(f"admin:publishing_{name}_changelist"), body, follow=True)


def test_approving_and_cancelling_go_through_the_services(browser: Client, in_scope: Profile, owner: Person) -> None:
    PublishingSettings.objects.create(profile=in_scope, approval_required=True)
    waiting, other = (make_publication(in_scope, state=State.AWAITING_APPROVAL) for _ in range(2))
    page = act(browser, "approve", waiting, other)
    assert "2 approved." in page.content.decode()
    approval.assert_approved(Publication.objects.get(pk=waiting.pk))
    again = act(browser, "approve", waiting)
    assert "waits for no decision" in again.content.decode()
    assert "1 cancelled, or being taken back." in act(browser, "cancel", waiting).content.decode()
    assert Publication.objects.get(pk=waiting.pk).state == State.CANCELLED


def test_an_item_of_the_outbox_is_finished_and_taken_back(browser: Client, in_scope: Profile, owner: Person) -> None:
    item, other = delivered(in_scope), delivered(in_scope)
    url = "https://www.tiktok.com/@olga/video/1"
    assert "An address like" in act(browser, "finish", item, url="javascript:alert(1)").content.decode()
    assert "one item" in act(browser, "finish", item, other, url=url).content.decode()
    assert not OutboxItem.objects.exclude(posted_at=None).exists()
    assert "1 finished." in act(browser, "finish", item, url=url).content.decode()
    done = OutboxItem.objects.select_related("publication").get(pk=item.pk)
    assert (done.posted_by, done.publication.release_url) == (owner.user, url)
    assert "finished already" in act(browser, "finish", item, url=url).content.decode()
    assert "taken back." in act(browser, "undo", item).content.decode()
    again = OutboxItem.objects.select_related("publication").get(pk=item.pk)
    assert (again.posted_at, again.posted_by, again.publication.release_url) == (None, None, "")


def test_a_viewer_finishes_nothing(viewer: Person, in_scope: Profile) -> None:
    item = delivered(in_scope)
    client = Client()
    client.force_login(viewer.user)
    for action in ("finish", "undo"):
        act(client, action, item, url="https://example.org/1")
    assert OutboxItem.objects.get(pk=item.pk).posted_at is None


def test_the_page_of_a_publication_costs_the_same_however_long_its_history(
    browser: Client, in_scope: Profile, owner: Person, django_assert_max_num_queries: Any
) -> None:
    PublishingSettings.objects.create(profile=in_scope, approval_required=True)
    clip = make_clip(in_scope)
    row = make_publication(in_scope, clip=clip, state=State.AWAITING_APPROVAL)
    link, _ = review.link_create(profile=in_scope, clip=clip, by=owner.user)
    address = reverse("admin:publishing_publication_change", args=[row.pk])

    def decide() -> None:
        approval.approve(profile=in_scope, publications=[row], link=link, reviewer="Ann")
        approval.void(Publication.objects.get(pk=row.pk), "Its words changed", by=owner.user)

    decide()
    with CaptureQueriesContext(connection) as before:
        browser.get(address)
    for _ in range(4):
        decide()
    with django_assert_max_num_queries(len(before)):
        browser.get(address)


def test_who_may_not_is_not_offered_it(viewer: Person, in_scope: Profile) -> None:
    waiting = make_publication(in_scope, state=State.AWAITING_APPROVAL)
    client = Client()
    client.force_login(viewer.user)
    for action in ("approve", "cancel"):
        act(client, action, waiting)
        assert Publication.objects.get(pk=waiting.pk).state == State.AWAITING_APPROVAL
    Membership.objects.filter(user=viewer.user).update(can_approve=True)
    act(client, "approve", waiting)
    assert Publication.objects.get(pk=waiting.pk).state == State.SCHEDULED


def test_another_brands_rows_are_out_of_reach(browser: Client, stranger: Person, in_scope: Profile) -> None:
    with scope.activate(stranger.profile.pk):
        theirs = make_publication(stranger.profile, state=State.AWAITING_APPROVAL)
    act(browser, "approve", theirs)
    answers = [
        browser.get(reverse("admin:publishing_publication_change", args=[pk])).status_code
        for pk in (theirs.pk, uuid4())
    ]
    assert answers == [302, 302]
    with scope.activate(stranger.profile.pk):
        assert Publication.objects.get(pk=theirs.pk).state == State.AWAITING_APPROVAL


def test_lists_are_narrowed_down_by_state_and_channel(browser: Client, rows: dict[str, Any]) -> None:
    row = rows["publication"]
    for query in (f"state__exact={State.SCHEDULED}", f"integration__id__exact={row.integration_id}"):
        page = browser.get(f"{reverse('admin:publishing_publication_changelist')}?{query}")
        assert page.status_code == 200, query
        assert page.context["cl"].result_count == 1, query


def test_a_link_is_revoked(browser: Client, rows: dict[str, Any]) -> None:
    assert "1 revoked." in act(browser, "revoke", rows["reviewlink"]).content.decode()
    assert ReviewLink.objects.get().revoked_at is not None


def test_the_budget_of_the_hour_is_shown(browser: Client, in_scope: Profile) -> None:
    account = PostizAccount.objects.create(
        profile=in_scope,
        base_url="https://postiz.example",
        rate_limit=90,
        rate_remaining=17,
        rate_resets_at=timezone.now() + timedelta(minutes=5),
    )
    address = reverse("admin:publishing_postizaccount_changelist")
    assert "17 of 90" in browser.get(address).content.decode()
    PostizAccount.objects.filter(pk=account.pk).update(blocked_until=timezone.now() + timedelta(minutes=5))
    assert "0 of 90" in browser.get(address).content.decode()
    PostizAccount.objects.filter(pk=account.pk).update(blocked_until=None, rate_resets_at=timezone.now())
    assert "90 of 90" in browser.get(address).content.decode()
    make_integration(in_scope)


@pytest.mark.parametrize("path", ["publish", "bulk-publish"])
def test_the_browsable_page_of_publishing_starts_with_an_example_body(owner: Person, path: str) -> None:
    text = owner.client.get(f"/api/v1/publishing/{path}/", headers={"Accept": "text/html"}).content.decode()
    assert "Lists are" not in text
    assert "Dictionaries are not" not in text
    assert "datetime-local" not in text
    assert "T09:00:00Z" in text
