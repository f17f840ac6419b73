"""Subnets: prefixes whose single addresses are handed out.

Invariant: no two subnets of a scope overlap; a new subnet's free space is its allocation pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from msgspec import UNSET

from allotment.engine import pools
from allotment.errors import InUse, InvalidValue, Overlap
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import CreateSubnet, DeleteSubnet, UpdateSubnet
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix
from allotment.model.queries import GetSubnet, ListSubnets
from allotment.model.results import AddressPlacement, Deleted, Page, Subnet
from allotment.operations import carving, removal
from allotment.operations.free_space import Space, open_up
from allotment.operations.names import check_name
from allotment.operations.projects import changes_of
from allotment.operations.registry import answers, handles
from allotment.operations.subnet_pools import parent_of
from allotment.store import (
    allocation_pools,
    allocations,
    directory,
    grants,
    pages,
    prefixes,
    quotas,
)
from allotment.store.columns import tagged
from allotment.store.directory import POOL, SCOPE, SUBNET, AnyRow
from allotment.store.prefixes import held
from allotment.store.quotas import Counted
from allotment.store.session import Read, Write

N = SUBNET.table


def made(row: AnyRow, ranges: Sequence[Extent]) -> Subnet:
    """The answer that a row and its allocation pools stand for."""
    gateway = None
    if row.gateway is not None:
        gateway = Address.of(row.gateway_family, row.gateway)
    return Subnet(
        id=row.id,
        name=row.name,
        scope_id=row.scope_id,
        scope=row.scope,
        pool_id=row.pool_id,
        family=row.family,
        prefix=Prefix.of(row.family, row.first, row.length),
        gateway=gateway,
        pools=tuple(AddressRange.of(row.family, *run) for run in ranges),
        placement=AddressPlacement(row.placement),
        quarantine_seconds=row.quarantine_seconds,
        project_id=row.project_id,
        project=row.project,
        description=row.description,
        tags=row.tags,
        created_at=row.created_at,
        version=row.version,
    )


def read(r: Read, subnet_id: UUID) -> Subnet:
    """A subnet as it stands in this transaction."""
    row = directory.find_inside(r, SUBNET, str(subnet_id), None)
    return made(row, allocation_pools.of_subnets(r, [subnet_id])[subnet_id])


@handles(CreateSubnet)
def create_subnet(tx: Write, command: CreateSubnet) -> Subnet:
    """Enter a subnet, of the prefix given or of one carved from a pool."""
    project_id = directory.find_project_id(tx, command.project)
    scope_id, pool_id, prefix = _place(tx, command)
    check_name(command.name, (prefix,))
    gateway = _gateway(command.gateway, prefix)
    if command.ranges is UNSET:
        ranges = pools.default_pools(prefix, gateway)
    else:
        ranges = pools.check_pools(prefix, gateway, command.ranges)
    subnet_id = uuid4()
    values: dict[str, object] = {
        "id": subnet_id,
        "name": command.name,
        "description": command.description,
        "created_at": tx.now,
        "scope_id": scope_id,
        "pool_id": pool_id,
        "family": prefix.family,
        "first": prefix.first,
        "length": prefix.length,
        "gateway_family": gateway.family if gateway else None,
        "gateway": gateway.value if gateway else None,
        "placement": command.placement.value,
        "quarantine_seconds": command.quarantine_seconds,
        "project_id": project_id,
        "tags": command.tags,
    }
    directory.enter(tx, SUBNET, values)
    quotas.note(tx, project_id, Counted(prefixes=1))
    above = pool_id if pool_id is not None else scope_id
    prefixes.enter(tx, [held("subnet", subnet_id, scope_id, above, prefix)])
    allocation_pools.replace(tx, subnet_id, ranges)
    open_up(tx, Space(subnet_id), ranges)
    return read(tx, subnet_id)


def _gateway(wanted: Any, prefix: Prefix) -> Address | None:  # Any: an address, None or unset
    if wanted is UNSET:
        return pools.default_gateway(prefix)
    gateway: Address | None = wanted
    if gateway is not None and gateway.family != prefix.family:
        raise InvalidValue("gateway", str(gateway), f"it must be an IPv{prefix.family} address")
    if gateway is not None and prefix.contains(gateway):
        if prefix.family == 6 and gateway.value == prefix.first:
            return gateway  # the subnet-router anycast address: routers bear it (RFC 4291)
        usable = pools.usable(prefix.family, prefix.first, prefix.last, prefix.length)
        if not usable.first <= gateway.value <= usable.last:
            raise InvalidValue("gateway", str(gateway), f"no interface of {prefix} may have it")
    return gateway


def _place(tx: Write, command: CreateSubnet) -> tuple[UUID, UUID | None, Prefix]:
    """Where the subnet goes: its scope, its pool, its prefix, taken from the pool's free space."""
    if command.prefix is not None and command.length is not None:
        raise InvalidValue("length", command.length, f"the prefix {command.prefix} says it already")
    pool = None
    if command.pool is not None:
        pool = directory.find_inside(tx, POOL, command.pool, command.scope)
    scope_id = pool.scope_id if pool is not None else directory.find_scope(tx, command.scope).id
    directory.lock(tx, SCOPE, scope_id, exclusive=False)
    if command.prefix is not None:
        return scope_id, _place_exactly(tx, scope_id, pool, command.prefix), command.prefix
    if pool is None:
        raise InvalidValue("prefix", None, "give a prefix, or a subnet pool to carve one from")
    length = wanted_length(pool, command.length)
    directory.lock(tx, POOL, pool.id, exclusive=False)
    return scope_id, pool.id, carving.carve(tx, pool, length, command.prefix_placement)


