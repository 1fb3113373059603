"""The metered stub: what it does on command, and that its bill says so."""

from collections.abc import Iterator

import httpx
import pytest

from tests.stack import wait_until
from tests.stubs.meter import FAULTS, SILENCE, Fault, StubMeter
from tests.stubs.meter_client import TIMEOUT

# what a client sees: a status, or an error
SEEN: dict[str, int | type[Exception]] = {
    "ok": 200,
    "429 with Retry-After": 429,
    "400 before any work": 400,
    "500 before the charge": 500,
    "500 after the charge": 500,
    "drop before the charge": httpx.RemoteProtocolError,
    "drop after the charge": httpx.RemoteProtocolError,
    "hangs, never charges": httpx.ReadTimeout,
    "hangs, then charges": httpx.ReadTimeout,
    "charges, then hangs": httpx.ReadTimeout,
    "HTML after the charge": 200,
    "short body": httpx.RemoteProtocolError,
    "figures missing": 200,
    "another model": 200,
}
BODY = {"run": "a", "model": "m1", "text": "twelve lett."}


@pytest.fixture
def stub() -> Iterator[StubMeter]:
    with StubMeter() as stub:
        yield stub


def post(stub: StubMeter, timeout: float = 0.3, path: str = "/v1/speak") -> httpx.Response:
    with httpx.Client(timeout=timeout, trust_env=False) as client:
        return client.post(stub.url + path, json=BODY)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_does_what_it_says(stub: StubMeter, name: str) -> None:
    fault, seen = FAULTS[name], SEEN[name]
    stub.script("a", fault)
    if isinstance(seen, int):
        assert post(stub).status_code == seen
    else:
        with pytest.raises(seen):
            post(stub)
    wait_until(stub.at_rest, 5, "the stub to be at rest", 0.02)
    price = 0 if fault is not None and not fault.charges else 15_000 if name == "another model" else 10_000
    assert (stub.bill.total(), stub.billed("a"), stub.billed("b")) == (12 * price, 12 * price, 0)


def test_a_script_is_used_up_and_is_of_one_run(stub: StubMeter) -> None:
    stub.script("b", Fault(status=500))
    stub.script("a", Fault(status=500), None)
    assert [post(stub).status_code for _ in range(3)] == [500, 200, 200]
    assert stub.bill.amounts == {"r-1": 120_000, "r-2": 120_000, "r-3": 120_000}


def test_an_answer_may_lack_its_figures_and_name_another_model(stub: StubMeter) -> None:
    stub.script("a", FAULTS["figures missing"], FAULTS["another model"])
    assert "credits" not in post(stub).json()
    assert post(stub).json()["model"] == "m2"


def test_an_address_that_is_none_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="/v1/listen"), StubMeter() as stub:
        assert post(stub, path="/v1/listen").status_code == 404


def test_a_client_gives_up_before_the_stub_speaks() -> None:
    assert TIMEOUT.read is not None
    assert TIMEOUT.read < SILENCE
