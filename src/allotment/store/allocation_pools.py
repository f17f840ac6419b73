"""The ranges of a subnet from which automatic allocation picks.

Invariant: a subnet's ranges are disjoint and never adjacent: one set of addresses has one form.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import (
    bindparam,
    delete,
    insert,
    select,
)

from allotment.model.extent import Extent
from allotment.store import schema
from allotment.store.columns import AddressValue, Among, Id
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
