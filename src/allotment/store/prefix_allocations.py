"""Prefixes of subnet pools held by owners.

Invariant: each has its entry in the forest of prefixes, under its own id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, insert, select

from allotment.model.prefix import Prefix
from allotment.model.results import Page, PrefixAllocation, Status
from allotment.store import pages, schema
from allotment.store.session import Read, Write

H, J = schema.prefix_allocation, schema.project

_FULL = select(H, J.c.name.label("project")).outerjoin(J, J.c.id == H.c.project_id)


def _made(row: Row[Any]) -> PrefixAllocation:  # Any: columns are typed by the schema
    return PrefixAllocation(
        id=row.id,
        pool_id=row.pool_id,
        prefix=Prefix.of(row.family, row.first, row.length),
        status=Status(row.status),
        project_id=row.project_id,
        project=row.project,
        identifier=row.identifier,
        description=row.description or "",
        tags=row.tags,
        created_at=row.created_at,
    )


def enter(tx: Write, values: dict[str, object]) -> None:
    """Insert one."""
    tx.run(insert(H), values)


def find(r: Read, pool_id: UUID, first: int) -> PrefixAllocation | None:
    """The one that begins at an address."""
    row = r.run(_FULL.where(H.c.pool_id == pool_id, H.c.first == first)).one_or_none()
    return None if row is None else _made(row)


def identified(r: Read, pool_id: UUID, identifier: str) -> PrefixAllocation | None:
    """The one with an identifier."""
    row = r.run(_FULL.where(H.c.pool_id == pool_id, H.c.identifier == identifier)).one_or_none()
    return None if row is None else _made(row)


def delete_one(tx: Write, pool_id: UUID, held_id: UUID, first: int) -> bool:
    """Delete this one, if it still begins at that address; whether there was one."""
    here = (H.c.pool_id == pool_id, H.c.first == first, H.c.id == held_id)
    return tx.run(delete(H).where(*here)).rowcount == 1


def project_of(r: Read, held_id: UUID) -> UUID | None:
    """The project that holds one."""
    found: UUID | None = r.run(select(H.c.project_id).where(H.c.id == held_id)).scalar()
    return found


def identifiers(r: Read, holders: Sequence[UUID]) -> list[str]:
    """The identifiers that some of them carry."""
    query = select(H.c.identifier).where(H.c.id.in_(holders), H.c.identifier.is_not(None))
    return list(r.run(query).scalars())


def listed(r: Read, pool_id: UUID, cursor: str | None, limit: int) -> Page[PrefixAllocation]:
    """A pool's, in order."""
    query = _FULL.where(H.c.pool_id == pool_id, *r.sight.owned(H.c.project_id))
    if cursor is not None:
        query = query.where(H.c.first > pages.read_cursor(cursor, [int])[0])
    rows = r.run(query.order_by(H.c.first).limit(limit + 1)).all()
    return pages.paged(rows, limit, lambda row: (row.first,), _made)
