"""PostgreSQL: many writers, row locks, native functions for the hot path.

Invariant: locks are taken in one order - subnet, extents by last address, allocations - and a
writer that is not patient never waits for an extent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg
from psycopg.pq.abc import PGresult
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Text,
    create_engine,
    event,
    func,
)
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from allotment.errors import InvalidValue, Phase, StoreError
from allotment.model.extent import Extent
from allotment.store import postgres_statements as sql
from allotment.store.columns import Id, dump_tags, pack, unpack
from allotment.store.dialect import (
    AllocationRow,
    Dialect,
    EventRow,
    LockedSubnet,
    PlainAllocation,
    SubnetRow,
    split_at_carry,
)
from allotment.store.postgres_at_once import AT_ONCE_SCHEMA
from allotment.store.postgres_connection import (
    GRACE_SECONDS,
    LOCK_SECONDS,
    POOL_SECONDS,
    STATEMENT_SECONDS,
    Spares,
    Statement,
    TimedConnection,
    connect,
    connect_by,
    limits_of,
)
from allotment.store.postgres_errors import translate
from allotment.store.postgres_partitions import HashPartitions
from allotment.store.postgres_schema import NATIVE_SCHEMA
from allotment.store.postgres_values import Scalar, number, rows_of
from allotment.store.session import Write

CONNECTIONS = 16
CONNECTIONS_MORE = 16
SETTINGS = (
    f"-c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={LOCK_SECONDS}s"
    " -c idle_in_transaction_session_timeout=60s"
    " -c plan_cache_mode=force_generic_plan -c jit=off -c random_page_cost=1.1"
)


class PostgresDialect(Dialect):
    """PostgreSQL 14 and later, through psycopg."""

    concurrent = True
    errors = (SQLAlchemyError, psycopg.Error)
    partitions = HashPartitions()

    def __init__(self, url: str) -> None:
        place = _place(url)
        self.shown = place.set(drivername="postgresql").render_as_string(hide_password=True)
        query = {**place.query, "client_encoding": "utf8"}
        given = query.pop("options", "")
        place = place.set(query={**query, "options": f"{SETTINGS} {given}".strip()})
        self.engine = create_engine(
            place,
            isolation_level="READ COMMITTED",
            pool_size=CONNECTIONS,
            max_overflow=CONNECTIONS_MORE,
            pool_timeout=POOL_SECONDS,
            pool_use_lifo=True,
        )
        event.listen(self.engine, "do_connect", connect)
        self._spares = Spares(self.engine)

    def close(self) -> None:
        """Those of the pool, and the spare ones."""
        self._spares.close()
        super().close()

    def connect(self, deadline: float | None) -> Connection:
        """From the pool, or a new one that is made by the deadline."""
        return connect_by(self.engine, deadline)

    def exclusive(self, mode: str, deadline: float | None = None) -> AbstractContextManager[None]:
        """Nothing: the database has row locks."""
        return nullcontext()

    def begin(self, conn: Connection, mode: str, deadline: float | None = None) -> None:
        """READ COMMITTED to write; one read-only snapshot to read."""
        if mode == "read":
            conn.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        _raw(conn).start(None if deadline is None else deadline + GRACE_SECONDS)
        conn.begin()
        if limits := limits_of(deadline):
            _raw(conn).together(limits)

    def execute_all(self, conn: Connection, statements: Sequence[tuple[str, Any]]) -> None:
        """All in one round trip."""
        if statements:
            _raw(conn).together([Statement(*one) for one in statements])

    def commit(self, conn: Connection, deferred: Sequence[tuple[str, Any]]) -> None:
        """What was deferred and COMMIT in one round trip: an error in one keeps the other off."""
        if deferred:
            _raw(conn).together([Statement(*one) for one in deferred], commit=True)
        conn.commit()

    def unheard(self, conn: Connection) -> Exception | None:
        """What closing a server's cursor raised."""
        return None if conn.invalidated else _raw(conn).unheard

    def translate(self, error: Exception, phase: Phase) -> StoreError:
        """By SQLSTATE and phase."""
        return translate(error, phase)

    def native_schema(self) -> Mapping[str, Sequence[str]]:
        """Exclusion constraints, functions and views."""
        return {"0001": NATIVE_SCHEMA, "0002": AT_ONCE_SCHEMA}

    def lock_keys(self, tx: Write, keys: Sequence[tuple[str, str]]) -> None:
        """By advisory locks of the transaction, in order: held until it has committed or died."""
        numbers = sorted(_signed(int.from_bytes(_digest(key), "big")) for key in keys)
        _raw(tx.conn).together([Statement(sql.LOCK_KEYS, (numbers,))])

    def queue(self, tx: Write, container: UUID, *, exclusive: bool) -> None:
        """An advisory lock of the transaction: its queue is fair."""
        queue = sql.QUEUE_ALONE if exclusive else sql.QUEUE
        _raw(tx.conn).together([Statement(queue, ([container],))])

    def lock_subnets(self, tx: Write, wanted: Mapping[UUID, int]) -> dict[UUID, LockedSubnet]:
        """Lock, look and take in one round trip."""
        if not wanted:
            return {}
        takes = [(subnet_id, count) for subnet_id, count in sorted(wanted.items()) if count]
        _, rows, *taken = _raw(tx.conn).together(
            [
                Statement(sql.QUEUE, (list(wanted),)),
                Statement(sql.SUBNETS, (list(wanted),)),
                *(
                    Statement(sql.TAKE, (subnet_id, count, tx.now, tx.patient, True))
                    for subnet_id, count in takes
                ),
            ]
        )
        extents = {
            subnet_id: _extents(found) for (subnet_id, _), found in zip(takes, taken, strict=True)
        }
        locked = map(_subnet, rows_of(rows))
        return {row.id: LockedSubnet(row, extents.get(row.id, [])) for row in locked}

    def take_lowest(self, tx: Write, container: UUID, count: int) -> list[Extent]:
        """By the native function."""
        take = Statement(sql.TAKE, (container, count, tx.now, tx.patient, False))
        return _extents(_raw(tx.conn).together([take])[0])

    def allocate_at_once(
        self, wishes: Sequence[PlainAllocation], deadline: float, enter: Callable[[Phase], None]
    ) -> list[tuple[int, int] | None]:
        """One round trip: the server locks, takes, enters and commits; one statement a subnet."""
        groups: dict[UUID, list[int]] = {}
        for place, wish in enumerate(wishes):
            groups.setdefault(wish.subnet_id, []).append(place)
        ordered = [places for _, places in sorted(groups.items())]
        spare = self._spares.take(deadline)
        enter("commit")
        try:
            spare.give_up_at = deadline + GRACE_SECONDS
            limits = limits_of(deadline)  # of the one transaction that statements sent together are
            found = spare.together(
                [
                    *limits,
                    *(_allocate_at_once([wishes[place] for place in places]) for places in ordered),
                ]
            )[len(limits) :]
        finally:
            self._spares.put_back(spare)
        taken: list[tuple[int, int] | None] = [None] * len(wishes)
        for places, rows in zip(ordered, found, strict=True):
            for place, (family, address) in zip(places, rows_of(rows), strict=False):
                taken[place] = number(family), unpack(address)
        return taken

    def record_allocations(self, tx: Write, rows: Sequence[AllocationRow]) -> None:
        """One INSERT, whatever their number."""
        if len(rows) == 1:
            tx.defer(sql.ALLOCATION, _bound(rows[0]))
        elif rows:
            tx.defer(sql.ALLOCATIONS, _arrays(map(_bound, rows)))
        tags = [(tag, row.subnet_id, pack(row.address)) for row in rows for tag in row.tags]
        if tags:
            tx.defer(sql.TAG, _arrays(tags))

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
                    sql.RUN,
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
                    tx.defer(sql.TAG_RUN, (shared[0], high_bytes, list(pattern.tags), low, high))

    def lock_allocations(
        self, tx: Write, subnet_id: UUID, addresses: Sequence[int]
    ) -> dict[int, UUID | None]:
        """Each by its key, in order."""
        if not addresses:
            return {}
        wanted = list(map(pack, sorted(addresses)))
        (held,) = _raw(tx.conn).together([Statement(sql.LOCK_ALLOCATIONS, (subnet_id, wanted))])
        return {
            unpack(address): UUID(bytes=owner) if owner else None
            for address, owner in rows_of(held)
        }

    def end_allocations(self, tx: Write, subnet: SubnetRow, addresses: Sequence[int]) -> int:
        """One statement: of one by its key; of several by their places, which their locks keep."""
        if not addresses:
            return 0
        packed = list(map(pack, addresses))
        end, which = (sql.END_MANY, packed) if len(packed) > 1 else (sql.END_ONE, packed[0])
        params = (subnet.id, which, subnet.scope_id, subnet.family, tx.now)
        (gone,) = _raw(tx.conn).together([Statement(end, params)])
        return number(gone.get_value(0, 0) or b"")

    @staticmethod
    def stored(column: Column[Any]) -> ColumnElement[Any]:
        """The server lets nothing of another type in."""
        if isinstance(column.type, Id):
            return func.uuid_send(column, type_=LargeBinary)
        if isinstance(column.type, Text):
            return func.convert_to(column, "UTF8", type_=LargeBinary)
        return column

    def record_events(self, tx: Write, rows: Sequence[EventRow]) -> None:
        """One INSERT, whatever their number."""
        if len(rows) == 1:
            tx.defer(sql.EVENT, rows[0])
        elif rows:
            tx.defer(sql.EVENTS, _arrays(rows))


