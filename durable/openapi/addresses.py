"""Refuse addresses that are not public, whatever form they are written in.

``ipaddress.is_global`` is not enough: on Python 3.11 it is true for NAT64 (64:ff9b::7f00:1 is 127.0.0.1), 6to4,
site-local and multicast addresses. So whole ranges are refused through which an IPv4 address can be reached, too.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

from durable.openapi.errors import AddressRefused, ApiUnreachable

if TYPE_CHECKING:
    from collections.abc import Collection

_NEVER = tuple(
    ip_network(net)
    for net in (
        "0.0.0.0/8",  # this network
        "100.64.0.0/10",  # shared by carriers, and by some clouds for their metadata
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",  # benchmarks
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/96",  # IPv4-compatible, unspecified, loopback
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64 of a site
        "100::/64",  # discard
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # 6to4
        "5f00::/16",  # segment routing
        "fc00::/7",  # unique local
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """True if the address belongs to the open internet."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    return address.is_global and not any(address in net for net in _NEVER)


def resolve(host: str, port: int, *, private_hosts: Collection[str] = ()) -> list[str]:
    """Return the addresses of a host, looked up once. The connection must go to one of them.

    Any that is not public refuses the host, unless the host is in ``private_hosts``. Raises AddressRefused,
    ApiUnreachable.
    """
    name = host.strip("[]")
    try:
        entries = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise ApiUnreachable(host, "its name is not known") from exc
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    if name.lower() in {each.lower().strip("[]") for each in private_hosts}:
        return addresses
    for address in addresses:
        if not is_public(ip_address(address.partition("%")[0])):
            raise AddressRefused(host, address)
    return addresses
