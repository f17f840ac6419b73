"""Taking containers apart: what is inside, and removing it from the leaves up.

Invariant: nothing is orphaned: rows go in the order allocations, extents, ranges, subnets, prefix
allocations, pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from allotment.operations import carving
from allotment.store import (
    allocation_pools,
    allocations,
    directory,
    extents,
    history,
    prefix_allocations,
    prefixes,
    quotas,
)
from allotment.store.directory import POOL, SUBNET
from allotment.store.prefixes import Held
from allotment.store.quotas import Counted
from allotment.store.session import Read, Write


def contents_of_subnet(r: Read, subnet_id: UUID) -> dict[str, int]:
    """What a subnet holds."""
    return {"allocations": allocations.count(r, [subnet_id])}


def contents_of_pool(r: Read, pool_id: UUID) -> dict[str, int]:
    """What a subnet pool holds, at every depth."""
    return _contents(r, prefixes.children(r, pool_id))


def contents_of_scope(r: Read, scope_id: UUID) -> dict[str, int]:
    """What a scope holds, at every depth."""
    return _contents(r, prefixes.children(r, scope_id))


def _contents(r: Read, below: Sequence[Held]) -> dict[str, int]:
    counts = {"subnet pools": 0, "subnets": 0, "prefix allocations": 0, "allocations": 0}
    pools = sorted({one.holder_id for one in below if one.kind == "pool"})
    subnets = [one.holder_id for one in below if one.kind == "subnet"]
    counts["subnet pools"] = len(pools)
    counts["subnets"] = len(subnets)
    counts["prefix allocations"] = sum(one.kind == "allocation" for one in below)
    for start in range(0, len(subnets), 500):
        counts["allocations"] += allocations.count(r, subnets[start : start + 500])
    for pool in pools:
        for noun, count in contents_of_pool(r, pool).items():
            counts[noun] += count
    return counts


def remove_subnet(tx: Write, subnet_id: UUID, *, kept: bool = True) -> None:
    """Delete a subnet and what it holds; its prefix is the caller's to give back.

    `kept`: who held its addresses is kept.
    """
    for project_id, count in allocations.owners(tx, subnet_id).items():
        quotas.note(tx, project_id, Counted(addresses=-count))
    quotas.note(tx, directory.project_of(tx, SUBNET, subnet_id), Counted(prefixes=-1))
    if kept:
        history.end(tx, directory.find_inside(tx, SUBNET, str(subnet_id), None))
    allocations.delete_all(tx, subnet_id)
    extents.delete_all(tx, subnet_id)
    allocation_pools.replace(tx, subnet_id, ())
    prefixes.remove(tx, subnet_id)
    directory.remove(tx, SUBNET, [subnet_id])


def empty_pool(tx: Write, pool_id: UUID) -> None:
    """Delete everything in a subnet pool."""
    _remove_below(tx, pool_id)


def remove_pool(tx: Write, pool_id: UUID) -> None:
    """Delete a subnet pool that is empty; its prefixes are the caller's to give back."""
    extents.delete_all(tx, pool_id)
    prefixes.remove(tx, pool_id)
    directory.remove(tx, POOL, [pool_id])


def empty_scope(tx: Write, scope_id: UUID) -> None:
    """Delete everything in a scope, and its history."""
    _remove_below(tx, scope_id, kept=False)
    history.forget_scope(tx, scope_id)


def _remove_below(tx: Write, parent_id: UUID, *, kept: bool = True) -> None:
    done: set[UUID] = set()
    for one in prefixes.children(tx, parent_id):
        if one.holder_id in done:
            continue
        done.add(one.holder_id)
        if one.kind == "subnet":
            directory.lock(tx, SUBNET, one.holder_id, exclusive=True, queued=False)
            remove_subnet(tx, one.holder_id, kept=kept)
        elif one.kind == "pool":
            directory.lock(tx, POOL, one.holder_id, exclusive=True, queued=False)
            _remove_below(tx, one.holder_id, kept=kept)
            remove_pool(tx, one.holder_id)
        else:
            quotas.note(tx, prefix_allocations.project_of(tx, one.holder_id), Counted(prefixes=-1))
            prefix_allocations.delete_one(tx, parent_id, one.holder_id, one.first)
            prefixes.remove(tx, one.holder_id)


def give_back_all(tx: Write, below: Sequence[Held], parent_id: UUID | None) -> None:
    """Return prefixes to the subnet pool they were carved from, if any."""
    if parent_id is not None:
        for one in below:
            carving.give_back(tx, parent_id, one.prefix)
