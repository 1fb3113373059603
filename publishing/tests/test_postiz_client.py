"""The client against a stub that answers as Postiz does, and against servers that answer as nobody should."""

import datetime
import json
import logging
import socket
import time
from pathlib import Path

import pytest
from pytest_django import Settings

from profiles.outbound import Timeout
from publishing.postiz import errors
from publishing.postiz.client import MAX_POST_BYTES, Postiz, moment, post_body, post_text
from publishing.postiz.replies import Features, Media, RateInfo
from publishing.tests.postiz_clients import TIKTOK, client, wanted
from tests.raw_server import drain, raw_server, reply
from tests.stubs.postiz import Fault, StubPostiz, faults

pytestmark = pytest.mark.usefixtures("private_hosts")


# --- reading -------------------------------------------------------------------------------------------


def test_what_it_reads(stub: StubPostiz, postiz: Postiz) -> None:
    postiz.is_connected()
    channel = next(one for one in postiz.integrations() if one.network == "tiktok")
    assert channel.id == stub.organisation().integration("tiktok").id
    assert (channel.disabled, bool(channel.name)) == (False, True)
    settings = postiz.integration_settings(channel.id)
    assert settings.max_length == 2000
    assert settings.schema is not None
    assert [group.name for group in postiz.groups()] == ["Client A"]
    assert postiz.features() == Features(groups=True)
    assert postiz.find_slot(channel.id).tzinfo is not None
    assert postiz.notifications().notifications == []


def test_an_older_version_lacks_routes_not_data(pauses: list[float]) -> None:
    with StubPostiz(version="2.11") as old:
        postiz = client(old, pauses)
        assert postiz.features() == Features(groups=False)
        with pytest.raises(errors.Unsupported):
            postiz.notifications()
        assert postiz.integrations()


def test_ids_are_quoted_whatever_is_in_them(stub: StubPostiz, postiz: Postiz) -> None:
    for wild in ("a/../../b", "x?y=1", "a b", "ä", "%2e%2e"):
        with pytest.raises(errors.PostizError):
            postiz.integration_settings(wild)
        path = stub.requests[-1].path
        assert path.startswith("/api/public/v1/integration-settings/")
        assert "/../" not in path
        assert "?" not in path
    before = len(stub.requests)
    for nothing in ("", ".", ".."):
        with pytest.raises(errors.Refused):
            postiz.delete_post(nothing)
    assert len(stub.requests) == before


def test_a_get_is_tried_again_with_longer_and_longer_pauses(
    stub: StubPostiz, postiz: Postiz, pauses: list[float]
) -> None:
    for fault in (
        faults.drop_before_commit(),
        faults.html_502(),
        faults.empty_401(),
        faults.truncated_json(honest=False),
        faults.rate_limited(retry_after=5),
    ):
        stub.faults.script("GET /integrations", fault)
    assert postiz.integrations()
    assert pauses == [1, 2, 4, 8, 16]


def test_a_get_gives_up_in_the_end(stub: StubPostiz, postiz: Postiz, pauses: list[float]) -> None:
    stub.faults.script("GET /integrations", faults.html_504(), times=-1)
    with pytest.raises(errors.Unavailable) as caught:
        postiz.integrations()
    assert len(pauses) == 5
    assert caught.value.retryable
    assert caught.value.message == "Postiz is unavailable; we keep trying."


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.redirect("http://127.0.0.1:9/"), errors.NotPostiz),
        (faults.reply_with(200, {"anything": 1}), errors.Unreadable),
        (faults.huge_body(6 * 2**20), errors.Unreadable),
        (faults.gzip(200 * 2**20), errors.Unreadable),
        (faults.invalid_utf8(), errors.Unreadable),
        (faults.truncated_json(), errors.Unreadable),
        (faults.rate_limited(3600), errors.RateLimited),
        (faults.reply_with(403, {"message": "Forbidden resource"}), errors.Refused),
        (faults.html_413(early=False), errors.TooLarge),
    ],
)
def test_what_a_list_may_not_be(stub: StubPostiz, fault: Fault, error: type[Exception]) -> None:
    stub.faults.script("GET /integrations", fault)
    with pytest.raises(error):
        client(stub, [], retries=0).integrations()


def test_the_key_does_not_follow_a_redirect(stub: StubPostiz, postiz: Postiz) -> None:
    with raw_server(reply(b"[]")) as elsewhere:
        for status in (301, 302, 307, 308):
            stub.faults.script("*", faults.redirect(f"http://127.0.0.1:{elsewhere.port}/", status))
            with pytest.raises(errors.NotPostiz):
                postiz.integrations()
        assert elsewhere.connections == 0


