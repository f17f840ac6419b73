"""C9: what a database needs is taken away for a while: room, connections, a backend, its being
primary; and the clock jumps.

Invariant: meanwhile a client hears the error of the table; afterwards everything works again by
itself, and the book is as the clients know it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from allotment.bootstrap import local_owner, open_book
from allotment.model.queries import CheckBook
from faults import stage
from faults.c9_disk_full import postgres_full, sqlite_full
from faults.client import Client
from faults.crew import Crew, desks_at_work
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.ledger import Ledger
from faults.postgres import children_of, left_behind, server
from faults.record import Record
from faults.stage import Pool
from postgres_cluster import Cluster

SIZES: dict[str, dict[str, Any]] = {
    "gate": {"rounds": 1, "clients": 8},
    "long": {"rounds": 50, "clients": 16},
}
EPISODE_SECONDS = 2.0
RECOVERY_SECONDS_MAX = 30.0
REQUESTS_PER_JUMP = 20
DAY_MS = 24 * 3600 * 1000


def run(record: Record, folder: Path) -> None:
    """Every scarcity, in an order of chance, as many rounds as wanted."""
    sqlite_full(record, folder)
    postgres_full(record, folder, record.options.rounds)
    with server(folder) as cluster:
        url = cluster.url()
        pools = stage.build(url)
        with desks_at_work(record, folder, url, pools) as crew:
            for _ in range(record.options.rounds):
                kinds = list(EPISODES)
                record.chance.shuffle(kinds)
                for kind in kinds:
                    _episode(record, cluster, crew, kind)
            jumps = Ledger(folder / "ledger-jumps", "jumps")
            _clock_jumps(record, url, pools[-1], jumps)
        record.findings += left_behind(url)
        ledgers = [*crew.ledgers, folder / "ledger-jumps"]
        record.take(judge(history.read(ledgers), rows.read(url)))
    rounds = record.options.rounds
    record.need(
        {f"episodes: {kind}": rounds for kind in EPISODES}
        | {"episodes: the disk of a SQLite book is full": 1, "episodes: the clock jumps": 2}
    )


def _episode(record: Record, cluster: Cluster, crew: Crew, kind: str) -> None:
    with EPISODES[kind](cluster):
        time.sleep(EPISODE_SECONDS)
    began = time.monotonic()
    if crew.works_again(RECOVERY_SECONDS_MAX) is None:
        record.findings.append(f"L1 after '{kind}' nothing was served")
    record.recoveries.append(time.monotonic() - began)
    record.counts[f"episodes: {kind}"] += 1


@contextmanager
def _read_only(cluster: Cluster) -> Iterator[None]:
    """As a standby would: every new transaction is refused writes."""
    _say(cluster, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    yield
    _say(
        cluster,
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    )


@contextmanager
def _no_connections(cluster: Cluster) -> Iterator[None]:
    """Every place at the server is taken, and whoever was there has lost theirs."""
    taken: list[psycopg.Connection[Any]] = []
    try:
        for _ in range(2):
            while True:
                try:
                    taken.append(psycopg.connect(cluster.url(), connect_timeout=5))
                except psycopg.OperationalError:
                    break
            _end_others(taken[0])
        yield
    finally:
        for conn in taken:
            conn.close()


def _end_others(conn: psycopg.Connection[Any]) -> None:
    conn.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state IS DISTINCT FROM"
        " 'idle in transaction' AND pid <> pg_backend_pid() AND query NOT LIKE '%pg_terminate%'"
        " AND backend_type = 'client backend' AND query <> ''"
    )


@contextmanager
def _backend_killed(cluster: Cluster) -> Iterator[None]:
    """As when memory runs out: one backend is killed, and the server starts all anew."""
    with psycopg.connect(cluster.url()) as conn:
        row = conn.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " ORDER BY random() LIMIT 1"
        ).fetchone()
    assert row is not None
    if row[0] in children_of(cluster.pid):
        os.kill(row[0], signal.SIGKILL)
    yield


@contextmanager
def _stands_still(cluster: Cluster) -> Iterator[None]:
    """The server and its backends are paused: no answer, and no error either."""
    everybody = [cluster.pid, *children_of(cluster.pid)]
    for pid in everybody:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(everybody):
            os.kill(pid, signal.SIGCONT)


EPISODES: dict[str, Callable[[Cluster], Any]] = {  # Any: a context
    "the server takes no writes": _read_only,
    "the server takes no connections": _no_connections,
    "a backend is killed": _backend_killed,
    "the server stands still": _stands_still,
}


def _say(cluster: Cluster, *statements: str) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)


def _clock_jumps(record: Record, url: str, pool: Pool, ledger: Ledger) -> None:
    """A desk whose clock is 400 days off allocates all the same, and the book stays clean."""
    for days in (400, -400):
        with open_book(url) as desk:
            right = desk.store.clock
            desk.store.clock = lambda off=days, right=right: right() + off * DAY_MS
            client = Client(desk, local_owner(), ledger, pools=[pool], chance=record.chance)
            for _ in range(REQUESTS_PER_JUMP):
                client.step()
            if not client.acks:
                record.findings.append(f"L1 nothing was served with a clock {days} days off")
            if not desk.ask(CheckBook(), local_owner()).clean:
                record.findings.append(f"S3 the book is not clean with a clock {days} days off")
        record.counts["episodes: the clock jumps"] += 1
