"""Which addresses of a subnet automatic allocation may pick from.

Invariant: pools are disjoint, lie inside the subnet, hold neither its gateway nor an address that
no host may bear, and are compared as sets of addresses: order, spelling and splits never count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from allotment.engine.extents import canonical, subtract
from allotment.errors import InvalidValue
from allotment.model.address import BITS, Address
from allotment.model.address_range import AddressRange
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix


class PoolChange(NamedTuple):
    """What an update of pools adds and removes, as canonical extents; both empty: no change."""

    added: tuple[Extent, ...]
    removed: tuple[Extent, ...]


def usable(family: int, first: int, last: int, length: int) -> Extent:
    """The addresses of a subnet `first`..`last` of this prefix length that a host may bear.

    IPv4: not the network and broadcast address, but all of a /31 (RFC 3021) and a /32. IPv6: not
    the subnet-router anycast address (RFC 4291), but all of a /127 (RFC 6164) and a /128.
    """
    if length >= BITS[family] - 1:
        return Extent(first, last)
    if family == 4:
        return Extent(first + 1, last - 1)
    return Extent(first + 1, last)


def default_gateway(prefix: Prefix) -> Address | None:
    """The first usable address; none where a gateway would leave at most one host (/31, /127)."""
    if prefix.length >= prefix.bits - 1:
        return None
    return Address.of(prefix.family, _usable(prefix).first)


def default_pools(prefix: Prefix, gateway: Address | None) -> tuple[Extent, ...]:
    """All usable addresses around the gateway; one outside the prefix takes nothing away."""
    whole = (_usable(prefix),)
    if gateway is None or not prefix.contains(gateway):
        return whole
    return subtract(whole, (Extent(gateway.value, gateway.value),))


def check_pools(
    prefix: Prefix, gateway: Address | None, ranges: Sequence[AddressRange]
) -> tuple[Extent, ...]:
    """The ranges as canonical extents.

    Raises InvalidValue (field `ranges`) for the first range that is of another family, outside
    the subnet, holds the gateway or an unusable address, or overlaps another.
    """
    for wanted in ranges:
        rule = _broken_rule(prefix, gateway, wanted)
        if rule is not None:
            raise InvalidValue("ranges", wanted, rule)
    for one, other in pairwise(sorted(ranges)):
        if other.first <= one.last:
            raise InvalidValue("ranges", other, f"it overlaps {one}")
    return canonical(Extent(wanted.first, wanted.last) for wanted in ranges)


def difference(old: Iterable[Extent], new: Iterable[Extent]) -> PoolChange:
    """What changes from `old` to `new`, as sets of addresses."""
    before, after = canonical(old), canonical(new)
    return PoolChange(added=subtract(after, before), removed=subtract(before, after))


def _usable(prefix: Prefix) -> Extent:
    return usable(prefix.family, prefix.first, prefix.last, prefix.length)


def _broken_rule(prefix: Prefix, gateway: Address | None, wanted: AddressRange) -> str | None:
    if wanted.family != prefix.family:
        return f"the subnet {prefix} is IPv{prefix.family}"
    if not (prefix.first <= wanted.first and wanted.last <= prefix.last):
        whole = AddressRange.of(prefix.family, *_usable(prefix))
        return f"it is not inside the subnet {prefix}; stay within {whole}"
    allowed = _usable(prefix)
    if wanted.first < allowed.first:
        kind = "network" if prefix.family == 4 else "subnet-router anycast"
        begin = Address.of(prefix.family, allowed.first)
        return f"it holds the {kind} address {prefix.first_address}; begin at {begin}"
    if wanted.last > allowed.last:
        end = Address.of(prefix.family, allowed.last)
        return f"it holds the broadcast address {prefix.last_address}; end at {end}"
    if gateway is not None and _holds(wanted, gateway):
        return f"it holds the gateway {gateway}; leave it out"
    return None


def _holds(wanted: AddressRange, address: Address) -> bool:
    return wanted.family == address.family and wanted.first <= address.value <= wanted.last