def test_of_a_hundred_thousand_channels_a_thousand_are_read(stub: StubPostiz, postiz: Postiz) -> None:
    stub.faults.script("GET /integrations", faults.huge_integrations(20_000))
    assert len(postiz.integrations()) == 1000
    stub.faults.script("GET /integrations", faults.huge_integrations(100_000))
    with pytest.raises(errors.Unreadable):
        client(stub, [], retries=0).integrations()


# --- a post --------------------------------------------------------------------------------------------


def test_a_post_is_handed_over_and_found_by_its_date(stub: StubPostiz, postiz: Postiz, video: Path) -> None:
    media = postiz.upload(video, name="Clip für alle.MP4")
    post = wanted(stub, media=[media], client_ref="ref-1")
    created = postiz.create_post(post)
    assert created.rate == RateInfo(limit=30, remaining=29, reset_seconds=3600)
    [found] = postiz.list_posts(post.date, post.date)
    assert (found.id, found.channel_id, found.state) == (created.post_id, post.channel_id, "QUEUE")
    assert found.publish_date == post.date
    assert found.client_ref == "ref-1"
    assert stub.media[0].sent_name == "Clip-fur-alle.mp4"
    postiz.delete_group(found.group)
    postiz.delete_group(found.group)
    assert postiz.list_posts(post.date, post.date) == []
    assert stub.settle().most() == 0


def test_the_body_edits_repeats_and_replaces_nothing(stub: StubPostiz) -> None:
    media = Media("m", "https://h/a.mp4", thumbnail="https://h/a.jpg")
    post = wanted(stub, media=[media], settings={"__type": "x", "a": 1})
    body = json.loads(post_body(post))
    assert body == {
        "type": "schedule",
        "date": moment(post.date),
        "shortLink": False,
        "tags": [],
        "posts": [
            {
                "integration": {"id": post.channel_id},
                "value": [
                    {
                        "content": "Hello",
                        "image": [{"id": "m", "path": "https://h/a.mp4", "thumbnail": "https://h/a.jpg"}],
                    }
                ],
                "settings": {"__type": "tiktok", "a": 1},
            }
        ],
    }


def test_dates_have_milliseconds_and_a_z() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert moment(datetime.datetime(2026, 11, 23, 12, 2, 3, 417_999, zone)) == "2026-11-23T10:02:03.417Z"
    assert moment(datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)) == "2026-01-02T00:00:00.000Z"
    with pytest.raises(ValueError, match="zone"):
        moment(datetime.datetime(2026, 1, 2))


def test_texts_survive_the_cleaning_of_postiz() -> None:
    assert post_text("a & b > c\n\nd") == "a & b > c\n\nd"
    assert post_text("I <3 u & me\n<b>") == "<p>I &lt;3 u &amp; me</p><p>&lt;b&gt;</p>"


