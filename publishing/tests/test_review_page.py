"""The page behind a review link: what it shows to whom, and what a word said there counts. Attacks C6, C9, C25, C27."""

import html
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from conftest import Person
from editai.clips.models import Clip
from editai.csp import POLICY
from profiles import files, scope, services
from profiles.models import Membership, Profile, User
from publishing.models import Decision, Publication, PublicationEvent, PublishingSettings, ReviewLink
from publishing.review import approval
from publishing.review import links as review
from publishing.states import State
from publishing.tests.builders import make_clip, make_integration, make_publication

pytestmark = pytest.mark.django_db
CONTENT = b"\x00\x00\x00\x18ftypmp42" + bytes(range(256)) * 8


@pytest.fixture
def brand(in_scope: Profile) -> Profile:
    PublishingSettings.objects.create(profile=in_scope, approval_required=True, time_zone="Europe/Berlin")
    return in_scope


@pytest.fixture
def clip(brand: Profile) -> Clip:
    return make_clip(brand, content=CONTENT, name="Autumn <b>sale</b>")


@pytest.fixture
def waiting(brand: Profile, clip: Clip) -> Publication:
    channel = make_integration(brand, "tiktok", name="Our TikTok")
    words = {"caption": "Fresh bread\n<script>alert(1)</script>", "first_comment": "Come by"}
    return make_publication(brand, clip=clip, integration=channel, state=State.AWAITING_APPROVAL, **words)


@pytest.fixture
def path(brand: Profile, clip: Clip, owner: Person) -> str:
    _, url = review.link_create(profile=brand, clip=clip, by=owner.user)
    return "/" + url.split("//", 1)[1].split("/", 1)[1]


@pytest.fixture
def visitor(in_scope: Profile) -> Client:
    """Nobody, from outside: CSRF checks on, no scope of ours."""
    return Client(enforce_csrf_checks=True)


def fields_of(page: Any, **given: str) -> dict[str, str]:
    token = re.search(r'name="shown" value="([^"]+)"', page.content.decode())
    assert token
    return {"shown": html.unescape(token[1]), "name": "Ann", "comment": "", "verdict": "approve", **given}


