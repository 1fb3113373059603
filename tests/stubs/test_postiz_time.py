"""The stub's clock and what time does: the life of posts, their notifications, the hourly limit, the ledger."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.stubs.postiz import StubPostiz, Webhook, outcomes
from tests.stubs.postiz.outcomes import Outcome
from tests.stubs.postiz_caller import Caller

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DUE = "2026-11-23T12:10:00.417Z"


@pytest.fixture
def noon(caller: Caller) -> Caller:
    """The caller, with the clock standing at noon."""
    caller.stub.clock.set(NOON, frozen=True)
    return caller


def state(caller: Caller) -> tuple[str, bool, str | None]:
    [row] = caller.listed()
    return row["state"], row["releaseURL"] is not None, row["releaseId"]


def test_the_clock_follows_real_time_from_where_it_was_put(postiz: StubPostiz) -> None:
    assert abs(postiz.clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    postiz.clock.advance(7200)
    assert timedelta(seconds=7195) < postiz.clock.now() - datetime.now(UTC) < timedelta(seconds=7205)
    postiz.clock.set(NOON)
    assert NOON < postiz.clock.now() < NOON + timedelta(seconds=5)
    with pytest.raises(ValueError, match="forward"):
        postiz.clock.advance(-1)


def test_a_post_is_published_when_its_time_has_come(noon: Caller) -> None:
    noon.post(noon.body(date=DUE))
    noon.stub.clock.advance(604)
    assert state(noon) == ("QUEUE", False, None)
    assert noon.stub.ledger.most() == 0
    noon.stub.clock.advance(2)
    [row] = noon.listed()
    assert (row["state"], row["releaseURL"]) == (
        "PUBLISHED",
        f"https://www.tiktok.com/@organisation1tiktok/video/{row['releaseId']}",
    )
    [one] = noon.stub.ledger
    assert (one.post_id, one.integration_id, one.content) == (row["id"], noon.channel("tiktok").id, "Caption")
    assert one.at == NOON + timedelta(seconds=605, milliseconds=417)
    assert one.media_path == noon.stub.media[0].path


def test_without_any_jump_time_alone_publishes() -> None:
    with StubPostiz(latency=0) as stub:
        caller = Caller(stub)
        with caller.client:
            caller.post(caller.body(type="now"))
            for _ in range(100):
                if stub.world.ledger:  # read without letting it catch up
                    break
                stub.world.stopping.wait(0.05)
            assert len(stub.world.ledger) == 1


@pytest.mark.parametrize(
    ("outcome", "shown", "live", "notice"),
    [
        (outcomes.published(), [("PUBLISHED", True)], 1, "Your post has been published on Tiktok at https://"),
        (outcomes.stuck(), [("QUEUE", False)], 0, None),
        (outcomes.failed("No luck"), [("ERROR", False)], 0, "An error occurred while posting on tiktok: No luck"),
        (outcomes.failed_then_published(), [("ERROR", False), ("PUBLISHED", True)], 1, "Your post has been published"),
        (outcomes.failed_but_live(), [("ERROR", True)], 1, "An error occurred while posting on tiktok: Already posted"),
        (outcomes.unconfirmed(), [("ERROR", False)], 1, "Your post was sent to Tiktok, but we couldn't confirm it was"),
        (outcomes.unconfirmed(live=False), [("ERROR", False)], 0, "Your post was sent to Tiktok, but we couldn't"),
        (outcomes.tiktok_inbox(), [("PUBLISHED", True)], 1, "at https://www.tiktok.com/messages?lang=en"),
    ],
)
def test_how_it_may_end(
    noon: Caller, outcome: Outcome, shown: list[tuple[str, bool]], live: int, notice: str | None
) -> None:
    noon.stub.outcomes.script(outcome)
    noon.post(noon.body(date=DUE))
    noon.stub.clock.advance(620)
    assert state(noon)[:2] == shown[0]
    assert noon.stub.settle().most() == live
    assert state(noon)[:2] == shown[-1]
    page = noon.client.get("/notifications").json()
    assert (page["page"], page["limit"], page["hasMore"]) == (0, 100, False)
    assert (notice is None) == (page["notifications"] == [])
    if notice is not None:
        assert notice in page["notifications"][0]["content"]  # the newest is the first


def test_the_sweep_publishes_an_hour_late(noon: Caller) -> None:
    noon.stub.outcomes.script(outcomes.swept())
    noon.post(noon.body(date=DUE))
    noon.stub.clock.advance(4100)
    assert state(noon)[0] == "QUEUE"
    noon.stub.clock.advance(120)
    assert state(noon)[0] == "PUBLISHED"


def test_a_post_in_tiktoks_inbox_gets_its_id_later(noon: Caller) -> None:
    noon.stub.outcomes.script(outcomes.tiktok_inbox())
    one = noon.post(noon.body(type="now")).json()[0]["postId"]
    assert noon.client.put(f"/posts/{one}/release-id", json={"releaseId": "7"}).status_code == 500
    noon.stub.settle()
    assert state(noon) == ("PUBLISHED", True, "missing")
    noon.stub.posts[0].candidates = [{"id": "7", "url": "https://www.tiktok.com/video/7"}]
    assert noon.client.get(f"/posts/{one}/missing").json()[0]["id"] == "7"
    assert noon.client.put(f"/posts/{one}/release-id", json={"releaseId": "7"}).json()["releaseId"] == "7"


@pytest.mark.parametrize(("name", "said"), [("disabled", "because it's disabled"), ("refresh_needed", "to reconnect")])
def test_channels_that_cannot_publish(noon: Caller, name: str, said: str) -> None:
    body = noon.body(date=DUE)
    noon.post(body)
    setattr(noon.channel("tiktok"), name, True)
    noon.stub.world.error_in_list = True
    assert noon.stub.settle() == []
    assert noon.listed()[0]["error"] in ("Channel disabled", "Refresh channel needed")
    assert said in noon.client.get("/notifications").json()["notifications"][0]["content"]


def test_a_late_deletion_does_not_stop_what_is_in_flight(noon: Caller) -> None:
    noon.post(noon.body(date=DUE))
    early = noon.listed()[0]["group"]
    noon.client.delete(f"/posts/group/{early}")
    assert noon.stub.settle() == []
    noon.stub.clock.set(NOON, frozen=True)
    noon.post(noon.body(date=DUE))
    noon.stub.clock.advance(602)  # past its date, not yet published
    noon.client.delete(f"/posts/{noon.listed()[0]['id']}")
    assert noon.listed() == []
    ledger = noon.stub.settle()
    assert (len(ledger), len(ledger.cancelled_in_flight)) == (1, 1)


def test_scheduling_what_is_published_publishes_it_again(noon: Caller) -> None:
    one = noon.post(noon.body(type="draft")).json()[0]["postId"]
    assert noon.stub.settle() == []
    url = f"/posts/{one}/status"
    assert noon.client.put(url, json={"status": "now"}).status_code == 400
    assert noon.client.put(url, json={"status": "schedule"}).json() == {"id": one, "state": "QUEUE"}
    assert noon.client.put(url, json={"status": "draft"}).json() == {"id": one, "state": "DRAFT"}
    assert noon.stub.settle() == []
    noon.client.put(url, json={"status": "schedule"})
    assert noon.stub.settle().most() == 1
    noon.client.put(url, json={"status": "schedule"})
    assert noon.stub.settle().most() == 2
    assert noon.client.put("/posts/unknown/status", json={"status": "draft"}).json()["message"] == "Post not found"


def test_editing_what_is_published_is_guarded_at_head_only(noon: Caller) -> None:
    body = noon.body(date=DUE)
    one = noon.post(body).json()[0]["postId"]
    noon.stub.settle()
    body["posts"][0]["value"][0]["id"] = one
    assert noon.post(body).status_code == 400
    noon.stub.world.set_version("2.23.0")
    assert noon.post(body).status_code == 201
    assert noon.stub.settle().most() == 2


def test_settings_of_what_still_waits(noon: Caller) -> None:
    one = noon.post(noon.body(date=DUE)).json()[0]["postId"]
    answer = noon.client.put(f"/posts/{one}/settings", json={"settings": {"client_ref": "r1"}})
    assert answer.json() == {"postId": one, "publishDate": "2026-11-23T12:10:00"}
    assert json.loads(noon.listed()[0]["settings"])["client_ref"] == "r1"
    assert noon.stub.settle().most("ref") == 1
    assert noon.client.put(f"/posts/{one}/settings", json={"settings": {}}).status_code == 400


def test_the_ledger_knows_the_same_file_again(caller: Caller) -> None:
    for _ in range(2):
        caller.post(caller.body(media=[caller.media()]))  # the same bytes, uploaded twice
    caller.post(caller.body("youtube"))  # another channel
    caller.post(caller.body(media=[caller.media(b"\0\0\0\x18ftypmp42 another film")]))
    ledger = caller.stub.settle()
    assert len(ledger) == 4
    assert (ledger.most(), ledger.most("path"), ledger.most("ref")) == (2, 1, 1)
    assert len(ledger.of(caller.channel("tiktok").id)) == 3


def test_a_sent_post_can_be_ended_by_hand(caller: Caller) -> None:
    one, two = (caller.post(caller.body(media=[])).status_code for _ in range(2))
    assert (one, two) == (400, 400)
    first, second = (caller.post().json()[0]["postId"] for _ in range(2))
    caller.stub.publish(first)
    caller.stub.end(second, outcomes.failed("Refused"))
    assert [row["state"] for row in caller.listed()] == ["PUBLISHED", "ERROR"]
    assert len(caller.stub.settle()) == 1
    with pytest.raises(LookupError):
        caller.stub.publish("unknown")


@pytest.fixture
def hook() -> Iterator[tuple[str, list[Any], threading.Event]]:
    """A webhook's receiver: its address, what it got, and when."""
    got: list[Any] = []
    called = threading.Event()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            called.set()

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", got, called
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("payload", ["empty", "fixed"])
def test_the_webhook(caller: Caller, hook: tuple[str, list[Any], threading.Event], payload: Any) -> None:
    url, got, called = hook
    caller.stub.set_webhook(Webhook(url, payload))
    one = caller.post().json()[0]["postId"]
    caller.stub.settle()
    assert called.wait(10)
    assert [[row["id"] for row in body] for body in got] == ([[]] if payload == "empty" else [[one]])