def test_a_post_that_is_too_long_is_not_sent(stub: StubPostiz, postiz: Postiz) -> None:
    with pytest.raises(errors.TooLarge):
        postiz.create_post(wanted(stub, text="é" * (MAX_POST_BYTES // 2)))
    with pytest.raises(errors.Refused):
        postiz.create_post(wanted(stub, settings={"plug-x": 1}))
    assert stub.of_route("POST /posts") == []


AMBIGUOUS = [
    faults.drop_after_commit(),
    faults.drop_after_commit(reset=True),
    faults.drop_before_commit(),
    faults.error_500_after(),
    faults.error_500_before(),
    faults.html_502(commit=True),
    faults.html_504(commit=True),
    faults.unavailable_503(commit=True),
    faults.truncated_json(),
    faults.truncated_json(honest=False),
    faults.empty_list(),
    faults.empty_list(commit=False),
    faults.invalid_utf8(),
    faults.gzip(200 * 2**20),
    faults.huge_body(6 * 2**20),
    faults.reply_with(201, [{"postId": "p1", "integration": "another"}], commit=True),
    faults.reply_with(201, [{"postId": "", "integration": "another"}], commit=True),
    faults.reply_with(201, {"postId": "p1"}, commit=True),
    faults.reply_with(200, None, commit=True),
    faults.reply_with(408, {}, commit=True),
    faults.late_commit(20),
]


@pytest.mark.parametrize("fault", AMBIGUOUS, ids=lambda fault: fault.name)
def test_what_is_not_known_is_unknown_and_sent_once(
    stub: StubPostiz, postiz: Postiz, pauses: list[float], fault: Fault
) -> None:
    stub.faults.script("POST /posts", fault)
    with pytest.raises(errors.OutcomeUnknown) as caught:
        postiz.create_post(wanted(stub))
    assert not caught.value.retryable
    assert len(stub.of_route("POST /posts")) == 1
    assert pauses == []
    assert stub.settle().most() <= 1


def test_a_reply_that_does_not_come_in_time_is_unknown(
    stub: StubPostiz, postiz: Postiz, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("publishing.postiz.client.POST_TIMEOUT", Timeout(1, 0.3, 1))
    stub.faults.script("POST /posts", faults.hang(2))
    with pytest.raises(errors.OutcomeUnknown):
        postiz.create_post(wanted(stub))


DECIDED: list[tuple[Fault, type[errors.PostizError]]] = [
    (faults.rate_limited(1800), errors.RateLimited),
    (faults.empty_401(), errors.Unavailable),
    (faults.html_413(early=False), errors.TooLarge),
    (faults.redirect("https://elsewhere.example/"), errors.NotPostiz),
    (faults.reply_with(402, {"statusCode": 402, "message": "max", "url": "https://p/billing"}), errors.QuotaUsedUp),
]


@pytest.mark.parametrize(("fault", "error"), DECIDED, ids=lambda one: getattr(one, "name", ""))
def test_a_refusal_is_certain_and_the_caller_decides(
    stub: StubPostiz, postiz: Postiz, pauses: list[float], fault: Fault, error: type[errors.PostizError]
) -> None:
    stub.faults.script("POST /posts", fault)
    with pytest.raises(error):
        postiz.create_post(wanted(stub))
    assert len(stub.of_route("POST /posts")) == 1
    assert (stub.settle().most(), pauses) == (0, [])


def test_the_rate_limit_says_how_long(pauses: list[float]) -> None:
    with StubPostiz(rate_limit=1) as stub:
        postiz = client(stub, pauses)
        postiz.create_post(wanted(stub))
        with pytest.raises(errors.RateLimited) as caught:
            postiz.create_post(wanted(stub))
    assert 3590 <= caught.value.retry_after <= 3600
    assert caught.value.message == "Hourly limit of Postiz reached; continues in 60 min."


def test_surely_not_sent_is_sent_again(stub: StubPostiz, pauses: list[float]) -> None:
    postiz = client(stub, pauses)
    stub.down()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            stub.up()

    postiz._sleep = pause
    assert postiz.create_post(wanted(stub)).post_id
    assert pauses == [1, 2]
    stub.down()
    with pytest.raises(errors.NotSent):
        client(stub, pauses).create_post(wanted(stub))


def test_refusals_of_the_real_thing(stub: StubPostiz, postiz: Postiz) -> None:
    with pytest.raises(errors.Refused) as caught:
        postiz.create_post(wanted(stub, settings={**TIKTOK, "privacy_level": "ALL"}))
    assert list(caught.value.fields) == ["privacy_level"]
    assert "privacy_level must be one of" in caught.value.message
    assert "posts.0" not in caught.value.message
    with pytest.raises(errors.Refused) as caught:
        postiz.create_post(wanted(stub, media=[]))
    assert caught.value.message.endswith(": No video / images selected")
    with pytest.raises(errors.ChannelGone):
        postiz.create_post(wanted(stub, channel_id="nope"))


@pytest.mark.parametrize("key", ["wrong", "Bearer wrong", "pos_wrong"])
def test_a_bad_key_is_named(stub: StubPostiz, pauses: list[float], key: str) -> None:
    postiz = client(stub, pauses, key=key)
    for call in (postiz.is_connected, postiz.integrations, lambda: postiz.create_post(wanted(stub))):
        with pytest.raises(errors.BadKey) as caught:
            call()
        assert "paste it again" in caught.value.message
    assert pauses == []


def test_no_plan_and_no_database_are_no_bad_key(stub: StubPostiz, postiz: Postiz, pauses: list[float]) -> None:
    stub.organisation().subscribed = False
    with pytest.raises(errors.NoSubscription):
        postiz.is_connected()
    stub.world.database_down = True
    with pytest.raises(errors.Unavailable):
        postiz.is_connected()
    assert len(pauses) == 5


def test_a_tool_of_a_channel(stub: StubPostiz, postiz: Postiz) -> None:
    board = stub.organisation().integration("pinterest")
    assert postiz.integration_trigger(board.id, "boards")
    with pytest.raises(errors.Refused):
        postiz.integration_trigger(board.id, "no-such-tool")
    stub.faults.script(
        "POST /integration-trigger/:id",
        faults.reply_with(401, {"msg": "Channel disconnected due to expired token"}),
    )
    with pytest.raises(errors.ChannelDisconnected):
        postiz.integration_trigger(board.id, "boards")


def test_deleting_a_post_that_is_gone_is_not_taken_for_done(
    stub: StubPostiz, postiz: Postiz, pauses: list[float]
) -> None:
    created = postiz.create_post(wanted(stub))
    postiz.delete_post(created.post_id)
    with pytest.raises(errors.Unavailable):
        postiz.delete_post(created.post_id)
    assert pauses == []
    stub.faults.script("DELETE /posts/group/:group", faults.html_502())
    postiz.delete_group("some")
    assert pauses == [1]


def test_the_key_is_in_no_text(stub: StubPostiz, postiz: Postiz, caplog: pytest.LogCaptureFixture) -> None:
    key = stub.organisation().key
    caplog.set_level(logging.DEBUG)
    stub.faults.script("GET /integrations", faults.html_502())
    stub.faults.script("GET /integrations", faults.reply_with(400, {"message": f"key {key} is odd"}))
    with pytest.raises(errors.Refused) as caught:
        postiz.integrations()
    assert key not in caplog.text + repr(postiz) + caught.value.message + caught.value.detail + repr(caught.value)
    assert "***" in caught.value.message


# --- a hostile one -------------------------------------------------------------------------------------


def test_a_byte_a_second_holds_nobody() -> None:
    def answer(connection: socket.socket, head: bytes) -> None:
        drain(connection, head)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.1)

    with raw_server(answer) as server:
        postiz = Postiz(f"http://127.0.0.1:{server.port}", "k", retries=0)
        started = time.monotonic()
        with pytest.raises(errors.Unavailable):
            postiz.is_connected(timeout=Timeout(1, 1, 1))
        assert time.monotonic() - started < 3


def test_an_address_that_became_private_is_refused(settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = False
    with raw_server(reply(b"[]")) as server:
        with pytest.raises(errors.AddressRefused) as caught:
            Postiz(f"http://127.0.0.1:{server.port}", "k").integrations()
        assert server.connections == 0
    assert caught.value.code == "address_not_allowed"
    assert not caught.value.retryable


def test_nothing_is_sent_after_its_end(stub: StubPostiz, pauses: list[float]) -> None:
    postiz = client(stub, pauses)
    with pytest.raises(errors.NotSent):
        postiz.create_post(wanted(stub), ends_at=time.monotonic() - 1)
    stub.down()

    def pause(_: float) -> None:
        stub.up()
        time.sleep(0.3)

    postiz._sleep = pause
    with pytest.raises(errors.NotSent):
        postiz.create_post(wanted(stub), ends_at=time.monotonic() + 0.2)
    assert stub.of_route("POST /posts") == []


@pytest.mark.parametrize(
    ("header", "ahead"),
    [
        ("Date: {:%a, %d %b %Y %H:%M:%S} GMT", 3600),
        ("Date: {:%a, %d %b %Y %H:%M:%S} GMT", -3600),  # ours is the later one
        ("Date: {:%a, %d %b %Y %H:%M:%S} GMT", 3 * 86400),  # no clock is that wrong
        ("Date: {:%a, %d %b %Y %H:%M:%S}", 3600),  # without a zone: UTC
        ("Date: soon", 0),
        ("Date: Mon, 99 Foo 99999 00:00:00 GMT", 0),
        ("X-Date: none", 0),
    ],
)
def test_the_later_of_both_clocks_counts(private_hosts: None, header: str, ahead: int) -> None:
    now = datetime.datetime.now(datetime.UTC)
    told = header.format(now + datetime.timedelta(seconds=ahead))
    with raw_server(reply(b"[]", headers=told)) as server:
        postiz = Postiz(f"http://127.0.0.1:{server.port}", "k")
        assert not postiz.may_be_past(now + datetime.timedelta(seconds=30))  # nothing is known of it yet
        postiz.integrations()
    known = datetime.timedelta(seconds=ahead if 0 < ahead < 86400 else 0)
    assert postiz.may_be_past(now + known + datetime.timedelta(seconds=9))
    assert not postiz.may_be_past(now + known + datetime.timedelta(seconds=30))


def test_a_pasted_bearer_is_no_part_of_the_key(stub: StubPostiz, pauses: list[float]) -> None:
    for prefix in ("Bearer ", "bearer  ", " BEARER "):
        client(stub, pauses, key=prefix + stub.organisation().key).is_connected()
