"""Which addresses that a tenant typed may be called: parsed strictly, resolved, and every answer checked.

Public ones may. Private ones (loopback, 10/8, CGNAT, fc00::/7, …) only when the operator lists them exactly as they
are typed (`EDITAI_PRIVATE_HOSTS=postiz:5000,10.0.0.7:443`) or allows all (`EDITAI_ALLOW_PRIVATE_HOSTS=1`). Link-local,
cloud metadata, multicast, reserved and tunnelled ones never. Blocks: IANA's special-purpose registries, 2026-11.
"""

import ipaddress
import re
import socket
import threading
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import quote

import idna
from django.conf import settings

from profiles.errors import Invalid

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL = 2000

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\[\]/?:@]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^?]*)?(?:\?(?P<query>.*))?",
    re.IGNORECASE,
)
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"  # with _: names of containers have it
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # the last label is a number: no name, an IPv4 address


class Reach(IntEnum):
    """How far an address may be used; of several the highest counts."""

    PUBLIC = 0
    PRIVATE = 1
    NEVER = 2


def _networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(part) for part in text.split())


_NEVER_4 = _networks(
    "0.0.0.0/8 169.254.0.0/16 192.0.2.0/24 192.88.99.0/24 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
    "100.100.100.200/32 168.63.129.16/32 192.0.0.192/32"  # metadata of clouds outside the link-local block
)
_PRIVATE_4 = _networks("10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16 198.18.0.0/15")
_METADATA_6 = _networks("fd00:ec2::/32 fd20:ce::/32")
_PRIVATE_6 = _networks("::1/128 fc00::/7 64:ff9b:1::/48")
_PUBLIC_6 = _networks("2000::/3")
_NEVER_6 = _networks("2001::/23 2001:db8::/32 2002::/16 3fff::/20")  # Teredo, documentation, 6to4, documentation
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class AddressNotAllowed(Invalid):
    """One text for all of them: nothing can be learnt of what listens there."""

    code = "address_not_allowed"

    def __init__(self) -> None:
        super().__init__(
            "This address is not allowed: it must be public, without a user name. Who runs this server can allow a "
            "private one with EDITAI_PRIVATE_HOSTS=host:port."
        )


class NameNotFound(Exception):
    """The name has no address, or its server did not say so in time."""


@dataclass(frozen=True)
class Address:
    """An http(s) address in its one spelling: `host` lower-case ASCII, IPv6 unbracketed; `path` percent-encoded."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def netloc(self) -> str:
        """As in the Host header: the port only when it is not the usual one."""
        return self.host_text if self.port == DEFAULT_PORTS[self.scheme] else self.host_and_port

    @property
    def host_text(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def host_and_port(self) -> str:
        return f"{self.host_text}:{self.port}"

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.netloc}{self.path}{query}"


def parse(text: str) -> Address:
    """Reads an address. Invalid (`address_invalid`) when it is none; AddressNotAllowed with a user name in it."""
    if len(text) > MAX_URL or not text.isprintable() or any(sign in text for sign in " \\#"):
        raise _malformed()
    authority = text.partition("://")[2].split("/")[0].split("?")[0]
    if "@" in authority:
        raise AddressNotAllowed
    found = _URL.fullmatch(text)
    if found is None:
        raise _malformed()
    scheme = found["scheme"].lower()
    port = int(found["port"]) if found["port"] else DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65535:
        raise _malformed()
    path = quote(found["path"] or "", safe="%/:@!$&'()*+,;=~-._")
    query = quote(found["query"] or "", safe="%/:@!$&'()*+,;=~-._?")
    return Address(scheme, _host(found["host"]), port, path, query)


def _malformed() -> Invalid:
    return Invalid(
        "This is not an address like https://example.org/path, without spaces or a # part.", code="address_invalid"
    )


def _host(text: str) -> str:
    """A name in lower-case ASCII, or an IP address in its usual spelling whatever was typed (127.1, 0x7f.1)."""
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1]))
        except ValueError:
            raise _malformed() from None
    try:
        name = (text if text.isascii() else idna.encode(text, uts46=True).decode()).lower()
    except idna.IDNAError:
        raise _malformed() from None
    name = name.removesuffix(".")
    if _NUMERIC.fullmatch(name):
        try:
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            raise _malformed() from None
    if not _NAME.fullmatch(name):
        raise _malformed()
    return name


def reach(ip: Ip) -> Reach:
    """Tunnels and translations (IPv4-mapped, NAT64) reach what they carry; Teredo, 6to4 and the like reach nothing."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return reach(ip.ipv4_mapped)
        if ip in _NAT64:
            return reach(ipaddress.IPv4Address(ip.packed[-4:]))
        if _within(ip, _METADATA_6) or ip.scope_id is not None:
            return Reach.NEVER
        if _within(ip, _PRIVATE_6):
            return Reach.PRIVATE
        return Reach.PUBLIC if _within(ip, _PUBLIC_6) and not _within(ip, _NEVER_6) else Reach.NEVER
    if _within(ip, _NEVER_4):
        return Reach.NEVER
    return Reach.PRIVATE if _within(ip, _PRIVATE_4) else Reach.PUBLIC


def _within(ip: Ip, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    return any(ip in network for network in networks)


def allowed_ips(address: Address, *, seconds: float) -> list[str]:
    """The IP addresses to connect to, all of them checked: one that may not be called refuses the whole name.

    Waits at most `seconds` for the name. Raises AddressNotAllowed, NameNotFound.
    """
    ips = resolve(address.host, seconds)
    if not ips:
        raise NameNotFound
    worst = max(reach(ipaddress.ip_address(ip)) for ip in ips)
    listed = settings.ALLOW_PRIVATE_HOSTS or address.host_and_port in settings.PRIVATE_HOSTS
    if worst == Reach.NEVER or (worst == Reach.PRIVATE and not listed):
        raise AddressNotAllowed
    return ips


def resolve(host: str, seconds: float) -> list[str]:
    """All IP addresses of a name, without doubles; NameNotFound. The resolver knows no deadline: a thread waits."""
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        pass  # a name
    found: list[str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))

    asking = threading.Thread(target=ask, daemon=True, name="resolve")
    asking.start()
    asking.join(max(seconds, 0))
    if asking.is_alive() or not found:
        raise NameNotFound
    return list(found)
