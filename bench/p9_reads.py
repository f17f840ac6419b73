"""P9: a read costs the same in a book a hundred times as large, and at any depth of a listing.

Two books on PostgreSQL, with `few` and `many` allocations of one subnet, each with a host name, and
beside them in the larger one many small subnets. The same reads in turn on both: one allocation by
its address, a page of 1,000 at half of the listing, a search by the beginning of a host name, the
longest matching prefix, and who held an address before, where as many periods have ended as are
held. The utilisation of all subnets is compared with a bound.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from ground import Bench, Book, Figure, Ground, checked, interleaved, options

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.model.address import Address
from allotment.model.commands import AllocateAddresses, Batch, CreateSubnet
from allotment.model.history import ListHistory
from allotment.model.prefix import Prefix
from allotment.model.queries import (
    GetAllocation,
    GetUtilisation,
    ListAllocations,
    Lookup,
    Search,
)

REACH = 1.3
UTILISATION_MS_MAX = 100.0
PAGE = 1_000
FIRST = Address("10.0.0.2").value
BEFORE_MS = 1_000
PERIODS = (
    "INSERT INTO allocation_period (scope_id, family, address, until, id, subnet_id, since, status)"
    " SELECT n.scope_id, n.family, a.address, a.created_at, gen_random_uuid(), n.id,"
    " a.created_at - %s, a.status FROM allocation a JOIN subnet n ON n.id = a.subnet_id"
)
NAMES = "UPDATE allocation SET hostname = 'host-' || encode(substr(address, 13, 4), 'hex')"


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """An open book with so many allocations, and as many periods that ended when these began.

    `half` is a cursor at half of their listing, `before` a time in the periods.
    """

    book: Book
    desk: LocalDesk
    held: int
    half: str
    before: int


def main() -> None:
    """Fill both books and read."""
    sizes = options(
        __doc__, few=(10_000, 4_000), many=(1_000_000, 8_000), subnets=(10_000, 50),
        reads=(100, 5), rounds=(10, 2),
    )  # fmt: skip
    bench = Bench(claim="P9", options=sizes)
    with Ground() as ground:
        few, many = _shelf(ground, sizes.few), _shelf(ground, sizes.many)
        _beside(many, sizes.subnets)
        for shelf in (few, many):
            with psycopg.connect(shelf.book.url, autocommit=True) as conn:
                conn.execute("VACUUM ANALYZE")
        ground.settle()
        for name, read in READS.items():
            bench.add(_figure(name, read, (few, many), sizes.reads, sizes.rounds))
        bench.add(_utilisation(many, sizes.subnets, sizes.rounds))
        for shelf in (few, many):
            checked(shelf.desk)
            shelf.desk.close()
        bench.note("check", "clean, both books")
        bench.finish(ground)


def _shelf(ground: Ground, held: int) -> Shelf:
    book = ground.book("postgresql", "10.0.0.0/8")
    desk = open_book(book.url)
    desk.do(AllocateAddresses(subnet=book.subnet, count=held), local_owner())
    with psycopg.connect(book.url, autocommit=True) as conn:
        conn.execute(NAMES)
        conn.execute(PERIODS, [BEFORE_MS])
        filled = conn.execute("SELECT min(created_at) FROM allocation").fetchone()
    assert filled is not None
    query = ListAllocations(subnet=book.subnet, limit=PAGE)
    cursor = None
    for _ in range(held // 2 // PAGE):
        cursor = desk.ask(
            ListAllocations(subnet=query.subnet, limit=PAGE, cursor=cursor), local_owner()
        ).next
    assert cursor is not None, "half of the listing is more than a page away"
    return Shelf(book=book, desk=desk, held=held, half=cursor, before=filled[0] - 1)


def _beside(shelf: Shelf, subnets: int) -> None:
    """So many /28s from 172.16.0.0 on, in the same scope."""
    base = Address("172.16.0.0").value
    made = [
        CreateSubnet(scope="bench", prefix=Prefix(f"{Address.of(4, base + 16 * number)}/28"))
        for number in range(subnets)
    ]
    for start in range(0, subnets, PAGE):
        shelf.desk.do(Batch(commands=tuple(made[start : start + PAGE])), local_owner())


def _by_address(shelf: Shelf) -> None:
    address = Address.of(4, FIRST + random.randrange(shelf.held))
    query = GetAllocation(subnet=shelf.book.subnet, address=address)
    assert shelf.desk.ask(query, local_owner()).address == address


def _page(shelf: Shelf) -> None:
    query = ListAllocations(subnet=shelf.book.subnet, limit=PAGE, cursor=shelf.half)
    assert len(shelf.desk.ask(query, local_owner()).items) == PAGE


def _search(shelf: Shelf) -> None:
    name = f"host-{FIRST + random.randrange(shelf.held):08x}"
    assert len(shelf.desk.ask(Search(text=name[:-1], limit=16), local_owner()).items) > 0


def _longest_match(shelf: Shelf) -> None:
    address = Address.of(4, FIRST + random.randrange(shelf.held))
    assert shelf.desk.ask(Lookup(address=address), local_owner())


def _as_of(shelf: Shelf) -> None:
    address = Address.of(4, FIRST + random.randrange(shelf.held))
    query = ListHistory(address=address, at=shelf.before)
    assert len(shelf.desk.ask(query, local_owner()).items) == 1


READS: dict[str, Callable[[Shelf], None]] = {
    "one by its address": _by_address,
    "a page of 1,000 at half of the listing": _page,
    "search by the beginning of a host name": _search,
    "longest matching prefix": _longest_match,
    "as-of look-up": _as_of,
}


def _figure(
    name: str, read: Callable[[Shelf], None], shelves: tuple[Shelf, Shelf], reads: int, rounds: int
) -> Figure:
    few, many = shelves

    def of(shelf: Shelf) -> float:
        spans = []
        for _ in range(reads):
            began = time.perf_counter()
            read(shelf)
            spans.append((time.perf_counter() - began) * 1000)
        return statistics.median(spans)

    samples = interleaved(
        {"many": lambda: of(many), "few": lambda: of(few)},
        rounds,
        lambda: (read(few), read(many)),
    )
    return Figure(
        name=f"{name}, {many.held:,} held",
        unit="ms",
        baseline_name=f"{few.held:,} held",
        product=samples["many"],
        baseline=samples["few"],
        reach=REACH,
        at_most=True,
    )


def _utilisation(shelf: Shelf, subnets: int, rounds: int) -> Figure:
    """All pages of it, one after another."""
    spans = []
    for _ in range(rounds):
        began = time.perf_counter()
        cursor, seen = None, 0
        while True:
            query = GetUtilisation(scope="bench", kind="subnet", limit=PAGE, cursor=cursor)
            page = shelf.desk.ask(query, local_owner())
            seen += len(page.items)
            cursor = page.next
            if cursor is None:
                break
        spans.append((time.perf_counter() - began) * 1000)
        assert seen == subnets + 1, "each subnet once"
    return Figure(
        name=f"utilisation of {subnets:,} subnets",
        unit="ms",
        baseline_name="the bound",
        product=spans,
        baseline=[UTILISATION_MS_MAX] * len(spans),
        reach=1.0,
        at_most=True,
    )


if __name__ == "__main__":
    main()
