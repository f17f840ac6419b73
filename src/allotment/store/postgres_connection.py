"""A connection that sends several statements in one round trip, and waits no longer for its
server than the request it works for may take.

Invariant: what was begun with the server and not brought to its end, or waited for too long, ends
the connection; nobody uses it again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import IsolationLevel, generators, waiting
from psycopg.abc import PQGen
from psycopg.errors import _WaitTimeout, error_from_result
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout

from allotment.store.postgres_values import Param, binary

WAIT_SECONDS_MIN = 0.1
CONNECT_SECONDS = 5  # for each of the hosts
CONNECTION_WAIT_SECONDS = 10.0
POOL_SECONDS = 0.5  # the pool knows no deadlines: it is asked again
STATEMENT_SECONDS = 30
LOCK_SECONDS = 10
GRACE_SECONDS = 0.5

_COMMIT = b"COMMIT"
_LIMITS = "SELECT set_config('statement_timeout', $1, true), set_config('lock_timeout', $2, true)"
_DONE = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
# The server says so when a prepared statement is gone, or does not fit the schema any more.
_FORGET = {"26000", "0A000"}

# What psycopg would say there is in the errors it raises; who wants it adds a handler.
logging.getLogger("psycopg").addHandler(logging.NullHandler())


_request = threading.local()


@contextmanager
def connecting_until(deadline: float | None) -> Iterator[None]:
    """Let connections that this thread makes meanwhile take no longer than its request may.

    `deadline` in monotonic seconds; None: as long as connecting may ever take.
    """
    _request.deadline = deadline
    try:
        yield
    finally:
        _request.deadline = None


def connect_by(engine: Engine, deadline: float | None) -> Connection:
    """A connection of the engine's pool, or a new one, by the deadline (monotonic seconds).

    Raises:
        sqlalchemy.exc.TimeoutError: all were in use.
    """
    last_try = time.monotonic() + CONNECTION_WAIT_SECONDS
    if deadline is not None:
        last_try = min(last_try, deadline)
    with connecting_until(deadline):
        while True:
            try:
                return engine.connect()
            except PoolTimeout:
                if time.monotonic() + POOL_SECONDS > last_try:
                    raise


class Statement(NamedTuple):
    """A statement with $1, $2... and its parameters; every value travels in its binary form."""

    text: str
    params: Sequence[Param]


def limits_of(deadline: float | None) -> list[Statement]:
    """What lets the server give up a transaction's locks and statements by the deadline.

    None where its usual limits do: nothing waits for a lock longer than for that of the request.
    """
    seconds = STATEMENT_SECONDS if deadline is None else deadline - time.monotonic()
    if LOCK_SECONDS <= seconds <= STATEMENT_SECONDS:
        return []
    statements = f"{max(1, int((seconds + GRACE_SECONDS / 2) * 1000))}ms"  # a lock says more
    locks = f"{max(1, int(min(seconds, LOCK_SECONDS) * 1000))}ms"
    return [Statement(_LIMITS, (statements, locks))]


class TimedConnection(psycopg.Connection[Any]):  # Any: rows are of the statements' columns
    """The server's own limits stand still when the server does; this one does not."""

    give_up_at: float | None = None
    """When (monotonic seconds) the present request is over; None: never."""
    unheard: psycopg.Error | None = None
    """What closing a cursor raised in this transaction: who closed it may not have heard."""

    # Any: what psycopg gives its own.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: dict[str, bytes] = {}
        self._known_once = 0
        self.server_cursor_factory = Streaming

    def start(self, give_up_at: float | None) -> None:
        """A transaction begins, for a request that is over then."""
        self.give_up_at = give_up_at
        self.unheard = None

    # Any: psycopg's protocol generators and what they return.
    @classmethod
    def _connect_gen(cls, conninfo: str = "") -> Any:
        """As psycopg's, which is looked after ten times a second; it counts in whole seconds."""
        deadline = getattr(_request, "deadline", None)
        making = super()._connect_gen(conninfo)
        ready: Any = None
        while True:
            try:
                wanted = making.send(ready)
            except StopIteration as made:
                return made.value
            ready = yield wanted
            if deadline is not None and time.monotonic() > deadline:
                making.close()
                raise psycopg.errors.ConnectionTimeout("the server did not let us in in time")

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for the server, until the request is over.

        Raises:
            psycopg.OperationalError: it said nothing in time; the connection is closed.
        """
        if self.give_up_at is not None and kwargs.get("timeout") is None and len(args) < 2:
            kwargs["timeout"] = max(WAIT_SECONDS_MIN, self.give_up_at - time.monotonic())
        try:
            return super().wait(gen, *args, **kwargs)
        except _WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server did not answer in time") from error

    def commit(self) -> None:
        """COMMIT. The server says nothing when it undoes a failed transaction instead; this does.

        Raises:
            psycopg.errors.InFailedSqlTransaction: an error before was not heeded.
        """
        if self.pgconn.transaction_status == TransactionStatus.INERROR:
            raise psycopg.errors.InFailedSqlTransaction("a failed transaction cannot be committed")
        super().commit()

    def _deallocate(self, name: bytes | None) -> PQGen[None]:
        """As psycopg's, which drops every prepared statement (None) after a rollback: ours too."""
        if name is None:
            self._known.clear()
        yield from super()._deallocate(name)

    def together(self, statements: Sequence[Statement], *, commit: bool = False) -> list[PGresult]:
        """Send statements, prepared, in one round trip; the result of each.

        Begins a transaction where there is none, unless the connection commits by itself. `commit`
        ends it: after an error in a statement nothing is committed.

        Raises:
            psycopg.Error: the first error; the transaction, if there is one, has failed.
        """
        if self.autocommit and len(statements) == 1 and statements[0].text in self._known:
            return [self._alone(statements[0])]
        new: dict[str, bytes] = {}
        kept: list[bool] = []
        try:
            self.pgconn.enter_pipeline_mode()
            if not self.autocommit and self.pgconn.transaction_status == TransactionStatus.IDLE:
                self._send(self._begin(), kept)
            for statement in statements:
                self._send_prepared(statement, new, kept)
            if commit:
                self._send(_COMMIT, kept)
            self.pgconn.pipeline_sync()
            found: list[PGresult] = self.wait(_results(self.pgconn))
            self.pgconn.exit_pipeline_mode()
        except BaseException:
            self.pgconn.finish()
            raise
        for result in found:
            if result.status not in _DONE:
                raise self._error(result)
        self._known |= new
        return [result for result, keep in zip(found, kept, strict=True) if keep]

    def _begin(self) -> bytes:
        """As psycopg would begin a transaction."""
        level = (self.isolation_level or IsolationLevel.READ_COMMITTED).name.replace("_", " ")
        return f"BEGIN ISOLATION LEVEL {level}{' READ ONLY' if self.read_only else ''}".encode()

    def _alone(self, statement: Statement) -> PGresult:
        """One prepared statement that commits by itself: no pipeline is needed."""
        try:
            self._send_prepared(statement, {}, [])
            found: list[PGresult] = self.wait(generators.execute(self.pgconn))
        except BaseException:
            self.pgconn.finish()
            raise
        for result in found:  # after the statement's own there may be one of its commit
            if result.status not in _DONE:
                raise self._error(result)
        return found[0]

    def _send(self, command: bytes, kept: list[bool]) -> None:
        self.pgconn.send_query_params(command, None)
        kept.append(False)

    def _send_prepared(self, statement: Statement, new: dict[str, bytes], kept: list[bool]) -> None:
        name = self._known.get(statement.text) or new.get(statement.text)
        if name is None:
            self._known_once += 1
            name = new[statement.text] = b"allotment_%d" % self._known_once
            self.pgconn.send_prepare(name, statement.text.encode())
            kept.append(False)
        values = [binary(value) for value in statement.params]
        self.pgconn.send_query_prepared(
            name, values, param_formats=[Format.BINARY] * len(values), result_format=Format.BINARY
        )
        kept.append(True)

    def _error(self, result: PGresult) -> psycopg.Error:
        error = error_from_result(result, encoding=self.info.encoding)
        if error.sqlstate in _FORGET:
            self._known.clear()
        return error


