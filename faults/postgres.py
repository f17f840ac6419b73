"""PostgreSQL servers of a campaign's own, killed as a power cut would.

Invariant: a kill takes the postmaster and every backend at one instant: nothing is left to finish
what it was doing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from faults import stage  # noqa: F401  (it finds the harness of the tests)
from faults.victims import until
from postgres_cluster import Cluster

LEAVE_SECONDS_MAX = 35.0  # a statement may wait as long as its time-out
_SESSIONS = (
    "SELECT pid, state, left(query, 60) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


@contextmanager
def server(folder: Path) -> Iterator[Cluster]:
    """A started server that ends with the campaign."""
    cluster = Cluster(folder / "pg")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def kill_all(cluster: Cluster) -> int:
    """Kill the server and all its backends outright; how many processes that were."""
    os.kill(cluster.pid, signal.SIGSTOP)  # it starts no other meanwhile
    children = children_of(cluster.pid)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    cluster.kill()
    return len(children) + 1


def children_of(parent: int) -> list[int]:
    """The processes that a process has started, and that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            fields = stat.read_text().rpartition(") ")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found


def left_behind(url: str) -> Iterator[str]:
    """What clients that have gone may not leave: sessions, transactions, locks (L2).

    A server notices that a client was killed when it next reads or writes: it has a moment.
    """
    with psycopg.connect(url, autocommit=True) as conn:
        until(lambda: not conn.execute(_SESSIONS).fetchall(), LEAVE_SECONDS_MAX, pause=0.05)
        for session in conn.execute(_SESSIONS).fetchall():
            yield f"L2 a session was left: {session}"
        locks = conn.execute("SELECT * FROM pg_locks WHERE locktype = 'advisory'").fetchall()
        for lock in locks:
            yield f"L2 an advisory lock was left: {lock}"
        prepared = conn.execute("SELECT gid FROM pg_prepared_xacts").fetchall()
        for one in prepared:
            yield f"L2 a prepared transaction was left: {one}"
