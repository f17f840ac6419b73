"""Exact use and free space of subnets, subnet pools and scopes.

Invariant: free + quarantined + held = size of the pools, in integers, from one snapshot; no
allocation is read one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from allotment.engine.extents import blocks
from allotment.errors import InvalidValue, NotFound
from allotment.model.address import BITS
from allotment.model.address_range import AddressRange
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix
from allotment.model.queries import GetUtilisation, ListFree
from allotment.model.results import FreeRange, Page, Utilisation
from allotment.operations.registry import answers
from allotment.store import directory, extents, pages, prefixes, subnet_use
from allotment.store.directory import POOL, SCOPE, SUBNET, AnyRow
from allotment.store.session import Read

FIRST_BATCH_MIN, BATCH_MAX = 64, 1000
"""How many extents are read at once: a fresh range is up to 64 stripes, which are told as one."""


class Container(NamedTuple):
    """A subnet, subnet pool or scope as the usage of it is told."""

    kind: str
    id: UUID
    name: str
    scope: str
    prefixes: tuple[Prefix, ...]


def find(r: Read, reference: str, scope: str | None, kind: str | None = None) -> Container:
    """The subnet, pool or scope that a reference means; the smallest wins for a CIDR.

    Raises:
        NotFound, Ambiguous: nothing or several things are meant.
    """
    seekers = {"subnet": _subnet, "pool": _pool, "scope": _scope}
    if kind is not None and kind not in seekers:
        raise InvalidValue("kind", kind, f"it is one of {', '.join(seekers)}")
    for noun, seek in seekers.items():
        if kind in (None, noun):
            try:
                return seek(r, reference, scope)
            except NotFound:
                continue
    raise NotFound("subnet, subnet pool or scope", reference, "'allotment tree' shows them")


def _subnet(r: Read, reference: str, scope: str | None) -> Container:
    row = directory.find_inside(r, SUBNET, reference, scope)
    return of_subnet(row)


def of_subnet(row: AnyRow) -> Container:
    """A subnet's row as a container."""
    prefix = Prefix.of(row.family, row.first, row.length)
    return Container("subnet", row.id, row.name or str(prefix), row.scope, (prefix,))


def _pool(r: Read, reference: str, scope: str | None) -> Container:
    row = directory.find_inside(r, POOL, reference, scope)
    own = tuple(one.prefix for one in prefixes.of_holders(r, [row.id]))
    return Container("pool", row.id, row.name, row.scope, own)


def _scope(r: Read, reference: str, _scope_named: str | None) -> Container:
    row = directory.find_named(r, SCOPE, reference)
    roots = prefixes.children(r, row.id)
    seen = directory.seen_among(r, [one.holder_id for one in roots])
    shown = tuple(one.prefix for one in roots if one.holder_id in seen)
    return Container("scope", row.id, row.name, row.name, shown)


@answers(GetUtilisation)
def get_utilisation(r: Read, query: GetUtilisation) -> Page[Utilisation]:
    """Use of what is named, else of all subnets, pools or scopes, by pages."""
    if query.containers:
        found = [find(r, one, query.scope, query.kind) for one in query.containers]
        return Page(items=tuple(measure(r, found)))
    kind = query.kind or "scope"
    if kind != "scope":
        return _of_all(r, query, kind)
    if query.scope is not None:
        return Page(items=tuple(measure(r, [_scope(r, query.scope, None)])))
    return _of_all_scopes(r, query)


def _of_all_scopes(r: Read, query: GetUtilisation) -> Page[Utilisation]:
    name = SCOPE.table.c.name
    where = [name > pages.read_cursor(query.cursor, [str])[0]] if query.cursor is not None else []
    rows = directory.listed(r, SCOPE, where, [name], query.limit)
    return pages.paged(
        rows,
        query.limit,
        lambda row: (row.name,),
        lambda row: measure(r, [_scope(r, str(row.id), None)])[0],
    )


def _of_all(r: Read, query: GetUtilisation, kind: str) -> Page[Utilisation]:
    known = {"subnet": SUBNET, "pool": POOL}.get(kind)
    if known is None:
        raise InvalidValue("kind", kind, "it is one of subnet, pool, scope")
    column = known.table.c.id
    where: list[Any] = []  # Any: conditions
    if query.scope is not None:
        where.append(known.table.c.scope_id == directory.find_scope(r, query.scope).id)
    if query.cursor is not None:
        where.append(column > UUID(pages.read_cursor(query.cursor, [str])[0]))
    rows = directory.listed(r, known, where, [column], query.limit)
    kept = rows[: query.limit]
    if known is SUBNET:
        found = [of_subnet(row) for row in kept]
    else:
        own: dict[UUID, list[Prefix]] = {row.id: [] for row in kept}
        for one in prefixes.of_holders(r, list(own)):
            own[one.holder_id].append(one.prefix)
        found = [Container("pool", row.id, row.name, row.scope, tuple(own[row.id])) for row in kept]
    more = len(rows) > query.limit
    cursor = pages.write_cursor((str(kept[-1].id),)) if more else None
    return Page(items=tuple(measure(r, found)), next=cursor)


def measure(r: Read, containers: Sequence[Container]) -> list[Utilisation]:
    """The use of some containers, in their order."""
    subnets = [one for one in containers if one.kind == "subnet"]
    measured = _subnets(r, subnets)
    measured.update(_pools(r, [one for one in containers if one.kind == "pool"]))
    for one in containers:
        if one.kind == "scope":
            measured[one.id] = _of_scope(r, one)
    return [measured[one.id] for one in containers]


