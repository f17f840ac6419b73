"""A Neutron's database as this door reads it: rows become wishes of ours.

Invariant: a row that is not valid is told by its id and the broken rule, and stops nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from allotment.doors.exchange.address_sets import union, without
from allotment.doors.neutron import names
from allotment.doors.neutron.plan import Place
from allotment.doors.neutron.subnet_pools import PoolFacts
from allotment.doors.neutron.subnets import SubnetWish
from allotment.errors import InvalidValue
from allotment.model.address import parse_address
from allotment.model.address_range import AddressRange, parse_range
from allotment.model.mac import Mac, parse_mac
from allotment.model.neutron_rows import AddressRow, PoolRow, ScopeRow, SubnetRow
from allotment.model.prefix import parse_prefix


class Source(Protocol):
    """What can be asked of a Neutron's database."""

    def address_scopes(self) -> list[ScopeRow]:
        """All address scopes."""
        ...

    def subnet_pools(self) -> list[PoolRow]:
        """All subnet pools with their prefixes."""
        ...

    def subnets(self) -> list[SubnetRow]:
        """All subnets with their allocation pools."""
        ...

    def has_subnet(self, subnet_id: str) -> bool:
        """Whether a subnet is there now."""
        ...

    def addresses(self, subnet_id: str) -> Iterator[AddressRow]:
        """The addresses in use of a subnet, with their ports."""
        ...

    def has_address(self, subnet_id: str, address: str) -> bool:
        """Whether an address of a subnet is in use now."""
        ...

    def held_by_the_reference_driver(self, subnet_id: str) -> list[str]:
        """The addresses that Neutron's own driver holds of a subnet."""
        ...


def facts_of(row: PoolRow) -> PoolFacts:
    """A subnet pool in our words; raises InvalidValue."""
    return PoolFacts(
        id=row.id,
        prefixes=tuple(sorted(parse_prefix(one) for one in row.prefixes)),
        address_scope_id=row.address_scope_id,
        default_length=row.default_length,
        quota=row.quota,
    )


def wish_of(row: SubnetRow, pools: Mapping[str, PoolRow]) -> SubnetWish:
    """A subnet in our words; a gateway that stands in a pool is taken out of it.

    Raises:
        InvalidValue: the row is not valid.
    """
    prefix = parse_prefix(row.prefix)
    gateway = None if row.gateway is None else parse_address(row.gateway)
    ranges = ranges_of(row)
    if gateway is not None and prefix.contains(gateway):
        ranges = tuple(part for run in ranges for part in without(run, [gateway.value]))
    pool = None if row.pool_id is None else pools.get(row.pool_id)
    place = Place(
        subnet_id=row.id,
        prefix=str(prefix),
        network_id=row.network_id,
        pool_id=row.pool_id if pool is not None or is_delegated(row) else None,
        address_scope_id=None if pool is None else pool.address_scope_id,
    )
    return SubnetWish(place, row.project_id, prefix, None, gateway, ranges)


def ranges_of(row: SubnetRow) -> tuple[AddressRange, ...]:
    """The allocation pools of a subnet as Neutron has them; raises InvalidValue."""
    return union(parse_range(f"{first}-{last}") for first, last in row.pools)


def is_delegated(row: SubnetRow) -> bool:
    """Whether a subnet's prefix comes by delegation."""
    return row.pool_id == names.DELEGATED_POOL


def mac_of(row: AddressRow) -> Mac | None:
    """The MAC of an address's port, where the book has a place for it."""
    if row.mac is None:
        return None
    try:
        return parse_mac(row.mac.lower())
    except InvalidValue:
        return None


def by_id(pools: Iterable[PoolRow]) -> dict[str, PoolRow]:
    """Subnet pools by their ids."""
    return {one.id: one for one in pools}


def shown(ranges: Iterable[AddressRange]) -> str:
    """Allocation pools as people read them."""
    return ", ".join(map(str, ranges)) or "none"
