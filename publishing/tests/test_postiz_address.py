"""What people paste as the address of their Postiz, and how the right one is found."""

import time

import pytest

from profiles.addresses import AddressNotAllowed
from profiles.errors import Invalid
from publishing.postiz import errors
from publishing.postiz.address import candidates, discover
from tests.raw_server import raw_server, reply
from tests.stubs.postiz import StubPostiz, faults

pytestmark = pytest.mark.usefixtures("private_hosts")


@pytest.mark.parametrize(
    "pasted",
    [
        "{url}", "{url}/", " {url}/// ", "{bare}", "{url}/api", "{url}/api/", "{url}/api/public/v1", "{url}/public/v1/",
        "{url}/launches", "{url}/settings?tab=api", "{url}/api/public/v1/is-connected", "{url}/api/public/v1/posts",
        "{url}//api//", "\t{url}\n",
    ],
)  # fmt: skip
def test_any_form_of_the_address_leads_to_the_api(pasted: str) -> None:
    with StubPostiz() as stub:
        stub.world.prefixes = ("/api/public/v1",)
        typed = pasted.format(url=stub.url, bare=stub.url.removeprefix("http://"))
        assert discover(typed, stub.organisation().key) == f"{stub.url}/api/public/v1"


def test_a_backend_on_a_host_of_its_own() -> None:
    with StubPostiz() as stub:
        stub.world.prefixes = ("/public/v1",)
        assert discover(stub.url, stub.organisation().key) == f"{stub.url}/public/v1"
        stub.world.prefixes = ("/tools/api/public/v1",)
        assert discover(f"{stub.url}/tools", stub.organisation().key) == f"{stub.url}/tools/api/public/v1"
        with pytest.raises(errors.NotPostiz):  # what answers there is none; that it speaks no TLS is no news
            discover(stub.url.removeprefix("http://"), stub.organisation().key)


def test_the_cloud() -> None:
    for typed in ("https://platform.postiz.com/launches", "postiz.com", "https://app.postiz.com"):
        assert candidates(typed) == ["https://api.postiz.com/public/v1"]
    assert "https://api.postiz.com/public/v1" in candidates("https://api.postiz.com/public/v1")


def test_the_key_goes_unencrypted_to_no_public_host_unasked() -> None:
    assert all(base.startswith("https://") for base in candidates("postiz.example.org"))
    assert all(base.startswith("https://") for base in candidates("8.8.8.8:5000"))
    for local in ("postiz:5000", "localhost", "10.0.0.7"):
        assert candidates(local)[-1].startswith("http://")
    assert all(base.startswith("http://") for base in candidates("http://postiz.example.org"))


def test_a_wrong_key_is_said_at_once() -> None:
    with StubPostiz() as stub:
        with pytest.raises(errors.BadKey):
            discover(stub.url, "wrong")
        assert len(stub.requests) == 1
        stub.organisation().subscribed = False
        with pytest.raises(errors.NoSubscription):
            discover(stub.url, stub.organisation().key)


@pytest.mark.parametrize(
    "body", [b"<!DOCTYPE html>", b"{}", b'{"connected":false}', b'{"connected":"true"}', b"[]", b"1"]
)
def test_something_else_is_not_taken_for_postiz(body: bytes) -> None:
    with raw_server(reply(body)) as server, pytest.raises(errors.NotPostiz) as caught:
        discover(f"http://127.0.0.1:{server.port}", "key")
    assert f"http://127.0.0.1:{server.port}/api/public/v1" in caught.value.message


def test_a_redirect_takes_no_key_along() -> None:
    with raw_server(reply(b'{"connected":true}')) as other:
        moved = reply(b"", status="308 Moved", headers=f"Location: http://127.0.0.1:{other.port}/")
        with raw_server(moved) as server, pytest.raises(errors.NotPostiz):
            discover(f"http://127.0.0.1:{server.port}", "key")
        assert other.connections == 0


def test_a_postiz_that_is_out_of_order_is_no_other_thing() -> None:
    with StubPostiz() as stub:
        stub.faults.script("*", faults.html_502(), times=-1)
        with pytest.raises(errors.Unavailable, match="Tried: "):
            discover(stub.url, stub.organisation().key)
        stub.faults.clear()
        stub.world.database_down = True
        with pytest.raises(errors.Unavailable):
            discover(stub.url, stub.organisation().key)
        stub.down()
        with pytest.raises(errors.Unavailable) as caught:
            discover(stub.url, stub.organisation().key)
    assert caught.value.message == (
        f"Postiz can't be reached. 127.0.0.1 takes no connection. Tried: {stub.url}/api/public/v1"
    )
    with pytest.raises(errors.Unavailable, match=r"nowhere\.invalid is no name that is known"):
        discover("nowhere.invalid", "some-key")


def test_all_tries_together_end_in_time() -> None:
    with raw_server(lambda connection, head: time.sleep(5)) as server:
        started = time.monotonic()
        with pytest.raises(errors.Unavailable):
            discover(f"http://127.0.0.1:{server.port}/launches", "key", seconds=1)
        assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("url", ["", "  ", "http://", "ftp://postiz.example.org", "a b", "http://a/\r\nX: y"])
def test_what_is_no_address_is_said_so(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        discover(url, "key")
    assert caught.value.code == "address_invalid"


@pytest.mark.parametrize("url", ["http://169.254.169.254", "169.254.169.254", "http://u:p@postiz.example", "0.0.0.0"])
def test_what_may_not_be_called_is_refused(url: str) -> None:
    with pytest.raises((AddressNotAllowed, errors.AddressRefused)) as caught:
        discover(url, "key")
    assert getattr(caught.value, "code", "") == "address_not_allowed"


def test_https_typed_for_a_port_without_it_is_told_to_be_http() -> None:
    with StubPostiz() as stub:
        typed = stub.url.replace("http://", "https://")
        with pytest.raises(errors.Unavailable) as caught:
            discover(typed, stub.organisation().key)
        assert f"Without TLS? Then enter {stub.url}" in caught.value.message
        assert stub.requests == []  # the key does not go unencrypted unasked
