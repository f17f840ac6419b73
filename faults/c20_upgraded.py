"""C20, its second half: a book of an older schema is upgraded while clients wait for it, and the
upgrade, or the server under it, is killed on the way.

Invariant: after every kill the book is of the old schema or of the new one, never of something
between; in the end the clients work on it, and what it held before is there still.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
from psycopg import sql

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.errors import SchemaMismatch, StoreUnavailable
from allotment.model.access import Actor
from allotment.model.queries import CheckBook
from allotment.store.schema import HEAD
from faults import stage  # noqa: F401  (it finds the harness of the tests)
from faults.crew import Crew, two_processes
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.ledger import Ledger
from faults.postgres import kill_all, left_behind, server
from faults.record import Record
from faults.stage import Pool
from faults.victims import Victim, silenced, until
from old_book import HELD, LOWEST, OLD_SCHEMAS, SUBNET, make_old_book
from postgres_cluster import Cluster

KILLS_EACH = 4
PATIENCE_SECONDS = 120.0
POOL = Pool(id=str(SUBNET), first=LOWEST + 1, size=14)


def upgraded(record: Record, folder: Path, times: int) -> None:
    """So many books, in turn on PostgreSQL and on SQLite."""
    if not times:
        return
    home = folder / "upgrades"
    home.mkdir(mode=0o755)
    with server(home) as cluster:
        for number in range(times):
            place = home / f"book-{number}"
            place.mkdir()
            old = OLD_SCHEMAS[number // 2 % len(OLD_SCHEMAS)]
            if number % 2:
                urls = [f"sqlite:///{place}/{name}.db" for name in ("book", "spare")]
                _one_book(record, place, urls, old, None)
                continue
            names = [f"book_{number}", f"spare_{number}"]
            with psycopg.connect(cluster.url(), autocommit=True) as conn:
                for name in names:
                    conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            urls = [cluster.url(name) for name in names]
            _one_book(record, place, urls, old, cluster)
            record.findings += left_behind(urls[0])
    record.need({"books upgraded": times, "upgrades killed": max(1, times)})


def _one_book(
    record: Record, folder: Path, urls: Sequence[str], old: str, cluster: Cluster | None
) -> None:
    """A book, and a spare one whose upgrade says how long one takes."""
    url = urls[0]
    for one in urls:
        Victim(partial(make_old_book, one, old)).wait()
    began = time.monotonic()
    Victim(partial(_upgrade, urls[1])).wait()
    seconds = time.monotonic() - began
    before = _before(folder)
    crew = Crew(two_processes(record, folder, [POOL], partial(_desk_at, url)))
    try:
        moments = sorted(record.chance.uniform(0, seconds) for _ in range(KILLS_EACH))
        for moment in moments:  # the early ones first: one that comes too late ends the row
            _killed(record, url, old, cluster if moment == moments[-1] else None, moment)
        both = [Victim(partial(_upgrade, url)) for _ in range(2)]  # at once: one waits
        for code in [victim.wait() for victim in both]:
            if code != 0:
                record.findings.append(f"L1 an upgrade that nobody killed ended with {code}")
        if _version(url) != HEAD:
            record.findings.append(f"U1 an upgraded book says that it is at {_version(url)}")
        if crew.works_again(PATIENCE_SECONDS, 20) is None:
            record.findings.append("L1 nothing was served after an upgrade")
        record.findings += crew.finish()
    finally:
        crew.kill()
    record.take(judge(history.read([*crew.ledgers, before]), rows.read(url)))
    with open_book(url) as desk:
        if not desk.ask(CheckBook(), local_owner()).clean:
            record.findings.append("S3 an upgraded book is not clean")
    record.counts["books upgraded"] += 1


def _killed(record: Record, url: str, old: str, cluster: Cluster | None, after: float) -> None:
    """Kill an upgrade after so many seconds, or the server under it; the book is one thing or the
    other.
    """
    began = _version(url)
    victim = Victim(partial(_upgrade, url))
    time.sleep(after)
    if cluster is not None:
        kill_all(cluster)
        cluster.start()
        victim.wait()
        record.counts["servers killed under an upgrade"] += 1
    else:
        victim.kill()
    found = _version(url)
    if found not in (old, HEAD):
        record.findings.append(f"U1 after a kill the book says that it is at {found}")
    if (began, found) == (old, old):
        record.counts["upgrades killed"] += 1
    elif began == old:
        record.counts["upgrades done before the kill"] += 1


def _upgrade(url: str) -> None:
    silenced()
    open_book(url, create=True).close()


def _desk_at(url: str, _number: int) -> tuple[LocalDesk, Actor]:
    """A desk of its own, as soon as the book is of the schema that it knows."""
    opened: list[LocalDesk] = []

    def tried() -> bool:
        try:
            opened.append(open_book(url))
        except (SchemaMismatch, StoreUnavailable):
            return False
        return True

    if not until(tried, PATIENCE_SECONDS, pause=0.05):
        raise SystemExit("the book was not upgraded")
    return opened[0], local_owner()


def _before(folder: Path) -> Path:
    """What the old book held, as a ledger has it: its event bears no mark."""
    path = folder / "ledger-before"
    ledger = Ledger(path, "before")
    ledger.enter(n="", op="take", t=time.monotonic(), pool=POOL.id, wanted=1, keyed=False)
    ledger.heard("", "ok", [(LOWEST + 1, str(HELD))])
    ledger.close()
    return path


def _version(url: str) -> str | None:
    query = "SELECT version_num FROM alembic_version"
    found: Sequence[tuple[str]]
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as conn:
            found = conn.execute(query).fetchall()
    else:
        with psycopg.connect(url, autocommit=True) as conn:
            found = conn.execute(query).fetchall()
    return found[0][0] if found else None
