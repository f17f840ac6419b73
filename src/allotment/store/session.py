"""Transactions: opened, committed and rolled back here and nowhere else.

Invariant: one use case is one transaction; a nested begin is an error; a connection whose state
is in doubt is thrown away; every database error leaves here typed, with the phase it struck in.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Executable
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import TimeoutError as PoolTimeout

from allotment.errors import Bug, Overloaded, Phase, StoreError
from allotment.store.sight import ALL

if TYPE_CHECKING:
    from allotment.store.dialect import Dialect, PlainAllocation

Clock = Callable[[], int]
Sign = Callable[[bytes], bytes]
STREAM_ROWS = 10_000

# After these a connection may be in any state: it is not used again.
UNTRUSTED = frozenset(
    {"store-error", "store-corrupt", "bug", "not-primary", "store-unavailable", "commit-unknown"}
)


class NeedsPatience(Exception):
    """The work skipped locked rows and found too little: run it again, waiting for them."""


class Read:
    """A snapshot of the book.

    `now` is its time in UTC milliseconds; `sight` bounds what is found; `new_rules` says that the
    access rules were changed in it.
    """

    __slots__ = ("_streams", "conn", "dialect", "new_rules", "now", "sight")

    def __init__(self, conn: Connection, dialect: Dialect, now: int) -> None:
        self.conn = conn
        self.dialect = dialect
        self.now = now
        self.sight = ALL
        self.new_rules = False
        self._streams: list[CursorResult[Any]] = []  # Any: see run

    # Any: rows and parameters are of the columns' types, which SQLAlchemy does not tell.
    def run(self, statement: Executable, params: Any = None) -> CursorResult[Any]:
        """Execute one statement."""
        return self.conn.execute(statement, params)

    def stream(
        self, statement: Executable, params: Any = None, *, rows: int = STREAM_ROWS
    ) -> CursorResult[Any]:
        """Execute a query whose rows are fetched as they are read; closed with the transaction."""
        options = {"yield_per": rows}
        result = self.conn.execute(statement, params, execution_options=options)
        self._streams.append(result)
        return result

    def close_streams(self) -> None:
        """Close what was not read to its end."""
        for result in self._streams:
            result.close()


class Write(Read):
    """A transaction that changes the book.

    `patient` waits for rows that others have locked; else they are skipped. `deferred` is written
    together with the commit; `owned` is what projects own more or less by then (see `quotas`).
    `sign` makes the installation's signature, where it has a key.
    """

    __slots__ = ("deferred", "owned", "patient", "sign")

    def __init__(self, conn: Connection, dialect: Dialect, now: int, *, patient: bool) -> None:
        super().__init__(conn, dialect, now)
        self.patient = patient
        self.owned: dict[UUID, tuple[int, int]] = {}
        self.sign: Sign | None = None
        self.deferred: list[tuple[str, Any]] = []  # Any: the driver's parameters

    def defer(self, native: str, params: Any) -> None:  # Any: the driver's parameters
        """Leave a native statement, whose answer nobody needs, to go out with the commit."""
        self.deferred.append((native, params))

    def flush(self) -> None:
        """Write what was deferred now, because a later statement must see it."""
        waiting, self.deferred = self.deferred, []
        self.dialect.execute_all(self.conn, waiting)


class Store:
    """One database; hands out transactions. `away_at`: when (monotonic) it was last not there."""

    def __init__(self, dialect: Dialect, clock: Clock, sign: Sign | None = None) -> None:
        self.dialect = dialect
        self.clock = clock
        self.sign = sign
        self._inside = threading.local()
        self.away_at = -math.inf

    def close(self) -> None:
        """Give every connection back to the database."""
        self.dialect.close()

    @contextmanager
    def reading(self, *, deadline: float | None = None) -> Iterator[Read]:
        """One snapshot for several statements."""
        with self._guarded("read", deadline) as (conn, _):
            r = Read(conn, self.dialect, self.clock())
            try:
                yield r
            finally:
                r.close_streams()

    @contextmanager
    def writing(self, *, patient: bool = False, deadline: float | None = None) -> Iterator[Write]:
        """One transaction; commits at the end of the block, rolls back on any exception."""
        with self._guarded("write", deadline) as (conn, enter):
            tx = Write(conn, self.dialect, self.clock(), patient=patient)
            tx.sign = self.sign
            try:
                yield tx
            finally:
                tx.close_streams()
            if unheard := self.dialect.unheard(conn):
                raise unheard
            enter("commit")
            self.dialect.commit(conn, tx.deferred)

    def allocate_at_once(
        self, wishes: Sequence[PlainAllocation], deadline: float
    ) -> list[tuple[int, int] | None]:
        """As the dialect's; whatever is lost on the way is lost while committing."""
        phase: Phase = "connect"

        def enter(new: Phase) -> None:
            nonlocal phase
            phase = new

        try:
            return self.dialect.allocate_at_once(wishes, deadline, enter)
        except PoolTimeout as error:
            raise _all_in_use() from error
        except self.dialect.errors as error:
            raise self._unconnected(error, phase) from error

    @contextmanager
    def _guarded(
        self, mode: str, deadline: float | None
    ) -> Iterator[tuple[Connection, Callable[[Phase], None]]]:
        if getattr(self._inside, "busy", False):
            raise Bug("a transaction was begun inside another", phase="begin")
        phase: Phase = "connect"

        def enter(new: Phase) -> None:
            nonlocal phase
            phase = new

        self._inside.busy = True
        try:
            with self.dialect.exclusive(mode, deadline):
                conn = self.dialect.connect(deadline)
                try:
                    enter("begin")
                    self.dialect.begin(conn, mode, deadline)
                    enter("statement")
                    yield conn, enter
                except self.dialect.errors as error:
                    translated = self.dialect.typed(self.dialect.unheard(conn) or error, phase)
                    self._undo(conn, trusted=translated.code not in UNTRUSTED)
                    raise translated from error
                except BaseException:
                    self._undo(conn, trusted=True)
                    raise
                finally:
                    self._give_back(conn)
        except PoolTimeout as error:
            raise _all_in_use() from error
        except self.dialect.errors as error:
            raise self._unconnected(error, phase) from error
        except StoreError as error:
            self._leave(error)
            raise
        finally:
            self._inside.busy = False

    def _unconnected(self, error: Exception, phase: Phase) -> StoreError:
        translated = self.dialect.typed(error, phase)
        self._leave(translated)
        return translated

    def _leave(self, error: StoreError) -> None:
        """Every connection to a database that went away, or stepped down, is given up."""
        if error.code in ("not-primary", "store-unavailable", "commit-unknown"):
            self.away_at = time.monotonic()
            self.dialect.drop_connections()

    def _give_back(self, conn: Connection) -> None:
        """Give a connection back to the pool: what was done is committed or undone by now.

        Only a snapshot still ends here. Where that fails, what was read stands all the same; the
        pool resets the connection, or throws it away.
        """
        try:
            conn.close()
        except self.dialect.errors:
            if not conn.closed:
                self.dialect.discard(conn)
                conn.close()

    def _undo(self, conn: Connection, *, trusted: bool) -> None:
        """Roll back; a connection in doubt is thrown away, and the first error stands."""
        try:
            conn.rollback()
        except Exception:  # noqa: BLE001 - whatever it was, the connection is not trusted again
            trusted = False
        if not trusted:
            self.dialect.discard(conn)


def _all_in_use() -> Overloaded:
    return Overloaded("every connection to the database is in use; try again", phase="connect")
