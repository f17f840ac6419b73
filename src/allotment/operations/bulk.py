"""Handing out many addresses at once, all or none.

Invariant: the work grows with the number of free extents met, never with the number of addresses
in Python; the runs entered are exactly the runs taken.
"""

from __future__ import annotations

import secrets
from uuid import UUID

from allotment.engine.extents import canonical, intersect, size
from allotment.errors import AddressTaken, InvalidValue, NotFound, PoolExhausted
from allotment.model.address import LAST_VALUE, Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import AllocateAddresses
from allotment.model.extent import Extent
from allotment.model.results import AllocatedAddresses
from allotment.operations.allocations import EXHAUSTED_HINT
from allotment.operations.free_space import Space, close_off, take_out, unaccounted
from allotment.operations.references import References
from allotment.operations.registry import handles
from allotment.operations.specific import check_usable, prefix_of
from allotment.store import allocation_pools, allocations, extents, quotas
from allotment.store.dialect import AllocationRow, SubnetRow
from allotment.store.quotas import Counted
from allotment.store.session import NeedsPatience, Write

# Ids of a bulk allocation count up: 61 random bits leave room for 2^61 of them under the variant.
_VARIANT = 0b10 << 62


@handles(AllocateAddresses)
def allocate_many(tx: Write, command: AllocateAddresses) -> AllocatedAddresses:
    """Take runs of free addresses and enter each address of them."""
    references = References(tx)
    project_id, _ = references.project(command.owner)
    for quota in quotas.find(tx, [project_id] if project_id else ()).values():
        quotas.check(quota, Counted(addresses=command.count))
    subnet_id = references.subnet(command.subnet, command.scope)
    locked = tx.dialect.lock_subnets(tx, {subnet_id: 0})
    if subnet_id not in locked:
        raise NotFound("subnet", command.subnet, "'allotment subnet list' shows them")
    row = locked[subnet_id].row
    runs = _take(tx, row, command)
    assert size(runs) == command.count, "conservation: as many as were asked for"
    first_id = _first_id()
    _enter(tx, row, command, runs, (project_id, first_id))
    quotas.note(tx, project_id, Counted(addresses=command.count))
    return AllocatedAddresses(
        subnet_id=row.id,
        count=command.count,
        ranges=tuple(AddressRange.of(row.family, *run) for run in runs),
        first_id=first_id,
        status=command.status,
        created_at=tx.now,
    )


def _first_id() -> UUID:
    """A random version-4 id with room to count up from."""
    high = secrets.randbits(64) & ~0xF000 | 0x4000
    return UUID(int=high << 64 | _VARIANT | secrets.randbits(61))


def _take(tx: Write, row: SubnetRow, command: AllocateAddresses) -> tuple[Extent, ...]:
    if command.first is not None:
        return (_take_fixed(tx, row, command.first, command.count),)
    if command.contiguous:
        return (_take_contiguous(tx, row, command.count),)
    runs = tx.dialect.take_lowest(tx, row.id, command.count)
    if size(runs) < command.count:
        raise _too_little(tx, row, command.count, size(runs))
    return canonical(runs)


def _too_little(tx: Write, row: SubnetRow, count: int, taken: int) -> Exception:
    if tx.dialect.concurrent and not tx.patient:
        return NeedsPatience()
    missing = count - taken
    left = extents.free_at_least(tx, row.id, missing, tx.now)
    if left >= missing:
        return NeedsPatience()
    free = taken + left
    return PoolExhausted(f"subnet {prefix_of(row)}", f"{count} addresses", free, EXHAUSTED_HINT)


def _take_fixed(tx: Write, row: SubnetRow, first: Address, count: int) -> Extent:
    """A run that begins where the caller says, inside or outside the pools, none of it held."""
    check_usable(row, first)
    last = first.value + count - 1
    if last > LAST_VALUE[row.family]:
        raise InvalidValue("count", count, "the run goes past the end of the family")
    check_usable(row, Address.of(row.family, last))
    run = Extent(first.value, last)
    space = Space(row.id)
    if any(found.available_at > tx.now for found in extents.within(tx, row.id, run)):
        raise AddressTaken(f"an address from {first} on", f"{prefix_of(row)} (resting)")
    freed = close_off(tx, space, run)
    taken = allocations.addresses_within(tx, row.id, run, limit=1)
    if taken:
        raise AddressTaken(str(Address.of(row.family, taken[0])), str(prefix_of(row)))
    pools = allocation_pools.of_subnets(tx, [row.id])[row.id]
    if size(freed) < size(intersect((run,), pools)):
        raise unaccounted(tx, f"a part of {AddressRange.of(row.family, *run)}")
    return run


def _take_contiguous(tx: Write, row: SubnetRow, count: int) -> Extent:
    """The lowest run of so many neighbours; adjacent extents (stripes) count as one run."""
    waiting: list[extents.FreeExtent] = []
    for found in extents.eligible_runs(tx, row.id):
        if waiting and waiting[-1].last + 1 != found.first:
            waiting = []
        waiting.append(found)
        if found.last - waiting[0].first + 1 >= count:
            break
    else:
        raise _no_run(tx, row, count)
    run = Extent(waiting[0].first, waiting[0].first + count - 1)
    for found in waiting:
        common = Extent(found.first, min(found.last, run.last))
        held = extents.holding(tx, row.id, found.last)
        if held is None or held.first > found.first or held.available_at > tx.now:
            raise NeedsPatience
        take_out(tx, Space(row.id), held, common)
    return run


def _no_run(tx: Write, row: SubnetRow, count: int) -> PoolExhausted:
    free = extents.free_at_least(tx, row.id, count, tx.now)
    hint = "no run of free addresses is that long; ask for fewer, or without --contiguous"
    return PoolExhausted(f"subnet {prefix_of(row)}", f"{count} addresses in one run", free, hint)


def _enter(
    tx: Write,
    row: SubnetRow,
    command: AllocateAddresses,
    runs: tuple[Extent, ...],
    owned: tuple[UUID | None, UUID],
) -> None:
    project_id, run_id = owned
    pattern = AllocationRow(
        row.id,
        0,
        run_id,
        tx.now,
        command.status.value,
        project_id,
        None,
        command.hostname.lower() if command.hostname else None,
        None,
        command.description or None,
        tuple(sorted(set(command.tags))),
    )
    numbered = []
    for run in runs:
        numbered.append((run, run_id))
        run_id = UUID(int=run_id.int + run.size)
    tx.dialect.record_runs(tx, pattern, numbered)
