"""PostgreSQL: many writers, row locks, native functions for the hot path.

Invariant: locks are taken in one order - subnet, extents by last address, allocations - and a
writer that is not patient never waits for an extent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from allotment.errors import Phase, StoreError
from allotment.model.extent import Extent
from allotment.store.columns import dump_tags, pack, unpack
from allotment.store.dialect import (
    AllocationRow,
    Dialect,
    EventRow,
    LockedSubnet,
    PlainAllocation,
    SubnetRow,
    split_at_carry,
)
from allotment.store.postgres_connection import Spares, TimedConnection
from allotment.store.postgres_errors import translate
from allotment.store.postgres_schema import NATIVE_SCHEMA
from allotment.store.session import Write

SETTINGS = (
    "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s"
    " -c plan_cache_mode=force_generic_plan"
)
CONNECTIONS = 16
CONNECTIONS_MORE = 16
CONNECTION_WAIT_SECONDS = 10.0
CONNECT_SECONDS = 10
GRACE_SECONDS = 0.5
STATEMENT_SECONDS = 30

_QUEUE = "SELECT pg_advisory_xact_lock_shared(allotment_queue(id)) FROM unnest(%b::uuid[]) AS id"
_QUEUE_ALONE = "SELECT pg_advisory_xact_lock(allotment_queue(id)) FROM unnest(%b::uuid[]) AS id"
_SUBNETS = (
    "SELECT id, scope_id, family, first, length, placement, quarantine_seconds FROM subnet"
    " WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE"
)
_LOCK_KEYS = "SELECT pg_advisory_xact_lock(n) FROM unnest(%b::int8[]) AS n"
_ALLOCATE = (
    "SELECT taken_family, taken"
    " FROM allotment_allocate($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
_TAKE = "SELECT taken_first, taken_last FROM allotment_take(%s, %s, %s, %s, %s)"

_ALLOCATION = (
    "INSERT INTO allocation (subnet_id, address, id, created_at, status, project_id, identifier,"
    " hostname, mac, description, tags) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_ALLOCATIONS = (
    "INSERT INTO allocation (subnet_id, address, id, created_at, status, project_id, identifier,"
    " hostname, mac, description, tags) SELECT * FROM unnest(%b::uuid[], %b::bytea[], %b::uuid[],"
    " %b::int8[], %b::text[], %b::uuid[], %b::text[], %b::text[], %b::text[], %b::text[],"
    " %b::text[])"
)
_RUN = (
    "INSERT INTO allocation (subnet_id, address, id, created_at, status, project_id, identifier,"
    " hostname, mac, description, tags) SELECT %s, %s::bytea || int8send(n),"
    " encode(%s::bytea || int8send(%s + (n - %s)), 'hex')::uuid, %s, %s, %s, %s, %s, %s, %s, %s"
    " FROM generate_series(%s::int8, %s::int8) AS n"
)
_TAG = (
    "INSERT INTO allocation_tag (tag, subnet_id, address)"
    " SELECT * FROM unnest(%b::text[], %b::uuid[], %b::bytea[])"
)
_TAG_RUN = (
    "INSERT INTO allocation_tag (tag, subnet_id, address)"
    " SELECT tag, %s, %s::bytea || int8send(n)"
    " FROM unnest(%b::text[]) AS tag, generate_series(%s::int8, %s::int8) AS n"
)
_EVENT = "INSERT INTO event (at, actor, command, answer) VALUES (%s, %s, %s, %s)"
_EVENTS = (
    "INSERT INTO event (at, actor, command, answer)"
    " SELECT * FROM unnest(%b::int8[], %b::text[], %b::text[], %b::text[])"
)


class PostgresDialect(Dialect):
    """PostgreSQL 14 and later, through psycopg."""

    concurrent = True
    errors = (SQLAlchemyError, psycopg.Error)

    def __init__(self, url: str) -> None:
        place = make_url(url).set(drivername="postgresql+psycopg")
        self.shown = place.set(drivername="postgresql").render_as_string(hide_password=True)
        query = {"connect_timeout": str(CONNECT_SECONDS), **place.query}
        given = query.pop("options", "")
        place = place.set(query={**query, "options": f"{SETTINGS} {given}".strip()})
        self.engine = create_engine(
            place,
            isolation_level="READ COMMITTED",
            pool_size=CONNECTIONS,
            max_overflow=CONNECTIONS_MORE,
            pool_timeout=CONNECTION_WAIT_SECONDS,
            pool_use_lifo=True,
        )
        event.listen(self.engine, "do_connect", _connect)
        self._spares = Spares(self.engine, _ALLOCATE)

    def close(self) -> None:
        """Those of the pool, and the spare ones."""
        self._spares.close()
        super().close()

    def exclusive(self, mode: str) -> AbstractContextManager[None]:
        """Nothing: the database has row locks."""
        return nullcontext()

    def begin(self, conn: Connection, mode: str, deadline: float | None = None) -> None:
        """READ COMMITTED to write; one read-only snapshot to read."""
        if mode == "read":
            conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        _raw(conn).give_up_at = None if deadline is None else deadline + GRACE_SECONDS
        conn.begin()
        seconds = STATEMENT_SECONDS if deadline is None else deadline - time.monotonic()
        if seconds > STATEMENT_SECONDS:
            limit = f"{int(seconds * 1000)}ms"
            _raw(conn).execute("SELECT set_config('statement_timeout', %s, true)", (limit,))

    def execute_all(self, conn: Connection, statements: Sequence[tuple[str, Any]]) -> None:
        """All in one round trip."""
        if statements:
            raw = _raw(conn)
            with raw.pipeline():
                _send(raw, statements)

    def commit(self, conn: Connection, deferred: Sequence[tuple[str, Any]]) -> None:
        """What was deferred and COMMIT in one round trip: an error in one keeps the other off."""
        if deferred:
            raw = _raw(conn)
            with raw.pipeline():
                _send(raw, deferred)
                raw.commit()
        conn.commit()

    def translate(self, error: Exception, phase: Phase) -> StoreError:
        """By SQLSTATE and phase."""
        return translate(error, phase)

    def native_schema(self) -> Sequence[str]:
        """Exclusion constraints, functions and views."""
        return NATIVE_SCHEMA

    def lock_keys(self, tx: Write, keys: Sequence[tuple[str, str]]) -> None:
        """By advisory locks of the transaction, in order: held until it has committed or died."""
        numbers = sorted(_signed(int.from_bytes(_digest(key), "big")) for key in keys)
        with _raw(tx.conn).pipeline():
            _raw(tx.conn).execute(_LOCK_KEYS, (numbers,))

    def queue(self, tx: Write, container: UUID, *, exclusive: bool) -> None:
        """An advisory lock of the transaction: its queue is fair."""
        with _raw(tx.conn).pipeline():
            _raw(tx.conn).execute(_QUEUE_ALONE if exclusive else _QUEUE, ([container],))

    def lock_subnets(self, tx: Write, wanted: Mapping[UUID, int]) -> dict[UUID, LockedSubnet]:
        """Lock, look and take in one round trip."""
        raw = _raw(tx.conn)
        takes = {}
        with raw.pipeline():
            raw.execute(_QUEUE, (list(wanted),))
            rows = raw.execute(_SUBNETS, (list(wanted),))
            for subnet_id, count in sorted(wanted.items()):
                if count:
                    takes[subnet_id] = raw.execute(
                        _TAKE, (subnet_id, count, tx.now, tx.patient, True)
                    )
        return {
            row[0]: LockedSubnet(
                SubnetRow(row[0], row[1], row[2], unpack(row[3]), *row[4:]),
                _extents(takes[row[0]]) if row[0] in takes else [],
            )
            for row in rows.fetchall()
        }

    def take_lowest(self, tx: Write, container: UUID, count: int) -> list[Extent]:
        """By the native function."""
        with _raw(tx.conn).pipeline():
            found = _raw(tx.conn).execute(_TAKE, (container, count, tx.now, tx.patient, False))
        return _extents(found)

    def allocate_at_once(
        self, wish: PlainAllocation, deadline: float, enter: Callable[[Phase], None]
    ) -> tuple[int, int] | None:
        """One round trip: the server locks, takes, enters and commits."""
        spare = self._spares.take()
        enter("commit")
        try:
            found = spare.run(
                (wish.subnet_id.bytes, wish.now.to_bytes(8, "big"), wish.id.bytes, *wish[3:]),
                deadline + GRACE_SECONDS,
            )
        except BaseException:
            spare.close()
            raise
        self._spares.put_back(spare)
        if not found.ntuples:
            return None
        family, taken = (unpack(found.get_value(0, column) or b"") for column in (0, 1))
        return family, taken

    def record_allocations(self, tx: Write, rows: Sequence[AllocationRow]) -> None:
        """One INSERT, whatever their number."""
        if len(rows) == 1:
            tx.defer(_ALLOCATION, _bound(rows[0]))
        elif rows:
            tx.defer(_ALLOCATIONS, tuple(map(list, zip(*map(_bound, rows), strict=True))))
        tags = [(tag, row.subnet_id, pack(row.address)) for row in rows for tag in row.tags]
        if tags:
            tx.defer(_TAG, tuple(map(list, zip(*tags, strict=True))))

    def record_runs(
        self, tx: Write, pattern: AllocationRow, runs: Sequence[tuple[Extent, UUID]]
    ) -> None:
        """The server counts the addresses and the ids up."""
        shared = _bound(pattern)
        for run, run_id in runs:
            for piece in split_at_carry(run):
                first_id = run_id.int + piece.first - run.first
                low, high = _signed(piece.first), _signed(piece.last)
                high_bytes = pack(piece.first)[:8]
                tx.defer(
                    _RUN,
                    (
                        shared[0],
                        high_bytes,
                        pack(first_id)[:8],
                        _signed(first_id),
                        low,
                        *shared[3:],
                        low,
                        high,
                    ),
                )
                if pattern.tags:
                    tx.defer(_TAG_RUN, (shared[0], high_bytes, list(pattern.tags), low, high))

    def record_events(self, tx: Write, rows: Sequence[EventRow]) -> None:
        """One INSERT, whatever their number."""
        if len(rows) == 1:
            tx.defer(_EVENT, rows[0])
        elif rows:
            tx.defer(_EVENTS, tuple(map(list, zip(*rows, strict=True))))


def _send(raw: psycopg.Connection[Any], statements: Iterable[tuple[str, Any]]) -> None:
    for statement, params in statements:
        raw.execute(statement, params)


def _extents(found: psycopg.Cursor[Any]) -> list[Extent]:
    return [Extent(unpack(first), unpack(last)) for first, last in found.fetchall()]


def _digest(key: tuple[str, str]) -> bytes:
    """Eight bytes that stand for a key; two keys that share them only wait for each other."""
    return sha256("\0".join(key).encode()).digest()[:8]


def _signed(value: int) -> int:
    """The low 64 bits as PostgreSQL's int8 counts them."""
    low = value & ((1 << 64) - 1)
    return low - (1 << 64) if low >> 63 else low


def _bound(row: AllocationRow) -> tuple[object, ...]:
    return (
        row.subnet_id,
        pack(row.address),
        *row[2:10],
        dump_tags(row.tags),
    )


# Any: what SQLAlchemy hands a driver.
def _connect(_dialect: Any, _record: Any, args: Any, params: Any) -> TimedConnection:
    return TimedConnection.connect(*args, **params)


def _raw(conn: Connection) -> TimedConnection:
    raw = conn.connection.driver_connection
    assert isinstance(raw, TimedConnection)
    return raw
