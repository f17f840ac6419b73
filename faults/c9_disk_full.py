"""C9, where the disk is full: of a SQLite book, and under a PostgreSQL server with clients at work.

Invariant: nothing is half done for want of room; once there is room again, everything works, and
what was acknowledged is there.
"""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.errors import AllotmentError
from allotment.model.commands import AllocateAddresses
from allotment.model.queries import CheckBook
from faults import stage
from faults.crew import Crew, desks_at_work
from faults.judge import history, rows
from faults.judge.verdict import judge
from faults.postgres import left_behind, server
from faults.record import Record
from faults.victims import until
from postgres_cluster import Cluster

DISK_MIB = 256
CHUNK = bytes(1 << 20)
FULL_SECONDS = 3.0
HEARD_SECONDS_MAX = 20.0
RECOVERY_SECONDS_MAX = 60.0
NO_DISK = "a full disk under PostgreSQL"


def postgres_full(record: Record, folder: Path, rounds: int) -> None:
    """A server whose whole disk is full for a while, and again; where a disk can be mounted."""
    disk = folder / "disk"
    disk.mkdir(mode=0o755)
    with _mounted(disk) as mounted:
        if not mounted:
            record.notes[NO_DISK] = "not tried: no disk of its own can be mounted here"
            return
        with server(disk) as cluster:
            url = cluster.url()
            home = folder / "full"
            home.mkdir()
            with desks_at_work(record, home, url, stage.build(url)) as crew:
                for _ in range(rounds):
                    _full_for_a_while(record, cluster, crew, disk)
            record.findings += left_behind(url)
            record.take(judge(history.read(crew.ledgers), rows.read(url)), " (full disk)")
            with open_book(url) as desk:
                if not desk.ask(CheckBook(), local_owner()).clean:
                    record.findings.append("S3 the book is not clean after the disk was full")
    record.need({"episodes: the disk of PostgreSQL is full": rounds, "take: store-full": rounds})


def _full_for_a_while(record: Record, cluster: Cluster, crew: Crew, disk: Path) -> None:
    ballast = disk / "ballast"
    heard = _heard(crew)
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(CHUNK) == len(CHUNK):
            pass
    until(lambda: _heard(crew) > heard, HEARD_SECONDS_MAX, pause=0.2)
    time.sleep(FULL_SECONDS)
    ballast.unlink()
    began = time.monotonic()
    if not cluster.runs:  # its log found no room: it stops outright, and is started by its keeper
        cluster.start()
        record.counts["servers that stopped for want of room"] += 1
    if crew.works_again(RECOVERY_SECONDS_MAX, 20) is None:
        record.findings.append("L1 nothing was served after the disk had been full")
    record.recoveries.append(time.monotonic() - began)
    record.counts["episodes: the disk of PostgreSQL is full"] += 1


def _heard(crew: Crew) -> int:
    """How often clients were told so."""
    return sum(path.read_bytes().count(b'"store-full"') for path in crew.ledgers if path.exists())


@contextmanager
def _mounted(place: Path) -> Iterator[bool]:
    """A small disk of its own, in memory; whether there is one."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], capture_output=True, check=False)


def sqlite_full(record: Record, folder: Path) -> None:
    """A SQLite book that may not grow: `store-full`, nothing half done; then it may, and works."""
    path = folder / "full.db"
    url = f"sqlite:///{path}"
    pools = stage.build(url, small=1)
    with open_book(url) as desk:
        _limit_pages(desk, path)
        before = rows.read(url)
        code = ""
        try:
            desk.do(AllocateAddresses(subnet=pools[-1].id, count=20_000), local_owner())
        except AllotmentError as error:
            code = error.code
        if code != "store-full":
            record.findings.append(f"E2 a full disk was told as {code or 'nothing'}")
        if len(rows.read(url).held) != len(before.held):
            record.findings.append("S10 a command that found the disk full changed the book")
    with open_book(url) as desk:
        desk.do(AllocateAddresses(subnet=pools[-1].id, count=20_000), local_owner())
        if not desk.ask(CheckBook(), local_owner()).clean:
            record.findings.append("S3 the book is not clean after the disk was full")
    record.counts["episodes: the disk of a SQLite book is full"] += 1


def _limit_pages(desk: LocalDesk, path: Path) -> None:
    from sqlalchemy import event

    with closing(sqlite3.connect(path)) as conn:
        (pages,) = conn.execute("PRAGMA page_count").fetchone()
    desk.store.dialect.drop_connections()

    def limit(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute(f"PRAGMA max_page_count = {pages + 5}")

    event.listen(desk.store.dialect.engine, "connect", limit)
