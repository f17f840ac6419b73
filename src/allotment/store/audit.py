"""The book read from end to end, in the order of its containers.

Invariant: everything is of one snapshot, and memory holds one container at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import Select, and_, or_, select

from allotment.model.extent import Extent
from allotment.store import schema
from allotment.store.directory import AnyRow
from allotment.store.prefixes import COLUMNS, Held
from allotment.store.session import Read

S, N, P, X = schema.address_scope, schema.subnet, schema.subnet_pool, schema.prefix
A, R, E = schema.allocation, schema.allocation_pool, schema.free_extent
H, T = schema.prefix_allocation, schema.allocation_tag
W = schema.allocation_period

Row = TypeVar("Row")


def _stream(r: Read, query: Select[Any]) -> Iterator[Any]:  # Any: rows of the tables
    return iter(r.stream(query))


def subnets(r: Read) -> Iterator[AnyRow]:
    """Every subnet, by id."""
    return _stream(r, select(N).order_by(N.c.id))


def pools(r: Read) -> Iterator[AnyRow]:
    """Every subnet pool, by id."""
    return _stream(r, select(P).order_by(P.c.id))


class ByContainer(Generic[Row]):
    """Rows grouped by container, followed in step with the containers."""

    def __init__(self, rows: Iterator[Any]) -> None:  # Any: rows led by the container's id
        self._groups = groupby(rows, itemgetter(0))
        self._next = next(self._groups, None)

    def of(self, container: UUID, orphans: list[UUID]) -> Iterator[Any]:
        """The rows of a container; containers passed on the way do not exist."""
        while self._next is not None and self._next[0] < container:
            orphans.append(self._next[0])
            self._next = next(self._groups, None)
        if self._next is None or self._next[0] != container:
            return
        yield from self._next[1]
        self._next = next(self._groups, None)

    def rest(self, orphans: list[UUID]) -> None:
        """What is left belongs to no container."""
        while self._next is not None:
            orphans.append(self._next[0])
            self._next = next(self._groups, None)


def held(r: Read) -> ByContainer[Any]:
    """(subnet, address) of every allocation, in order."""
    return ByContainer(
        _stream(r, select(A.c.subnet_id, A.c.address).order_by(A.c.subnet_id, A.c.address))
    )


def ranges(r: Read) -> ByContainer[Any]:
    """(subnet, first, last) of every allocation pool, in order."""
    query = select(R.c.subnet_id, R.c.first, R.c.last).order_by(R.c.subnet_id, R.c.last)
    return ByContainer(_stream(r, query))


def free(r: Read, *, of_pools: bool) -> ByContainer[Any]:
    """(container, first, last, available_at, fits) of the extents of subnets, or of pools."""
    known = select(P.c.id)
    mine = E.c.container_id.in_(known) if of_pools else E.c.container_id.not_in(known)
    query = (
        select(E.c.container_id, E.c.first, E.c.last, E.c.available_at, E.c.fits)
        .where(mine)
        .order_by(E.c.container_id, E.c.last)
    )
    return ByContainer(_stream(r, query))


def carved(r: Read) -> ByContainer[Any]:
    """(parent, Held) of every prefix, in the order of parents; roots hang from their scope."""
    query = select(X.c.parent_id, *COLUMNS).order_by(X.c.parent_id, X.c.family, X.c.last)
    return ByContainer((row[0], Held(*row[1:])) for row in _stream(r, query))


def own(r: Read) -> ByContainer[Any]:
    """(holder, Held) of every prefix, in the order of holders."""
    query = select(X.c.holder_id, *COLUMNS).order_by(X.c.holder_id, X.c.first)
    return ByContainer((row[0], Held(*row[1:])) for row in _stream(r, query))


def leaf_overlaps(r: Read) -> Iterator[tuple[Held, Held]]:
    """Subnets and prefix allocations of one scope that overlap the one before them."""
    query = (
        select(*COLUMNS)
        .where(X.c.kind != "pool")
        .order_by(X.c.scope_id, X.c.family, X.c.first, X.c.length)
    )
    before: Held | None = None
    for row in _stream(r, query):
        one = Held(*row)
        same = before is not None and (before.scope_id, before.family) == (one.scope_id, one.family)
        if before is not None and same and one.first <= before.last:
            yield before, one
        if before is None or not same or one.last > before.last:
            before = one


def extents_of(rows: Sequence[Any]) -> list[Extent]:  # Any: rows (container, first, last, ...)
    """The runs of some rows."""
    return [Extent(row[1], row[2]) for row in rows]


_HOLDERS = {"subnet": N, "pool": P, "allocation": H}


def entries_without_holder(r: Read) -> Iterator[Held]:
    """Entries of the forest that no thing of their kind has."""
    for kind, table in _HOLDERS.items():
        found = select(table.c.id).where(table.c.id == X.c.holder_id).exists()
        for row in _stream(r, select(*COLUMNS).where(X.c.kind == kind, ~found)):
            yield Held._make(row)


def held_without_entry(r: Read) -> Iterator[tuple[UUID, UUID]]:
    """(pool, id) of prefix allocations that the forest does not have, or has elsewhere."""
    entry = select(X.c.holder_id).where(
        X.c.holder_id == H.c.id,
        X.c.parent_id == H.c.pool_id,
        X.c.family == H.c.family,
        X.c.first == H.c.first,
        X.c.length == H.c.length,
    )
    for row in _stream(r, select(H.c.pool_id, H.c.id).where(~entry.exists())):
        yield row[0], row[1]


def tags_that_differ(r: Read) -> Iterator[UUID]:
    """The subnet of each allocation whose tags are not the ones it is found by."""
    said = select(A.c.subnet_id, A.c.address, A.c.tags).where(A.c.tags.is_not(None))
    said_rows = _stream(r, said.order_by(A.c.subnet_id, A.c.address))
    found = select(T.c.subnet_id, T.c.address, T.c.tag)
    found_rows = groupby(
        _stream(r, found.order_by(T.c.subnet_id, T.c.address, T.c.tag)), itemgetter(0, 1)
    )
    listed = next(found_rows, None)
    for subnet_id, address, tags in said_rows:
        while listed is not None and listed[0] < (subnet_id, address):
            yield listed[0][0]
            listed = next(found_rows, None)
        here = ()
        if listed is not None and listed[0] == (subnet_id, address):
            here = tuple(sorted(row[2] for row in listed[1]))
            listed = next(found_rows, None)
        if here != tuple(sorted(tags)):
            yield subnet_id
    while listed is not None:
        yield listed[0][0]
        listed = next(found_rows, None)


def scopes_of_periods_only(r: Read) -> Iterator[UUID]:
    """Each scope that has a history, and does not exist."""
    known = select(S.c.id).where(S.c.id == W.c.scope_id)
    for row in _stream(r, select(W.c.scope_id).where(~known.exists()).distinct()):
        yield row[0]


def wrong_periods(r: Read) -> Iterator[tuple[UUID, int, int]]:
    """(allocation, family, address) of periods that end before they begin, or that reach into the
    time of the present holder of the same allocation.
    """
    still = and_(
        A.c.subnet_id == W.c.subnet_id, A.c.address == W.c.address, A.c.id == W.c.id
    )  # whatever clocks do: what changed begins when the period before ended
    reaches = and_(A.c.id.is_not(None), or_(A.c.changed_at.is_(None), A.c.changed_at < W.c.until))
    query = (
        select(W.c.id, W.c.family, W.c.address)
        .outerjoin(A, still)
        .where(or_(W.c.since > W.c.until, reaches))
    )
    for row in _stream(r, query):
        yield row[0], row[1], row[2]
