"""What an actor may see, as conditions of SQL: what is not seen is not read.

Invariant: a listing, search, count or export that takes its conditions from here tells nothing of
what is hidden; what is neither granted nor inside of what is granted is hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, false, not_, or_, select

from allotment.store import schema

S, P, N, A = schema.address_scope, schema.subnet_pool, schema.subnet, schema.allocation
J, X, H = schema.project, schema.prefix, schema.prefix_allocation
W = schema.allocation_period

Conditions = list[ColumnElement[bool]]
Inside = Callable[[frozenset[UUID]], ColumnElement[bool]]
_Column = ColumnElement[Any]  # Any: a column of ids
_INSTALLATION = UUID(int=0)
_KEPT = lru_cache(maxsize=1024)  # building a condition takes longer than asking the database


class Sight(NamedTuple):
    """Everything (`whole`) or what is `seen`, each with all that is inside, but for `hidden`."""

    whole: bool
    seen: frozenset[UUID] = frozenset()
    hidden: frozenset[UUID] = frozenset()

    @property
    def everything(self) -> bool:
        """Whether nothing is hidden."""
        return self.whole and not self.hidden

    def projects(self) -> Conditions:
        """Of rows of `project`."""
        return self._of(lambda ids: _among(J.c.id, ids))

    def scopes(self) -> Conditions:
        """Of rows of `address_scope`."""
        return self._of(_scope_inside)

    def pools(self) -> Conditions:
        """Of rows of `subnet_pool`."""
        return self._of(lambda ids: P.c.id.in_(_pools_inside(ids)))

    def subnets(self) -> Conditions:
        """Of rows of `subnet`."""
        return self._of(_subnet_inside)

    def allocations(self) -> Conditions:
        """Of rows of `allocation` joined with their `subnet`."""
        return self._of(lambda ids: or_(_subnet_inside(ids), _among(A.c.project_id, ids)))

    def periods(self) -> Conditions:
        """Of rows of `allocation_period` joined with their `subnet`, if that is there still."""
        return self._of(
            lambda ids: or_(
                W.c.scope_id.in_(_scopes_inside(ids)),
                and_(N.c.id.is_not(None), _subnet_inside(ids)),
                _among(W.c.project_id, ids),
            )
        )

    def named_scopes(self) -> Conditions:
        """Of rows of `address_scope` that may be named: seen, or with something seen inside."""
        if self.everything:
            return []
        pool = select(P.c.id).where(P.c.scope_id == S.c.id, *self.pools()).exists()
        subnet = select(N.c.id).where(N.c.scope_id == S.c.id, *self.subnets()).exists()
        return [or_(and_(*self.scopes()), pool, subnet)]

    def holders(self) -> Conditions:
        """Of rows of `prefix`, by what holds them."""
        if self.everything:
            return []
        pools = select(P.c.id).where(*self.pools())
        return [
            or_(
                and_(X.c.kind == "pool", X.c.holder_id.in_(pools)),
                and_(X.c.kind == "subnet", X.c.holder_id.in_(self.subnet_ids())),
                and_(
                    X.c.kind == "allocation",
                    X.c.holder_id.in_(
                        select(H.c.id).where(H.c.pool_id.in_(pools), *self.owned(H.c.project_id))
                    ),
                ),
            )
        ]

    def owned(self, project: _Column) -> Conditions:
        """Of rows of a place that is seen: that their project is not hidden."""
        return [not_(_among(project, self.hidden))] if self.hidden else []

    def subnet_ids(self) -> Select[Any]:  # Any: rows of one column
        """The ids of the subnets that are seen."""
        return select(N.c.id).where(*self.subnets())

    def places(self, place: _Column) -> Conditions:
        """Of rows that name a place: a project, scope, pool or subnet."""
        if self.everything:
            return []
        return [
            or_(
                place.in_(self.subnet_ids()),
                place.in_(select(P.c.id).where(*self.pools())),
                place.in_(select(S.c.id).where(*self.scopes())),
                place.in_(select(J.c.id).where(*self.projects())),
            )
        ]

    def _of(self, inside: Inside) -> Conditions:
        if self.everything:
            return []
        if _INSTALLATION in self.hidden or not (self.whole or self.seen):
            return [false()]
        found: Conditions = []
        if not self.whole:
            found.append(inside(self.seen))
        if self.hidden:
            found.append(not_(inside(self.hidden)))
        return found


ALL = Sight(whole=True)


def _among(column: _Column, ids: frozenset[UUID]) -> ColumnElement[bool]:
    """Never NULL, so that its opposite is its opposite."""
    return and_(column.is_not(None), column.in_(sorted(ids)))


def _scope_inside(ids: frozenset[UUID]) -> ColumnElement[bool]:
    return or_(_among(S.c.id, ids), _among(S.c.project_id, ids))


@_KEPT
def _scopes_inside(ids: frozenset[UUID]) -> Select[Any]:  # Any: rows of one column
    inner = S.alias()
    return select(inner.c.id).where(or_(_among(inner.c.id, ids), _among(inner.c.project_id, ids)))


@_KEPT
def _pools_inside(ids: frozenset[UUID]) -> ScalarSelect[Any]:  # Any: rows of one column
    """The pools among these, of these projects, in these scopes, and the pools inside them."""
    first = P.alias()
    reach = (
        select(first.c.id)
        .where(
            or_(
                _among(first.c.id, ids),
                _among(first.c.project_id, ids),
                first.c.scope_id.in_(_scopes_inside(ids)),
            )
        )
        .cte(recursive=True)
    )
    below = P.alias()
    reach = reach.union(select(below.c.id).where(below.c.parent_id == reach.c.id))
    return select(reach.c.id).scalar_subquery()


@_KEPT
def _subnet_inside(ids: frozenset[UUID]) -> ColumnElement[bool]:
    return or_(
        _among(N.c.id, ids),
        _among(N.c.project_id, ids),
        N.c.scope_id.in_(_scopes_inside(ids)),
        and_(N.c.pool_id.is_not(None), N.c.pool_id.in_(_pools_inside(ids))),
    )
