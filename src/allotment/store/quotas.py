"""What limited projects own, counted as it changes.

Invariant: a project never owns more than its limit allowed when it was taken; the count is the
number of rows, kept in the transaction that changes them, whatever else is at work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, update

from allotment.errors import QuotaExceeded
from allotment.store import access_schema, schema
from allotment.store.session import Read, Write

Q, J = access_schema.quota, schema.project
A, H, N = schema.allocation, schema.prefix_allocation, schema.subnet

AnyRow = Row[Any]  # Any: a row's columns are typed by the schema, not by Python


class Counted(NamedTuple):
    """How many addresses and prefixes."""

    addresses: int = 0
    prefixes: int = 0


def find(r: Read, project_ids: Iterable[UUID]) -> dict[UUID, AnyRow]:
    """The quotas of those projects that are limited, as they are; nothing is locked."""
    wanted = sorted(set(project_ids))
    if not wanted:
        return {}
    query = select(Q, J.c.name).join(J, J.c.id == Q.c.project_id)
    return {row.project_id: row for row in r.run(query.where(Q.c.project_id.in_(wanted)))}


def check(row: AnyRow, more: Counted) -> None:
    """Refuse what a project may not own on top of what it owns.

    Raises:
        QuotaExceeded: it is too much.
    """
    for what, limit, used, wanted in (
        ("addresses", row.addresses, row.addresses_used, more.addresses),
        ("prefixes", row.prefixes, row.prefixes_used, more.prefixes),
    ):
        if wanted > 0 and limit is not None and used + wanted > limit:
            raise QuotaExceeded(row.name, what, limit, used, wanted)


def note(tx: Write, project_id: UUID | None, more: Counted) -> None:
    """Remember what a project owns more, or (below zero) less, until it is settled."""
    if project_id is not None:
        before = tx.owned.get(project_id, (0, 0))
        tx.owned[project_id] = before[0] + more.addresses, before[1] + more.prefixes


def settle(tx: Write) -> None:
    """Count what was noted: the last locks that a transaction takes, in the order of projects.

    A project's row is locked first: who limits it for the first time counts what there is, and
    neither misses this nor counts it twice.

    Raises:
        QuotaExceeded: a project may not own so much; the caller rolls back.
    """
    owned = {one: Counted(*more) for one, more in sorted(tx.owned.items()) if any(more)}
    tx.owned.clear()
    if not owned:
        return
    held = select(J.c.id).where(J.c.id.in_(list(owned))).order_by(J.c.id)
    tx.run(held.with_for_update(read=True, key_share=True)).all()
    for row in _locked(tx, list(owned)):
        more = owned[row.project_id]
        check(row, more)
        _add(tx, row.project_id, more)


def _locked(tx: Write, project_ids: list[UUID]) -> list[AnyRow]:
    query = select(Q, J.c.name).join(J, J.c.id == Q.c.project_id)
    query = query.where(Q.c.project_id.in_(project_ids)).order_by(Q.c.project_id)
    return list(tx.run(query.with_for_update(of=Q)).all())


def _add(tx: Write, project_id: UUID, more: Counted) -> None:
    change = {
        Q.c.addresses_used: Q.c.addresses_used + more.addresses,
        Q.c.prefixes_used: Q.c.prefixes_used + more.prefixes,
    }
    tx.run(update(Q).where(Q.c.project_id == project_id).values(change))


def count(r: Read, project_id: UUID) -> Counted:
    """What a project owns, counted row by row."""

    def rows(table: Any) -> int:  # Any: a table
        query = select(func.count()).select_from(table).where(table.c.project_id == project_id)
        return int(r.run(query).scalar_one())

    return Counted(rows(A), rows(H) + rows(N))


def limit(tx: Write, project_id: UUID, limits: Mapping[str, int | None]) -> None:
    """Set limits of a project, counting what it owns when it had none before."""
    held = select(J.c.id).where(J.c.id == project_id).with_for_update()
    tx.run(held).all()
    if not _locked(tx, [project_id]):
        owned = count(tx, project_id)
        values = {"addresses_used": owned.addresses, "prefixes_used": owned.prefixes}
        tx.run(insert(Q), {"project_id": project_id, **values})
    if limits:
        tx.run(update(Q).where(Q.c.project_id == project_id).values(**limits))


def forget(tx: Write, project_id: UUID) -> None:
    """Remove the limits of a project that owns nothing."""
    tx.run(delete(Q).where(Q.c.project_id == project_id))


def miscounted(r: Read) -> list[tuple[AnyRow, Counted]]:
    """The quotas whose counts are not the numbers of rows, each with those numbers."""
    rows = r.run(select(Q, J.c.name).join(J, J.c.id == Q.c.project_id)).all()
    found = [(row, count(r, row.project_id)) for row in rows]
    return [(row, own) for row, own in found if own != (row.addresses_used, row.prefixes_used)]


def count_anew(tx: Write, project_id: UUID) -> None:
    """Make the counts of a project's quota the numbers of rows, whatever is at work."""
    tx.run(select(J.c.id).where(J.c.id == project_id).with_for_update()).all()
    owned = count(tx, project_id)
    values = {"addresses_used": owned.addresses, "prefixes_used": owned.prefixes}
    tx.run(update(Q).where(Q.c.project_id == project_id).values(**values))
