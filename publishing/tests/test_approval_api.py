"""Approvals and review links over HTTP: who may, and what a word is worth."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from conftest import Person, person_of
from profiles.models import Membership, Profile
from publishing.models import Publication, PublishingSettings, ReviewLink
from publishing.review import approval
from publishing.states import State
from publishing.tests.builders import make_clip, make_publication

pytestmark = pytest.mark.django_db
BASE = "/api/v1/publishing/"


@pytest.fixture
def brand(in_scope: Profile) -> Profile:
    PublishingSettings.objects.create(profile=in_scope, approval_required=True)
    return in_scope


@pytest.fixture
def waiting(brand: Profile) -> Publication:
    return make_publication(brand, state=State.AWAITING_APPROVAL)


def state_of(row: Publication) -> str:
    return str(Publication.objects.get(pk=row.pk).state)


def approve(person: Any, row: Publication, body: Any = None) -> Any:
    return person.post(f"{BASE}publications/{row.pk}/approve/", body or {}, format="json")


def request_change(person: Any, row: Publication, body: Any) -> Any:
    return person.post(f"{BASE}publications/{row.pk}/request-change/", body, format="json")


def test_what_waits_is_listed_with_the_very_file(owner: Person, waiting: Publication) -> None:
    sooner = make_publication(waiting.profile, state=State.AWAITING_APPROVAL, scheduled_at=timezone.now())
    make_publication(waiting.profile)
    rows = owner.client.get(f"{BASE}approvals/").json()["results"]
    assert [row["id"] for row in rows] == [str(sooner.pk), str(waiting.pk)]
    assert rows[1]["fingerprint"] == approval.fingerprint(waiting)
    assert rows[1]["links"]["cover"] is None
    film = Client().get(rows[1]["links"]["video"], headers={"Range": "bytes=4-7"})
    assert (film.status_code, film.getvalue()) == (206, b"ftyp")


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_only_who_has_the_right_decides(member: Any, role: str, waiting: Publication) -> None:
    person = member(role)
    assert approve(person.client, waiting).status_code == 403
    assert request_change(person.client, waiting, {"comment": "No"}).status_code == 403
    assert person.client.post(f"{BASE}review-links/", {"clip_id": waiting.clip_id}, format="json").status_code == 403
    Membership.objects.filter(user=person.user, profile=waiting.profile).update(can_approve=True)
    assert approve(person.client, waiting).status_code == 200
    assert state_of(waiting) == State.SCHEDULED


@pytest.mark.parametrize("ceiling", ["read", "write", "publish"])
def test_a_limited_token_decides_nothing(owner: Person, ceiling: str, waiting: Publication) -> None:
    client = person_of(owner.user, ceiling=ceiling).client
    assert approve(client, waiting).status_code == 403
    assert state_of(waiting) == State.AWAITING_APPROVAL


def test_yes_with_the_fingerprint_of_what_was_seen(owner: Person, waiting: Publication) -> None:
    seen = owner.client.get(f"{BASE}approvals/").json()["results"][0]["fingerprint"]
    Publication.objects.filter(pk=waiting.pk).update(caption="Changed meanwhile")
    refused = approve(owner.client, waiting, {"fingerprint": seen})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "changed")
    seen = owner.client.get(f"{BASE}approvals/").json()["results"][0]["fingerprint"]
    answer = approve(owner.client, waiting, {"fingerprint": seen, "comment": "Fine"})
    assert (answer.status_code, answer.json()["status"]) == (200, "scheduled")
    again = approve(owner.client, waiting)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_waiting")


def test_no_says_what_to_change(owner: Person, waiting: Publication) -> None:
    for body in ({}, {"comment": " "}):
        assert "comment" in request_change(owner.client, waiting, body).json()["error"]["fields"]
    answer = request_change(owner.client, waiting, {"comment": "Louder\nplease"})
    assert (answer.status_code, answer.json()["status"]) == (200, "draft")


def test_a_review_link_is_told_once_and_revoked(owner: Person, waiting: Publication) -> None:
    made = owner.client.post(f"{BASE}review-links/", {"clip_id": waiting.clip_id, "note": "Ann"}, format="json")
    assert made.status_code == 201
    url = made.json()["url"]
    secret = url.rstrip("/").rsplit("/", 1)[1]
    assert len(secret) >= 32
    assert ReviewLink.objects.get().token_hash != secret
    (row,) = owner.client.get(f"{BASE}review-links/?clip={waiting.clip_id}").json()["results"]
    assert secret not in str(row)
    assert (row["note"], row["created_by"], row["clip_name"]) == ("Ann", "olga", waiting.clip_name)
    expires = parse_datetime(row["expires_at"])
    assert expires is not None
    assert timedelta(days=6) < expires - timezone.now() <= timedelta(days=7)
    path = "/" + url.split("//", 1)[1].split("/", 1)[1]
    assert Client().get(path).status_code == 200
    for _ in range(2):
        assert owner.client.delete(f"{BASE}review-links/{row['id']}/").status_code == 204
    assert Client().get(path).status_code == 404
    assert ReviewLink.objects.get().revoked_at is not None


def test_who_may_make_a_link_may_revoke_it(viewer: Person, brand: Profile, waiting: Publication) -> None:
    Membership.objects.filter(user=viewer.user, profile=brand).update(can_approve=True)
    headers = {"X-Profile-Id": str(brand.pk)}
    body = {"clip_id": waiting.clip_id}
    made = viewer.client.post(f"{BASE}review-links/", body, format="json", headers=headers).json()
    address = f"{BASE}review-links/{made['id']}/"
    Membership.objects.filter(user=viewer.user, profile=brand).update(can_approve=False)
    assert viewer.client.delete(address, headers=headers).status_code == 403
    Membership.objects.filter(user=viewer.user, profile=brand).update(can_approve=True)
    assert viewer.client.delete(address, headers=headers).status_code == 204
    assert ReviewLink.objects.get().revoked_at is not None


def test_its_address_is_the_same_below_a_brands_prefix(owner: Person, waiting: Publication, settings: Any) -> None:
    settings.PUBLIC_URL = "https://editai.example.org"
    address = f"/p/{waiting.profile.slug}{BASE}review-links/"
    made = owner.client.post(address, {"clip_id": waiting.clip_id}, format="json")
    assert made.json()["url"].startswith(f"https://editai.example.org/review/{waiting.profile_id}/")


@pytest.mark.parametrize("days", [0, 31, -1, "x", 10**9])
def test_a_link_lives_a_month_at_most(owner: Person, waiting: Publication, days: Any) -> None:
    body = {"clip_id": waiting.clip_id, "days": days}
    answer = owner.client.post(f"{BASE}review-links/", body, format="json")
    assert answer.status_code == 400
    assert "days" in answer.json()["error"]["fields"]


def test_there_is_no_link_without_something_to_play(owner: Person, brand: Profile) -> None:
    clip = make_clip(brand)
    type(clip).objects.filter(pk=clip.pk).update(file=None, rendered_hash="", state="queued")
    answer = owner.client.post(f"{BASE}review-links/", {"clip_id": clip.pk}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "clip_not_ready")


def test_lists_cost_the_same_however_long(
    owner: Person, waiting: Publication, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        row = make_publication(waiting.profile, state=State.AWAITING_APPROVAL)
        owner.client.post(f"{BASE}review-links/", {"clip_id": row.clip_id}, format="json")
    for address in ("approvals/", "review-links/"):
        with django_assert_max_num_queries(6):
            assert len(owner.client.get(f"{BASE}{address}").json()["results"]) >= 12
