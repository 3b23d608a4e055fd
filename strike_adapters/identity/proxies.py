"""Whose headers are believed."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address


def is_trusted(remote_ip: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether the headers of a request from that address are to be looked at.

    An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) counts as itself; what is no address is
    never trusted.
    """
    try:
        address = ip_address(remote_ip)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
