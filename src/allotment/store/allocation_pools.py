"""The ranges of a subnet from which automatic allocation picks.

Invariant: a subnet's ranges are disjoint and never adjacent: one set of addresses has one form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    LargeBinary,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    type_coerce,
)

from allotment.model.extent import Extent
from allotment.store import schema
from allotment.store.columns import ADDRESS_BYTES, AddressValue, Among, Id
from allotment.store.session import Read, Write

A, R = schema.allocation, schema.allocation_pool

_COVERING = (
    select(R.c.first, R.c.last)
    .where(
        R.c.subnet_id == bindparam("subnet_id", type_=Id),
        R.c.last >= bindparam("address", type_=AddressValue),
    )
    .order_by(R.c.last)
    .limit(1)
)


def covering(r: Read, subnet_id: UUID, address: int) -> Extent | None:
    """The allocation pool that an address is in."""
    row = r.run(_COVERING, {"subnet_id": subnet_id, "address": address}).one_or_none()
    return Extent._make(row) if row is not None and row.first <= address else None


def of_subnets(r: Read, subnet_ids: Sequence[UUID]) -> dict[UUID, list[Extent]]:
    """The allocation pools of some subnets, in order."""
    pools: dict[UUID, list[Extent]] = {subnet_id: [] for subnet_id in subnet_ids}
    rows = r.run(
        select(R.c.subnet_id, R.c.first, R.c.last)
        .where(Among(R.c.subnet_id, subnet_ids))
        .order_by(R.c.subnet_id, R.c.last)
    )
    for row in rows:
        pools[row.subnet_id].append(Extent(row.first, row.last))
    return pools


_BEFORE, _AFTER = b"", b"\xff" * (ADDRESS_BYTES + 1)
_later = R.alias()
_raw_last = type_coerce(R.c.last, LargeBinary)
_held = type_coerce(A.c.address, LargeBinary)


def _held_in_gaps(subnet_ids: Sequence[UUID]) -> Select[tuple[UUID, int]]:
    """(subnet, number) of what is held before each allocation pool, and after the last."""
    own = Among(R.c.subnet_id, subnet_ids)
    is_last = ~(
        select(_later.c.last)
        .where(_later.c.subnet_id == R.c.subnet_id, _later.c.last > R.c.last)
        .exists()
    )
    before = func.lag(_raw_last, 1, literal(_BEFORE, LargeBinary)).over(
        partition_by=R.c.subnet_id, order_by=R.c.last
    )
    first = type_coerce(R.c.first, LargeBinary).label("before")
    behind = select(R.c.subnet_id, _raw_last, literal(_AFTER, LargeBinary)).where(own, is_last)
    gaps = (
        select(R.c.subnet_id, before.label("after"), first).where(own).union_all(behind).subquery()
    )
    within = (A.c.subnet_id == gaps.c.subnet_id, _held > gaps.c.after, _held < gaps.c.before)
    return select(
        gaps.c.subnet_id, select(func.count()).select_from(A).where(*within).scalar_subquery()
    )


def held_outside(r: Read, subnet_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many addresses are held outside the allocation pools of subnets that have some."""
    outside = dict.fromkeys(subnet_ids, 0)
    gaps: list[Any] = list(r.run(_held_in_gaps(subnet_ids)))  # Any: two columns
    for subnet_id, count in gaps:
        outside[subnet_id] += count
    return outside


def replace(tx: Write, subnet_id: UUID, pools: Sequence[Extent]) -> None:
    """Give a subnet these allocation pools and no others."""
    tx.run(delete(R).where(R.c.subnet_id == subnet_id))
    rows = [{"subnet_id": subnet_id, "first": pool.first, "last": pool.last} for pool in pools]
    if rows:
        tx.run(insert(R), rows)


_NEXT = (
    select(R.c.first, R.c.last)
    .where(
        R.c.subnet_id == bindparam("subnet_id", type_=Id),
        R.c.first > bindparam("address", type_=AddressValue),
    )
    .order_by(R.c.last)
    .limit(1)
)


def next_after(r: Read, subnet_id: UUID, address: int) -> Extent | None:
    """The first allocation pool that begins after an address."""
    row = r.run(_NEXT, {"subnet_id": subnet_id, "address": address}).one_or_none()
    return None if row is None else Extent._make(row)
