"""Drivers that fail one call: the k-th, in a way that was chosen.

Invariant: on PostgreSQL a refusal is the server's own, raised there, so that the transaction is in
the state it would be in; on SQLite the error has the code and the transaction the state that the
library would leave.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, PipelineStatus, TransactionStatus
from sqlalchemy import event

from allotment.desk import LocalDesk
from allotment.store.postgres_connection import Statement, Streaming, TimedConnection, connect
from faults.error_classes import CONSTRAINTS, ErrorClass

_KINDS = {
    "2067": sqlite3.IntegrityError,
    "787": sqlite3.IntegrityError,
    "275": sqlite3.IntegrityError,
    "1299": sqlite3.IntegrityError,
    "11": sqlite3.DatabaseError,
    "26": sqlite3.DatabaseError,
}


class Called(NamedTuple):
    """A call to the database: what it was, and the phase of the transaction it belongs to."""

    kind: str
    phase: str


class Saboteur:
    """Counts the calls to the database, and says which fails, and how."""

    def __init__(self) -> None:
        self.arm()

    def arm(self, strike_at: int = 0, error: ErrorClass | None = None) -> None:
        """Count anew, and strike at a call."""
        self.strike_at = strike_at
        self.error = error
        self.calls: list[Called] = []
        self.struck: Called | None = None

    def next(self, kind: str, phase: str) -> ErrorClass | None:
        """Note a call; how it fails, if it does."""
        self.calls.append(Called(kind, phase))
        if len(self.calls) != self.strike_at:
            return None
        self.struck = self.calls[-1]
        return self.error


def install(desk: LocalDesk, saboteur: Saboteur) -> None:
    """From now on, every connection of the desk is the saboteur's."""
    engine = desk.store.dialect.engine
    desk.store.dialect.drop_connections()
    makers = {"sqlite": _sqlite_maker, "postgresql": _postgres_maker}
    make = makers[engine.dialect.name](saboteur)
    if event.contains(engine, "do_connect", connect):
        event.remove(engine, "do_connect", connect)
    event.listen(engine, "do_connect", make)


# Any, here and below: what SQLAlchemy and the drivers hand on.
def _sqlite_maker(saboteur: Saboteur) -> Callable[..., Any]:
    def make(_dialect: Any, _record: Any, args: Any, params: Any) -> Any:
        error = saboteur.next("connect", "connect")
        if error is not None:
            raise _sqlite_error(error)
        made = sqlite3.connect(*args, factory=FailingSqlite, **params)
        made.saboteur = saboteur  # type: ignore[attr-defined]  # the factory's
        return made

    return make


class FailingSqlite(sqlite3.Connection):
    """A connection whose calls a saboteur sees first."""

    saboteur: Saboteur

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A cursor that tells the saboteur."""
        return super().cursor(FailingCursor)

    def execute(self, *args: Any) -> Any:
        """As a cursor's."""
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        """As a cursor's."""
        return self.cursor().executemany(*args)

    def commit(self) -> None:
        """COMMIT, if there is a transaction."""
        if self.in_transaction:
            self.strike("commit", "commit")
        super().commit()

    def rollback(self) -> None:
        """ROLLBACK, if there is a transaction."""
        if self.in_transaction:
            self.strike("rollback", "statement")
        super().rollback()

    def strike(self, kind: str, phase: str) -> None:
        """Fail here, if that was chosen."""
        error = self.saboteur.next(kind, phase)
        if error is None:
            return
        if error.how == "refused and rolled back" and self.in_transaction:
            super().rollback()
        raise _sqlite_error(error)


class FailingCursor(sqlite3.Cursor):
    """A cursor whose calls a saboteur sees first."""

    connection: FailingSqlite

    def execute(self, *args: Any) -> Any:
        """One statement."""
        self.connection.strike("execute", "statement")
        return super().execute(*args)

    def executemany(self, *args: Any) -> Any:
        """One statement, often."""
        self.connection.strike("executemany", "statement")
        return super().executemany(*args)

    def fetchone(self) -> Any:
        """One row."""
        self._fetching()
        return super().fetchone()

    def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
        """Some rows."""
        self._fetching()
        return super().fetchmany(*args, **kwargs)

    def fetchall(self) -> Any:
        """All rows."""
        self._fetching()
        return super().fetchall()

    def _fetching(self) -> None:
        """A step that fails leaves the statement reset."""
        try:
            self.connection.strike("fetch", "statement")
        except sqlite3.Error:
            self.close()
            raise


def _sqlite_error(error: ErrorClass) -> sqlite3.Error:
    kind = _KINDS.get(error.state, sqlite3.OperationalError)
    made: sqlite3.Error = kind(CONSTRAINTS.get(error.state, "made to fail"))
    if error.state != "0":
        made.sqlite_errorcode = int(error.state)
    return made