def _free(r: Read, ids: Sequence[UUID]) -> dict[UUID, list[int]]:
    """Of each container: how many addresses are free now, and how many still rest."""
    counts = {container: [0, 0] for container in ids}
    if ids:
        for container, resting, total in extents.totals(r, ids):
            counts[container][resting] += total
    return counts


def _subnets(r: Read, containers: Sequence[Container]) -> dict[UUID, Utilisation]:
    by_id = {one.id: one for one in containers}
    measured = {}
    for use in subnet_use.of(r, list(by_id)):
        one = by_id[use.id]
        sizes = (one.prefixes[0].size, use.pooled)
        measured[use.id] = _told(one, sizes, (use.free, use.resting), (use.outside, use.reserved))
    return measured


def _told(
    one: Container, sizes: tuple[int, int], free: tuple[int, int], held: tuple[int, int]
) -> Utilisation:
    return Utilisation(
        kind=one.kind,
        id=one.id,
        name=one.name,
        scope=one.scope,
        prefixes=one.prefixes,
        size=sizes[0],
        pool_size=sizes[1],
        free=free[0],
        quarantined=free[1],
        held=sizes[1] - free[0] - free[1],
        held_outside=held[0],
        reserved=held[1],
    )


def _pools(r: Read, containers: Sequence[Container]) -> dict[UUID, Utilisation]:
    counts = _free(r, [one.id for one in containers])
    measured = {}
    for one in containers:
        whole = sum(prefix.size for prefix in one.prefixes)
        free, resting = counts[one.id]
        measured[one.id] = _told(one, (whole, whole), (free, resting), (0, 0))
    return measured


def _of_scope(r: Read, one: Container) -> Utilisation:
    """A scope: what its root prefixes hold; of its pools, what is carved counts as held."""
    roots = prefixes.children(r, one.id)
    pools = sorted({root.holder_id for root in roots if root.kind == "pool"})
    free = sum(free for free, _ in _free(r, pools).values())
    whole = sum(root.prefix.size for root in roots)
    return _told(one, (whole, whole), (free, 0), (0, 0))


@answers(ListFree)
def list_free(r: Read, query: ListFree) -> Page[FreeRange]:
    """Free space in order, as ranges or CIDRs."""
    container = find(r, query.container, query.scope)
    homes = _pools_of(r, container.id) if container.kind == "scope" else [container]
    start, after = _from_cursor(query.cursor)
    found: list[tuple[int, FreeRange]] = []
    for place in range(start, len(homes)):
        home = homes[place]
        for one in _pieces(r, home, query, after):
            found.append((place, one))
            if len(found) > query.limit:
                break
        after = -1
        if len(found) > query.limit:
            break
    more = len(found) > query.limit
    kept = found[: query.limit]
    cursor = None
    if more:
        last = kept[-1]
        cursor = pages.write_cursor((last[0], last[1].range.last))
    return Page(items=tuple(one for _, one in kept), next=cursor)


def _from_cursor(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, -1
    place, after = pages.read_cursor(cursor, [int, int])
    return place, after


def _pools_of(r: Read, scope_id: UUID) -> list[Container]:
    rows = directory.listed(
        r, POOL, [POOL.table.c.scope_id == scope_id], [POOL.table.c.id], 1_000_000
    )
    own: dict[UUID, list[Prefix]] = {row.id: [] for row in rows}
    for start in range(0, len(rows), 500):
        for one in prefixes.of_holders(r, [row.id for row in rows[start : start + 500]]):
            own[one.holder_id].append(one.prefix)
    return [Container("pool", row.id, row.name, row.scope, tuple(own[row.id])) for row in rows]


def _pieces(r: Read, home: Container, query: ListFree, after: int) -> Iterator[FreeRange]:
    """The free pieces of one container that begin after an address, as they are asked for."""
    family = home.prefixes[0].family
    bits = BITS[family]
    if query.length is not None and query.length > bits:
        raise InvalidValue("length", query.length, f"IPv{family} has {bits} bits")
    for run in _runs(r, home.id, after, max(query.limit, FIRST_BATCH_MIN)):
        run = Extent(max(run.first, after + 1), run.last)
        if query.length is None and not query.as_prefixes:
            whole = AddressRange.of(family, *run)
            yield FreeRange(
                container_id=home.id, container=home.name, range=whole, prefix=None, size=run.size
            )
            continue
        for first, length in blocks(run, bits):
            prefix = Prefix.of(family, first, length)
            fits = query.length is None or length <= query.length
            if fits and prefix.last > after:
                yield FreeRange(
                    container_id=home.id,
                    container=home.name,
                    range=AddressRange.of(family, prefix.first, prefix.last),
                    prefix=prefix,
                    size=prefix.size,
                )


def _runs(r: Read, container_id: UUID, after: int, at_once: int) -> Iterator[Extent]:
    """Free runs in order, adjacent extents (stripes) as one; so many are read first, then more."""
    at, pending = after, None
    while True:
        batch = extents.page(r, container_id, at, at_once)
        for found in batch:
            if found.available_at > r.now:
                continue
            if pending is not None and pending.last + 1 == found.first:
                pending = Extent(pending.first, found.last)
            else:
                if pending is not None:
                    yield pending
                pending = found.extent
        if len(batch) < at_once:
            break
        at, at_once = batch[-1].last, min(2 * at_once, BATCH_MAX)
    if pending is not None:
        yield pending
