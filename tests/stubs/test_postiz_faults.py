"""The stub's scripted faults: what the caller sees, and what was done all the same."""

import gzip
import json
import socket
import threading
import time
from typing import Any

import httpx
import pytest

from tests.stubs.postiz import Fault, StubPostiz, faults
from tests.stubs.postiz.models import SeenRequest
from tests.stubs.postiz_caller import MP4, Caller

INTERNAL = b'{"statusCode":500,"message":"Internal server error"}'


def test_a_naive_second_try_is_a_double_post(caller: Caller) -> None:
    body = caller.body()
    caller.stub.faults.script("POST /posts", faults.drop_after_commit())
    with pytest.raises(httpx.RemoteProtocolError):
        caller.post(body)
    assert caller.post(body).status_code == 201
    assert caller.stub.settle().most() == 2


@pytest.mark.parametrize(
    ("fault", "rows"),
    [
        (faults.drop_before_commit(), 0),
        (faults.drop_before_commit(early=True), 0),
        (faults.drop_before_commit(reset=True), 0),
        (faults.drop_after_commit(), 1),
        (faults.drop_after_commit(reset=True), 1),
        (faults.hang(0.1, commit="no"), 0),
        (faults.truncated_json(honest=False), 1),
    ],
)
def test_cut_lines(caller: Caller, fault: Fault, rows: int) -> None:
    body = caller.body()
    caller.stub.faults.script("POST /posts", fault)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        caller.post(body)
    assert len(caller.listed()) == rows
    assert caller.stub.of_route("POST /posts")[0].fault == fault.name


@pytest.mark.parametrize(
    ("fault", "status", "body", "headers", "rows"),
    [
        (faults.error_500_before(), 500, INTERNAL, {}, 0),
        (faults.error_500_after(), 500, INTERNAL, {}, 1),
        (faults.empty_401(), 401, b"", {}, 0),
        (faults.rate_limited(77), 429, b'{"statusCode":429', {"Retry-After": "77"}, 0),
        (faults.html_502(), 502, b"<html>", {"Content-Type": "text/html"}, 0),
        (faults.html_502(commit=True), 502, b"<html>", {"Content-Type": "text/html"}, 1),
        (faults.html_504(), 504, b"<html>", {"Content-Type": "text/html"}, 0),
        (faults.html_504(commit=True), 504, b"<html>", {}, 1),
        (faults.html_413(), 413, b"<html>", {"Connection": "close"}, 0),
        (faults.unavailable_503(9), 503, b"<html>", {"Retry-After": "9"}, 0),
        (faults.redirect("http://127.0.0.1:1/x", 308), 308, b"", {"Location": "http://127.0.0.1:1/x"}, 0),
        (faults.empty_list(), 201, b"[]", {}, 1),
        (faults.empty_list(commit=False), 201, b"[]", {}, 0),
        (faults.reply_with(402, {"statusCode": 402}), 402, b'{"statusCode":402}', {}, 0),
    ],
)
def test_wrong_replies(
    caller: Caller, fault: Fault, status: int, body: bytes, headers: dict[str, str], rows: int
) -> None:
    sent = caller.body()
    caller.stub.faults.script("POST /posts", fault)
    answer = caller.post(sent)
    assert answer.status_code == status
    assert answer.content.startswith(body)
    assert (answer.content == b"") == (body == b"")
    assert {name: answer.headers[name] for name in headers} == headers
    assert len(caller.listed()) == rows
    assert caller.post(sent).status_code == 201  # it struck once


