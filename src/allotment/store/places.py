"""Where things are: what a grant may be on to hold for them.

Invariant: a thing's place is read from the rows themselves: its own id, the pools around it, its
scope, and the projects that own any of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select

from allotment.store import schema
from allotment.store.columns import Id
from allotment.store.session import Read

S, P, N = schema.address_scope, schema.subnet_pool, schema.subnet

Place = frozenset[UUID]

_SUBNETS = (
    select(N.c.id, N.c.project_id, N.c.pool_id, N.c.scope_id, S.c.project_id.label("of_scope"))
    .join(S, S.c.id == N.c.scope_id)
    .where(N.c.id.in_(bindparam("ids", type_=Id, expanding=True)))
)
_SCOPES = select(S.c.id, S.c.project_id).where(
    S.c.id.in_(bindparam("ids", type_=Id, expanding=True))
)
_START = select(P.c.id.label("start"), P.c.id, P.c.parent_id, P.c.project_id, P.c.scope_id).where(
    P.c.id.in_(bindparam("ids", type_=Id, expanding=True))
)


def _upwards() -> Any:  # Any: a statement
    up = _START.cte("up", recursive=True)
    above = P.alias()
    up = up.union_all(
        select(
            up.c.start, above.c.id, above.c.parent_id, above.c.project_id, above.c.scope_id
        ).where(above.c.id == up.c.parent_id)
    )
    return select(
        up.c.start, up.c.id, up.c.project_id, up.c.scope_id, S.c.project_id.label("of_scope")
    ).join(S, S.c.id == up.c.scope_id)


_POOLS = _upwards()


def _present(ids: Iterable[UUID | None]) -> Place:
    return frozenset(one for one in ids if one is not None)


def of_subnets(r: Read, ids: Sequence[UUID]) -> dict[UUID, Place]:
    """The places of the subnets there are among these."""
    if not ids:
        return {}
    rows = r.run(_SUBNETS, {"ids": list(ids)}).all()
    around = of_pools(r, sorted({row.pool_id for row in rows if row.pool_id is not None}))
    return {
        row.id: _present((row.id, row.project_id, row.scope_id, row.of_scope))
        | around.get(row.pool_id, frozenset())
        for row in rows
    }


def of_pools(r: Read, ids: Sequence[UUID]) -> dict[UUID, Place]:
    """The places of the subnet pools there are among these."""
    if not ids:
        return {}
    found: dict[UUID, Place] = {}
    for row in r.run(_POOLS, {"ids": list(ids)}):
        here = _present((row.id, row.project_id, row.scope_id, row.of_scope))
        found[row.start] = found.get(row.start, frozenset()) | here
    return found


def of_scopes(r: Read, ids: Sequence[UUID]) -> dict[UUID, Place]:
    """The places of the address scopes there are among these."""
    if not ids:
        return {}
    rows = r.run(_SCOPES, {"ids": list(ids)})
    return {row.id: _present((row.id, row.project_id)) for row in rows}


def projects_among(r: Read, ids: Sequence[UUID]) -> Place:
    """Which of these are projects."""
    query = select(schema.project.c.id).where(schema.project.c.id.in_(ids))
    return frozenset(r.run(query).scalars())


def of(r: Read, one: UUID) -> Place | None:
    """The place of a subnet, subnet pool, scope or project; None: there is no such thing."""
    for look in (of_subnets, of_pools, of_scopes):
        found = look(r, [one]).get(one)
        if found is not None:
            return found
    row = r.run(select(schema.project.c.id).where(schema.project.c.id == one)).one_or_none()
    return None if row is None else frozenset({one})