def fresh(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


# --- looking --------------------------------------------------------------------------------------------


def test_the_page_shows_clip_channels_times_and_words_inertly(visitor: Client, path: str, waiting: Publication) -> None:
    page = visitor.get(path)
    text = page.content.decode()
    assert page.status_code == 200
    assert "Autumn &lt;b&gt;sale&lt;/b&gt;" in text
    assert "Our TikTok" in text
    assert '<span class="network">TikTok</span>' in text
    assert "Fresh bread\n&lt;script&gt;" in text
    assert "Come by" in text
    assert "(Europe/Berlin)" in text
    assert "<script" not in text
    assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", text)
    assert f'src="{path}{waiting.pk}/video/"' in text


def test_its_headers_keep_it_out_of_everything(visitor: Client, path: str, waiting: Publication) -> None:
    page = visitor.get(path)
    assert page["Referrer-Policy"] == "no-referrer"
    assert page["X-Robots-Tag"] == "noindex, nofollow"
    assert page["Cache-Control"] == "no-store"
    assert page["Content-Security-Policy"] == POLICY
    assert page["X-Frame-Options"] == "DENY"
    assert not page.cookies
    assert "Set-Cookie" not in page


def test_nothing_else_of_the_brand_is_visible(brand: Profile, visitor: Client, path: str, waiting: Publication) -> None:
    other = make_publication(brand, state=State.AWAITING_APPROVAL, caption="Top secret plan")
    make_publication(brand, clip=waiting.clip, state=State.DRAFT, caption="An unfinished thought")
    text = visitor.get(path).content.decode()
    assert "Top secret plan" not in text
    assert "An unfinished thought" not in text
    assert other.clip_name not in text
    assert "olga" not in text.replace(brand.name, "").lower().replace(html.escape(brand.name).lower(), "")
    assert visitor.get(f"{path}{other.pk}/video/").status_code == 404


def test_a_look_is_noted(visitor: Client, path: str) -> None:
    assert ReviewLink.objects.get().opened_at is None
    visitor.get(path)
    assert ReviewLink.objects.get().opened_at is not None


def test_without_anything_waiting_the_clip_still_plays(visitor: Client, path: str) -> None:
    text = visitor.get(path).content.decode()
    assert "Nothing waits for your word" in text
    assert "<form" not in text
    assert f'src="{path}video/"' in text
    assert visitor.get(f"{path}video/").getvalue() == CONTENT


# --- media ----------------------------------------------------------------------------------------------


def test_the_video_comes_in_ranges(visitor: Client, path: str, waiting: Publication) -> None:
    address = f"{path}{waiting.pk}/video/"
    whole = visitor.get(address)
    assert (whole.status_code, whole.getvalue()) == (200, CONTENT)
    assert whole["Content-Type"] == "video/mp4"
    assert whole["Referrer-Policy"] == "no-referrer"
    part = visitor.get(address, headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.getvalue()) == (206, CONTENT[4:12])
    assert part["Content-Range"] == f"bytes 4-11/{len(CONTENT)}"
    assert visitor.get(address, headers={"Range": f"bytes={len(CONTENT)}-"}).status_code == 416
    assert visitor.head(address).status_code == 200
    assert visitor.post(address).status_code == 405


def test_each_channel_gets_the_very_file_that_was_chosen_for_it(
    brand: Profile, clip: Clip, visitor: Client, path: str, waiting: Publication
) -> None:
    rendition = make_clip(brand, content=b"for another network").file
    other = make_publication(brand, clip=clip, state=State.AWAITING_APPROVAL, file=rendition)
    text = visitor.get(path).content.decode()
    assert text.count("<video") == 2
    film = visitor.get(f"{path}{other.pk}/video/")
    assert film.getvalue() == b"for another network"


# --- who gets in ----------------------------------------------------------------------------------------


def dead_addresses(path: str, stranger: Person) -> dict[str, str]:
    _, _, profile_id, secret, _ = path.split("/")
    return {
        "wrong": f"/review/{profile_id}/{'x' * len(secret)}/",
        "foreign": f"/review/{stranger.profile.pk}/{secret}/",
        "nobody's": f"/review/{uuid4()}/{secret}/",
    }


def test_wrong_and_foreign_addresses_are_one_404(visitor: Client, path: str, stranger: Person) -> None:
    answers = {name: visitor.get(address) for name, address in dead_addresses(path, stranger).items()}
    assert {answer.status_code for answer in answers.values()} == {404}
    assert len({answer.content for answer in answers.values()}) == 1
    media = visitor.get(dead_addresses(path, stranger)["wrong"] + "video/")
    assert (media.status_code, media.content) == (404, answers["wrong"].content)


def kill_expired(link: ReviewLink, owner: Person) -> None:
    ReviewLink.objects.filter(pk=link.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def kill_revoked(link: ReviewLink, owner: Person) -> None:
    review.link_revoke(profile=link.profile, link=link)


def kill_by_losing_the_right(link: ReviewLink, owner: Person) -> None:
    Membership.objects.filter(user=owner.user, profile=link.profile).update(role="editor")


def kill_by_leaving(link: ReviewLink, owner: Person) -> None:
    elsewhere = services.profile_create(user=owner.user, name="Elsewhere")
    services.profile_set_default(user=owner.user, profile=elsewhere)
    Membership.objects.filter(user=owner.user, profile=link.profile).delete()


def kill_by_switching_off(link: ReviewLink, owner: Person) -> None:
    User.objects.filter(pk=owner.user.pk).update(is_active=False)


def kill_with_the_clip(link: ReviewLink, owner: Person) -> None:
    Clip.objects.filter(pk=link.clip_id).update(trashed_at=timezone.now())


@pytest.mark.parametrize(
    "kill",
    [
        kill_expired,
        kill_revoked,
        kill_by_losing_the_right,
        kill_by_leaving,
        kill_by_switching_off,
        kill_with_the_clip,
    ],
)
def test_a_dead_link_opens_nothing_and_decides_nothing(
    visitor: Client, path: str, owner: Person, stranger: Person, waiting: Publication, kill: Any
) -> None:
    form = fields_of(visitor.get(path))
    video = f"{path}{waiting.pk}/video/"
    assert visitor.head(video).status_code == 200
    kill(ReviewLink.objects.get(), owner)
    never = visitor.get(dead_addresses(path, stranger)["wrong"])
    for answer in (visitor.get(path), visitor.get(video), visitor.get(f"{path}video/"), visitor.post(path, form)):
        assert (answer.status_code, answer.content) == (404, never.content)
    assert fresh(waiting).state == State.AWAITING_APPROVAL
    assert not Decision.objects.exists()


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_a_dead_link_is_kept_out_of_everything_too(visitor: Client, path: str, stranger: Person, accept: str) -> None:
    wrong = dead_addresses(path, stranger)["wrong"]

    def get(address: str, remote: str = "10.0.0.9") -> Any:
        return visitor.get(address, headers={"Accept": accept}, REMOTE_ADDR=remote)

    asked = [*(get(wrong, "10.0.0.8") for _ in range(21)), get(path)]
    review.link_revoke(profile=ReviewLink.objects.get().profile, link=ReviewLink.objects.get())
    asked += [get(path), get(f"{path}video/")]
    assert {answer.status_code for answer in asked} == {200, 404, 429}
    for answer in asked:
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["X-Robots-Tag"] == "noindex, nofollow"
        assert answer["Cache-Control"] == "no-store"
    assert asked[0]["Content-Type"].startswith("text/html" if accept == "text/html" else "application/json")


def test_a_deleted_brand_has_no_links(visitor: Client, path: str, brand: Profile) -> None:
    Profile.objects.filter(pk=brand.pk).update(state=Profile.State.DELETING)
    assert visitor.get(path).status_code == 404


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_other_methods_are_refused(visitor: Client, path: str, method: str) -> None:
    assert getattr(visitor, method)(path).status_code == 405


def test_guessing_ends_after_twenty_tries_a_minute(visitor: Client, path: str, stranger: Person) -> None:
    with time_machine.travel(timezone.now().replace(second=5), tick=False):
        wrong = dead_addresses(path, stranger)["wrong"]
        codes = [visitor.get(wrong).status_code for _ in range(22)]
        assert codes == [404] * 20 + [429] * 2
        assert visitor.get(path).status_code == 429, "the right one too: else it could still be found by guessing"
        assert visitor.get(path, REMOTE_ADDR="10.0.0.9").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=3), tick=False):
        assert visitor.get(path).status_code == 200


