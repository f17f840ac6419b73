"""Making what is derived anew: free extents, tags to find allocations by, counts of quotas.

Invariant: what is held is never changed; what rests goes on resting.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from allotment.engine.extents import canonical, subtract
from allotment.model.extent import Extent
from allotment.operations import carving
from allotment.operations.free_space import Space, open_up
from allotment.operations.releases import runs_of
from allotment.store import allocation_pools, allocations, directory, extents, prefixes, quotas
from allotment.store.directory import POOL, SUBNET
from allotment.store.session import Write


def rebuild(tx: Write, kind: str, container: UUID) -> None:
    """Make what is derived of a container anew."""
    match kind:
        case "orphan":
            extents.delete_all(tx, container)
        case "quota":
            quotas.count_anew(tx, container)
        case "tags":
            directory.lock(tx, SUBNET, container, exclusive=True)
            allocations.enter_tags_anew(tx, container)
        case "subnet":
            directory.lock(tx, SUBNET, container, exclusive=True)
            _rebuild_subnet(tx, container)
        case _:
            directory.lock(tx, POOL, container, exclusive=True)
            _rebuild_pool(tx, container)


def _rebuild_subnet(tx: Write, container: UUID) -> None:
    resting = _resting(tx, container)
    extents.delete_all(tx, container)
    space = Space(container)
    for pool in canonical(allocation_pools.of_subnets(tx, [container])[container]):
        left = subtract((pool,), runs_of(allocations.addresses_within(tx, container, pool)))
        for run, available_at in resting:
            busy = subtract((run,), subtract((run,), left))
            open_up(tx, space, busy, available_at)
            left = subtract(left, busy)
        open_up(tx, space, left)


def _resting(tx: Write, container: UUID) -> Sequence[tuple[Extent, int]]:
    """What is in quarantine, the longest rest first."""
    found = [one for _, one in extents.stream(tx, [container]) if one.available_at > tx.now]
    return sorted(((one.extent, one.available_at) for one in found), key=lambda one: -one[1])


def _rebuild_pool(tx: Write, container: UUID) -> None:
    extents.delete_all(tx, container)
    below = [one.extent for one in prefixes.children(tx, container)]
    for one in prefixes.of_holders(tx, [container]):
        space = carving.space_of(container, one.family)
        open_up(tx, space, subtract((one.extent,), below))
