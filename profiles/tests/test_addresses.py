"""Which addresses that tenants type may be called, in whatever spelling."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from editai.settings import env
from profiles import addresses, outbound
from profiles.addresses import AddressNotAllowed
from profiles.errors import Invalid
from profiles.outbound import Guarded, Timeout

QUICK = Timeout(connect=2, read=2, total=3)


PRIVATE = [
    "127.0.0.1", "127.1", "2130706433", "017700000001", "0x7f.1", "0x7f000001", "127.0.0.1.", "localhost", "LOCALHOST.",
    "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a00:7]", "[64:ff9b:1::1]",
    "10.0.0.7", "10.7", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.254", "192.0.0.8",
    "198.18.0.1", "[fd12:3456::1]", "[fc00::1]", "１２７.0.0.1", "①27.0.0.1",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "0", "0.1.2.3", "[::]", "169.254.169.254", "169.254.1.1", "2852039166", "0xa9.0xfe.0xa9.0xfe",
    "[::ffff:169.254.169.254]", "[64:ff9b::169.254.169.254]", "[fe80::1]", "[fec0::1]", "[fd00:ec2::254]",
    "[fd20:ce::254]", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "239.255.255.250", "[ff02::1]",
    "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "[::127.0.0.1]",
    "[::8.8.8.8]", "[2002:7f00:1::]", "[2002:808:808::]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[2001:db8::1]",
    "[100::1]", "[3fff::1]", "[4000::1]", "[::ffff:0.0.0.0]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE + NEVER)
def test_no_spelling_of_a_private_address_is_called(host: str) -> None:
    with pytest.raises(AddressNotAllowed) as caught:
        Guarded(f"http://{host}:9/x", timeout=QUICK).request("GET")
    assert (caught.value.code, caught.value.status) == ("address_not_allowed", 400)
    assert caught.value.message == AddressNotAllowed().message
    assert "EDITAI_PRIVATE_HOSTS" in caught.value.message
    with pytest.raises(AddressNotAllowed):
        outbound.check(f"https://{host}")


@pytest.mark.parametrize("host", NEVER)
def test_some_addresses_are_refused_even_where_all_private_ones_are_allowed(host: str, private: None) -> None:
    with pytest.raises(AddressNotAllowed):
        outbound.check(f"http://{host}")


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_can_be_allowed(host: str, private: None) -> None:
    assert outbound.check(f"http://{host}:1234").endswith(":1234")


@pytest.mark.parametrize("host", ["8.8.8.8", "[2606:4700:4700::1111]", "[64:ff9b::8.8.8.8]", "[::ffff:8.8.8.8]"])
def test_public_addresses_pass(host: str) -> None:
    assert outbound.check(f"https://{host}/a")


@pytest.mark.parametrize(
    "url",
    [
        "", "postiz.example.org", "ftp://8.8.8.8", "file:///etc/passwd", "http://", "http:///x", "http://8.8.8.8:0",
        "http://8.8.8.8:65536", "http://8.8.8.8:x", "http://8.8.8.8#x", "http://8.8.8.8/#x", "http://8.8.8.8\\@x",
        "http://8.8.8.8/a b", " http://8.8.8.8", "http://8.8.8.8/\r\nX: y", "http://8.8.8.8/\x00", "http://8.8.8.8\t",
        "http://[fe80::1%25eth0]", "http://[::1", "http://a..b", "http://-a.example", "http://999.1.1.1", "http://1.2.3.4.5",
        "http://ex%41mple.org", "http://xn--\u2028.org", "http://8.8.8.8/" + "a" * 2000, "gopher://8.8.8.8",
    ],
)  # fmt: skip
def test_what_is_no_address_is_said_so(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        Guarded(url)
    assert caught.value.code == "address_invalid"


@pytest.mark.parametrize("url", ["http://user@8.8.8.8", "https://u:p@8.8.8.8/x", "http://8.8.8.8:80@127.0.0.1"])
def test_a_user_name_in_the_address_is_refused(url: str) -> None:
    with pytest.raises(AddressNotAllowed):
        Guarded(url)


def test_addresses_have_one_spelling() -> None:
    spelled = {
        "HTTPS://Postiz.Example.ORG.:443/Ä?q=ü": "https://postiz.example.org/%C3%84?q=%C3%BC",
        "http://bücher.example:8080": "http://xn--bcher-kva.example:8080",
        "http://[2606:4700:0:0::1111]:81/": "http://[2606:4700::1111]:81/",
    }
    assert {typed: str(addresses.parse(typed)) for typed in spelled} == spelled


def test_private_hosts_are_allowed_exactly_as_they_are_listed(settings: Settings, names: Any) -> None:
    settings.PRIVATE_HOSTS = frozenset({"postiz:5000", "10.0.0.7:443", "[::1]:80"})
    names["postiz"] = names["other"] = [["10.0.0.7"]]
    for allowed in ("http://postiz:5000/x", "https://10.0.0.7", "https://10.7", "http://[0:0::1]"):
        assert outbound.check(allowed)
    for refused in ("http://postiz:5001", "https://postiz", "http://10.0.0.7", "https://other", "https://10.0.0.8"):
        with pytest.raises(AddressNotAllowed):
            outbound.check(refused)
    names["postiz"] = [["169.254.169.254"]]
    with pytest.raises(AddressNotAllowed):
        outbound.check("http://postiz:5000")


def test_the_switch_is_read_or_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITAI_PRIVATE_HOSTS", " Postiz:5000 , [::1]:80 ")
    assert env.hosts_and_ports("EDITAI_PRIVATE_HOSTS") == {"postiz:5000", "[::1]:80"}
    for wrong in ("postiz", "http://postiz:5000", "postiz:", "10.0.0.0/8"):
        monkeypatch.setenv("EDITAI_PRIVATE_HOSTS", wrong)
        with pytest.raises(ImproperlyConfigured, match="EDITAI_PRIVATE_HOSTS must look like"):
            env.hosts_and_ports("EDITAI_PRIVATE_HOSTS")
