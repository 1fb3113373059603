"""From what a person pastes as "the address of Postiz" to the base of its public API.

Cloud: https://api.postiz.com/public/v1. The official image: https://HOST/api/public/v1, while HOST itself answers with
its pages; a backend on a host of its own: https://HOST/public/v1. So the likely ones are tried, redirects off, and only
a reply of Postiz itself counts. No candidate is on another host than the one that was typed (but the cloud's pages).
"""

import ipaddress
import re
import time

from profiles import addresses
from profiles.outbound import NoTls, Timeout
from publishing.postiz import errors
from publishing.postiz.client import Postiz
from publishing.postiz.errors import PostizError

API = "/public/v1"
_CLOUD = {"postiz.com", "www.postiz.com", "app.postiz.com", "platform.postiz.com"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def candidates(url: str) -> list[str]:
    """The bases that it may mean, the likely first. Invalid, AddressNotAllowed for what is no address to call."""
    typed = url.strip()
    if _SCHEME.match(typed):
        return _below(addresses.parse(typed))
    found = _below(addresses.parse(f"https://{typed}"))
    if _is_local(addresses.parse(f"https://{typed}").host):  # the key goes unencrypted to no public host unasked
        found += _below(addresses.parse(f"http://{typed}"))
    return found


def _is_local(host: str) -> bool:
    try:
        return addresses.reach(ipaddress.ip_address(host)) == addresses.Reach.PRIVATE
    except ValueError:
        return "." not in host  # postiz, localhost


def _below(address: addresses.Address) -> list[str]:
    host = f"{address.scheme}://{address.netloc}"
    if address.host in _CLOUD:
        return ["https://api.postiz.com" + API]
    path = re.sub("/+", "/", address.path).rstrip("/").removesuffix("/is-connected")
    before, found, _ = path.partition(API)
    if found:  # with the API's path, and perhaps one of its routes
        paths = [before + API, before + "/api" + API]
    elif path.endswith("/api"):
        paths = [path + API]
    else:
        paths = [path + "/api" + API, path + API]
        if path:  # a page of it (/launches), or a backend whose API sits at an unusual path
            paths += ["/api" + API, API, path]
    return list(dict.fromkeys(host + path for path in paths))


def _without_tls(base: str) -> str:
    address = addresses.parse(base)
    return f" Without TLS? Then enter http://{address.netloc}"


def discover(url: str, key: str, *, seconds: float = 10) -> str:
    """The base that answers to the key, within `seconds` for all that is tried.

    Invalid (`address_invalid`), AddressNotAllowed, BadKey, NoSubscription; Unavailable (it may be Postiz, but is not
    reached or out of order) and NotPostiz, both saying what was tried.
    """
    ends_at = time.monotonic() + seconds
    tried: list[str] = []
    closed: set[str] = set()  # schemes that the host does not speak: its other paths need no try
    troubled = answered = False
    reason = "It is out of order, or too slow."
    for base in candidates(url):
        left = ends_at - time.monotonic()
        scheme = base.partition(":")[0]
        if left <= 0 or scheme in closed:
            continue
        tried.append(base)
        try:
            Postiz(base, key).is_connected(timeout=Timeout(connect=min(4, left), read=left, total=left), retries=0)
        except (errors.BadKey, errors.NoSubscription, errors.AddressRefused):
            raise
        except errors.NotSent as error:
            closed.add(scheme)
            reason = error.detail + (_without_tls(base) if isinstance(error.__cause__, NoTls) else "")
        except errors.Unavailable:
            troubled = True
        except PostizError:
            answered = True  # by something else
        else:
            return base
    names = ", ".join(tried)
    if troubled or not answered:
        raise errors.Unavailable(f"Postiz can't be reached. {reason} Tried: {names}")
    raise errors.NotPostiz(f"This address is not a Postiz API, or its version is too old. Tried: {names}")
