"""Prefixes held from a subnet pool by an owner, without being subnets of the book.

Invariant: a held prefix stands in the forest, so nothing else is ever carved from it.
"""

from __future__ import annotations

from uuid import uuid4

from allotment.engine.access import Rights
from allotment.errors import Forbidden, IdentifierTaken, InvalidValue, NotFound, StaleAllocation
from allotment.model.commands import AllocatePrefix, ReleasePrefix
from allotment.model.prefix import Prefix
from allotment.model.queries import ListPrefixAllocations
from allotment.model.results import Page, PrefixAllocation, Released
from allotment.operations import carving
from allotment.operations.owners import check_touch, is_seen
from allotment.operations.registry import answers, handles
from allotment.operations.releases import wanted_id
from allotment.operations.subnets import wanted_length
from allotment.store import directory, prefix_allocations, prefixes, quotas
from allotment.store.directory import POOL, SCOPE, AnyRow
from allotment.store.prefixes import held
from allotment.store.quotas import Counted
from allotment.store.session import Read, Write


@handles(AllocatePrefix, with_rights=True)
def allocate_prefix(tx: Write, command: AllocatePrefix, rights: Rights) -> PrefixAllocation:
    """Hold a prefix; the same identifier gets the same prefix again."""
    if command.prefix is not None and command.length is not None:
        raise InvalidValue("length", command.length, f"the prefix {command.prefix} says it already")
    pool = directory.find_inside(tx, POOL, command.pool, command.scope)
    project_id = directory.find_project_id(tx, command.owner)
    directory.lock(tx, SCOPE, pool.scope_id, exclusive=False)
    directory.lock(tx, POOL, pool.id, exclusive=False)
    if command.identifier is not None:
        before = prefix_allocations.identified(tx, pool.id, command.identifier)
        if before is not None:
            _check_same(tx, command, before, rights)
            return before
    prefix = _take(tx, pool, command)
    held_id = uuid4()
    values = {
        "id": held_id,
        "pool_id": pool.id,
        "family": prefix.family,
        "first": prefix.first,
        "length": prefix.length,
        "created_at": tx.now,
        "status": command.status.value,
        "project_id": project_id,
        "identifier": command.identifier,
        "description": command.description or None,
        "tags": command.tags,
    }
    prefix_allocations.enter(tx, values)
    quotas.note(tx, project_id, Counted(prefixes=1))
    prefixes.enter(tx, [held("allocation", held_id, pool.scope_id, pool.id, prefix)])
    made = prefix_allocations.find(tx, pool.id, prefix.first)
    assert made is not None, "what was entered is there"
    return made


def _check_same(
    tx: Write, command: AllocatePrefix, before: PrefixAllocation, rights: Rights
) -> None:
    try:
        check_touch(tx, rights, before.pool_id, [before.project_id])
    except Forbidden as error:
        raise IdentifierTaken(command.identifier or "", "somebody else's prefix") from error
    other = command.prefix not in (None, before.prefix)
    if other or command.length not in (None, before.prefix.length):
        raise IdentifierTaken(command.identifier or "", str(before.prefix))


def _take(tx: Write, pool: AnyRow, command: AllocatePrefix) -> Prefix:
    if command.prefix is None:
        return carving.carve(tx, pool, wanted_length(pool, command.length), command.placement)
    own = prefixes.of_holders(tx, [pool.id])
    if not any(one.prefix.contains(command.prefix) for one in own):
        raise InvalidValue("prefix", str(command.prefix), f"it lies outside the pool {pool.name}")
    carving.carve_exactly(tx, pool.id, command.prefix)
    return command.prefix


@handles(ReleasePrefix, with_rights=True)
def release_prefix(tx: Write, command: ReleasePrefix, rights: Rights) -> Released:
    """Give a prefix back."""
    pool = directory.find_inside(tx, POOL, command.pool, command.scope)
    directory.lock(tx, SCOPE, pool.scope_id, exclusive=False)
    directory.lock(tx, POOL, pool.id, exclusive=False)
    found = prefix_allocations.find(tx, pool.id, command.prefix.first)
    there = found is not None and found.prefix == command.prefix
    if found is None or not there or not is_seen(tx, rights, pool.id, found.project_id):
        raise NotFound("prefix allocation", command.prefix, f"nobody holds it of {pool.name}")
    check_touch(tx, rights, pool.id, [found.project_id])
    wanted = wanted_id(command.allocation_id)
    if wanted not in (None, found.id):
        raise StaleAllocation(str(command.prefix), str(wanted))
    if not prefix_allocations.delete_one(tx, pool.id, found.id, found.prefix.first):
        raise NotFound("prefix allocation", command.prefix, "it was released meanwhile")
    quotas.note(tx, found.project_id, Counted(prefixes=-1))
    prefixes.remove(tx, found.id)
    carving.give_back(tx, pool.id, found.prefix)
    return Released(count=1, container_id=pool.id)


@answers(ListPrefixAllocations)
def list_prefix_allocations(r: Read, query: ListPrefixAllocations) -> Page[PrefixAllocation]:
    """A pool's held prefixes, in order."""
    pool = directory.find_inside(r, POOL, query.pool, query.scope)
    return prefix_allocations.listed(r, pool.id, query.cursor, query.limit)
