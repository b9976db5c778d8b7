"""Whom a URL names, and what kind of address that is: a stranger may send us to most of them, but not to all."""

from __future__ import annotations

import re
import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

PORTS = {"http": 80, "https": 443}
METADATA = "a cloud's metadata server"  # a kind, which gives out the machine's credentials

UNFIT = re.compile(r"[\x00-\x20\x7f]")  # in a URL: what would forge another line of the request
_METADATA = frozenset(
    map(
        ip_address,
        (
            *("169.254.169.254", "fd00:ec2::254", "fd20:ce::254"),  # nearly all clouds; AWS and Google Cloud by IPv6
            *("169.254.170.2", "169.254.170.23", "fd00:ec2::23"),  # credentials of AWS's containers: ECS, EKS
            *("100.100.100.200", "168.63.129.16"),  # Alibaba Cloud; Azure's WireServer
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1


class Origin(NamedTuple):
    """Who is asked."""

    scheme: str
    host: str
    port: int


def parts_of(url: str) -> tuple[Origin, str]:
    """Return who is to be asked, and for what. Raises ValueError for a URL that cannot be asked for."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname or UNFIT.search(url):
        raise ValueError("only http and https URLs can be asked for")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Origin(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]), target


@lru_cache(maxsize=1024)
def kind_of(host: str) -> str | None:
    """
    Tell what makes an address one that no stranger may send us to; None of all others, and of names.

    Those are the special ones of RFC 6890 (loopback, link-local, unspecified, multicast, reserved) and METADATA;
    private ones (RFC 1918, RFC 4193) are not, since storage is there. An IPv4 address inside an IPv6 one counts as
    itself: mapped (RFC 4291, 2.5.5.2) or behind NAT64's prefix (RFC 6052, 2.1). So does one in the shorter
    spellings that inet_aton(3) takes, as 127.1, which a proxy may understand.
    """
    address = _address(host)
    if address is None:
        return None
    kinds = {
        METADATA: address in _METADATA,
        "a loopback address": address.is_loopback,
        "a link-local address": address.is_link_local,
        "the unspecified address": address.is_unspecified,
        "a multicast address": address.is_multicast,
        "a reserved address": address.is_reserved,
    }
    return next((kind for kind, is_one in kinds.items() if is_one), None)


def kinds_at(host: str) -> frozenset[str]:
    """Tell of which kinds the addresses of a name are at this moment; of an address, its own."""
    try:
        found = {str(address[0]) for *_, address in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):  # a name that cannot be one is a UnicodeError
        found = set()
    return frozenset(filter(None, map(kind_of, found)))


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host.partition("%")[0])  # without the zone, which is only ours
    except ValueError:
        try:
            return IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