def test_the_hourly_limit(noon: Caller) -> None:
    noon.stub.world.throttle.limit = 2
    body = noon.body()
    answer = noon.post(body)
    limits = {name: answer.headers[f"X-RateLimit-{name}"] for name in ("Limit", "Remaining", "Reset")}
    assert limits == {"Limit": "2", "Remaining": "1", "Reset": "3600"}
    assert noon.post({**body, "date": "bad"}).status_code == 400  # counts too
    noon.stub.clock.advance(3000)
    answer = noon.post(body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "3600")
    assert answer.content == b'{"statusCode":429,"message":"ThrottlerException: Too Many Requests"}'
    assert "X-RateLimit-Limit" not in answer.headers
    noon.stub.clock.advance(3000)
    answer = noon.post(body)  # the window is over, the block is not
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "600")
    assert len(noon.listed()) == 1  # reading is not limited
    noon.stub.clock.advance(600)
    assert noon.post(body).status_code == 201


def test_the_limit_is_the_organisations_own(caller: Caller, stranger: Caller) -> None:
    caller.stub.world.throttle.limit = 1
    assert [caller.post().status_code for _ in range(2)] == [201, 429]
    assert stranger.post().status_code == 201


def test_old_versions_limit_reading_and_uploading_too(caller: Caller) -> None:
    caller.stub.world.set_version("2.18")
    caller.stub.world.throttle.limit = 1
    for call in (caller.upload, lambda: caller.client.get("/posts"), lambda: caller.client.delete("/posts/group/x")):
        assert call().status_code != 429
        assert call().status_code == 429
    assert caller.client.get("/integrations").status_code == 200