class Streaming(psycopg.ServerCursor[Any]):  # Any: rows are of the statements' columns
    """A cursor of the server's. SQLAlchemy logs what closing it raises, and goes on."""

    def close(self) -> None:
        """CLOSE; what it raises is kept for whoever ends the transaction."""
        assert isinstance(self.connection, TimedConnection)
        try:
            super().close()
        except psycopg.Error as error:
            psycopg.Cursor.close(self)
            self.connection.unheard = error


def _results(pgconn: Any) -> PQGen[list[PGresult]]:  # Any: libpq's connection, in C or in Python
    """What the server says, up to the end of the pipeline."""
    while pgconn.flush():
        if (yield waiting.Wait.RW) & waiting.Ready.R:
            pgconn.consume_input()
    found: list[PGresult] = []
    while True:
        while pgconn.is_busy():
            yield waiting.Wait.R
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:  # the end of one statement's results
            continue
        if result.status == ExecStatus.PIPELINE_SYNC:
            return found
        found.append(result)


class Spares:
    """Spare connections that commit by themselves and that nobody uses at the moment.

    They come from the pool's door, but do without its ceremony when they are lent and given back;
    there are as many as ever worked at once.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[tuple[int, TimedConnection]] = []

    def take(self, deadline: float) -> TimedConnection:
        """The one that was used last, or a new one, made by the deadline."""
        for process, spare in self._given_up():
            if process == os.getpid():
                return spare
        with connecting_until(deadline):
            pooled = self._engine.raw_connection()
        made = pooled.driver_connection
        pooled.detach()
        assert isinstance(made, TimedConnection)
        made.autocommit = True
        return made

    def put_back(self, spare: TimedConnection) -> None:
        """Keep one that is in order, whatever the server answered; close another one."""
        if spare.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append((os.getpid(), spare))
        else:
            spare.close()

    def close(self) -> None:
        """End those that nobody uses."""
        for _, spare in self._given_up():
            spare.close()

    def _given_up(self) -> Iterator[tuple[int, TimedConnection]]:
        while True:
            try:
                yield self._idle.pop()
            except IndexError:
                return


# Any: what SQLAlchemy hands a driver.
def connect(_dialect: Any, _record: Any, args: Any, params: Any) -> TimedConnection:
    """A new connection, made by the deadline of the request that this thread works for."""
    return TimedConnection.connect(*args, **{"connect_timeout": CONNECT_SECONDS, **params})