@pytest.mark.parametrize(
    ("route", "path"),
    [("GET /posts", "/posts?startDate=2030-01-01&endDate=2031-01-01"), ("GET /integrations", "/integrations")],
)
def test_replies_that_cannot_be_read(caller: Caller, route: str, path: str) -> None:
    caller.post()
    whole = caller.client.get(path).content
    script = caller.stub.faults.script
    script(route, faults.truncated_json())
    assert caller.client.get(path).content == whole[: len(whole) // 2]
    script(route, faults.invalid_utf8())
    assert caller.client.get(path).content == whole.replace(b'"', b'"\xff', 1)
    script(route, faults.empty_list())
    assert caller.client.get(path).content in (b"[]", b'{"posts":[]}')
    script(route, faults.gzip())
    with caller.client.stream("GET", path, headers={"Accept-Encoding": "identity"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())) == whole
    script(route, faults.wild_ids())
    assert b'"id":"a/../../b/../' in caller.client.get(path).content
    script(route, faults.huge_body(3_000_000))
    answer = caller.client.get(path)
    assert len(answer.content) == 3_000_000
    assert answer.content.strip() == whole
    assert caller.client.get(path).content == whole


def test_a_gzip_bomb_is_small_on_the_line(caller: Caller) -> None:
    caller.stub.faults.script("GET /integrations", faults.gzip(50_000_000))
    with caller.client.stream("GET", "/integrations") as answer:
        assert int(answer.headers["Content-Length"]) < 100_000
        assert sum(len(piece) for piece in answer.iter_bytes()) == 50_000_000


def test_very_many_channels(caller: Caller) -> None:
    caller.stub.faults.script("GET /integrations", faults.huge_integrations())
    rows = caller.client.get("/integrations").json()
    assert len({row["id"] for row in rows}) == 100_000


@pytest.mark.parametrize(
    ("fault", "rows"),
    [
        (faults.hang(30), 1),
        (faults.hang(30, commit="after"), 0),
        (faults.slow_headers(0.4), 1),
        (faults.late_commit(3600), 0),
    ],
)
def test_silence(caller: Caller, fault: Fault, rows: int) -> None:
    body = caller.body()
    caller.stub.faults.script("POST /posts", fault)
    with pytest.raises((httpx.ReadTimeout, httpx.RemoteProtocolError)):
        caller.client.post("/posts", json=body, timeout=0.3)
    assert len(caller.listed()) == rows


def test_a_reply_that_drips(caller: Caller) -> None:
    caller.stub.faults.script("GET /is-connected", faults.slow_drip(0.02))
    start = time.monotonic()
    with caller.client.stream("GET", "/is-connected") as answer:
        pieces = list(answer.iter_raw())
    assert b"".join(pieces) == b'{"connected":true}'
    assert len(pieces) > 5
    assert time.monotonic() - start > 0.3


def test_a_late_commit_by_the_stubs_clock(caller: Caller) -> None:
    start = caller.stub.clock.freeze()
    caller.stub.faults.script("POST /posts", faults.late_commit(20))
    with pytest.raises(httpx.RemoteProtocolError):
        caller.post(caller.body(type="now"))
    caller.stub.clock.advance(19)
    assert caller.listed() == []
    caller.stub.clock.advance(30)
    assert [row["state"] for row in caller.listed()] == ["PUBLISHED"]
    assert (caller.stub.posts[0].created_at - start).total_seconds() == 20
    assert (caller.stub.ledger[0].at - start).total_seconds() == 25


def test_a_late_commit_in_real_time(caller: Caller) -> None:
    caller.stub.faults.script("POST /posts", faults.late_commit(0.5, clock="real"))
    with pytest.raises(httpx.RemoteProtocolError):
        caller.post()
    assert caller.listed() == []
    assert len(caller.stub.settle()) == 1


def test_a_failure_in_the_middle_leaves_what_came_before(caller: Caller) -> None:
    body = caller.body("x")
    body["posts"] += caller.body("youtube")["posts"]
    caller.stub.faults.script("POST /posts", faults.fail_at_item(1))
    answer = caller.post(body)
    assert (answer.status_code, answer.content) == (500, INTERNAL)
    assert [row["integration"]["providerIdentifier"] for row in caller.listed()] == ["x"]


@pytest.mark.parametrize("fault", [faults.drop_before_commit(after_bytes=1_000_000), faults.drop_before_commit()])
def test_an_upload_that_is_cut_in_the_middle(caller: Caller, fault: Fault) -> None:
    caller.stub.faults.script("POST /upload", fault)
    with pytest.raises((httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError)):
        caller.upload(MP4 + bytes(20_000_000))
    [seen] = caller.stub.requests
    assert (seen.status, seen.ended) == (None, "dropped")
    assert (seen.size < 2_000_000) == (fault.after_bytes is not None)
    assert caller.stub.media == []


@pytest.mark.parametrize("fault", [faults.drop_after_commit(), faults.error_500_after(), faults.html_504(commit=True)])
def test_uploads_and_deletions_that_happened_all_the_same(caller: Caller, fault: Fault) -> None:
    def tried(call: Any) -> int | None:
        try:
            status: int = call().status_code
        except httpx.RemoteProtocolError:
            return None
        return status

    caller.stub.faults.script("POST /upload", fault)
    assert tried(caller.upload) in (None, 500, 504)
    assert len(caller.stub.media) == 1
    caller.post()
    caller.stub.faults.script("DELETE *", fault)
    assert tried(lambda: caller.client.delete(f"/posts/{caller.listed()[0]['id']}")) in (None, 500, 504)
    assert caller.listed() == []


def test_faults_are_for_their_route_their_times_and_their_requests(caller: Caller) -> None:
    def of_youtube(seen: SeenRequest) -> bool:
        return bool(seen.body["posts"][0]["integration"]["id"] == caller.channel("youtube").id)

    caller.stub.faults.script("POST /posts", faults.html_502(), times=2, match=of_youtube)
    assert caller.post().status_code == 201
    assert [caller.post(caller.body("youtube")).status_code for _ in range(3)] == [502, 502, 201]
    caller.stub.faults.script("*", faults.empty_401(), times=-1)
    assert {caller.client.get("/is-connected").status_code for _ in range(3)} == {401}
    caller.stub.faults.clear()
    assert caller.client.get("/is-connected").status_code == 200


def test_hooks_see_a_call_on_its_way(caller: Caller) -> None:
    reached: list[tuple[str, int]] = []

    def note(moment: str) -> None:
        def hook(seen: SeenRequest) -> None:
            reached.append((moment, len(caller.stub.world.posts)))

        caller.stub.on("POST /posts", moment, hook)

    for moment in ("received", "before_commit", "after_commit", "before_reply"):
        note(moment)
    caller.post()
    assert reached == [("received", 0), ("before_commit", 0), ("after_commit", 1), ("before_reply", 1)]
    with pytest.raises(ValueError, match="moment must be one of"):
        caller.stub.on("POST /posts", "later", print)


@pytest.mark.parametrize(("moment", "rows"), [("before_commit", 0), ("after_commit", 1)])
def test_a_gate_holds_a_call_while_its_client_dies(caller: Caller, moment: str, rows: int) -> None:
    stub = caller.stub
    gate = stub.pause("POST /posts", moment)
    body = json.dumps(caller.body()).encode()
    head = (
        f"POST /public/v1/posts HTTP/1.1\r\nHost: x\r\nAuthorization: {caller.organisation.key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", int(stub.url.rsplit(":", 1)[1])), timeout=10) as line:
        line.sendall(head.encode() + body)
        assert gate.wait()
        assert len(caller.listed()) == rows  # others go on meanwhile
    gate.resume()
    for _ in range(100):
        if stub.of_route("POST /posts")[0].ended:
            break
        threading.Event().wait(0.05)
    assert len(caller.listed()) == 1
    assert caller.post().status_code == 201  # it held one call only


def test_a_postiz_that_is_down_and_comes_back(caller: Caller) -> None:
    caller.post()
    caller.stub.down()
    with pytest.raises(httpx.ConnectError):
        httpx.get(caller.stub.url, trust_env=False)
    caller.stub.up()
    assert len(caller.listed()) == 1


def test_ipv6_and_a_caller_who_expects_tls() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with StubPostiz(host="::1") as stub:
        assert httpx.get(f"{stub.url}/", trust_env=False).status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.get(stub.url.replace("http:", "https:"), trust_env=False)
