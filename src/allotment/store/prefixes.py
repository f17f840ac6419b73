"""The forest of prefixes of each scope: pools contain subnets, prefix allocations and pools.

Invariant: two prefixes with one parent never overlap (`prefix_siblings_never_overlap`), and no
subnet or prefix allocation overlaps another in its scope (`subnet_never_overlaps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, case, delete, insert, select, update

from allotment.model.address import BITS
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix
from allotment.store import schema
from allotment.store.directory import beyond
from allotment.store.session import Read, Write

X = schema.prefix
P, N, A = schema.subnet_pool, schema.subnet, schema.prefix_allocation


class Held(NamedTuple):
    """One prefix in the forest; `parent_id` is its subnet pool, or the scope at the roots."""

    holder_id: UUID
    scope_id: UUID
    parent_id: UUID
    kind: str
    family: int
    first: int
    last: int
    length: int

    @property
    def prefix(self) -> Prefix:
        """As a prefix."""
        return Prefix.of(self.family, self.first, self.length)

    @property
    def extent(self) -> Extent:
        """As a run of addresses."""
        return Extent(self.first, self.last)


COLUMNS = [X.c[name] for name in Held._fields]
_DEEPEST_LAST = (X.c.length, case((X.c.kind == "pool", 0), else_=1))


def held(kind: str, holder_id: UUID, scope_id: UUID, parent_id: UUID, prefix: Prefix) -> Held:
    """The forest's entry for a prefix."""
    return Held(
        holder_id,
        scope_id,
        parent_id,
        kind,
        prefix.family,
        prefix.first,
        prefix.last,
        prefix.length,
    )


def enter(tx: Write, rows: Sequence[Held]) -> None:
    """Insert prefixes; the database refuses what overlaps a sibling."""
    tx.run(insert(X), [row._asdict() for row in rows])


def remove(tx: Write, holder_id: UUID, firsts: Sequence[int] | None = None) -> None:
    """Delete a holder's prefixes (those that begin at `firsts`, or all)."""
    statement = delete(X).where(X.c.holder_id == holder_id)
    if firsts is not None:
        statement = statement.where(X.c.first.in_(firsts))
    tx.run(statement)


def of_holders(r: Read, holders: Sequence[UUID]) -> list[Held]:
    """All prefixes of some holders, in order."""
    rows = r.run(select(*COLUMNS).where(X.c.holder_id.in_(holders)).order_by(X.c.first)).all()
    return [Held._make(row) for row in rows]


def chain(r: Read, scope_id: UUID, prefix: Prefix) -> list[Held]:
    """Every prefix of the scope that contains this one (or equals it), from the root down.

    One look-up of at most 33 or 129 keys: a prefix is contained in one block of each length.
    """
    bits = BITS[prefix.family]
    keys: dict[int, list[int]] = {}
    for length in range(prefix.length + 1):
        first = prefix.first >> (bits - length) << (bits - length)
        keys.setdefault(first, []).append(length)
    rows = r.run(
        select(*COLUMNS)
        .where(
            X.c.scope_id == scope_id,
            X.c.family == prefix.family,
            X.c.first.in_(list(keys)),
            X.c.last >= prefix.last,
        )
        .order_by(*_DEEPEST_LAST)
    ).all()
    return [Held._make(row) for row in rows]


def overlapping(r: Read, scope_id: UUID, prefix: Prefix, limit: int = 5) -> list[Held]:
    """Some prefixes of the scope that lie inside this one."""
    rows = r.run(
        select(*COLUMNS)
        .where(
            X.c.scope_id == scope_id,
            X.c.family == prefix.family,
            X.c.first >= prefix.first,
            X.c.first <= prefix.last,
            X.c.length >= prefix.length,
        )
        .order_by(X.c.first, X.c.length)
        .limit(limit)
    ).all()
    return [Held._make(row) for row in rows]


def subnets_around_or_within(
    r: Read, scope_id: UUID, prefix: Prefix
) -> Sequence[UUID] | Select[Any]:  # Any: rows of one column
    """The id of the subnet of a scope that contains a prefix, else those of the ones inside it."""
    around = [one.holder_id for one in chain(r, scope_id, prefix) if one.kind == "subnet"]
    return around or select(X.c.holder_id).where(
        X.c.scope_id == scope_id,
        X.c.family == prefix.family,
        X.c.first.between(prefix.first, prefix.last),
        X.c.length >= prefix.length,
        X.c.kind == "subnet",
    )


def children_within(r: Read, parent_id: UUID, prefix: Prefix) -> list[Held]:
    """The prefixes directly below a parent that lie inside `prefix`, in order."""
    rows = r.run(
        select(*COLUMNS)
        .where(
            X.c.parent_id == parent_id,
            X.c.family == prefix.family,
            X.c.last >= prefix.first,
            X.c.last <= prefix.last,
        )
        .order_by(X.c.last)
    ).all()
    return [Held._make(row) for row in rows]


def first_overlap(r: Read, parent_id: UUID, prefix: Prefix) -> Held | None:
    """A prefix directly below a parent that overlaps this one, if any."""
    row = r.run(
        select(*COLUMNS)
        .where(X.c.parent_id == parent_id, X.c.family == prefix.family, X.c.last >= prefix.first)
        .order_by(X.c.last)
        .limit(1)
    ).one_or_none()
    return Held._make(row) if row is not None and row.first <= prefix.last else None


def children(r: Read, parent_id: UUID, limit: int | None = None) -> list[Held]:
    """The prefixes directly below a parent, in order."""
    query = select(*COLUMNS).where(X.c.parent_id == parent_id).order_by(X.c.family, X.c.last)
    rows = r.run(query.limit(limit) if limit is not None else query).all()
    return [Held._make(row) for row in rows]


def adopt(tx: Write, holders: Sequence[UUID], parent_id: UUID, pool_id: UUID | None) -> None:
    """Hang prefixes, with the pools and subnets they belong to, below another parent."""
    for start in range(0, len(holders), 500):
        some = holders[start : start + 500]
        tx.run(update(X).where(X.c.holder_id.in_(some)).values(parent_id=parent_id))
        tx.run(update(P).where(P.c.id.in_(some)).values(parent_id=pool_id))
        tx.run(update(N).where(N.c.id.in_(some)).values(pool_id=pool_id))
        if pool_id is not None:
            tx.run(update(A).where(A.c.id.in_(some)).values(pool_id=pool_id))


def in_order(
    r: Read, scope_ids: Sequence[UUID], after: Sequence[object] | None, limit: int
) -> list[Held]:
    """The scopes' prefixes, parents before children; `after` is a key as `order_key` gives."""
    leaf = case((X.c.kind == "pool", 0), else_=1)
    order = [X.c.scope_id, X.c.family, X.c.first, X.c.length, leaf]
    query = select(*COLUMNS).where(X.c.scope_id.in_(scope_ids), *r.sight.holders())
    if after is not None:
        query = query.where(beyond(order, after))
    return [Held._make(row) for row in r.run(query.order_by(*order).limit(limit)).all()]


def order_key(one: Held) -> tuple[str, int, int, int, int]:
    """Where a prefix stands in that order, as a cursor holds it."""
    return str(one.scope_id), one.family, one.first, one.length, int(one.kind != "pool")