def _postgres_maker(saboteur: Saboteur) -> Callable[..., Any]:
    def make(_dialect: Any, _record: Any, args: Any, params: Any) -> Any:
        if saboteur.next("connect", "connect") is not None:
            raise psycopg.OperationalError("made to fail")  # what psycopg says of any failure there
        made = FailingPostgres.connect(*args, **params)
        made.server_cursor_factory = FailingStream
        made.saboteur = saboteur
        return made

    return make


class FailingStream(Streaming):
    """A cursor of the server's: its closing is a call of its own kind."""

    def close(self) -> None:
        """CLOSE."""
        assert isinstance(self.connection, FailingPostgres)
        self.connection.closing = True
        try:
            super().close()
        finally:
            self.connection.closing = False


LOCAL = ("_set_", "_enter_gen")
"""How transactions begin, and that many statements follow: nothing is sent, nothing is lost."""


class FailingPostgres(TimedConnection):
    """A connection whose round trips a saboteur sees first."""

    saboteur: Saboteur | None = None
    closing = False
    _striking = False

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """One round trip; what psycopg only notes on its own side takes none."""
        local = getattr(gen, "__name__", "").startswith(LOCAL)
        if self.saboteur is None or self._striking or local:
            return super().wait(gen, *args, **kwargs)
        kind = "close" if self.closing else "wait"
        return self._struck(kind, "statement", lambda: super(FailingPostgres, self).wait(gen))

    def together(self, statements: Any, *, commit: bool = False) -> Any:
        """Several statements in one round trip."""
        if self.saboteur is None or self._striking:
            return super().together(statements, commit=commit)
        usual = super().together
        ends = commit or self.autocommit
        error = self.saboteur.next("together", "commit" if ends else "statement")
        if error is None or error.how == "lost before":
            return self._carried_out(error, lambda: usual(statements, commit=commit))
        if error.how == "lost after":
            return self._carried_out(error, lambda: usual(statements, commit=commit))
        last = Statement(_raising(error).decode(), ())
        self._striking = True
        try:
            return usual([*statements, last], commit=commit)
        finally:
            self._striking = False
            if error.how == "lost, told":
                self.pgconn.finish()

    def commit(self) -> None:
        """COMMIT, if there is a transaction."""
        self._ended("commit", "commit", super().commit)

    def rollback(self) -> None:
        """ROLLBACK, if there is a transaction."""
        self._ended("rollback", "statement", super().rollback)

    def _ended(self, kind: str, phase: str, usual: Callable[[], None]) -> None:
        """The end of a transaction; where there is none, nothing is sent."""
        status = self.pgconn.transaction_status
        nothing = status in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)
        if nothing or self._striking or self.saboteur is None:
            self._carried_out(None, usual)
        else:
            self._struck(kind, phase, usual)

    def _struck(self, kind: str, phase: str, call: Callable[[], Any]) -> Any:
        assert self.saboteur is not None
        error = self.saboteur.next(kind, phase)
        if error is None or error.how in ("lost before", "lost after"):
            return self._carried_out(error, call)
        with self._out_of_pipeline(call):
            told = self._refused(error, ends=kind in ("commit", "rollback"))
        raise told

    def _carried_out(self, error: ErrorClass | None, call: Callable[[], Any]) -> Any:
        """A call that works; or one whose connection is lost before or after it."""
        answer = None
        if error is None or error.how == "lost after":
            before, self._striking = self._striking, True
            try:
                answer = call()
            finally:
                self._striking = before
        if error is None:
            return answer
        self.pgconn.finish()
        raise psycopg.OperationalError("made to lose its connection")

    @contextmanager
    def _out_of_pipeline(self, call: Callable[[], Any]) -> Iterator[None]:
        """The server refuses while psycopg sends many at once: after what `call` brings to its end,
        if something is on its way, else before.
        """
        piped = self.pgconn.pipeline_status != PipelineStatus.OFF
        if piped:
            try:
                self.pgconn.exit_pipeline_mode()
            except psycopg.OperationalError:  # something is on its way
                call()
                self.pgconn.exit_pipeline_mode()
        yield
        if piped and self.pgconn.status == ConnStatus.OK:
            self.pgconn.enter_pipeline_mode()

    def _refused(self, error: ErrorClass, *, ends: bool) -> psycopg.Error:
        """The server's own error, and the transaction as it leaves it."""
        if self.pgconn.transaction_status == TransactionStatus.IDLE and not self.autocommit:
            self.pgconn.exec_(b"BEGIN")
        told = error_from_result(self.pgconn.exec_(_raising(error)))
        if ends:
            self.pgconn.exec_(b"ROLLBACK")
        if error.how == "lost, told":
            self.pgconn.finish()
        return told


def _raising(error: ErrorClass) -> bytes:
    constraint = CONSTRAINTS.get(error.state)
    named = f", CONSTRAINT = '{constraint}'" if constraint else ""
    told = f"RAISE EXCEPTION 'made to fail' USING ERRCODE = '{error.state}'{named};"
    return f"DO $made$ BEGIN {told} END $made$".encode()
