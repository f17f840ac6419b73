"""Held addresses as people ask for them: one, many, and changing what is said about them.

Invariant: a change names the allocation it means; what is not named does not change.
"""

from __future__ import annotations

from uuid import UUID

from msgspec import UNSET

from allotment.engine.access import Rights
from allotment.errors import IdentifierTaken, InvalidValue, NotFound, StaleAllocation
from allotment.model.address import Address
from allotment.model.commands import UpdateAllocation
from allotment.model.extent import Extent
from allotment.model.queries import GetAllocation, ListAllocations
from allotment.model.results import Allocation, Page
from allotment.operations.owners import check_touch, is_seen
from allotment.operations.projects import changes_of
from allotment.operations.registry import answers, handles
from allotment.operations.releases import wanted_id
from allotment.store import allocations, directory, history, pages, prefixes, quotas
from allotment.store.allocations import Filter
from allotment.store.directory import SUBNET
from allotment.store.quotas import Counted
from allotment.store.session import Read, Write


@handles(UpdateAllocation, with_rights=True)
def update_allocation(tx: Write, command: UpdateAllocation, rights: Rights) -> Allocation:
    """Change the attributes of a held address."""
    subnet = directory.find_inside(tx, SUBNET, command.subnet, command.scope)
    directory.lock(tx, SUBNET, subnet.id, exclusive=False)
    wanted = wanted_id(command.allocation_id)
    holder = allocations.lock_one(tx, subnet.id, command.address.value)
    found = _held(tx, subnet.id, command.address)
    if not is_seen(tx, rights, subnet.id, found.project_id):
        raise _not_held(command.address)
    check_touch(tx, rights, subnet.id, [found.project_id])
    if holder is None or wanted not in (None, holder.id):
        raise StaleAllocation(str(command.address), str(wanted))
    if isinstance(command.identifier, str):
        _check_identifier(tx, found, command.identifier)
    changes = _changes(tx, command)
    if "project_id" in changes:
        new = changes["project_id"]
        assert new is None or isinstance(new, UUID)
        quotas.note(tx, found.project_id, Counted(addresses=-1))
        quotas.note(tx, new, Counted(addresses=1))
    if _is_another_holder(found, changes):
        history.end(tx, subnet, command.address.value)
        changes["changed_at"] = history.ended_at(tx.now)
    allocations.change(tx, subnet.id, command.address.value, changes)
    return _held(tx, subnet.id, command.address)


def _is_another_holder(found: Allocation, changes: dict[str, object]) -> bool:
    """Whether the changes end a period of the history."""
    known: dict[str, object] = {
        "status": found.status.value,
        "project_id": found.project_id,
        "identifier": found.identifier,
        "hostname": found.hostname,
        "mac": str(found.mac) if found.mac else None,
    }
    return any(changes.get(name, value) != value for name, value in known.items())


def _changes(tx: Write, command: UpdateAllocation) -> dict[str, object]:
    """The columns that the command sets, as they are stored."""
    changes = changes_of(command, "identifier")
    if command.tags is not UNSET:
        changes["tags"] = tuple(sorted(set(command.tags)))
    if command.status is not UNSET:
        changes["status"] = command.status.value
    if command.owner is not UNSET:
        changes["project_id"] = directory.find_project_id(tx, command.owner)
    if command.hostname is not UNSET:
        changes["hostname"] = command.hostname.lower() if command.hostname else None
    if command.mac is not UNSET:
        changes["mac"] = str(command.mac) if command.mac else None
    if command.description is not UNSET:
        changes["description"] = command.description or None
    return changes


def _check_identifier(tx: Write, found: Allocation, identifier: str) -> None:
    known = allocations.identified(tx, [found.subnet_id], [identifier])
    for other in known.values():
        if other.id != found.id:
            raise IdentifierTaken(identifier, str(other.address))


def _held(r: Read, subnet_id: UUID, address: Address) -> Allocation:
    found = allocations.find(r, subnet_id, address.value)
    if found is None or found.address != address:
        raise _not_held(address)
    return found


def _not_held(address: Address) -> NotFound:
    return NotFound("allocation", address, "nobody holds it in this subnet")


@answers(GetAllocation)
def get_allocation(r: Read, query: GetAllocation) -> Allocation:
    """The allocation that holds an address."""
    subnet = directory.find_inside(r, SUBNET, query.subnet, query.scope)
    return _held(r, subnet.id, query.address)


@answers(ListAllocations)
def list_allocations(r: Read, query: ListAllocations) -> Page[Allocation]:
    """Held addresses by subnet and address."""
    wanted = Filter(
        identifier=query.identifier,
        hostname=query.hostname,
        mac=str(query.mac) if query.mac else None,
        tag=query.tag,
        status=query.status.value if query.status else None,
        project_id=directory.find_project_id(r, query.owner),
    )
    if query.subnet is not None:
        subnet = directory.find_inside(r, SUBNET, query.subnet, query.scope)
        wanted = wanted._replace(subnet_ids=[subnet.id])
    elif query.scope is not None:
        wanted = wanted._replace(scope_id=directory.find_scope(r, query.scope).id)
    if query.within is not None and query.range is not None:
        raise InvalidValue("range", str(query.range), "give either a range or within")
    if query.within is not None:
        run = Extent(query.within.first, query.within.last)
        wanted = wanted._replace(family=query.within.family, run=run)
        if wanted.scope_id is not None:
            around = prefixes.subnets_around_or_within(r, wanted.scope_id, query.within)
            wanted = wanted._replace(scope_id=None, subnet_ids=around)
    if query.range is not None:
        run = Extent(query.range.first, query.range.last)
        wanted = wanted._replace(family=query.range.family, run=run)
    after = None
    if query.cursor is not None:
        subnet_id, address = pages.read_cursor(query.cursor, [str, int])
        after = (UUID(subnet_id), address)
    return allocations.listed(r, wanted, after, query.limit)
