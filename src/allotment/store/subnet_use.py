"""How much of subnets is in use, added up by the database: one statement for a thousand of them.

Invariant: every figure is of one snapshot and exact; what is held is counted by ranges of an index,
never address by address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    ScalarSelect,
    Table,
    bindparam,
    func,
    literal,
    select,
    type_coerce,
)

from allotment.store import schema
from allotment.store.columns import Among
from allotment.store.session import Read
from allotment.store.sizes import SumOfSizes

A, E, N, R = schema.allocation, schema.free_extent, schema.subnet, schema.allocation_pool

_BEFORE = b""
_NOW: ColumnElement[int] = bindparam("now")


class SubnetUse(NamedTuple):
    """Of one subnet: how many addresses its allocation pools have, and where the held ones are."""

    id: UUID
    pooled: int
    free: int
    resting: int
    reserved: int
    outside: int


def of(r: Read, subnet_ids: Sequence[UUID]) -> Iterator[SubnetUse]:
    """The use of some subnets, in any order."""
    if not subnet_ids:
        return
    query = select(
        N.c.id,
        _sizes(R, R.c.subnet_id == N.c.id),
        _sizes(E, E.c.container_id == N.c.id, E.c.available_at <= _NOW),
        _sizes(E, E.c.container_id == N.c.id, E.c.available_at > _NOW),
        _reserved(),
        _held_before_pools() + _held_behind_the_last(),
    ).where(Among(N.c.id, subnet_ids))
    rows: list[Any] = list(r.run(query, {"now": r.now}).all())  # Any: sums are text, or NULL
    for subnet_id, *figures in rows:
        yield SubnetUse(subnet_id, *(int(figure or 0) for figure in figures))


def _sizes(table: Table, *where: ColumnElement[bool]) -> ScalarSelect[str]:
    return select(SumOfSizes(table.c.first, table.c.last)).where(*where).scalar_subquery()


def _reserved() -> ScalarSelect[int]:
    # In words, not as a parameter: a plan for every status uses the index of none.
    status = literal("reserved", literal_execute=True)
    count = select(func.count()).select_from(A)
    return count.where(A.c.subnet_id == N.c.id, A.c.status == status).scalar_subquery()


_raw_last = type_coerce(R.c.last, LargeBinary)
_held = type_coerce(A.c.address, LargeBinary)


def _held_before_pools() -> ColumnElement[Any]:  # Any: a number of the database's own
    """Between each allocation pool and the one before it."""
    before = func.lag(_raw_last, 1, literal(_BEFORE, LargeBinary)).over(order_by=R.c.last)
    gaps = (
        select(
            R.c.subnet_id,
            before.label("after"),
            type_coerce(R.c.first, LargeBinary).label("before"),
        )
        .where(R.c.subnet_id == N.c.id)
        .correlate(N)
        .subquery()
    )
    inside = (A.c.subnet_id == gaps.c.subnet_id, _held > gaps.c.after, _held < gaps.c.before)
    held = select(func.count()).select_from(A).where(*inside).scalar_subquery()
    return func.coalesce(select(func.sum(held)).select_from(gaps).scalar_subquery(), 0)


def _held_behind_the_last() -> ScalarSelect[int]:
    """Behind the last allocation pool; where there is none, all that is held."""
    last = select(_raw_last).where(R.c.subnet_id == N.c.id).order_by(R.c.last.desc()).limit(1)
    behind = func.coalesce(last.correlate(N).scalar_subquery(), literal(_BEFORE, LargeBinary))
    count = select(func.count()).select_from(A)
    return count.where(A.c.subnet_id == N.c.id, _held > behind).scalar_subquery()
