"""Commands on their way at the same time, and the moment when one waits for another.

Invariant: whoever waits here gives up in the end, and the test with it.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from allotment import LocalDesk
from allotment.errors import AllotmentError
from allotment.model.access import Actor
from allotment.model.commands import Command


def waiting(url: str, count: int = 1) -> None:
    """Until so many in the database wait for a lock."""
    deadline = time.monotonic() + 20
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(url, autocommit=True) as watcher:
        while time.monotonic() < deadline:
            row = watcher.execute(query).fetchone()
            if row is not None and row[0] >= count:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits")


class Caller(threading.Thread):
    """A command on its way, in a thread of its own."""

    def __init__(self, desk: LocalDesk, command: Command[Any], actor: Actor) -> None:
        super().__init__(daemon=True)
        self.desk, self.command, self.actor = desk, command, actor
        self.outcome: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.outcome = self.desk.do(self.command, self.actor)
        except AllotmentError as error:
            self.outcome = error

    def result(self) -> Any:
        self.join(60)
        assert not self.is_alive()
        return self.outcome


def by_index(url: str) -> str:
    """The same server, which reads a table from its beginning only where no index will do."""
    asked = make_url(url).update_query_dict({"options": "-c enable_seqscan=off"})
    return asked.render_as_string(hide_password=False)
