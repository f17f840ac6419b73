"""Events as they are sealed, and the blocks that seal them.

Invariant: nothing here changes a row: an event and a block are inserted once, and read as stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, func, insert, or_, select

from allotment.model.audit_block import Block, Gap, StoredEvent
from allotment.store import access_schema, schema
from allotment.store.session import Read, Write

E, B = schema.event, access_schema.audit_block

EventRow = Row[Any]  # Any: a row of `event`
AsStored = Callable[[Column[Any]], ColumnElement[Any]]  # Any: a column of any type
Conditions = Sequence[ColumnElement[bool]]

_TURN = ("allotment", "seal the audit")
_RUNS_AT_ONCE = 100
_BLOCKS_AT_ONCE = 100
# An event may be megabytes: few are in memory at once.
_ROWS_AT_ONCE = 64


def take_turn(tx: Write) -> None:
    """Wait until no other transaction is sealing; what it has sealed is seen afterwards."""
    tx.dialect.lock_keys(tx, [_TURN])


def last(r: Read) -> Block | None:
    """The last block."""
    row = r.run(_blocks(r.dialect.stored).order_by(B.c.number.desc()).limit(1)).first()
    return None if row is None else Block._make(row)


def enter(tx: Write, block: Block) -> None:
    """Add a block; the number another has taken meanwhile is `audit_block_pkey`."""
    texts = {"ids": block.ids.decode(), "gaps": block.gaps.decode()}
    tx.run(insert(B), block._asdict() | texts)


def late(r: Read, gaps: Sequence[Gap], most: int) -> Iterator[StoredEvent]:
    """Events of ids that were not there before, by id."""
    left = most
    for start in range(0, len(gaps), _RUNS_AT_ONCE):
        some = or_(*map(_within, gaps[start : start + _RUNS_AT_ONCE]))
        for row in _stream(r, _events(r.dialect.stored).where(some).limit(left)):
            yield row
            left -= 1
        if not left:
            return


def new(r: Read, high: int, most: int) -> Iterator[StoredEvent]:
    """Events of higher ids than any before, by id."""
    return _stream(r, _events(r.dialect.stored).where(E.c.id > high).limit(most))


def events(r: Read) -> Iterator[StoredEvent]:
    """Every event, by id."""
    return _stream(r, _events(r.dialect.stored))


def blocks(r: Read) -> Iterator[Block]:
    """Every block, by number."""
    return map(Block._make, r.stream(_blocks(r.dialect.stored).order_by(B.c.number)))


def from_sequence(r: Read, sequence: int) -> list[Block]:
    """The block that has a sequence number, and some after it."""
    found = select(func.max(B.c.first_sequence)).where(B.c.first_sequence <= sequence)
    later = B.c.first_sequence >= func.coalesce(found.scalar_subquery(), 0)
    query = (
        _blocks(r.dialect.stored).where(later).order_by(B.c.first_sequence).limit(_BLOCKS_AT_ONCE)
    )
    return list(map(Block._make, r.run(query)))


def picked(r: Read, ids: Sequence[tuple[int, int]], conditions: Conditions) -> list[EventRow]:
    """Events of some runs of ids that meet every condition, as they were recorded."""
    rows: list[EventRow] = []
    for start in range(0, len(ids), _RUNS_AT_ONCE):
        some = [E.c.id.between(*run) for run in ids[start : start + _RUNS_AT_ONCE]]
        rows += r.run(select(E).where(or_(*some), *conditions))
    return rows


def matching(r: Read, actor: str | None, outcome: str | None) -> Conditions:
    """The conditions of a listing of what happened in places that are seen."""
    conditions = [*r.sight.places(E.c.place_id)]
    if actor is not None:
        conditions.append(E.c.actor == actor)
    if outcome is not None:
        conditions.append(E.c.outcome == outcome)
    return conditions


def _within(gap: Gap) -> ColumnElement[bool]:
    return E.c.id.between(gap.first, gap.last)


def _stream(r: Read, query: Select[Any]) -> Iterator[StoredEvent]:  # Any: see session.run
    return map(StoredEvent._make, r.stream(query, rows=_ROWS_AT_ONCE))


@cache
def _events(stored: AsStored) -> Select[Any]:  # Any: see session.run
    columns = [E.c[name] for name in StoredEvent._fields]
    return select(*(stored(one).label(one.name) for one in columns)).order_by(E.c.id)


@cache
def _blocks(stored: AsStored) -> Select[Any]:  # Any: see session.run
    columns = [B.c[name] for name in Block._fields]
    return select(*(stored(one).label(one.name) for one in columns))
