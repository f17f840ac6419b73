"""Giving addresses back.

Invariant: an address returns to the free space exactly when its allocation is deleted, and only if
it lies in an allocation pool; a release that names an allocation frees that one or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from allotment.engine.access import Permit, Rights
from allotment.engine.extents import canonical, intersect
from allotment.errors import AllotmentError, InvalidValue, NotFound, StaleAllocation
from allotment.model.address import Address
from allotment.model.commands import ReleaseAddress, ReleaseAddresses, ReleaseMatching
from allotment.model.extent import AGED, NEVER, Extent
from allotment.model.results import Released
from allotment.operations.free_space import Space, give_back
from allotment.operations.owners import check_touch, is_seen, note_released
from allotment.operations.references import References
from allotment.operations.registry import Outcome, handles, handles_many
from allotment.operations.specific import prefix_of
from allotment.store import allocation_pools, allocations, quotas
from allotment.store.allocations import Filter
from allotment.store.dialect import SubnetRow
from allotment.store.directory import read_id
from allotment.store.quotas import Counted
from allotment.store.session import Write

_CHUNK = 1000


@handles_many(ReleaseAddress)
def release_addresses_one_by_one(
    tx: Write, permits: Sequence[Permit[ReleaseAddress]]
) -> list[Outcome]:
    """Give one address back for each command."""
    references = References(tx)
    outcomes: list[Outcome] = [None] * len(permits)
    places: dict[int, UUID] = {}
    for place, permit in enumerate(permits):
        try:
            command = permit.resolved
            places[place] = references.subnet(command.subnet, command.scope)
        except AllotmentError as error:
            outcomes[place] = error
    locked = tx.dialect.lock_subnets(tx, dict.fromkeys(sorted(set(places.values())), 0))
    for place in sorted(places, key=lambda one: (places[one], permits[one].resolved.address)):
        subnet = locked.get(places[place])
        try:
            if subnet is None:
                raise NotFound("subnet", places[place], "'allotment subnet list' shows them")
            outcomes[place] = _release(tx, subnet.row, permits[place])
        except AllotmentError as error:
            outcomes[place] = error
    return outcomes


def _release(tx: Write, row: SubnetRow, permit: Permit[ReleaseAddress]) -> Released:
    command = permit.resolved
    value = _inside(row, command.address)
    wanted = wanted_id(command.allocation_id)
    holder = allocations.lock_one(tx, row.id, value)
    if holder is None or not is_seen(tx, permit.rights, row.id, holder.project_id):
        raise _not_held(row, command.address)
    check_touch(tx, permit.rights, row.id, [holder.project_id])
    if wanted not in (None, holder.id):
        raise StaleAllocation(str(command.address), str(wanted))
    tx.dialect.end_allocations(tx, row, [value])
    quotas.note(tx, holder.project_id, Counted(addresses=-1))
    _return(tx, row, [Extent(value, value)])
    return Released(count=1, container_id=row.id)


def wanted_id(allocation_id: str | None) -> UUID | None:
    """The allocation a command means, if it says which.

    Raises:
        InvalidValue: what it says is no id.
    """
    if allocation_id is None:
        return None
    wanted = read_id(allocation_id)
    if wanted is None:
        raise InvalidValue("allocation_id", allocation_id, "it must be an allocation's id")
    return wanted


def _inside(row: SubnetRow, address: Address) -> int:
    prefix = prefix_of(row)
    if not prefix.contains(address):
        raise InvalidValue("address", str(address), f"it must lie inside the subnet {prefix}")
    return address.value


def _not_held(row: SubnetRow, address: Address) -> NotFound:
    return NotFound("allocation", address, f"nobody holds it in subnet {prefix_of(row)}")


def _return(tx: Write, row: SubnetRow, runs: Sequence[Extent]) -> None:
    """Put runs that are no longer held back into the pools they lie in."""
    keep_age = row.placement == "least-recently-used"
    rests = row.quarantine_seconds * 1000
    available_at = AGED + tx.now if keep_age else NEVER
    if rests:
        available_at = tx.now + rests
    space = Space(row.id, keep_age=keep_age)
    for run in runs:
        at = run.first
        while at <= run.last:
            pool = allocation_pools.covering(tx, row.id, at) or allocation_pools.next_after(
                tx, row.id, at
            )
            if pool is None or pool.first > run.last:
                break
            part = intersect((run,), (pool,))[0]
            give_back(tx, space, part, pool, available_at)
            at = part.last + 1


def runs_of(values: Iterable[int]) -> tuple[Extent, ...]:
    """Addresses as runs."""
    return canonical(Extent(value, value) for value in values)


@handles(ReleaseAddresses, with_rights=True)
def release_addresses(tx: Write, command: ReleaseAddresses, rights: Rights) -> Released:
    """Give several addresses back, all or none."""
    subnet_id = References(tx).subnet(command.subnet, command.scope)
    row = _locked(tx, subnet_id)
    values = sorted({_inside(row, address) for address in command.addresses})
    held = tx.dialect.lock_allocations(tx, row.id, values)
    seen = {owner for owner in set(held.values()) if is_seen(tx, rights, row.id, owner)}
    missing = next((one for one in values if one not in held or held[one] not in seen), None)
    if missing is not None:
        raise _not_held(row, Address.of(row.family, missing))
    check_touch(tx, rights, row.id, held.values())
    tx.dialect.end_allocations(tx, row, values)
    note_released(tx, held.values())
    _return(tx, row, runs_of(values))
    return Released(count=len(values), container_id=row.id)


def _locked(tx: Write, subnet_id: UUID) -> SubnetRow:
    locked = tx.dialect.lock_subnets(tx, {subnet_id: 0})
    if subnet_id not in locked:
        raise NotFound("subnet", subnet_id, "'allotment subnet list' shows them")
    return locked[subnet_id].row


@handles(ReleaseMatching, with_rights=True)
def release_matching(tx: Write, command: ReleaseMatching, rights: Rights) -> Released:
    """Give back all that an owner or an identifier holds."""
    if (command.owner is None) == (command.identifier is None):
        raise InvalidValue("owner", command.owner, "give either an owner or an identifier")
    references = References(tx)
    project_id, _ = references.project(command.owner)
    if command.subnet is not None:
        subnets = [references.subnet(command.subnet, command.scope)]
    elif project_id is not None:
        subnets = allocations.subnets_of_project(tx, project_id)
    else:
        raise InvalidValue("subnet", None, "an identifier is known within its subnet: name that")
    wanted = Filter(project_id=project_id, identifier=command.identifier)
    count = sum(_release_all(tx, _locked(tx, subnet), wanted, rights) for subnet in subnets)
    if not count and command.identifier is not None:
        raise NotFound("allocation with identifier", command.identifier)
    return Released(count=count, container_id=subnets[0] if len(subnets) == 1 else None)


def _release_all(tx: Write, row: SubnetRow, wanted: Filter, rights: Rights) -> int:
    count = 0
    while True:
        here = wanted._replace(subnet_ids=[row.id])
        found = allocations.lock(tx, here, _CHUNK)
        owners = [owner for _, owner in found]
        # All are of one owner, or there is one of that identifier: all are seen, or none.
        if not all(is_seen(tx, rights, row.id, owner) for owner in set(owners)) or not found:
            return count
        check_touch(tx, rights, row.id, owners)
        note_released(tx, owners)
        values = [address for address, _ in found]
        count += tx.dialect.end_allocations(tx, row, values)
        _return(tx, row, runs_of(values))
