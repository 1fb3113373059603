"""The quota of a brand: an upload without room is refused before its first byte, and two at once do not both pass."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import reverse

from conftest import Person
from costs.models import StorageQuota
from costs.storage import quota
from costs.storage.words import in_words
from costs.tests.storage_rows import objects_of, store, stored_ids
from profiles import scope
from profiles.api import slots
from profiles.models import Profile, Role, User
from segments.models import SourceVideo
from tests.racing import race

pytestmark = pytest.mark.django_db
URL = "/api/v1/source-videos/"
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


@pytest.fixture(autouse=True)
def _uploads(settings: Any, tmp_path: Path) -> Any:
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    yield
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
    assert slots.uploads.open() == 0


def film(size: int) -> bytes:
    return MP4.ljust(size, b"\0")


def send(person: Person, size: int, **extra: Any) -> Any:
    video = SimpleUploadedFile("film.mp4", film(size), "video/mp4")
    return person.client.post(URL, {"video": video}, format="multipart", **extra)


def allow(profile: Profile, count: int) -> None:
    with scope.activate(profile.pk):
        StorageQuota.objects.update_or_create(profile=profile, defaults={"max_bytes": count})


def refused(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 413, answer.content
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == "storage_quota"
    return error


class Watched(io.BytesIO):
    """A body that tells how much of it was read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.taken = 0

    def read(self, *args: Any) -> bytes:
        data = super().read(*args)
        self.taken += len(data)
        return data


def raw(person: Person, body: Watched, length: int, content_type: str = MULTIPART_CONTENT) -> Any:
    """A request whose body is read from `body`, as the web server's is."""
    return Client().generic(
        "POST",
        URL,
        b"x",
        content_type,
        headers={"Authorization": f"Bearer {person.token}"},
        **{"wsgi.input": body, "CONTENT_LENGTH": str(length)},  # type: ignore[arg-type]
    )


def test_c19_not_one_byte_is_read_of_what_has_no_room(owner: Person, in_scope: Profile, tmp_path: Path) -> None:
    store(in_scope, tmp_path, size=300_000)
    allow(in_scope, 1_000_000)
    content = encode_multipart(BOUNDARY, {"video": SimpleUploadedFile("film.mp4", film(1_000_000))})
    body = Watched(content)
    error = refused(raw(owner, body, len(content)))
    assert body.taken == 0
    for figure in ("may keep 1.0 MB", "300.0 kB are used", "700.0 kB are left", "free up storage"):
        assert figure in error["message"]
    figures = error["details"][0]
    assert figures["upload_bytes"] > 900_000
    assert (figures["quota_bytes"], figures["used_bytes"], figures["remaining_bytes"]) == (10**6, 300_000, 700_000)
    assert refused(raw(owner, Watched(b""), 5 * 10**9))
    assert not SourceVideo.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("size", [5_000, 500_000])
def test_to_the_byte(owner: Person, in_scope: Profile, tmp_path: Path, size: int) -> None:
    store(in_scope, tmp_path, size=1000)
    allow(in_scope, 1000 + size)
    before = objects_of(in_scope)
    refused(send(owner, size + 1))
    assert objects_of(in_scope) == before
    assert len(stored_ids(in_scope)) == 1
    assert not SourceVideo.objects.exists()
    answer = send(owner, size)
    assert answer.status_code == 201, answer.content
    refused(send(owner, 100))


