"""Every shape in which Postiz, or what stands in front of it, says no."""

import json

import pytest

from profiles.outbound import Reply
from publishing.postiz import errors
from publishing.postiz.refusals import problem_of


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (400, b'{"msg":"No file provided"}', errors.Refused, "Postiz refused this: No file provided"),
        (400, b'{"msg":"File is too large."}', errors.MediaRefused, "Video must be MP4, max 1 GB."),
        (400, b'{"message":"Unsupported file type."}', errors.MediaRefused, "Video must be MP4, max 1 GB."),
        (400, b"", errors.Refused, "Postiz refused this (400)."),
        (400, b"<html>bad</html>", errors.Refused, "Postiz refused this (400)."),
        (400, b'{"message":[1,null]}', errors.Refused, "Postiz refused this (400)."),
        (400, b'{"message":{"a":1}}', errors.Refused, "Postiz refused this (400)."),
        (400, b"[" * 200_000, errors.Refused, "Postiz refused this (400)."),
        (401, b"<html>Log in</html>", errors.NotPostiz, ""),
        (401, b'{"msg":"Something else"}', errors.Unavailable, ""),
        (404, b'{"msg":"Integration not found"}', errors.ChannelGone, ""),
        (404, b"<html>", errors.NotPostiz, ""),
        (404, b"", errors.NotPostiz, ""),
        (422, b'{"message":"no"}', errors.Refused, "Postiz refused this: no"),
        (500, b'{"statusCode":500,"message":"Internal server error"}', errors.Unavailable, ""),
        (524, b"<html>", errors.Unavailable, ""),
        (308, b"", errors.NotPostiz, ""),
    ],
)  # fmt: skip
def test_every_shape_of_refusal(status: int, body: bytes, error: type[errors.PostizError], message: str) -> None:
    problem = problem_of(Reply(status, {}, body))
    assert type(problem) is error
    assert problem.message.startswith(message or error.text)
    assert len(problem.detail) <= 600


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120), ("", 3600), ("soon", 3600), ("0", 1), ("999999999", 86400)]
)
def test_retry_after_is_a_number_of_seconds_or_an_hour(value: str, seconds: int) -> None:
    problem = problem_of(Reply(429, {"retry-after": value}, b"{}"))
    assert isinstance(problem, errors.RateLimited)
    assert problem.retry_after == seconds


def test_the_link_to_the_plan_is_https_or_none() -> None:
    for url, shown in (("https://p.example/billing", "https://p.example/billing"), ("javascript:alert(1)", "")):
        problem = problem_of(Reply(402, {}, json.dumps({"url": url, "message": "max"}).encode()))
        assert isinstance(problem, errors.QuotaUsedUp)
        assert problem.url == shown


def test_what_its_validator_says_is_readable() -> None:
    texts = [
        "type must be one of the following values: draft, schedule",
        "date must be a date",
        "posts.0.settings.title must be longer",
        "posts.0.value.0.content should not be empty",
    ]
    problem = problem_of(Reply(400, {}, json.dumps({"message": texts}).encode()))
    assert isinstance(problem, errors.Refused)
    assert problem.message == (
        "Postiz refused this: type must be one of the following values: draft, schedule; date must be a date; "
        "title must be longer; caption should not be empty"
    )
    assert list(problem.fields) == ["non_field_errors", "schedule_date", "title", "caption"]


@pytest.mark.parametrize("error", [errors.Refused, errors.Unreadable, errors.Unavailable, errors.NotSent])
def test_it_is_said_who_has_to_do_what(error: type[errors.PostizError]) -> None:
    assert error().next_step
