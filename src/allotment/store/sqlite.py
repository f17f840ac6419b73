"""SQLite: one writer at a time, durable (WAL, synchronous=FULL), no server.

Invariant: a writing transaction begins IMMEDIATE, so it never fails for having read first; inside
one process writers queue on a lock, so the database's own busy wait is for other processes only.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Text,
    case,
    cast,
    create_engine,
    event,
    func,
    or_,
    type_coerce,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlalchemy.types import NullType

from allotment.errors import Busy, Phase, StoreError
from allotment.model.extent import Extent
from allotment.store import sizes
from allotment.store.columns import Id, dump_tags, pack, unpack
from allotment.store.dialect import (
    AllocationRow,
    Dialect,
    EventRow,
    LockedSubnet,
    PlainAllocation,
    SubnetRow,
)
from allotment.store.session import Write
from allotment.store.sqlite_at_once import Taken, allocate, take
from allotment.store.sqlite_ending import end
from allotment.store.sqlite_errors import translate
from allotment.store.sqlite_schema import NATIVE_SCHEMA

BUSY_SECONDS = 10.0
_NOT_OF_ITS_KIND = 1

_SUBNET = (
    "SELECT id, scope_id, family, first, length, placement, quarantine_seconds"
    " FROM subnet WHERE id = ?"
)
_ALLOCATION = (
    "INSERT INTO allocation (subnet_id, address, id, created_at, status, project_id, identifier,"
    " hostname, mac, description, tags) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_TAG = "INSERT INTO allocation_tag (tag, subnet_id, address) VALUES (?, ?, ?)"
_HELD = "SELECT address, project_id FROM allocation WHERE subnet_id = ? AND address = ?"
_EVENT = (
    "INSERT INTO event (at, actor, command, answer, outcome, source, request_id, place_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class SqliteDialect(Dialect):
    """SQLite in a file, or in memory (one connection, gone with the process)."""

    concurrent = False
    errors = (SQLAlchemyError, sqlite3.Error)

    def __init__(self, url: str) -> None:
        place = make_url(url).set(drivername="sqlite+pysqlite")
        self.shown = url
        self.in_memory = place.database in (None, "", ":memory:")
        arguments: dict[str, Any] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        if self.in_memory:
            self.engine = create_engine(place, poolclass=StaticPool, connect_args=arguments)
        else:
            self.engine = create_engine(
                place,
                connect_args=arguments,
                pool_size=16,
                max_overflow=48,
                pool_timeout=BUSY_SECONDS,
            )
        self._turn = threading.Lock()
        event.listen(self.engine, "connect", self._prepare)
        event.listen(self.engine, "begin", _begin)

    def _prepare(self, raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None
        raw.create_aggregate(sizes.SQLITE_NAME, 2, sizes.Sum)  # type: ignore[arg-type]  # of two
        for pragma in ("foreign_keys = ON", "synchronous = FULL", "temp_store = MEMORY"):
            raw.execute(f"PRAGMA {pragma}")
        if not self.in_memory and raw.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            raw.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Give every connection back; the only one of a book in memory when nobody is using it."""
        with self.exclusive("read"):
            super().close()

    def drop_connections(self) -> None:
        """A book in memory is its one connection: that stays."""
        if not self.in_memory:
            super().drop_connections()

    def discard(self, conn: Connection) -> None:
        """As `drop_connections`."""
        if not self.in_memory:
            super().discard(conn)

    def exclusive(self, mode: str, deadline: float | None = None) -> AbstractContextManager[None]:
        """Writers of this process take turns; in memory, readers too."""
        if mode == "read" and not self.in_memory:
            return nullcontext()
        return self._turn_taken(deadline)

    @contextmanager
    def _turn_taken(self, deadline: float | None) -> Iterator[None]:
        if not self._turn.acquire(timeout=_patience(deadline)):
            raise Busy("another writer of this process holds the book; try again", phase="begin")
        try:
            yield
        finally:
            self._turn.release()

    def begin(self, conn: Connection, mode: str, deadline: float | None = None) -> None:
        """BEGIN for a snapshot, BEGIN IMMEDIATE to write."""
        conn.info["allotment_begin"] = "BEGIN" if mode == "read" else "BEGIN IMMEDIATE"
        with _busy_until(_raw(conn), deadline):
            conn.begin()

    def execute_all(self, conn: Connection, statements: Sequence[tuple[str, Any]]) -> None:
        """One after the other, in the process."""
        raw = _raw(conn)
        for statement, params in statements:
            raw.executemany(statement, params)

    def commit(self, conn: Connection, deferred: Sequence[tuple[str, Any]]) -> None:
        """Write what is left and commit."""
        self.execute_all(conn, deferred)
        conn.commit()

    def translate(self, error: Exception, phase: Phase) -> StoreError:
        """By the extended result code."""
        return translate(error, phase)

    def native_schema(self) -> Mapping[str, Sequence[str]]:
        """Triggers in the place of exclusion constraints."""
        return NATIVE_SCHEMA

    def lock_keys(self, tx: Write, keys: Sequence[tuple[str, str]]) -> None:
        """Nothing: there is one writer."""

    def queue(self, tx: Write, container: UUID, *, exclusive: bool) -> None:
        """Nothing: there is one writer."""

    def lock_subnets(self, tx: Write, wanted: Mapping[UUID, int]) -> dict[UUID, LockedSubnet]:
        """The whole database is locked already: read them, and take."""
        raw = _raw(tx.conn)
        locked = {}
        for subnet_id, count in wanted.items():
            found = raw.execute(_SUBNET, (subnet_id.bytes,)).fetchone()
            if found is not None:
                row = SubnetRow(
                    subnet_id, UUID(bytes=found[1]), found[2], unpack(found[3]), *found[4:]
                )
                taken = self.take_lowest(tx, subnet_id, count) if row.placement == "lowest" else []
                locked[subnet_id] = LockedSubnet(row, taken)
        return locked

    def take_lowest(self, tx: Write, container: UUID, count: int) -> list[Extent]:
        """Consume extents from the lowest, whole ones first."""
        return take(_raw(tx.conn), container.bytes, count, tx.now) if count else []

    def allocate_at_once(
        self, wishes: Sequence[PlainAllocation], deadline: float, enter: Callable[[Phase], None]
    ) -> list[Taken | None]:
        """One transaction without ceremony."""
        with self._turn_taken(deadline), self.connect(deadline) as conn:
            raw = _raw(conn)
            enter("begin")
            with _busy_until(raw, deadline):
                raw.execute("BEGIN IMMEDIATE")
            try:
                enter("statement")
                taken = allocate(raw, wishes)
                enter("commit")
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise
        return taken

    def record_allocations(self, tx: Write, rows: Sequence[AllocationRow]) -> None:
        """One prepared INSERT for all."""
        tx.defer(_ALLOCATION, [_bound(row) for row in rows])
        tags = [(tag, row.subnet_id.bytes, pack(row.address)) for row in rows for tag in row.tags]
        if tags:
            tx.defer(_TAG, tags)

    def record_runs(
        self, tx: Write, pattern: AllocationRow, runs: Sequence[tuple[Extent, UUID]]
    ) -> None:
        """Stream the rows into one prepared INSERT."""
        tx.flush()
        raw = _raw(tx.conn)
        shared = _bound(pattern)
        for extent, first_id in runs:
            ids = first_id.int - extent.first
            raw.executemany(
                _ALLOCATION,
                (
                    (shared[0], pack(address), pack(ids + address), *shared[3:])
                    for address in range(extent.first, extent.last + 1)
                ),
            )
            for tag in pattern.tags:
                raw.executemany(
                    _TAG,
                    (
                        (tag, shared[0], pack(address))
                        for address in range(extent.first, extent.last + 1)
                    ),
                )

    def lock_allocations(
        self, tx: Write, subnet_id: UUID, addresses: Sequence[int]
    ) -> dict[int, UUID | None]:
        """The whole database is locked already: look each up."""
        raw = _raw(tx.conn)
        keys = ((subnet_id.bytes, pack(address)) for address in addresses)
        found = (raw.execute(_HELD, key).fetchone() for key in keys)
        return {
            unpack(row[0]): UUID(bytes=row[1]) if row[1] is not None else None
            for row in found
            if row is not None
        }

    def end_allocations(self, tx: Write, subnet: SubnetRow, addresses: Sequence[int]) -> int:
        """Each by its key."""
        return end(_raw(tx.conn), subnet, addresses, tx.now)

    @staticmethod
    def stored(column: Column[Any]) -> ColumnElement[Any]:
        """The file may hold anything anywhere: text that is none, or no UTF-8."""
        if isinstance(column.type, Text):
            kind = "text"
        elif isinstance(column.type, Id | LargeBinary):
            kind = "blob"
        else:
            return type_coerce(column, NullType)
        raw = cast(column, LargeBinary)
        right = or_(func.typeof(column) == kind, column.is_(None))
        return type_coerce(case((right, raw), else_=_NOT_OF_ITS_KIND), NullType)

    def record_events(self, tx: Write, rows: Sequence[EventRow]) -> None:
        """One prepared INSERT for all."""
        tx.defer(_EVENT, [(*row[:7], row.place_id and row.place_id.bytes) for row in rows])


def _bound(row: AllocationRow) -> tuple[object, ...]:
    return (
        row.subnet_id.bytes,
        pack(row.address),
        row.id.bytes,
        row.created_at,
        row.status,
        row.project_id.bytes if row.project_id else None,
        row.identifier,
        row.hostname,
        row.mac,
        row.description,
        dump_tags(row.tags),
    )


def _raw(conn: Connection) -> sqlite3.Connection:
    raw = conn.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _patience(deadline: float | None) -> float:
    """How many seconds somebody else is waited for."""
    if deadline is None:
        return BUSY_SECONDS
    return min(BUSY_SECONDS, max(0.0, deadline - time.monotonic()))


@contextmanager
def _busy_until(raw: sqlite3.Connection, deadline: float | None) -> Iterator[None]:
    """Let the database wait for other processes no longer than the request may."""
    seconds = _patience(deadline)
    if seconds == BUSY_SECONDS:  # as connections are made
        yield
        return
    raw.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")


def _begin(conn: Connection) -> None:
    conn.exec_driver_sql(conn.info.get("allotment_begin", "BEGIN"))