def test_looking_with_the_right_address_is_no_guessing(visitor: Client, path: str) -> None:
    assert {visitor.get(path).status_code for _ in range(30)} == {200}


# --- deciding -------------------------------------------------------------------------------------------


def test_a_yes_from_a_phone(visitor: Client, path: str, waiting: Publication) -> None:
    answer = visitor.post(path, fields_of(visitor.get(path), name=" Ann\u202e ", comment="Lovely"))
    assert (answer.status_code, answer["Location"]) == (303, path)
    assert "Set-Cookie" not in answer
    row = fresh(waiting)
    assert row.state == State.SCHEDULED
    approval.assert_approved(row)
    decision = Decision.objects.get()
    assert (decision.reviewer, decision.comment, decision.by) == ("Ann", "Lovely", None)
    assert decision.link == ReviewLink.objects.get()
    event = PublicationEvent.objects.get()
    assert (event.origin, event.by, event.why) == ("review", None, "Approved by Ann (review link): Lovely")
    after = visitor.get(path).content.decode()
    assert "Nothing waits for your word any more" in after
    assert "Lovely" in after
    assert "<form" not in after


def test_a_no_needs_its_reason(visitor: Client, path: str, waiting: Publication) -> None:
    refused = visitor.post(path, fields_of(visitor.get(path), verdict="change", name="Ann & Co"))
    assert refused.status_code == 400
    assert "Say what should change." in refused.content.decode()
    assert 'value="Ann &amp; Co"' in refused.content.decode(), "what was typed is still there"
    assert fresh(waiting).state == State.AWAITING_APPROVAL
    answer = visitor.post(path, fields_of(refused, verdict="change", comment="The logo\nis old"))
    assert answer.status_code == 303
    assert fresh(waiting).state == State.DRAFT
    assert Decision.objects.get().comment == "The logo\nis old"