def wanted_length(pool: AnyRow, length: int | None) -> int:
    """The length asked for, or the pool's default.

    Raises:
        InvalidValue: there is neither, or the family has fewer bits.
    """
    if length is None:
        length = pool.default_length
    if length is None:
        raise InvalidValue("length", None, f"subnet pool {pool.name} has no default: give one")
    if length > (32 if pool.family == 4 else 128):
        raise InvalidValue("length", length, f"the pool is IPv{pool.family}")
    return length


def _place_exactly(tx: Write, scope_id: UUID, pool: AnyRow | None, prefix: Prefix) -> UUID | None:
    parent = parent_of(tx, scope_id, prefix, leaf=True)
    if pool is not None and (parent is None or parent.holder_id != pool.id):
        where = f"in the pool {parent.prefix}" if parent else "outside it"
        raise InvalidValue("pool", pool.name, f"{prefix} is {where}")
    inside = [
        one
        for one in prefixes.overlapping(tx, scope_id, prefix)
        if one.kind != "pool" or one.prefix != prefix
    ]
    if inside:
        raise Overlap(str(prefix), f"{inside[0].kind} {inside[0].prefix}")
    if parent is None:
        return None
    directory.lock(tx, POOL, parent.holder_id, exclusive=False)
    carving.carve_exactly(tx, parent.holder_id, prefix)
    return parent.holder_id


@handles(UpdateSubnet)
def update_subnet(tx: Write, command: UpdateSubnet) -> Subnet:
    """Change what is said about a subnet."""
    found = directory.find_inside(tx, SUBNET, command.subnet, command.scope)
    directory.lock(tx, SUBNET, found.id, exclusive=True)
    row = directory.find_inside(tx, SUBNET, str(found.id), None)
    changes = changes_of(command, "name", "description", "quarantine_seconds", "tags")
    prefix = Prefix.of(row.family, row.first, row.length)
    if command.name is not UNSET:
        check_name(command.name, (prefix,))
    if command.placement is not UNSET:
        changes["placement"] = command.placement.value
    if command.project is not UNSET:
        changes["project_id"] = new = directory.find_project_id(tx, command.project)
        quotas.note(tx, row.project_id, Counted(prefixes=-1))
        quotas.note(tx, new, Counted(prefixes=1))
        grants.begin_epoch(tx)
    if command.gateway is not UNSET:
        gateway = _new_gateway(tx, row, command.gateway)
        changes["gateway_family"] = gateway.family if gateway else None
        changes["gateway"] = gateway.value if gateway else None
    directory.change(tx, SUBNET, row, changes, command.version)
    return read(tx, row.id)


def _new_gateway(tx: Write, row: AnyRow, wanted: Address | None) -> Address | None:
    prefix = Prefix.of(row.family, row.first, row.length)
    gateway = _gateway(wanted, prefix)
    if gateway is not None and prefix.contains(gateway):
        pool = allocation_pools.covering(tx, row.id, gateway.value)
        if pool is not None:
            shown = AddressRange.of(row.family, *pool)
            raise InvalidValue(
                "gateway",
                str(gateway),
                f"it lies in the allocation pool {shown}: update that first",
            )
    return gateway


@handles(DeleteSubnet)
def delete_subnet(tx: Write, command: DeleteSubnet) -> Deleted:
    """Remove a subnet, with the addresses held in it when told to."""
    found = directory.find_inside(tx, SUBNET, command.subnet, command.scope)
    directory.lock(tx, SCOPE, found.scope_id, exclusive=False)
    directory.lock(tx, SUBNET, found.id, exclusive=True)
    count = allocations.count(tx, [found.id])
    prefix = Prefix.of(found.family, found.first, found.length)
    if count and not command.cascade:
        raise InUse("subnet", found.name or str(prefix), {"allocations": count})
    own = prefixes.of_holders(tx, [found.id])
    removal.remove_subnet(tx, found.id)
    # The pool it hangs from may have changed since it was found; its forest entry knows.
    pool_id = own[0].parent_id if own[0].parent_id != own[0].scope_id else None
    removal.give_back_all(tx, own, pool_id)
    contents = {"allocations": count, "subnets": 1}
    return Deleted(contents=contents, container_id=own[0].parent_id)


@answers(GetSubnet)
def get_subnet(r: Read, query: GetSubnet) -> Subnet:
    """One subnet."""
    row = directory.find_inside(r, SUBNET, query.subnet, query.scope)
    return made(row, allocation_pools.of_subnets(r, [row.id])[row.id])


@answers(ListSubnets)
def list_subnets(r: Read, query: ListSubnets) -> Page[Subnet]:
    """Subnets by prefix, then id."""
    where: list[Any] = []  # Any: conditions of the table
    if query.scope is not None:
        where.append(N.c.scope_id == directory.find_scope(r, query.scope).id)
    if query.pool is not None:
        where.append(N.c.pool_id == directory.find_inside(r, POOL, query.pool, query.scope).id)
    if query.project is not None:
        where.append(N.c.project_id == directory.find_project_id(r, query.project))
    if query.within is not None:
        where.append(N.c.family == query.within.family)
        where.append(N.c.first.between(query.within.first, query.within.last))
        where.append(N.c.length >= query.within.length)
    if query.tag is not None:
        where.append(tagged(N.c.tags, query.tag))
    order = [N.c.family, N.c.first, N.c.length, N.c.id]
    if query.cursor is not None:
        family, first, length, last = pages.read_cursor(query.cursor, [int, int, int, str])
        where.append(directory.beyond(order, (family, first, length, UUID(last))))
    rows = directory.listed(r, SUBNET, where, order, query.limit)
    ranges = allocation_pools.of_subnets(r, [row.id for row in rows])
    return pages.paged(
        rows,
        query.limit,
        lambda row: (row.family, row.first, row.length, str(row.id)),
        lambda row: made(row, ranges[row.id]),
    )
