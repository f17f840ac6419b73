"""Addresses, ranges and requests in Neutron's words (netaddr) and in ours.

Invariant: a value goes over and back unchanged; what is none of ours is refused by our own reader.
"""

from __future__ import annotations

from typing import Any

import netaddr
from neutron.ipam import requests as ipam_req

from allotment.doors.neutron import names
from allotment.model.address import Address, parse_address
from allotment.model.address_range import AddressRange
from allotment.model.prefix import Prefix, parse_prefix
from allotment.model.results import Subnet


def address(said: Any) -> Address:  # Any: netaddr is not typed
    """An address of ours; raises InvalidValue."""
    return parse_address(str(said))


def prefix(said: Any) -> Prefix:  # Any: as above
    """A prefix of ours, of a network with or without host bits; raises InvalidValue."""
    return parse_prefix(str(netaddr.IPNetwork(str(said)).cidr))


def ranges(said: Any) -> tuple[AddressRange, ...]:  # Any: as above
    """Ranges of ours, of netaddr's; raises InvalidValue."""
    return tuple(AddressRange.of(one.version, one.first, one.last) for one in said)


def ip_ranges(own: tuple[AddressRange, ...]) -> list[Any]:  # Any: as above
    """Ranges as Neutron has them."""
    return [
        netaddr.IPRange(
            netaddr.IPAddress(one.first, one.family), netaddr.IPAddress(one.last, one.family)
        )
        for one in own
    ]


def details(subnet: Subnet, subnet_id: str) -> Any:  # Any: as above
    """A subnet of the book as the request that would make it."""
    gateway = subnet.gateway
    return ipam_req.SpecificSubnetRequest(
        names.project_of(subnet.tags),
        subnet_id,
        str(subnet.prefix),
        gateway_ip=None if gateway is None else str(gateway),
        allocation_pools=ip_ranges(subnet.pools),
        set_gateway_ip=gateway is not None,
    )
