"""Replacing the allocation pools of a subnet.

Invariant: pools are compared as sets of addresses; what is held stays held, and what of it falls
outside is reported.
"""

from __future__ import annotations

from itertools import islice

from allotment.engine import pools
from allotment.engine.extents import subtract
from allotment.errors import VersionMismatch
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import UpdateAllocationPools
from allotment.model.results import PoolsUpdated
from allotment.operations import subnets
from allotment.operations.free_space import Space, close_off, open_up
from allotment.operations.registry import handles
from allotment.operations.releases import runs_of
from allotment.store import allocation_pools, allocations, directory
from allotment.store.directory import SUBNET
from allotment.store.session import Write

SAMPLE = 20


@handles(UpdateAllocationPools)
def update_allocation_pools(tx: Write, command: UpdateAllocationPools) -> PoolsUpdated:
    """Make the subnet's pools exactly these addresses."""
    found = directory.find_inside(tx, SUBNET, command.subnet, command.scope)
    directory.lock(tx, SUBNET, found.id, exclusive=True)
    subnet = subnets.read(tx, found.id)
    if command.version is not None and command.version != subnet.version:
        raise VersionMismatch(f"subnet {subnet.prefix}", command.version, subnet.version)
    old = allocation_pools.of_subnets(tx, [found.id])[found.id]
    new = pools.check_pools(subnet.prefix, subnet.gateway, command.ranges)
    change = pools.difference(old, new)
    space = Space(found.id)
    outside = 0
    sample: list[int] = []
    for run in change.removed:
        close_off(tx, space, run)
        count = allocations.count_within(tx, found.id, run)
        if count and len(sample) < SAMPLE:
            wanted = SAMPLE - len(sample)
            sample += allocations.addresses_within(tx, found.id, run, limit=wanted)
        outside += count
    for run in change.added:
        held = runs_of(allocations.addresses_within(tx, found.id, run))
        open_up(tx, space, subtract((run,), held))
    if change.added or change.removed:
        allocation_pools.replace(tx, found.id, new)
        row = directory.find_inside(tx, SUBNET, str(found.id), None)
        directory.change(tx, SUBNET, row, {}, None)
    family = subnet.family
    return PoolsUpdated(
        subnet=subnets.read(tx, found.id),
        added=tuple(AddressRange.of(family, *run) for run in change.added),
        removed=tuple(AddressRange.of(family, *run) for run in change.removed),
        outside=outside,
        outside_sample=tuple(Address.of(family, value) for value in islice(sample, SAMPLE)),
    )