@pytest.mark.django_db(transaction=True)
def test_c19_two_at_once_do_not_both_pass(owner: Person, in_scope: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    allow(in_scope, 15_000)
    answers = race(lambda _: send(owner, 10_000), 2)
    assert sorted(answer.status_code for answer in answers) == [201, 413]  # type: ignore[union-attr]
    assert SourceVideo.objects.count() == 1
    assert len(objects_of(in_scope)) == len(stored_ids(in_scope)) == 1


def test_the_race_is_real(owner: Person, in_scope: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the second look both pass, when both were judged before either was stored."""
    allow(in_scope, 15_000)
    monkeypatch.setattr("segments.sources.check_upload", lambda *_: None)
    judge = quota.upload_limit(in_scope)
    monkeypatch.setattr("profiles.api.uploads._limits", {"as it was before": lambda _: judge})
    assert [send(owner, 10_000).status_code for _ in range(2)] == [201, 201]


@pytest.mark.django_db(transaction=True)
def test_the_later_one_of_two_that_were_judged_together_is_dropped(
    owner: Person, in_scope: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow(in_scope, 15_000)
    judge = quota.upload_limit(in_scope)
    monkeypatch.setattr("profiles.api.uploads._limits", {"as it was before": lambda _: judge})
    assert send(owner, 10_000).status_code == 201
    refused(send(owner, 10_000))
    assert len(objects_of(in_scope)) == len(stored_ids(in_scope)) == SourceVideo.objects.count() == 1


def test_what_another_stores_and_has_not_written_down_does_not_count(
    owner: Person, in_scope: Profile, tmp_path: Path
) -> None:
    """Else two at once would refuse each other, and neither would pass."""
    mine, _ = store(in_scope, tmp_path, size=10_000), store(in_scope, tmp_path, size=10_000)
    allow(in_scope, 15_000)
    with transaction.atomic():
        quota.check_upload(in_scope, mine)


def test_other_requests_are_not_hindered(owner: Person, in_scope: Profile, tmp_path: Path) -> None:
    store(in_scope, tmp_path, size=5000)
    allow(in_scope, 1)
    assert owner.client.post("/api/v1/projects/", {"name": "Json"}, format="json").status_code == 201
    assert owner.client.post("/api/v1/projects/", {"name": "Form"}, format="multipart").status_code == 201
    assert owner.client.get("/api/v1/costs/storage/").json()["remaining_bytes"] == 0


def test_the_switch_counts_for_brands_without_a_row(
    owner: Person, stranger: Person, in_scope: Profile, settings: Any
) -> None:
    settings.STORAGE_QUOTA = 4000
    allow(stranger.profile, 0)  # no limit
    refused(send(owner, 5000))
    assert send(stranger, 5000).status_code == 201
    settings.STORAGE_QUOTA = 0
    assert send(owner, 5000).status_code == 201


def test_another_brands_files_take_no_room(owner: Person, stranger: Person, in_scope: Profile, tmp_path: Path) -> None:
    with scope.activate(stranger.profile.pk):
        store(stranger.profile, tmp_path, size=50_000)
    allow(in_scope, 6000)
    assert send(owner, 5000).status_code == 201


def test_who_may_not_write_is_told_that(viewer: Person, in_scope: Profile) -> None:
    allow(in_scope, 1)
    assert send(viewer, 5000).status_code == 403


# --- who sets it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_superuser", "status"), [(True, 302), (False, 403)])
def test_only_the_operator_sets_it(owner: Person, in_scope: Profile, is_superuser: bool, status: int) -> None:
    User.objects.filter(pk=owner.user.pk).update(is_superuser=is_superuser)
    browser = Client()
    browser.force_login(User.objects.get(pk=owner.user.pk))
    assert browser.post(reverse("admin:costs_storagequota_add"), {"max_bytes": 100}).status_code == status
    if not is_superuser:
        assert not StorageQuota.objects.exists()
        return
    row = StorageQuota.objects.get()
    assert (row.profile_id, row.max_bytes) == (in_scope.pk, 100)
    assert browser.post(reverse("admin:costs_storagequota_add"), {"max_bytes": 5}).status_code == 403
    change = reverse("admin:costs_storagequota_change", args=[row.pk])
    assert browser.post(change, {"max_bytes": 200}).status_code == 302
    assert StorageQuota.objects.get().max_bytes == 200


def test_members_see_it(member: Any, in_scope: Profile) -> None:
    allow(in_scope, 1234)
    browser = Client()
    browser.force_login(member(Role.VIEWER).user)
    page = browser.get(reverse("admin:costs_storagequota_changelist"))
    assert page.status_code == 200
    assert "1.2 kB" in page.content.decode()


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (10**17, "100000.0 TB"),
    ],
)
def test_sizes_in_words(count: int, words: str) -> None:
    assert in_words(count) == words
