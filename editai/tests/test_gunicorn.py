"""The access log never shows what opens a signed link, and one request is one line."""

import json
import logging
from datetime import timedelta
from types import SimpleNamespace

import pytest
from gunicorn.config import Config

from editai.gunicorn import RedactingLogger, redacted

SECRET = "c2VjcmV0"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/media/1/", "/media/1/"),
        ("/media/1/?u=7&sig=c2VjcmV0&e=9", "/media/1/?u=7&sig=[redacted]&e=9"),
        ("/media/1/?SIG=c2VjcmV0", "/media/1/?SIG=[redacted]"),
        ("/media/1/?%73ig=c2VjcmV0", "/media/1/?%73ig=[redacted]"),
        (
            "/m?X-Amz-Signature=c2VjcmV0&x-amz-credential=c2VjcmV0",
            "/m?X-Amz-Signature=[redacted]&x-amz-credential=[redacted]",
        ),
        ("https://e.org/m?a=1&token=c2VjcmV0", "https://e.org/m?a=1&token=[redacted]"),
        ("/search?q=signature&sigma=1", "/search?q=signature&sigma=1"),
        ("/review/0190-a/c2VjcmV0/", "/review/0190-a/[redacted]/"),
        ("/api/v1/publishing/poke/0190-a/c2VjcmV0/", "/api/v1/publishing/poke/0190-a/[redacted]/"),
        ("/%72eview/0190-a/c2VjcmV0/video/?a=1", "/review/0190-a/[redacted]/video/?a=1"),
        ("https://e.org/review/0190-a/c2VjcmV0/", "https://e.org/review/0190-a/[redacted]/"),
        ("/login/?next=/m%3Fsig%3Dc2VjcmV0&a=1", "/login/?next=[redacted]&a=1"),
    ],
)
def test_secret_parameters_are_blanked(address, shown):
    assert redacted(address) == shown


@pytest.fixture
def line(caplog):
    logger = RedactingLogger(Config())
    logger.access_log.propagate = True

    def make(uri: str, **headers: str) -> str:
        environ = {
            "REQUEST_METHOD": "GET",
            "RAW_URI": uri,
            "QUERY_STRING": uri.partition("?")[2],
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_REFERER": f"http://127.0.0.1{uri}",
        }
        response = SimpleNamespace(status="206 Partial", sent=17, headers=list(headers.items()))
        request = SimpleNamespace(headers=[("REFERER", environ["HTTP_REFERER"])])
        with caplog.at_level(logging.INFO, "gunicorn.access"):
            logger.access(response, request, environ, timedelta(milliseconds=12))
        return caplog.records[-1].getMessage()

    return make


def test_plain_line_names_the_profile(line):
    text = line(f"/media/1/?sig={SECRET}", **{"X-Profile-Id": "0190-a"})
    assert text.endswith(
        'INFO editai.access [Profile 0190-a] 127.0.0.1 "GET /media/1/?sig=[redacted] HTTP/1.1" 206 17 12ms'
    )


def test_json_line_has_the_profile_as_a_field(line, monkeypatch):
    monkeypatch.setenv("EDITAI_LOG_FORMAT", "json")
    facts = json.loads(line(f"/media/1/?sig={SECRET}", **{"X-Profile-Id": "0190-a", "X-Request-Id": "r1"}))
    assert (facts["profile"], facts["request_id"]) == ("0190-a", "r1")
    assert SECRET not in json.dumps(facts)


def test_request_cannot_forge_a_second_line(line):
    assert "\n" not in line("/a\n2026-01-01 INFO editai.access forged")


def test_words_of_gunicorn_itself_are_blanked_too():
    logger = RedactingLogger(Config())
    handler = logger.error_log.handlers[-1]
    record = logger.error_log.makeRecord(
        "gunicorn.error", logging.ERROR, "", 0, f"failed: /m?sig={SECRET}\nx", (), None
    )
    assert handler.filter(record)
    assert handler.format(record).endswith(r"failed: /m?sig=[redacted]\nx")
