"""P1: many processes on one subnet, against a plain INSERT per commit.

1, 8 and 32 client processes, each with a desk and a connection of its own, allocate single
addresses of one 10.0.0.0/8 durably on PostgreSQL. The baseline: as many processes of the same
Python and psycopg, each committing one prepared INSERT after another (autocommit, one round trip)
into a table with the same key. Beside it, as information: the same INSERT between BEGIN and
COMMIT, and pgbench.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

from crew import Crew
from ground import Bench, Book, Figure, Ground, checked, interleaved, options
from plain import Pgbench, PlainInsert, check_table, make_table

from allotment.bootstrap import local_owner, open_book
from allotment.model.commands import AllocateAddress

REACH = {1: 0.6}
REACH_WIDE = 0.7
ALLOTMENT, INSERT, IN_TRANSACTION = "allotment", "insert", "begin, insert, commit"


class BookClient:
    """One process: a desk of its own, and a baseline connection of its own."""

    def __init__(self, place: int, book: Book, plain_url: str) -> None:
        self._actor = local_owner()
        self._subnet = book.subnet
        self._desk = open_book(book.url)
        self._plain = PlainInsert(plain_url, place)
        self._in_transaction = PlainInsert(plain_url, place, autocommit=False)
        self._held: list[int] = []

    def job(self, kind: str) -> Callable[[], None]:
        """One address, or one row."""
        return {
            ALLOTMENT: self._allocate,
            INSERT: self._plain.once,
            IN_TRANSACTION: self._in_transaction.once,
        }[kind]

    def _allocate(self) -> None:
        allocation = self._desk.do(AllocateAddress(subnet=self._subnet), self._actor)
        self._held.append(allocation.address.value)

    def finish(self) -> tuple[list[int], int]:
        """The addresses this process holds, and the rows it has inserted."""
        self._desk.close()
        rows = self._plain.count + self._in_transaction.count
        self._plain.close()
        self._in_transaction.close()
        return self._held, rows


def main() -> None:
    """Measure each width."""
    sizes = options(
        __doc__, clients=([1, 8, 32], [1, 3]), seconds=(2.0, 0.3), rounds=(5, 2), warm_up=(1.0, 0.1)
    )
    bench = Bench(claim="P1", options=sizes)
    with Ground() as ground:
        book = ground.book("postgresql", "10.0.0.0/8")
        plain_url = ground.database("postgresql")
        make_table(plain_url)
        pgbench = Pgbench(ground, plain_url)
        crew = Crew(max(sizes.clients), BookClient, book, plain_url)
        ground.settle()
        for width in sizes.clients:
            bench.add(_figure(width, crew, pgbench, sizes))
        shown = crew.finish()
        check_table(plain_url, sum(rows for _, rows in shown))
        with open_book(book.url) as desk:
            report = checked(desk, [address for held, _ in shown for address in held])
        bench.note("check", f"clean; {report.allocations} addresses, each handed out once")
        bench.finish(ground)


def _figure(width: int, crew: Crew, pgbench: Pgbench, sizes: object) -> Figure:
    seconds, rounds, warm_up = (getattr(sizes, name) for name in ("seconds", "rounds", "warm_up"))

    def contender(kind: str) -> Callable[[], float]:
        return lambda: crew.slot(kind, width, seconds).rate

    kinds = (ALLOTMENT, INSERT, IN_TRANSACTION)
    contenders = {kind: contender(kind) for kind in kinds}
    if pgbench.program is not None:
        contenders["pgbench"] = lambda: pgbench.rate(width, seconds)
    samples = interleaved(
        contenders, rounds, lambda: [crew.slot(kind, width, warm_up) for kind in kinds]
    )
    others = {
        f"{name}, per s": round(statistics.median(found), 1)
        for name, found in samples.items()
        if name not in (ALLOTMENT, INSERT)
    }
    return Figure(
        name=f"{width} client process{'es' if width > 1 else ''}",
        unit="per s",
        baseline_name="INSERT",
        product=samples[ALLOTMENT],
        baseline=samples[INSERT],
        reach=REACH.get(width, REACH_WIDE),
        notes=others,
    )


if __name__ == "__main__":
    main()
