"""A connection that waits no longer for its server than the request it works for may take.

Invariant: a wait that is given up ends the connection; nobody uses it again.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import psycopg
from psycopg.errors import _WaitTimeout

WAIT_SECONDS_MIN = 0.1

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
