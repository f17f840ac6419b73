"""How many things there are, and of whom.

Invariant: a count is exact and of one snapshot.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Table, func, select

from allotment.store import access_schema, schema
from allotment.store.session import Read

A, N, T = schema.allocation, schema.subnet, access_schema.token

_OWNED = {
    "address scopes": schema.address_scope,
    "subnet pools": schema.subnet_pool,
    "subnets": schema.subnet,
    "allocations": schema.allocation,
    "prefix allocations": schema.prefix_allocation,
}
_ALL = {
    "projects": schema.project,
    "scopes": schema.address_scope,
    "pools": schema.subnet_pool,
    "subnets": schema.subnet,
    "allocations": schema.allocation,
    "extents": schema.free_extent,
}


def _count(r: Read, table: Table, *where: object) -> int:
    query = select(func.count()).select_from(table)
    for condition in where:
        query = query.where(condition)  # type: ignore[arg-type]  # conditions of the table
    return int(r.run(query).scalar_one())


def owned_by(r: Read, project_id: UUID) -> dict[str, int]:
    """How many things of each kind a project owns; a token that was revoked is nobody's."""
    owned = {
        noun: _count(r, table, table.c.project_id == project_id) for noun, table in _OWNED.items()
    }
    live = (T.c.project_id == project_id, T.c.revoked_at.is_(None))
    return {**owned, "tokens": _count(r, T, *live)}


def everything(r: Read) -> dict[str, int]:
    """How many things of each kind the book holds, of those that are seen."""
    if r.sight.everything:
        return {noun: _count(r, table) for noun, table in _ALL.items()}
    seen = r.sight
    inside = select(func.count()).select_from(A.join(N, N.c.id == A.c.subnet_id))
    return {
        "projects": _count(r, schema.project, *seen.projects()),
        "scopes": _count(r, schema.address_scope, *seen.scopes()),
        "pools": _count(r, schema.subnet_pool, *seen.pools()),
        "subnets": _count(r, N, *seen.subnets()),
        "allocations": int(r.run(inside.where(*seen.allocations())).scalar_one()),
        "extents": 0,
    }
