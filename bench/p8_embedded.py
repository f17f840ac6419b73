"""P8: embedded in a program, on a SQLite file, against a bare INSERT per commit.

One thread, and 32 threads on one desk, allocate single addresses of one 10.0.0.0/8 durably
(WAL, synchronous=FULL). The baseline: one thread of the same Python that commits one INSERT after
another into a table with the same key, in a copy of the same file with the same pragmas.
"""

from __future__ import annotations

import sqlite3
import statistics
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from crew import threads_slot
from ground import Bench, Book, Figure, Ground, checked, interleaved, options
from p2_threads import allocator
from plain import SUBNET

from allotment.bootstrap import open_book

REACH_ALONE, REACH_TOGETHER = 0.6, 10.0
TABLE = (
    "CREATE TABLE plain (subnet_id BLOB NOT NULL, address BLOB NOT NULL, id BLOB NOT NULL,"
    " PRIMARY KEY (subnet_id, address)) WITHOUT ROWID"
)
INSERT = "INSERT INTO plain (subnet_id, address, id) VALUES (?, ?, ?)"
PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "temp_store": 2}


class BareInsert:
    """A connection that inserts one row and commits, again and again."""

    def __init__(self, book: Book) -> None:
        path = book.url.removeprefix("sqlite:///")
        self._conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for name, value in PRAGMAS.items():
            self._conn.execute(f"PRAGMA {name} = {value}")
            assert self._conn.execute(f"PRAGMA {name}").fetchone() == (value,)
        self._conn.execute(TABLE)
        self.count = 0

    def once(self) -> None:
        """One statement, which commits by itself."""
        self.count += 1
        self._conn.execute(INSERT, (SUBNET.bytes, self.count.to_bytes(16, "big"), uuid4().bytes))

    def in_transaction(self) -> None:
        """BEGIN IMMEDIATE, the statement, COMMIT."""
        self._conn.execute("BEGIN IMMEDIATE")
        self.once()
        self._conn.execute("COMMIT")

    def close(self) -> None:
        """Leave, after a look whether every row is there."""
        found = self._conn.execute("SELECT count(*) FROM plain").fetchone()
        assert found == (self.count,), "the baseline did what it was counted for"
        self._conn.close()


def main() -> None:
    """Measure one thread and many."""
    sizes = options(
        __doc__, threads=(32, 32), seconds=(4.0, 0.8), rounds=(7, 2), warm_up=(1.0, 0.2)
    )
    bench = Bench(claim="P8", options=sizes)
    with Ground() as ground:
        book = ground.book("sqlite", "10.0.0.0/8")
        bare = BareInsert(ground.copy(book, "sqlite"))
        held: list[int] = []
        with open_book(book.url) as desk:
            allocate = allocator(desk, book.subnet, held)
            kinds = {
                "alone": [allocate],
                "together": [allocate] * sizes.threads,
                "insert": [bare.once],
                "in transaction": [bare.in_transaction],
            }
            samples = interleaved(
                {name: _contender(jobs, sizes.seconds) for name, jobs in kinds.items()},
                sizes.rounds,
                lambda: [threads_slot(jobs, sizes.warm_up) for jobs in kinds.values()],
            )
            report = checked(desk, held)
        bare.close()
        for name, kind, reach in (
            ("1 thread", "alone", REACH_ALONE),
            (f"{sizes.threads} threads, one desk", "together", REACH_TOGETHER),
        ):
            bench.add(
                Figure(
                    name=f"SQLite, {name}",
                    unit="per s",
                    baseline_name="INSERT, 1 thread",
                    product=samples[kind],
                    baseline=samples["insert"],
                    reach=reach,
                )
            )
        bench.note(
            "INSERT between BEGIN IMMEDIATE and COMMIT, per s",
            round(statistics.median(samples["in transaction"]), 1),
        )
        size = Path(book.url.removeprefix("sqlite:///")).stat().st_size
        bench.note("check", f"clean; {report.allocations} addresses in {size / 2**20:.1f} MiB")
        bench.finish(ground)


def _contender(jobs: list[Callable[[], None]], seconds: float) -> Callable[[], float]:
    return lambda: threads_slot(jobs, seconds).rate


if __name__ == "__main__":
    main()