@pytest.mark.parametrize("missing", ["name", "verdict", "shown"])
def test_half_a_form_decides_nothing(visitor: Client, path: str, waiting: Publication, missing: str) -> None:
    form = fields_of(visitor.get(path))
    form.pop(missing)
    assert visitor.post(path, form).status_code == 400
    assert fresh(waiting).state == State.AWAITING_APPROVAL


@pytest.mark.parametrize(
    "change",
    [
        {"caption": "Something else"},
        {"settings": {"title": "New"}},
        {"sha256": "0" * 64},
        {"scheduled_at": timezone.now() + timedelta(days=90)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_yes_to_what_was_shown_is_none_to_what_is_there_now(
    visitor: Client, path: str, waiting: Publication, change: dict[str, Any]
) -> None:
    form = fields_of(visitor.get(path), comment="Fine by me")
    Publication.objects.filter(pk=waiting.pk).update(**change)
    answer = visitor.post(path, form)
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "Nothing was decided" in text
    assert "Fine by me" in text
    assert fresh(waiting).state == State.AWAITING_APPROVAL
    assert not Decision.objects.exists()
    assert visitor.post(path, fields_of(answer)).status_code == 303, "now it is about what is there"


def test_a_new_channel_is_not_covered_by_an_older_page(
    brand: Profile, clip: Clip, visitor: Client, path: str, waiting: Publication
) -> None:
    form = fields_of(visitor.get(path))
    make_publication(brand, clip=clip, state=State.AWAITING_APPROVAL)
    assert visitor.post(path, form).status_code == 409
    assert fresh(waiting).state == State.AWAITING_APPROVAL


def test_a_form_is_good_once_and_with_its_own_link_only(
    brand: Profile, clip: Clip, owner: Person, visitor: Client, path: str, waiting: Publication
) -> None:
    form = fields_of(visitor.get(path))
    _, url = review.link_create(profile=brand, clip=clip, by=owner.user)
    second = "/" + url.split("//", 1)[1].split("/", 1)[1]
    assert visitor.post(second, form).status_code == 409
    assert visitor.post(path, {**form, "shown": form["shown"][:-2]}).status_code == 409
    assert visitor.post(path, form).status_code == 303
    assert visitor.post(path, form).status_code == 409
    assert Decision.objects.count() == 1


def test_decisions_come_at_the_pace_of_people(visitor: Client, path: str, waiting: Publication) -> None:
    with time_machine.travel(timezone.now().replace(second=5), tick=False):
        codes = [visitor.post(path, {"name": "x"}).status_code for _ in range(12)]
    assert codes == [400] * 10 + [429] * 2


def test_the_page_costs_few_queries_whatever_waits(
    brand: Profile, clip: Clip, path: str, waiting: Publication, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        make_publication(brand, clip=clip, state=State.AWAITING_APPROVAL)
    client = Client()
    with django_assert_max_num_queries(10):
        assert client.get(path).status_code == 200


def test_the_file_of_a_purged_publication_is_said_to_be_gone(visitor: Client, path: str, waiting: Publication) -> None:
    with scope.activate(waiting.profile_id):
        Publication.objects.filter(pk=waiting.pk).update(file=None)
    assert "not there any more" in visitor.get(path).content.decode()
    assert visitor.get(f"{path}{waiting.pk}/video/").status_code == 404
    assert files.sweep() == 0
