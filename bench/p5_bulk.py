"""P5: 10^6 addresses in one call on PostgreSQL, against COPY of the same rows.

The baseline is the server's own work alone: the rows are rendered beforehand, once as binary and
once as text COPY data, and the faster of the two counts. Their table has the definition, key,
indexes, checks and foreign keys of the book's. As information: COPY with rows made and written by
Python within the time, as a program would do it. Each round has a new database; then the memory
that one call takes in the client is measured in processes of their own.
"""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from ground import Bench, Book, Figure, Ground, checked, interleaved, options

from allotment.bootstrap import clock, local_owner, open_book
from allotment.model.address import Address
from allotment.model.commands import AllocateAddresses

REACH = 2.0
PREFIX = "10.0.0.0/8"
FIRST = "10.0.0.2"  # the gateway has .1
ROWS_IN_A_CHUNK = 1000
COLUMNS = (
    "subnet_id, address, id, created_at, status, project_id, identifier, hostname, mac,"
    " description, tags"
)
TYPES = ["uuid", "bytea", "uuid", "int8", "text", "uuid", "text", "text", "text", "text", "text"]
FOREIGN_KEYS = (
    "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE conrelid = 'allocation'::regclass AND contype = 'f'"
)
INDEXES = "SELECT count(*) FROM pg_index WHERE indrelid = '{}'::regclass"
DIFFERENT = (
    "SELECT count(*) FROM allocation FULL JOIN copied USING (subnet_id, address, status)"
    " WHERE allocation.id IS NULL OR copied.id IS NULL"
)
Row = tuple[UUID, bytes, UUID, int, str]
_FIRST_ID = 0x7C1F2E3D4B5A4968 << 64 | 0b10 << 62


