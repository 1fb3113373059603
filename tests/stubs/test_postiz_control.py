"""The stub as a process of its own, driven over /_stub/."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.stubs.postiz import StubPostiz, faults, outcomes
from tests.stubs.postiz_caller import Caller

ROOT = Path(__file__).resolve().parents[2]


class Control:
    """`control("POST", "clock", advance=5)`: the JSON that comes back."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __call__(self, method: str, path: str, expect: int = 200, **body: Any) -> Any:
        answer = httpx.request(method, f"{self.url}/_stub/{path}", json=body or None, trust_env=False)
        assert answer.status_code == expect, answer.text
        return answer.json()


@pytest.fixture
def control(postiz: StubPostiz) -> Control:
    return Control(postiz.url)


@pytest.mark.parametrize("command", [["-m", "tests.stubs.postiz"], ["scripts/start.py", "stub-postiz"]])
def test_it_runs_as_a_process(command: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, *command, "--port", "0", "--version", "2.23.0"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(4)]
        url = said[0].split(" ")[3]
        summary = Control(url)("GET", "")
        assert summary["version"] == "2.23.0"
        keys = [one["key"] for one in summary["organisations"]]
        assert [line.split()[-1] for line in said[2:]] == keys
        answer = httpx.get(f"{url}/api/public/v1/is-connected", headers={"Authorization": keys[1]}, trust_env=False)
        assert answer.json() == {"connected": True}
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_taken_port_is_one_line(postiz: StubPostiz) -> None:
    port = postiz.url.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "tests.stubs.postiz", "--port", port], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"Can't listen on port {port}: ")
    assert done.stderr.count("\n") == 1


def test_time_faults_and_the_ledger(control: Control, caller: Caller) -> None:
    control("POST", "clock", set="2026-11-23T12:00:00Z", frozen=True)
    assert control("POST", "clock", advance=90) == {"now": "2026-11-23T12:01:30.000Z"}
    match = {"contains": "Special", "organisation": 0}
    pending = control("POST", "faults", route="POST /posts", fault="late_commit", arguments={"seconds": 5}, match=match)
    assert pending == [{"route": "POST /posts", "fault": "late_commit", "times": 1}]
    assert caller.post().status_code == 201
    body = caller.body()
    body["posts"][0]["value"][0]["content"] = "Special"
    with pytest.raises(httpx.RemoteProtocolError):
        caller.post(body)
    assert control("GET", "ledger") == {"most": 0, "publications": [], "cancelled_in_flight": []}
    ledger = control("POST", "settle")
    assert (ledger["most"], len(ledger["publications"])) == (2, 2)
    assert [row["state"] for row in control("GET", "posts")] == ["PUBLISHED", "PUBLISHED"]
    assert [row["fault"] for row in control("GET", "requests") if row["route"] == "POST /posts"] == ["", "late_commit"]
    assert len(control("GET", "media")) == 2
    assert len(control("GET", "notifications")) == 2
    assert control("DELETE", "requests") == control("GET", "requests") == []
    control("POST", "faults", route="*", fault="html_502")
    assert control("DELETE", "faults") == control("GET", "faults") == []


def test_outcomes(control: Control, caller: Caller) -> None:
    control("POST", "outcomes", outcome="failed", arguments={"error": "Never"}, default=True)
    control("POST", "outcomes", outcome="stuck", match={"integration": caller.channel("x").id})
    one = caller.post().json()[0]["postId"]
    caller.post(caller.body("x"))
    control("POST", "settle")
    assert [(row["state"], row["error"]) for row in control("GET", "posts")] == [("ERROR", "Never"), ("QUEUE", None)]
    assert control("POST", f"posts/{one}", outcome="published")["state"] == "PUBLISHED"
    control("POST", "posts/unknown", 400, outcome="published")


def test_organisations_and_channels(control: Control, caller: Caller) -> None:
    made = control("POST", "organisations", name="Third")
    channel = control("POST", "organisations/2/integrations", identifier="reddit", name="Sub")
    client = Caller(caller.stub, caller.stub.organisation(2)).client
    with client:
        assert client.headers["Authorization"] == made["key"]
        assert client.get("/integrations").json()[-1] == channel
        control("PATCH", f"integrations/{channel['id']}", disabled=True)
        assert client.get("/integrations").json()[-1]["disabled"] is True
        control("PATCH", "organisations/2", subscribed=False)
        assert client.get("/integrations").json() == {"msg": "No subscription found"}
    control("PATCH", "organisations/2", 400, id="mine")
    control("PATCH", "integrations/unknown", 400, disabled=True)


def test_settings(control: Control, caller: Caller) -> None:
    control("POST", "settings", version="2.18", rate_limit=1, limits={"video_bytes": 10}, latency=0)
    assert caller.client.get("/groups").status_code == 404
    assert caller.upload().json()["message"].endswith("10 bytes.")
    control("POST", "settings", version="head", database_down=True)
    assert caller.client.get("/groups").content == b""
    control("POST", "settings", 400, unknown=1)
    control("POST", "settings", 400, version="latest")
    control("GET", "nothing", 404)


def test_a_gate(control: Control, caller: Caller) -> None:
    gate = control("POST", "gates", route="POST /posts", moment="after_commit")
    assert gate == {"id": 0, "waiting": 0}
    assert control("GET", "gates/0?wait=0.1")["waiting"] == 0
    status: list[int] = []
    thread = threading.Thread(target=lambda: status.append(caller.post().status_code))
    thread.start()
    assert control("GET", "gates/0?wait=10")["waiting"] == 1
    assert len(control("GET", "posts")) == 1
    assert status == []
    control("POST", "gates/0/resume")
    thread.join(10)
    assert status == [201]


def test_everything_has_a_name_over_http(control: Control) -> None:
    every_name = control("GET", "")
    assert every_name["faults"] == sorted(faults.NAMED)
    assert every_name["outcomes"] == sorted(outcomes.NAMED)
    assert len(every_name["calls"]) > 15


def test_webhooks_and_remote_files(control: Control, caller: Caller) -> None:
    control("POST", "remote-files", url="https://h.example/a.mp4", text="\0\0\0\x18ftypmp42")
    assert caller.client.post("/upload-from-url", json={"url": "https://h.example/a.mp4"}).status_code == 201
    control("POST", "webhook", url="http://127.0.0.1:1/", payload="fixed")
    hook = caller.stub.world.life.webhook
    assert hook is not None
    assert (hook.url, hook.payload) == ("http://127.0.0.1:1/", "fixed")
    control("POST", "webhook")
    assert caller.stub.world.life.webhook is None
