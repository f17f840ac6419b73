"""A connection that waits no longer for its server than the request it works for may take.

Invariant: a wait that is given up ends the connection; nobody uses it again.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import generators
from psycopg.errors import _WaitTimeout, error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult
from sqlalchemy import Engine

Param = bytes | str | None

WAIT_SECONDS_MIN = 0.1
_NAME = b"allotment_spare"

# What psycopg would say there is in the errors it raises; who wants it adds a handler.
logging.getLogger("psycopg").addHandler(logging.NullHandler())


class TimedConnection(psycopg.Connection[Any]):  # Any: rows are of the statements' columns
    """The server's own limits stand still when the server does; this one does not."""

    give_up_at: float | None = None
    """When (monotonic seconds) the present request is over; None: never."""

    # Any: psycopg's protocol generators and what they return.
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


class Spare:
    """A connection with one prepared statement, which commits by itself.

    It speaks to libpq without a cursor between: that halves what a statement costs the client.
    """

    __slots__ = ("_encoding", "_raw", "born_in")

    def __init__(self, raw: TimedConnection, statement: str) -> None:
        raw.autocommit = True
        self._raw = raw
        self._encoding = raw.info.encoding
        self.born_in = os.getpid()
        self._raw.pgconn.send_prepare(_NAME, statement.encode(self._encoding))
        self._answer()

    def run(self, params: Sequence[Param], give_up_at: float) -> PGresult:
        """Execute the statement; its rows' values are in the binary form of their types.

        Raises:
            psycopg.Error: the server refused it, or was lost on the way.
        """
        self._raw.give_up_at = give_up_at
        values = [
            value.encode(self._encoding) if isinstance(value, str) else value for value in params
        ]
        self._raw.pgconn.send_query_prepared(
            _NAME, values, param_formats=[Format.BINARY] * len(values), result_format=Format.BINARY
        )
        return self._answer()

    def _answer(self) -> PGresult:
        found: PGresult = self._raw.wait(generators.execute(self._raw.pgconn))[-1]
        if found.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise error_from_result(found, encoding=self._encoding)
        return found

    def close(self) -> None:
        """Leave the server."""
        self._raw.close()


class Spares:
    """Spare connections that nobody uses at the moment; there are as many as ever worked at once.

    They come from the pool's door, but do without its ceremony when they are lent and given back.
    """

    def __init__(self, engine: Engine, statement: str) -> None:
        self._engine = engine
        self._statement = statement
        self._idle: list[Spare] = []

    def take(self) -> Spare:
        """The one that was used last, or a new one."""
        while self._idle:
            try:
                spare = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if spare.born_in == os.getpid():
                return spare
        pooled = self._engine.raw_connection()
        raw = pooled.driver_connection
        pooled.detach()
        assert isinstance(raw, TimedConnection)
        return Spare(raw, self._statement)

    def put_back(self, spare: Spare) -> None:
        """Keep one that is in order."""
        self._idle.append(spare)

    def close(self) -> None:
        """End those that nobody uses."""
        while self._idle:
            self._idle.pop().close()
