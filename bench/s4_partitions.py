"""S4: what partitions cost: the same work on a book whose big tables are in none, and in some.

On PostgreSQL, in turn: one address alone, groups of 64, a release of 64, one read by its address, a
page of 1,000. And how long it takes to put a book of so many allocations into partitions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ground import Bench, Book, Figure, Ground, checked, interleaved, options
from s1_wal_and_bloat import Groups

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.model.address import Address
from allotment.model.commands import AllocateAddresses, ReleaseAddresses
from allotment.model.queries import GetAllocation, ListAllocations

REACH = 1.3
WHOLE = "no partitions"


@dataclass(frozen=True, kw_only=True)
class Parted:
    """An open book, and groups of allocations of its subnet."""

    book: Book
    desk: LocalDesk
    groups: Groups

    def alone(self) -> None:
        """One address."""
        self.groups.take(1, keyed=True)

    def together(self) -> None:
        """64 in one group."""
        self.groups.take(64, keyed=True)

    def released(self) -> None:
        """64 are taken, and given back in one command."""
        gone = tuple(self.groups.take(64, keyed=False))
        self.desk.do(ReleaseAddresses(subnet=self.book.subnet, addresses=gone), local_owner())

    def read(self) -> None:
        """One by its address."""
        query = GetAllocation(subnet=self.book.subnet, address=Address("10.0.4.1"))
        self.desk.ask(query, local_owner())

    def page(self) -> None:
        """A thousand."""
        self.desk.ask(ListAllocations(subnet=self.book.subnet, limit=1000), local_owner())


WORK: dict[str, Callable[[Parted], None]] = {
    "one address": Parted.alone,
    "a group of 64": Parted.together,
    "64 taken and released": Parted.released,
    "one read by its address": Parted.read,
    "a page of 1,000": Parted.page,
}


def main() -> None:
    """Each kind of work on each book in turn."""
    sizes = options(
        __doc__, partitions=([4, 16, 64], [2]), held=(100_000, 2_000), times=(40, 3),
        rounds=(7, 1),
    )  # fmt: skip
    bench = Bench(claim="S4", options=sizes)
    with Ground() as ground:
        books = {WHOLE: _book(ground, bench, sizes.held, None)}
        for count in sizes.partitions:
            books[f"{count} partitions"] = _book(ground, bench, sizes.held, count)
        ground.settle()
        for name, work in WORK.items():
            samples = interleaved(
                {
                    told: (lambda one=one, work=work: _milliseconds(one, work, sizes.times))
                    for told, one in books.items()
                },
                sizes.rounds,
                lambda work=work: [_milliseconds(one, work, 3) for one in books.values()],
            )
            for told in list(books)[1:]:
                bench.add(
                    Figure(
                        name=f"{name}, {told}",
                        unit="ms",
                        baseline_name=WHOLE,
                        product=samples[told],
                        baseline=samples[WHOLE],
                        reach=REACH,
                        at_most=True,
                    )
                )
        for one in books.values():
            checked(one.desk)
            one.desk.close()
        bench.note("check", f"clean, all {len(books)} books")
        bench.finish(ground)


def _book(ground: Ground, bench: Bench, held: int, count: int | None) -> Parted:
    book = ground.book("postgresql", "10.0.0.0/8")
    with open_book(book.url) as desk:
        desk.do(AllocateAddresses(subnet=book.subnet, count=held), local_owner())
    if count is not None:
        began = time.perf_counter()
        open_book(book.url, create=True, partitions=count).close()
        seconds = time.perf_counter() - began
        bench.note(f"{held:,} allocations put into {count} partitions, s", round(seconds, 1))
    desk = open_book(book.url)
    return Parted(book=book, desk=desk, groups=Groups(desk, book.subnet))


def _milliseconds(one: Parted, work: Callable[[Parted], None], times: int) -> float:
    """Of the middle one."""
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        work(one)
        spans.append((time.perf_counter() - began) * 1000)
    return sorted(spans)[len(spans) // 2]


if __name__ == "__main__":
    main()
