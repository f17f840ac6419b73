"""Events as they are sealed, and the blocks that seal them.

Invariant: nothing here changes a row: an event and a block are inserted once, and read as stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, insert, or_, select

from allotment.model.audit_block import Block, Gap, StoredEvent
from allotment.store import access_schema, schema
from allotment.store.session import Read, Write

E, B = schema.event, access_schema.audit_block

_TURN = ("allotment", "seal the audit")
_GAPS_AT_ONCE = 100
# An event may be megabytes: few are in memory at once.
_ROWS_AT_ONCE = 64


def take_turn(tx: Write) -> None:
    """Wait until no other transaction is sealing; what it has sealed is seen afterwards."""
    tx.dialect.lock_keys(tx, [_TURN])


def last(r: Read) -> Block | None:
    """The last block."""
    row = r.run(_blocks(r).order_by(B.c.number.desc()).limit(1)).first()
    return None if row is None else Block._make(row)


def enter(tx: Write, block: Block) -> None:
    """Add a block; the number another has taken meanwhile is `audit_block_pkey`."""
    texts = {"ids": block.ids.decode(), "gaps": block.gaps.decode()}
    tx.run(insert(B), block._asdict() | texts)


def late(r: Read, gaps: Sequence[Gap], most: int) -> Iterator[StoredEvent]:
    """Events of ids that were not there before, by id."""
    left = most
    for start in range(0, len(gaps), _GAPS_AT_ONCE):
        some = or_(*map(_within, gaps[start : start + _GAPS_AT_ONCE]))
        for row in _stream(r, _events(r).where(some).limit(left)):
            yield row
            left -= 1
        if not left:
            return


def new(r: Read, high: int, most: int) -> Iterator[StoredEvent]:
    """Events of higher ids than any before, by id."""
    return _stream(r, _events(r).where(E.c.id > high).limit(most))


def events(r: Read) -> Iterator[StoredEvent]:
    """Every event, by id."""
    return _stream(r, _events(r))


def blocks(r: Read) -> Iterator[Block]:
    """Every block, by number."""
    return map(Block._make, r.stream(_blocks(r).order_by(B.c.number)))


def _within(gap: Gap) -> ColumnElement[bool]:
    return E.c.id.between(gap.first, gap.last)


def _stream(r: Read, query: Select[Any]) -> Iterator[StoredEvent]:  # Any: see session.run
    return map(StoredEvent._make, r.stream(query, rows=_ROWS_AT_ONCE))


def _events(r: Read) -> Select[Any]:  # Any: see session.run
    return _as_stored(r, [E.c[name] for name in StoredEvent._fields]).order_by(E.c.id)


def _blocks(r: Read) -> Select[Any]:  # Any: see session.run
    return _as_stored(r, [B.c[name] for name in Block._fields])


def _as_stored(r: Read, columns: Sequence[Any]) -> Select[Any]:  # Any: columns of any type
    return select(*(r.dialect.stored(column).label(column.name) for column in columns))