class Rows:
    """The rows that a call of this size enters, and both forms in which COPY takes them."""

    def __init__(self, count: int, subnet: UUID) -> None:
        self.count = count
        self._subnet = subnet
        self._at = clock()
        self.binary = list(
            self._chunks(self._packed(), b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff")
        )
        self.text = list(self._chunks(self._written(), b"", b""))

    def __iter__(self) -> Iterator[Row]:
        first = Address(FIRST).value
        for place in range(self.count):
            key = (first + place).to_bytes(16, "big")
            yield self._subnet, key, UUID(int=_FIRST_ID + place), self._at, "active"

    def _packed(self) -> Iterator[bytes]:
        pack = struct.Struct(">hi16si16si16siqi6s6i").pack
        nothing = (-1,) * 6
        for subnet, key, row_id, at, status in self:
            yield pack(
                *(11, 16, subnet.bytes, 16, key, 16, row_id.bytes, 8, at, 6, status.encode()),
                *nothing,
            )

    def _written(self) -> Iterator[bytes]:
        nothing = "\t\\N" * 6
        for subnet, key, row_id, at, status in self:
            yield f"{subnet}\t\\\\x{key.hex()}\t{row_id}\t{at}\t{status}{nothing}\n".encode()

    def _chunks(self, rows: Iterator[bytes], head: bytes, foot: bytes) -> Iterator[bytes]:
        if head:
            yield head
        waiting: list[bytes] = []
        for row in rows:
            waiting.append(row)
            if len(waiting) == ROWS_IN_A_CHUNK:
                yield b"".join(waiting)
                waiting.clear()
        yield b"".join(waiting) + foot


class Round:
    """One database: a book, and beside it the table that COPY fills."""

    def __init__(self, ground: Ground, template: Book, count: int) -> None:
        self.ground = ground
        self.book = ground.copy(template, "postgresql")
        self.count = count
        self.desk = open_book(self.book.url)
        self.conn = psycopg.connect(self.book.url, autocommit=True)
        self.conn.execute("CREATE TABLE copied (LIKE allocation INCLUDING ALL)")
        for name, definition in self.conn.execute(FOREIGN_KEYS).fetchall():
            self.conn.execute(f"ALTER TABLE copied ADD CONSTRAINT {name} {definition}")
        assert self._one(INDEXES.format("copied")) == self._one(INDEXES.format("allocation"))

    def allocate(self) -> float:
        """One command."""
        self.ground.settle()
        command = AllocateAddresses(subnet=self.book.subnet, count=self.count)
        began = time.perf_counter()
        answer = self.desk.do(command, local_owner())
        seconds = time.perf_counter() - began
        assert answer.count == self.count
        assert str(answer.ranges[0].first_address) == FIRST
        return seconds

    def copy(self, chunks: list[bytes], form: str) -> float:
        """COPY of what is rendered already."""
        self._emptied()
        began = time.perf_counter()
        statement = f"COPY copied ({COLUMNS}) FROM STDIN (FORMAT {form})"
        with self.conn.cursor().copy(statement) as copy:
            for chunk in chunks:
                copy.write(chunk)
        return time.perf_counter() - began

    def copy_rows(self, rows: Rows) -> float:
        """COPY of rows that Python makes and psycopg renders, in binary form."""
        self._emptied()
        nothing = (None,) * 6
        began = time.perf_counter()
        statement = f"COPY copied ({COLUMNS}) FROM STDIN (FORMAT binary)"
        with self.conn.cursor().copy(statement) as copy:
            copy.set_types(TYPES)
            for row in rows:
                copy.write_row(row + nothing)
        return time.perf_counter() - began

    def check(self) -> str:
        """That both tables hold the same addresses, each once, and the book is consistent."""
        assert self._one("SELECT count(*) FROM allocation") == self.count
        assert self._one("SELECT count(*) FROM copied") == self.count
        assert self._one(DIFFERENT) == 0, "COPY entered the same rows"
        began = time.perf_counter()
        report = checked(self.desk)
        seconds = time.perf_counter() - began
        return f"clean; {report.allocations} addresses, audited in {seconds:.1f} s"

    def close(self) -> None:
        """Drop the database."""
        self.desk.close()
        self.conn.close()
        self.ground.drop(self.book.url)

    def _emptied(self) -> None:
        self.conn.execute("TRUNCATE copied")
        self.ground.settle()

    def _one(self, query: str) -> Any:  # Any: whatever the query counts
        row = self.conn.execute(query).fetchone()
        assert row is not None
        return row[0]


def main() -> None:
    """Measure the time, then the memory."""
    sizes = options(__doc__, count=(1_000_000, 20_000), rounds=(3, 2))
    bench = Bench(claim="P5", options=sizes)
    with Ground() as ground:
        template = ground.book("postgresql", PREFIX)
        rows = Rows(sizes.count, UUID(template.subnet))
        samples, told = _measured(ground, template, rows, sizes)
        fastest = min(("binary", "text"), key=lambda form: statistics.median(samples[form]))
        bench.add(
            Figure(
                name=f"{sizes.count:,} addresses in one call",
                unit="s",
                baseline_name=f"COPY ({fastest}, rendered beforehand)",
                product=samples["allotment"],
                baseline=samples[fastest],
                reach=REACH,
                at_most=True,
                notes={
                    f"COPY {name}, s": round(statistics.median(found), 2)
                    for name, found in samples.items()
                    if name not in ("allotment", fastest)
                },
            )
        )
        for count in (sizes.count // 100, sizes.count // 10, sizes.count):
            bench.note(
                f"client memory that {count:,} addresses take, KiB",
                _memory(ground, template, count),
            )
        bench.note("check", told)
        bench.finish(ground)


def _measured(
    ground: Ground, template: Book, rows: Rows, sizes: Any
) -> tuple[dict[str, list[float]], str]:
    now: Round | None = None
    told = ""

    def begin() -> None:
        nonlocal now
        if now is not None:
            now.close()
        now = Round(ground, template, sizes.count)

    def current() -> Round:
        assert now is not None
        return now

    samples = interleaved(
        {
            "allotment": lambda: current().allocate(),
            "binary": lambda: current().copy(rows.binary, "binary"),
            "text": lambda: current().copy(rows.text, "text"),
            "from Python rows": lambda: current().copy_rows(rows),
        },
        sizes.rounds,
        before_round=begin,
    )
    told = current().check()
    current().close()
    return samples, told


def _memory(ground: Ground, template: Book, count: int) -> int:
    """How far one call raises the peak of a process that has made a small call before."""
    book = ground.copy(template, "postgresql")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        found = executor.submit(_peak, book, count).result()
    ground.drop(book.url)
    return found


def _peak(book: Book, count: int) -> int:
    with open_book(book.url) as desk:
        desk.do(AllocateAddresses(subnet=book.subnet, count=100), local_owner())
        # Not ru_maxrss: a spawned process inherits the peak of its parent there.
        Path("/proc/self/clear_refs").write_text("5")
        before = _highest_resident()
        desk.do(AllocateAddresses(subnet=book.subnet, count=count), local_owner())
        return _highest_resident() - before


def _highest_resident() -> int:
    """The peak of this process's memory in KiB, since it was last cleared (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    main()
