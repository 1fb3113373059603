"""Connecting a profile with its Postiz: the key is tested with its address, and goes to no other."""

import socket
import time
from typing import Any

import pytest
from pytest_django import Settings

from conftest import Person
from profiles.addresses import AddressNotAllowed
from profiles.errors import Conflict
from profiles.models import Credential, Profile
from publishing.channels.connections import postiz_of
from tests.raw_server import raw_server, reply
from tests.stubs.postiz import StubPostiz

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("private_hosts")]


def url_of(person: Person) -> str:
    return f"/api/v1/profiles/{person.profile.pk}/credentials/postiz/"


def put(person: Person, **body: Any) -> Any:
    return person.client.put(url_of(person), body, format="json")


def fields(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 400, answer.content
    found: dict[str, list[str]] = answer.json()["error"]["fields"]
    return found


def test_a_profile_is_connected_with_its_postiz(owner: Person, in_scope: Profile) -> None:
    with StubPostiz() as stub:
        key = stub.organisation().key
        answer = put(owner, url=f"{stub.url}/launches", api_key=key)
        assert answer.status_code == 200
        shown = owner.client.get(url_of(owner)).json()
        assert {name: shown[name] for name in ("configured", "last4", "ok", "url")} == {
            "configured": True,
            "last4": key[-4:],
            "ok": True,
            "url": f"{stub.url}/api/public/v1",
        }
        assert key not in answer.content.decode()
        assert len(postiz_of(in_scope).integrations()) > 3
        assert key not in repr(postiz_of(in_scope))


def test_without_a_postiz_there_is_none(in_scope: Profile) -> None:
    with pytest.raises(Conflict) as caught:
        postiz_of(in_scope)
    assert caught.value.code == "postiz_not_connected"


def test_another_address_needs_the_key_again(owner: Person, in_scope: Profile) -> None:
    with StubPostiz() as stub, raw_server(reply(b'{"connected":true}')) as evil:
        assert put(owner, url=stub.url, api_key=stub.organisation().key).status_code == 200
        elsewhere = f"http://127.0.0.1:{evil.port}"
        for body in ({"url": elsewhere}, {"url": elsewhere, "api_key": ""}, {"url": elsewhere, "api_key": None}):
            assert list(fields(put(owner, **body))) == ["api_key"]
        assert fields(put(owner, url=elsewhere)) == {"api_key": ["Enter the key again."]}
        assert evil.connections == 0
        assert Credential.objects.get().settings == {"url": f"{stub.url}/api/public/v1"}


def test_a_wrong_key_or_address_stores_nothing(owner: Person) -> None:
    with StubPostiz() as stub:
        assert "paste it again" in fields(put(owner, url=stub.url, api_key="wrong-key-0001"))["api_key"][0]
        stub.organisation().subscribed = False
        assert list(fields(put(owner, url=stub.url, api_key=stub.organisation().key))) == ["api_key"]
        url = stub.url
    assert "takes no connection. Tried: " in fields(put(owner, url=url, api_key="some-key-0001"))["url"][0]
    with raw_server(reply(b"<html>")) as server:
        texts = fields(put(owner, url=f"http://127.0.0.1:{server.port}", api_key="some-key-0001"))["url"]
        assert texts[0].startswith("This address is not a Postiz API")
    assert owner.client.get(url_of(owner)).json()["configured"] is False


def test_a_key_that_is_refused_leaves_the_one_before(owner: Person, in_scope: Profile) -> None:
    with StubPostiz() as stub:
        key = stub.organisation().key
        assert put(owner, url=stub.url, api_key=key).status_code == 200
        assert put(owner, url=stub.url, api_key="wrong-key-0001").status_code == 400
        postiz_of(in_scope).is_connected()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "http://p.example\r\nX: y", "api_key": "some-key-0001"}, "url"),
        ({"url": "http://p.example", "api_key": "some-key\r\nX: y"}, "api_key"),
        ({"url": "http://p.example", "api_key": "some-kéy-0001"}, "api_key"),
        ({"url": "http://user@p.example", "api_key": "some-key-0001"}, "url"),
        ({"url": "nothing at all", "api_key": "some-key-0001"}, "url"),
        ({"api_key": "some-key-0001"}, "url"),
        ({"url": "http://p.example", "api_key": "some-key-0001", "profile": "x"}, "profile"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(owner: Person, body: dict[str, str], field: str) -> None:
    assert list(fields(put(owner, **body))) == [field]


def test_private_addresses_are_refused_alike(owner: Person, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = False
    with raw_server(reply(b'{"connected":true}')) as server, socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
        free.close()
        answers = []
        for host in (f"127.0.0.1:{server.port}", f"127.1:{closed}", "10.255.255.1:5000", "169.254.169.254"):
            started = time.monotonic()
            answers.append(put(owner, url=f"http://{host}", api_key="some-key-0001"))
            assert time.monotonic() - started < 1
        assert server.connections == 0
    assert {answer.status_code for answer in answers} == {400}
    assert len({answer.content for answer in answers}) == 1
    error = answers[0].json()["error"]
    assert (error["code"], error["message"]) == ("address_not_allowed", AddressNotAllowed().message)


def test_a_listed_private_address_is_taken(owner: Person, settings: Settings) -> None:
    settings.ALLOW_PRIVATE_HOSTS = False
    with StubPostiz() as stub:
        settings.PRIVATE_HOSTS = frozenset({stub.url.removeprefix("http://")})
        assert put(owner, url=stub.url, api_key=stub.organisation().key).status_code == 200


def test_only_owners_connect(owner: Person, viewer: Person, member: Any, stranger: Person) -> None:
    for person, status in ((viewer, 403), (member("editor"), 403), (stranger, 404)):
        assert person.client.get(url_of(owner)).status_code == status
        assert (
            person.client.put(url_of(owner), {"url": "http://p", "api_key": "k"}, format="json").status_code == status
        )
