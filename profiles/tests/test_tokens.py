from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from conftest import PASSWORD, Person, person_of
from profiles import services, tokens
from profiles.models import ApiToken, Ceiling

pytestmark = pytest.mark.django_db
TOKENS = "/api/v1/auth/tokens/"


def test_name_and_password_give_a_token_that_works(owner: Person) -> None:
    answer = APIClient().post("/api/v1/auth/token/", {"username": "olga", "password": PASSWORD}, format="json")
    assert answer.status_code == 200
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['token']}")
    me = client.get("/api/v1/auth/me/").json()
    assert (me["username"], me["profile"]) == ("olga", str(owner.profile.pk))


def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(owner: Person) -> None:
    answers = [
        APIClient().post("/api/v1/auth/token/", body, format="json")
        for body in ({"username": "olga", "password": "wrong"}, {"username": "nobody", "password": "wrong"})
    ]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].content == answers[1].content


def test_only_the_hash_is_kept(owner: Person) -> None:
    token = ApiToken.objects.get(token_hash=tokens.digest(owner.token))
    assert owner.token not in str(vars(token))
    assert owner.token.startswith(token.hint)


@pytest.mark.parametrize("end", ["revoked", "expired", "inactive", "unknown"])
def test_a_token_that_ended_is_401_even_with_a_good_cookie(owner: Person, end: str) -> None:
    token = ApiToken.objects.get(token_hash=tokens.digest(owner.token))
    if end == "revoked":
        assert owner.client.delete(f"{TOKENS}{token.pk}/").status_code == 204
    elif end == "expired":
        ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    elif end == "inactive":
        type(owner.user).objects.filter(pk=owner.user.pk).update(is_active=False)
    else:
        owner.client.credentials(HTTP_AUTHORIZATION="Bearer eai_nonsense")
    owner.client.force_login(owner.user)
    answer = owner.client.get("/api/v1/auth/me/")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_token"


def test_last_used_is_noted(owner: Person) -> None:
    owner.client.get("/api/v1/auth/me/")
    assert ApiToken.objects.get(token_hash=tokens.digest(owner.token)).last_used_at is not None


def test_a_new_token_is_shown_once(owner: Person) -> None:
    answer = owner.client.post(TOKENS, {"name": "script", "ceiling": "read"}, format="json")
    assert answer.status_code == 201
    secret = answer.json()["token"]
    assert secret not in owner.client.get(TOKENS).content.decode()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    assert client.get("/api/v1/profiles/").status_code == 200
    assert client.post("/api/v1/profiles/", {"name": "New"}, format="json").status_code == 403


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({"ceiling": Ceiling.READ}, {"ceiling": "read"}),
        ({"ceiling": Ceiling.WRITE}, {"ceiling": "full"}),
        ({"ceiling": Ceiling.WRITE}, {}),
        ({"bound": True}, {"ceiling": "full"}),
        ({"expires": True}, {"ceiling": "full"}),
    ],
)
def test_a_token_makes_none_that_is_stronger(owner: Person, own: dict[str, object], wanted: dict[str, str]) -> None:
    options: dict[str, object] = {"ceiling": own.get("ceiling", Ceiling.FULL)}
    if own.get("bound"):
        options["profile"] = owner.profile
    if own.get("expires"):
        options["expires_at"] = timezone.now() + timedelta(hours=1)
    limited = person_of(owner.user, **options)
    before = ApiToken.objects.count()
    answer = limited.client.post(TOKENS, {"name": "stronger", **wanted}, format="json")
    assert answer.status_code == 403
    assert ApiToken.objects.count() == before


def test_a_bound_token_sees_and_makes_only_its_profile(owner: Person) -> None:
    other = services.profile_create(user=owner.user, name="Other")
    bound = person_of(owner.user, profile=other)
    listed = bound.client.get("/api/v1/profiles/").json()["results"]
    assert [row["id"] for row in listed] == [str(other.pk)]
    assert bound.client.get(f"/api/v1/profiles/{owner.profile.pk}/").status_code == 404
    assert bound.client.post("/api/v1/profiles/", {"name": "New"}, format="json").status_code == 403
    same = bound.client.post(TOKENS, {"name": "same", "profile": str(other.pk)}, format="json")
    assert same.status_code == 201
    foreign = bound.client.post(TOKENS, {"name": "foreign", "profile": str(owner.profile.pk)}, format="json")
    assert foreign.status_code == 403


def test_another_persons_token_is_404(owner: Person, stranger: Person) -> None:
    theirs = ApiToken.objects.get(user=stranger.user)
    assert owner.client.delete(f"{TOKENS}{theirs.pk}/").status_code == 404
    theirs.refresh_from_db()
    assert theirs.revoked_at is None


def test_a_token_in_the_past_is_refused(owner: Person) -> None:
    answer = owner.client.post(TOKENS, {"name": "old", "expires_at": "2020-01-01T00:00:00Z"}, format="json")
    assert answer.status_code == 400
    assert "expires_at" in answer.json()["error"]["fields"]