def _allocate_at_once(wishes: Sequence[PlainAllocation]) -> Statement:
    """For some wishes of one subnet."""
    first = wishes[0]
    if len(wishes) == 1:
        return Statement(sql.ALLOCATE, first)
    now = max(wish.now for wish in wishes)
    columns = _arrays(wish[2:-1] for wish in wishes)
    epochs = [wish.epoch for wish in wishes if wish.epoch is not None]
    # Read at different times? Then one of them is old, and the server will not serve any.
    epoch = min(epochs, default=None)
    return Statement(sql.ALLOCATE_MANY, (first.subnet_id, now, *columns, epoch))


def _arrays(rows: Iterable[Sequence[Scalar]]) -> tuple[list[Scalar] | None, ...]:
    """Rows as arrays of columns for `unnest`, where NULL stands for as many NULLs as there are
    rows: the first column has none.
    """
    columns = zip(*rows, strict=True)
    return tuple(None if column.count(None) == len(column) else list(column) for column in columns)


def _subnet(values: Sequence[bytes]) -> SubnetRow:
    subnet_id, scope_id, family, first, length, placement, quarantine = values
    return SubnetRow(
        UUID(bytes=subnet_id),
        UUID(bytes=scope_id),
        number(family),
        unpack(first),
        number(length),
        placement.decode(),
        number(quarantine),
    )


def _extents(found: PGresult) -> list[Extent]:
    return [Extent(unpack(first), unpack(last)) for first, last in rows_of(found)]


def _digest(key: tuple[str, str]) -> bytes:
    """Eight bytes that stand for a key; two keys that share them only wait for each other."""
    return sha256("\0".join(key).encode()).digest()[:8]


def _signed(value: int) -> int:
    """The low 64 bits as PostgreSQL's int8 counts them."""
    low = value & ((1 << 64) - 1)
    return low - (1 << 64) if low >> 63 else low


def _bound(row: AllocationRow) -> tuple[Scalar, ...]:
    return (row.subnet_id, pack(row.address), *row[2:10], dump_tags(row.tags))


def _place(url: str) -> URL:
    """The URL, its password where it is not shown."""
    try:
        place = make_url(url).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        # Not chained: the library's error may quote the URL.
        rule = "its user, host, port or database cannot be read"
        raise InvalidValue("database", "postgresql://...", rule) from None
    password = place.query.get("password")
    if isinstance(password, str):
        place = place.difference_update_query(["password"]).set(password=password)
    return place


def _raw(conn: Connection) -> TimedConnection:
    raw = conn.connection.driver_connection
    assert isinstance(raw, TimedConnection)
    return raw
