"""Periods: who held an address before, and since when its present holder does.

Invariant: a period is entered in the transaction that ends it; those of one allocation follow one
another without a gap, whatever the clock does: none ends before it begins.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
)

from allotment.model.address import Address
from allotment.model.history import Period
from allotment.model.mac import Mac
from allotment.model.results import Status
from allotment.store import schema
from allotment.store.allocations import FULL
from allotment.store.directory import AnyRow
from allotment.store.session import Read, Write

A, N, J, H = schema.allocation, schema.subnet, schema.project, schema.allocation_period

PRESENT: Final = (1 << 63) - 1
"""When the present holder's period ends, where periods are put in order."""
OVERLAPS_MAX: Final = 16
"""How many periods that ended after a time are looked through for one that began before it: more
than one only where clocks differed.
"""
_SINCE = func.coalesce(A.c.changed_at, A.c.created_at)
_KEY = tuple_(*H.primary_key)


class Spot(NamedTuple):
    """An address of a scope; of one subnet, where that is named."""

    scope_id: UUID
    address: Address
    subnet_id: UUID | None = None


def ended_at(now: int) -> ColumnElement[int]:
    """When a holder of an allocation ends that ends now: never before it began."""
    moment = literal(now, H.c.until.type)
    return case((moment < _SINCE, _SINCE), else_=moment)


def end(tx: Write, subnet: AnyRow, address: int | None = None) -> None:
    """Enter the periods of all that a locked subnet holds, or of what holds one address.

    A period that no time passed in is entered only of an allocation that never changed.
    """
    columns = {
        "scope_id": literal(subnet.scope_id, H.c.scope_id.type),
        "family": literal(subnet.family, H.c.family.type),
        "address": A.c.address,
        "until": ended_at(tx.now),
        "id": A.c.id,
        "subnet_id": A.c.subnet_id,
        "since": _SINCE,
        **{name: A.c[name] for name in ("status", "project_id", "identifier", "hostname", "mac")},
    }
    passed = or_(A.c.changed_at.is_(None), A.c.changed_at < tx.now)
    held = select(*columns.values()).where(A.c.subnet_id == subnet.id, passed)
    if address is not None:
        held = held.where(A.c.address == address)
    tx.run(insert(H).from_select(list(columns), held))


def present(r: Read, spot: Spot) -> Period | None:
    """The period of what holds an address of a subnet now, if that is seen."""
    query = FULL.where(A.c.subnet_id == spot.subnet_id, A.c.address == spot.address.value)
    row = r.run(query.where(*r.sight.allocations())).one_or_none()
    if row is None:
        return None
    since = row.created_at if row.changed_at is None else row.changed_at
    return _made(row, spot, since, None)


def former(r: Read, spot: Spot, before: tuple[int, UUID] | None, limit: int) -> list[Period]:
    """Some periods of an address that are seen, the last to end first."""
    query = _of(r, spot).order_by(H.c.until.desc(), H.c.id.desc()).limit(limit)
    if before is not None:
        until, allocation = before
        key = tuple_(literal(until, H.c.until.type), literal(allocation, H.c.id.type))
        query = query.where(tuple_(H.c.until, H.c.id) < key)
    return [_made(row, spot, row.since, row.until) for row in r.run(query)]


def at(r: Read, spot: Spot, moment: int) -> Period | None:
    """The period that an address was in at a time, if it was in one that is seen."""
    query = _of(r, spot).where(H.c.until > moment).order_by(H.c.until, H.c.id).limit(OVERLAPS_MAX)
    found = (row for row in r.run(query) if row.since <= moment)
    row = next(found, None)
    return None if row is None else _made(row, spot, row.since, row.until)


def _of(r: Read, spot: Spot) -> Select[Any]:  # Any: columns are typed by the schema
    query = (
        select(H, J.c.name.label("project"))
        .outerjoin(J, J.c.id == H.c.project_id)
        .outerjoin(N, N.c.id == H.c.subnet_id)
        .where(
            H.c.scope_id == spot.scope_id,
            H.c.family == spot.address.family,
            H.c.address == spot.address.value,
            *r.sight.periods(),
        )
    )
    if spot.subnet_id is not None:
        query = query.where(H.c.subnet_id == spot.subnet_id)
    return query


def _made(row: Row[Any], spot: Spot, since: int, until: int | None) -> Period:
    # Any: as above
    return Period(
        scope_id=spot.scope_id,
        scope=None,
        subnet_id=row.subnet_id,
        address=spot.address,
        allocation_id=row.id,
        status=Status(row.status),
        project_id=row.project_id,
        project=row.project,
        identifier=row.identifier,
        hostname=row.hostname,
        mac=Mac(row.mac) if row.mac else None,
        since=since,
        until=until,
    )


def forget(tx: Write, before: int, scope_id: UUID | None, limit: int) -> int:
    """Delete up to so many periods that ended before a time; how many there were."""
    old = select(*H.primary_key).where(H.c.until < before).limit(limit)
    if scope_id is not None:
        old = old.where(H.c.scope_id == scope_id)
    return tx.run(delete(H).where(_KEY.in_(old))).rowcount


def forget_scope(tx: Write, scope_id: UUID) -> None:
    """Delete every period of a scope, which is about to go."""
    tx.run(delete(H).where(H.c.scope_id == scope_id))
