"""Subnet pools: containers of prefixes, nested to any depth.

Invariant: a pool's prefixes are carved from its parent's free space (or stand at the root), and
its own free space is its prefixes less what is carved from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

from msgspec import UNSET

from allotment.engine.extents import subtract
from allotment.errors import IdentifierTaken, InUse, InvalidValue, Overlap
from allotment.model.address import BITS
from allotment.model.commands import CreateSubnetPool, DeleteSubnetPool, UpdateSubnetPool
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix
from allotment.model.queries import GetSubnetPool, ListSubnetPools
from allotment.model.results import Deleted, Page, SubnetPool
from allotment.operations import carving, removal
from allotment.operations.free_space import close_off, open_up
from allotment.operations.names import check_name
from allotment.operations.projects import changes_of
from allotment.operations.registry import answers, handles
from allotment.store import directory, grants, pages, prefix_allocations, prefixes
from allotment.store.columns import tagged
from allotment.store.directory import POOL, SCOPE, AnyRow
from allotment.store.prefixes import Held, held
from allotment.store.session import Read, Write

P = POOL.table


def made(row: AnyRow, own: Sequence[Held]) -> SubnetPool:
    """The answer that a row and its prefixes stand for."""
    return SubnetPool(
        id=row.id,
        name=row.name,
        scope_id=row.scope_id,
        scope=row.scope,
        parent_id=row.parent_id,
        family=row.family,
        prefixes=tuple(one.prefix for one in own),
        default_length=row.default_length,
        project_id=row.project_id,
        project=row.project,
        description=row.description,
        tags=row.tags,
        created_at=row.created_at,
        version=row.version,
    )


def _read(r: Read, pool_id: UUID) -> SubnetPool:
    row = directory.find_inside(r, POOL, str(pool_id), None)
    return made(row, prefixes.of_holders(r, [pool_id]))


def _family_of(wanted: Sequence[Prefix]) -> int:
    """The one family of some prefixes, which must not overlap."""
    if not wanted:
        raise InvalidValue("prefixes", "()", "a subnet pool has at least one prefix")
    families = {prefix.family for prefix in wanted}
    if len(families) > 1:
        raise InvalidValue(
            "prefixes", ", ".join(map(str, wanted)), "IPv4 and IPv6 never share a pool"
        )
    ordered = sorted(wanted)
    for one, other in pairwise(ordered):
        if one.overlaps(other):
            raise InvalidValue("prefixes", str(other), f"it overlaps {one} of the same pool")
    return families.pop()


def _check_length(length: int | None, family: int) -> None:
    if length is not None and length > BITS[family]:
        raise InvalidValue("default_length", length, f"IPv{family} has {BITS[family]} bits")


def parent_of(r: Read, scope_id: UUID, prefix: Prefix, *, leaf: bool) -> Held | None:
    """The deepest subnet pool around a prefix; None at the root of the scope.

    Raises:
        Overlap: a subnet or prefix allocation is around it, or the same prefix is a pool already
            (a subnet may have the very prefix of its pool, a pool may not).
    """
    chain = prefixes.chain(r, scope_id, prefix)
    for one in chain:
        if one.kind != "pool" or (not leaf and one.prefix == prefix):
            raise Overlap(str(prefix), f"{one.kind} {one.prefix}")
    return chain[-1] if chain else None


@handles(CreateSubnetPool)
def create_pool(tx: Write, command: CreateSubnetPool) -> SubnetPool:
    """Make a container; what is inside its prefixes already becomes its own."""
    family = _family_of(command.prefixes)
    _check_length(command.default_length, family)
    check_name(command.name, command.prefixes)
    project_id = directory.find_project_id(tx, command.project)
    named = None
    if command.parent is not None:
        named = directory.find_inside(tx, POOL, command.parent, command.scope)
    scope_id = named.scope_id if named is not None else directory.find_scope(tx, command.scope).id
    directory.lock(tx, SCOPE, scope_id, exclusive=True)
    parent = _common_parent(tx, scope_id, command, named)
    parent_id = parent.holder_id if parent is not None else None
    pool_id = uuid4()
    values = {
        "id": pool_id,
        "name": command.name,
        "description": command.description,
        "created_at": tx.now,
        "scope_id": scope_id,
        "parent_id": parent_id,
        "family": family,
        "default_length": command.default_length,
        "project_id": project_id,
        "tags": command.tags,
    }
    directory.enter(tx, POOL, values)
    grants.begin_epoch(tx)  # what is inside is in another place now
    _add(tx, (scope_id, parent_id, pool_id), sorted(command.prefixes))
    return _read(tx, pool_id)


def _common_parent(
    tx: Write, scope_id: UUID, command: CreateSubnetPool, named: AnyRow | None
) -> Held | None:
    parents = {}
    for prefix in command.prefixes:
        parent = parent_of(tx, scope_id, prefix, leaf=False)
        parents[parent.holder_id if parent else None] = parent
        if named is not None and (parent is None or parent.holder_id != named.id):
            where = f"inside the pool {parent.prefix}" if parent else "outside it"
            raise InvalidValue("parent", named.name, f"{prefix} is {where}")
    if len(parents) > 1:
        raise InvalidValue(
            "prefixes", ", ".join(map(str, command.prefixes)), "they lie in different subnet pools"
        )
    return next(iter(parents.values()))


def _add(tx: Write, place: tuple[UUID, UUID | None, UUID], wanted: Sequence[Prefix]) -> None:
    """Give a pool more prefixes: take them from the parent, adopt what is inside."""
    scope_id, parent_id, pool_id = place
    above = parent_id if parent_id is not None else scope_id
    for prefix in wanted:
        run = Extent(prefix.first, prefix.last)
        inside = prefixes.children_within(tx, above, prefix)
        _check_adoptable(tx, pool_id, prefix, inside)
        if parent_id is not None:
            close_off(tx, carving.space_of(parent_id, prefix.family), run)
        if inside:
            prefixes.adopt(tx, [one.holder_id for one in inside], pool_id, pool_id)
        prefixes.enter(tx, [held("pool", pool_id, scope_id, above, prefix)])
        free = subtract((run,), (one.extent for one in inside))
        open_up(tx, carving.space_of(pool_id, prefix.family), free)


def _check_adoptable(tx: Write, pool_id: UUID, prefix: Prefix, inside: Sequence[Held]) -> None:
    """Refuse what cannot come into the pool whole, or with its identifier."""
    held = [one.holder_id for one in inside if one.kind == "allocation"]
    for identifier in prefix_allocations.identifiers(tx, held) if held else ():
        own = prefix_allocations.identified(tx, pool_id, identifier)
        if own is not None:
            raise IdentifierTaken(identifier, str(own.prefix))
    pools = sorted({one.holder_id for one in inside if one.kind == "pool"})
    for other in prefixes.of_holders(tx, pools):
        if not prefix.contains(other.prefix):
            raise Overlap(
                str(prefix), f"pool {other.prefix}", "a child pool lies inside its parent whole"
            )


@handles(UpdateSubnetPool)
def update_pool(tx: Write, command: UpdateSubnetPool) -> SubnetPool:
    """Change what is said about a pool, or its prefixes."""
    found = directory.find_inside(tx, POOL, command.pool, command.scope)
    directory.lock(tx, SCOPE, found.scope_id, exclusive=True)
    directory.lock(tx, POOL, found.id, exclusive=True)
    row = directory.find_inside(tx, POOL, str(found.id), None)
    changes = changes_of(command, "name", "description", "default_length", "tags")
    if command.default_length is not UNSET:
        _check_length(command.default_length, row.family)
    if command.project is not UNSET:
        changes["project_id"] = directory.find_project_id(tx, command.project)
        grants.begin_epoch(tx)
    if command.prefixes is not UNSET:
        grants.begin_epoch(tx)
        _replace_prefixes(tx, row, command.prefixes)
    if command.name is not UNSET:
        own = tuple(one.prefix for one in prefixes.of_holders(tx, [row.id]))
        check_name(command.name, own)
    directory.change(tx, POOL, row, changes, command.version)
    return _read(tx, row.id)


def _replace_prefixes(tx: Write, row: AnyRow, wanted: Sequence[Prefix]) -> None:
    if _family_of(wanted) != row.family:
        raise InvalidValue("prefixes", str(wanted[0]), f"the pool is IPv{row.family}")
    own = {one.prefix: one for one in prefixes.of_holders(tx, [row.id])}
    gone = [one for prefix, one in sorted(own.items()) if prefix not in wanted]
    for one in gone:
        inside = prefixes.children_within(tx, row.id, one.prefix)
        if inside:
            raise InUse(
                "prefix", str(one.prefix), {f"prefixes (as {inside[0].prefix})": len(inside)}
            )
        close_off(tx, carving.space_of(row.id, row.family), one.extent)
        prefixes.remove(tx, row.id, [one.first])
        removal.give_back_all(tx, [one], row.parent_id)
    new = sorted(prefix for prefix in wanted if prefix not in own)
    for prefix in new:
        parent = parent_of(tx, row.scope_id, prefix, leaf=False)
        if (parent.holder_id if parent else None) != row.parent_id:
            raise Overlap(str(prefix), f"pool {parent.prefix}" if parent else "the scope's root")
    _add(tx, (row.scope_id, row.parent_id, row.id), new)


@handles(DeleteSubnetPool)
def delete_pool(tx: Write, command: DeleteSubnetPool) -> Deleted:
    """Remove a pool, with all that is inside when told to; its space returns to its parent."""
    found = directory.find_inside(tx, POOL, command.pool, command.scope)
    directory.lock(tx, SCOPE, found.scope_id, exclusive=True)
    directory.lock(tx, POOL, found.id, exclusive=True)
    contents = removal.contents_of_pool(tx, found.id)
    if any(contents.values()) and not command.cascade:
        raise InUse("subnet pool", found.name, contents)
    removal.empty_pool(tx, found.id)
    own = prefixes.of_holders(tx, [found.id])
    removal.remove_pool(tx, found.id)
    removal.give_back_all(tx, own, found.parent_id)
    contents["subnet pools"] += 1
    return Deleted(contents=contents, container_id=found.parent_id or found.scope_id)


@answers(GetSubnetPool)
def get_pool(r: Read, query: GetSubnetPool) -> SubnetPool:
    """One subnet pool."""
    row = directory.find_inside(r, POOL, query.pool, query.scope)
    return made(row, prefixes.of_holders(r, [row.id]))


@answers(ListSubnetPools)
def list_pools(r: Read, query: ListSubnetPools) -> Page[SubnetPool]:
    """Subnet pools by name and id."""
    where: list[Any] = []  # Any: conditions of the table
    if query.scope is not None:
        where.append(P.c.scope_id == directory.find_scope(r, query.scope).id)
    if query.parent is not None:
        where.append(P.c.parent_id == directory.find_inside(r, POOL, query.parent, query.scope).id)
    if query.project is not None:
        where.append(P.c.project_id == directory.find_project_id(r, query.project))
    if query.tag is not None:
        where.append(tagged(P.c.tags, query.tag))
    if query.cursor is not None:
        name, last = pages.read_cursor(query.cursor, [str, str])
        where.append(directory.beyond([P.c.name, P.c.id], (name, UUID(last))))
    rows = directory.listed(r, POOL, where, [P.c.name, P.c.id], query.limit)
    own: dict[UUID, list[Held]] = {row.id: [] for row in rows}
    for one in prefixes.of_holders(r, list(own)):
        own[one.holder_id].append(one)
    return pages.paged(
        rows, query.limit, lambda row: (row.name, str(row.id)), lambda row: made(row, own[row.id])
    )
