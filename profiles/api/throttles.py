"""How often. One rate for a person, one for a brand, one for callers whom nobody knows, and a strict one for logins."""

import ipaddress
import unicodedata
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from profiles.api import counters
from profiles.errors import TooMany

LOGIN_WINDOW = 15 * 60  # seconds
LOGINS_PER_NAME = 10  # wrong ones, for one name from one address
LOGINS_PER_ADDRESS = 50
_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def client_ip(request: HttpRequest) -> str:
    """The address that called. X-Forwarded-For counts only as far as TRUSTED_PROXIES vouch for it, from the right."""
    address = request.META.get("REMOTE_ADDR", "") or "unix"
    hops = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    while hops and _is_trusted(address):
        address = hops.pop()
    return _plain(address)


def _is_trusted(address: str) -> bool:
    if address in settings.TRUSTED_PROXIES:
        return True
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    for entry in settings.TRUSTED_PROXIES:
        try:
            if parsed in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def _plain(address: str) -> str:
    """One network's addresses as one: a home has 2**64 of IPv6, an IPv4 one may come wrapped in IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown" if address != "unix" else address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class _Throttle(BaseThrottle):
    """At most a rate such as `1200/min`, counted under `key`."""

    scope = ""

    def key(self, request: Request) -> str | None:
        """Whom to count for; None: not at all."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: Any) -> bool:
        key = self.key(request)
        rate = api_settings.DEFAULT_THROTTLE_RATES.get(self.scope)
        if key is None or not rate:
            return True
        self.limit, self.seconds = parse_rate(str(rate))
        return counters.admit(f"{self.scope}:{key}", self.seconds, self.limit)

    def wait(self) -> float:
        return float(counters.seconds_to_wait(self.seconds, self.limit))


def parse_rate(rate: str) -> tuple[int, int]:
    """`1200/min` -> (1200, 60); seconds, minutes, hours, days."""
    number, _, period = rate.partition("/")
    return int(number), _PERIODS[period[:1]]


class UserThrottle(_Throttle):
    """One person, over all of their tokens and sessions."""

    scope = "user"

    def key(self, request: Request) -> str | None:
        return str(request.user.pk) if request.user and request.user.is_authenticated else None


class ProfileThrottle(_Throttle):
    """One brand, over all of its people: none of them can wear the service out for the others' brands."""

    scope = "profile"

    def key(self, request: Request) -> str | None:
        profile = getattr(request._request, "profile", None)
        return str(profile.pk) if profile is not None else None


class AnonymousThrottle(_Throttle):
    """One address, on what needs no login."""

    scope = "anon"

    def key(self, request: Request) -> str | None:
        if request.user and request.user.is_authenticated:
            return None
        return client_ip(request._request)


class LoginAttempt:
    """Wrong passwords: 10 for a name from one address, 50 from one address, in 15 minutes. The name itself is never
    locked, so nobody can shut others out. Each attempt counts before the password is looked at, and is taken back
    when it was right: a thousand attempts at once gain nothing.

        with LoginAttempt(request, name) as attempt:
            user = ...
            attempt.succeeded = user is not None
    """

    def __init__(self, request: HttpRequest, name: str) -> None:
        address = client_ip(request)
        folded = unicodedata.normalize("NFKC", name).casefold()[:300]
        self._limits = {
            f"login:{address}:{folded}": LOGINS_PER_NAME,
            f"login:{address}": LOGINS_PER_ADDRESS,
        }
        self.succeeded = False

    def __enter__(self) -> "LoginAttempt":
        """TooMany (429, with the seconds to wait) when there were too many before this one."""
        for key, limit in self._limits.items():
            if counters.admit(key, LOGIN_WINDOW, limit):
                continue
            wait = counters.seconds_to_wait(LOGIN_WINDOW, limit)
            raise TooMany(
                f"Too many wrong logins from here. Try again in {-(-wait // 60)} min.",
                code="too_many_logins",
                retry_after=wait,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.succeeded:
            for key in self._limits:
                counters.forgive(key, LOGIN_WINDOW)


class LoginThrottle(BaseThrottle):
    """For views that look at a secret by themselves (an old password, an invitation): so many calls, right or wrong,
    per person and address. A view without authentication is a login, whose backend counts (`profiles.api.login`)."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if not view.authentication_classes:
            return True
        who = request.user.pk if request.user and request.user.is_authenticated else "-"
        key = f"secret:{client_ip(request._request)}:{who}"
        limit = LOGINS_PER_ADDRESS if who == "-" else LOGINS_PER_NAME
        return counters.admit(key, LOGIN_WINDOW, limit)

    def wait(self) -> float:
        return float(counters.seconds_to_wait(LOGIN_WINDOW, LOGINS_PER_NAME))
