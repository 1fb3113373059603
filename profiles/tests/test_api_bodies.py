"""What a body may be: strict JSON, strict serializers. Attack C17."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework import serializers

from conftest import Person
from profiles import scope
from profiles.api.errors import error_response, exception_handler
from profiles.api.serializers import StrictSerializer
from profiles.errors import Conflict
from profiles.models import StoredFile

pytestmark = [pytest.mark.django_db, pytest.mark.urls("profiles.tests.toys")]
TOYS = "/api/v1/toys/"


def send(person: Person, body: bytes | str, url: str = TOYS, content_type: str = "application/json") -> Any:
    return person.client.post(url, data=body, content_type=content_type)


def assert_refused(answer: Any, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.content[:300]
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) <= {"code", "message", "fields"}
    assert body["error"]["code"]
    assert body["error"]["message"]
    error: dict[str, Any] = body["error"]
    return error


HOSTILE = {
    "nested lists": b"[" * 200_000,
    "nested objects": b'{"a":' * 100_000,
    "33 levels": b'{"extra":' + b"[" * 32 + b"]" * 32 + b"}",
    "broken": b'{"key": ',
    "empty text": b"   ",
    "nul": b'{"key": "a\\u0000b"}',
    "nul deep in free JSON": b'{"key": "a", "extra": {"x": ["\\u0000"]}}',
    "nul in a name": b'{"key": "a", "extra": {"\\u0000": 1}}',
    "lone surrogate": b'{"key": "a", "extra": "\\ud800"}',
    "raw surrogate bytes": b'{"key": "\xed\xa0\x80"}',
    "not utf-8": b'{"key": "\xff"}',
    "NaN": b'{"key": "a", "ratio": NaN}',
    "Infinity": b'{"key": "a", "ratio": -Infinity}',
    "1e999": b'{"key": "a", "ratio": 1e999}',
    "5000 digits": b'{"key": "a", "count": ' + b"9" * 5000 + b"}",
    "20 digits": b'{"key": "a", "count": 10000000000000000000}',
    "beyond 32 bits": b'{"key": "a", "count": 2147483648}',
    "many values": b'{"key": "a", "extra": [' + b"1," * 60_000 + b"1]}",
    "501 entries": b'{"key": "a", "words": [' + b'"w",' * 500 + b'"w"]}',
    "not an object": b'["key"]',
    "a null body": b"null",
    "a number": b"7",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_is_a_quick_400_that_asks_the_database_nothing(owner: Person, name: str) -> None:
    owner.client.get(TOYS)  # last_used_at and caches are warm
    with CaptureQueriesContext(connection) as asked_by_a_good_one:
        send(owner, b'{"kee": 1}')
    started = time.thread_time()
    with CaptureQueriesContext(connection) as asked:
        answer = send(owner, HOSTILE[name])
    seconds = time.thread_time() - started
    assert_refused(answer)
    assert len(asked) == len(asked_by_a_good_one)  # who is calling; nothing about the body
    assert seconds < 0.3, f"{seconds:.3f} s of processor time"


def test_32_levels_and_500_entries_are_fine(owner: Person) -> None:
    nested: Any = 1
    for _ in range(30):
        nested = [nested]
    answer = send(owner, json.dumps({"key": "deep", "extra": nested, "words": ["w"] * 500}))
    assert answer.status_code == 201, answer.content


def test_a_body_over_a_megabyte_is_413(owner: Person) -> None:
    error = assert_refused(send(owner, b'{"key": "' + b"a" * 2**20 + b'"}'), 413)
    assert error["code"] == "too_large"


def test_a_million_ids_are_413(owner: Person) -> None:
    assert_refused(send(owner, json.dumps({"files": [str(uuid4())] * 30_000}), TOYS + "pick/"), 413)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "image/png"])
def test_another_media_type_is_415(owner: Person, content_type: str) -> None:
    error = assert_refused(send(owner, b'{"key": "a"}', content_type=content_type), 415)
    assert error["code"] == "unsupported_media_type"


def test_unknown_and_read_only_fields_are_named(owner: Person) -> None:
    answer = owner.client.post(TOYS, {"key": "a", "kontent_type": "x", "created_at": "2026-01-01"}, format="json")
    fields = assert_refused(answer)["fields"]
    assert fields["kontent_type"] == ["Unknown field. Did you mean content_type?"]
    assert fields["created_at"] == ["This field is read-only."]


def test_a_profile_in_the_body_is_refused(owner: Person, stranger: Person) -> None:
    for name in ("profile", "profile_id"):
        answer = owner.client.post(TOYS, {"key": "a", name: str(stranger.profile.pk)}, format="json")
        assert_refused(answer)
    with scope.activate(stranger.profile.pk):
        assert not StoredFile.objects.exists()


@pytest.mark.parametrize(
    "text", ["a\x01b", "a\nb", "a\tb", "\x7f", "a\u2028b", "a\x85b", "a\u202eb", "a\u202ab", "a\u2066b", "a\u2069b"]
)
def test_control_characters_are_refused_in_one_line_texts(owner: Person, text: str) -> None:
    fields = assert_refused(owner.client.post(TOYS, {"key": text}, format="json"))["fields"]
    assert set(fields) == {"key"}


def test_longer_texts_keep_their_line_breaks_and_plain_ones_are_trimmed(owner: Person) -> None:
    answer = owner.client.post(TOYS, {"key": "  a  ", "notes": "one\n\ttwo"}, format="json")
    assert answer.status_code == 201
    assert answer.json()["key"] == "a"
    assert_refused(owner.client.post(TOYS, {"key": "b", "notes": "one\x00"}, format="json"))


@pytest.mark.parametrize("ratio", ["nan", "inf", "-inf", 1e13, "1e400"])
def test_numbers_are_finite_and_bounded(owner: Person, ratio: Any) -> None:
    fields = assert_refused(owner.client.post(TOYS, {"key": "a", "ratio": ratio}, format="json"))["fields"]
    assert set(fields) == {"ratio"}


def test_forms_are_held_to_the_same(owner: Person) -> None:
    fields = assert_refused(owner.client.post(TOYS, {"key": "a", "extra": '"\\u0000"'}, format="multipart"))["fields"]
    assert set(fields) == {"extra"}
    fields = assert_refused(owner.client.post(TOYS, {"key": "a", "kee": "b"}, format="multipart"))["fields"]
    assert fields == {"kee": ["Unknown field. Did you mean key?"]}
    answer = owner.client.post(TOYS, {"key": "a", "words": ["x", "y"], "csrfmiddlewaretoken": "t"}, format="multipart")
    assert answer.status_code == 201


def test_foreign_and_random_ids_answer_the_same_with_the_same_queries(owner: Person, stranger: Person) -> None:
    with scope.activate(stranger.profile.pk):
        foreign = StoredFile.objects.create(profile=stranger.profile, key="theirs", content_type="video/mp4")
    with scope.activate(owner.profile.pk):
        own = StoredFile.objects.create(profile=owner.profile, key="mine", content_type="video/mp4")
    owner.client.get(TOYS)  # last_used_at is written once a minute
    seen = []
    for body in (
        {"file": str(foreign.pk)},
        {"file": str(uuid4())},
        {"files": [str(own.pk), str(foreign.pk)]},
        {"files": [str(own.pk), str(uuid4())]},
    ):
        with CaptureQueriesContext(connection) as asked:
            answer = owner.client.post(TOYS + "pick/", body, format="json")
        assert answer.status_code == 404
        seen.append((answer.content, len(asked)))
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]
    answer = owner.client.post(TOYS + "pick/", {"file": str(own.pk), "files": [str(own.pk)] * 2}, format="json")
    assert answer.json()["files"] == ["mine", "mine"]
    assert_refused(owner.client.post(TOYS + "pick/", {"file": "7"}, format="json"))
    assert_refused(owner.client.post(TOYS + "pick/", {"files": [7]}, format="json"))
    assert_refused(owner.client.post(TOYS + "pick/", {"files": [str(own.pk)] * 501}, format="json"))


def test_the_idempotency_key_and_the_fingerprint(owner: Person) -> None:
    with scope.activate(owner.profile.pk):
        own = StoredFile.objects.create(profile=owner.profile, key="mine", content_type="video/mp4")
    url = f"{TOYS}{own.pk}/publish/"
    first = owner.client.post(url, {"a": 1, "b": 2}, format="json", headers={"Idempotency-Key": "k-1"}).json()
    again = owner.client.post(url, {"b": 2, "a": 1}, format="json", headers={"Idempotency-Key": "k-1"}).json()
    other = owner.client.post(url, {"a": 1, "b": 3}, format="json").json()
    assert first == again
    assert first["key"] == "k-1"
    assert other["key"] is None
    assert other["print"] != first["print"]
    assert_refused(owner.client.post(url, headers={"Idempotency-Key": "k" * 201}))


@pytest.mark.parametrize("field", ["ratio", "count", "size"])
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_number(owner: Person, field: str, value: bool) -> None:
    error = assert_refused(send(owner, json.dumps({"key": "a", field: value})))
    assert list(error["fields"]) == [field]
    assert send(owner, json.dumps({"key": "b", field: "1"})).status_code == 201


def test_a_boolean_is_no_number_in_a_list() -> None:
    class Numbers(StrictSerializer):
        numbers = serializers.ListField(child=serializers.FloatField())

    assert Numbers(data={"numbers": [1, "2.5"]}).is_valid()
    assert not Numbers(data={"numbers": [1, True]}).is_valid()


def test_an_error_may_name_the_rows_it_is_about() -> None:
    row = {"id": uuid4(), "scheduled_at": datetime(2030, 1, 1, tzinfo=UTC)}
    error = Conflict("Posts are still to come.", code="posts_to_come", details=[row])
    answer = exception_handler(error, {})
    assert answer is not None
    assert answer.data["error"]["details"] == [row]
    told = json.loads(error_response(error).content)
    details = [{"id": str(row["id"]), "scheduled_at": "2030-01-01T00:00:00Z"}]
    assert told == {"error": {"code": "posts_to_come", "message": "Posts are still to come.", "details": details}}
    assert "details" not in json.loads(error_response(Conflict("No.")).content)["error"]
