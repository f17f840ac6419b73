"""S3: every read and write costs the same in a book a thousand times as large; check and export
take linear time and bounded memory.

Books on PostgreSQL: with 10^4 to (by option) 10^7 allocations of one subnet; with few and many
subnets of one scope; with few and many events; and an IPv6 /64 under random placement with few and
many addresses held. Allocations and events come through the product's own doors; most of the many
subnets and of the scattered addresses are entered as rows (stock.py), and the check proves them.
The same reads and writes in turn on all of a kind; then `allotment check` and `allotment export
csv`, each in a process of its own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg
import stock
from ground import Bench, Book, Figure, Ground, interleaved, options
from p4_flatness import Case
from s1_wal_and_bloat import LAZY, Groups

from allotment.bootstrap import local_owner, open_book
from allotment.model.address import Address
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    Batch,
    CreateSubnet,
    DeleteSubnet,
    UpdateSubnet,
)
from allotment.model.events import ListEvents, SealAudit
from allotment.model.prefix import Prefix
from allotment.model.queries import (
    GetAllocation,
    GetUtilisation,
    ListAllocations,
    ListFree,
    ListSubnets,
    Lookup,
    Search,
)
from allotment.model.results import AddressPlacement
from allotment.store.pages import write_cursor

REACH = 1.3
PAGE = 1_000
BY_DOOR = 100
SLOW_MS = 1_000.0
"""Work that takes so long is done once a round."""
MIB = 1 << 20
COMMAND = """
import os, sys, time
from pathlib import Path
from allotment.doors.cli import main
began = time.monotonic()
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
print(time.monotonic() - began, peak, file=sys.stderr)
"""


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """An open book of some size, and the addresses that reads ask for."""

    size: int
    case: Case
    some: Sequence[Address]

    def ask(self, query: object) -> object:
        """As the owner."""
        return self.case.desk.ask(query, local_owner())  # type: ignore[arg-type]  # any query

    @property
    def middle(self) -> Address:
        """An address that is held, in the middle of what is."""
        return self.some[len(self.some) // 2]


Work = Callable[[Shelf], float]
Fill = Callable[[Book, int], Sequence[Address]]


def main() -> None:
    """One kind of largeness after another."""
    sizes = options(
        __doc__, held=([10_000, 1_000_000], [2_000, 4_000]), subnets=(10_000, 100),
        events=(100_000, 2_000), scattered=(10_000, 200), reads=(50, 3), rounds=(7, 1),
        batch=(25, 2), export=(1_000_000, 1_000_000),
        kinds=(["held", "scattered", "subnets", "events"],) * 2,
    )  # fmt: skip
    bench = Bench(claim="S3", options=sizes)
    with Ground() as ground:
        placements = {f"allocation, {one}": _writing(one) for one in AddressPlacement}
        alike = {name: read for name, read in READS.items() if name not in FULL_ONLY}
        kinds: dict[str, tuple[list[int], Fill, dict[str, Work]]] = {
            "scattered": (_few(sizes.scattered), _scattered, placements | alike),
            "subnets": (_few(sizes.subnets), _subnets, OF_SUBNETS),
            "held": (sizes.held, _held, placements | READS),
            "events": (_few(sizes.events), _events, OF_EVENTS),
        }
        for kind in sizes.kinds:
            _compared(ground, bench, kind, *kinds[kind])
            bench.finish(ground)  # what is known is kept, if a later kind takes too long


def _few(many: int) -> list[int]:
    """A hundredth beside the whole."""
    return [max(many // 100, 100), many]


def _compared(
    ground: Ground,
    bench: Bench,
    what: str,
    counts: Sequence[int],
    fill: Fill,
    works: dict[str, Work],
) -> None:
    """Fill a book for each count, do the same on all in turn; then read each from end to end."""
    shelves = [_shelf(ground, bench, f"{count:,} {what}", fill, count) for count in counts]
    ground.settle()
    for name, work in works.items():
        bench.add(_figure(f"{name}, {what}", work, shelves, bench.options))
    for shelf in shelves:
        shelf.case.desk.close()
    for command in ("check", "export csv"):
        for shelf in shelves:
            if command != "check" and shelf.size > bench.options.export:
                continue
            seconds, peak = _run(command, shelf.case.book.url)
            each = round(seconds / shelf.size * 1e6, 1)
            told = {"s": round(seconds, 1), "peak MiB": round(peak), "µs each": each}
            bench.note(f"{command}, {shelf.case.name}", told)
    for shelf in shelves:
        ground.drop(shelf.case.book.url)


def _shelf(
    ground: Ground,
    bench: Bench,
    name: str,
    fill: Fill,
    count: int,
) -> Shelf:
    prefix = "2001:db8::/64" if fill is _scattered else "10.0.0.0/8"
    book = ground.book("postgresql", prefix)
    began = time.perf_counter()
    some = fill(book, count)
    seconds = time.perf_counter() - began
    with psycopg.connect(book.url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")
        row = conn.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    told = {"s": round(seconds, 1), "per s": round(count / seconds), "MiB": row[0] // MIB}
    bench.note(f"loaded, {name}", told)
    case = Case(name=name, book=book, desk=open_book(book.url), batch=bench.options.batch)
    return Shelf(size=count, case=case, some=some)


# --- ways of filling a book


def _held(book: Book, count: int) -> Sequence[Address]:
    """In a hundred calls or so, each with a host name of its own."""
    share = max(PAGE, count // 100)
    with open_book(book.url) as desk:
        for number, start in enumerate(range(0, count, share)):
            command = AllocateAddresses(
                subnet=book.subnet, count=min(share, count - start), hostname=f"host-{number:08}"
            )
            desk.do(command, local_owner())
    first = Address("10.0.0.2").value
    return [Address.of(4, first + place) for place in range(0, count, max(count // 500, 1))]


def _subnets(book: Book, count: int) -> Sequence[Address]:
    """/28s from 172.16.0.0 on: a hundred made in one transaction, the others are its copies."""
    base = Address("172.16.0.0").value
    places = [Address.of(4, base + 16 * number) for number in range(count)]
    made = [CreateSubnet(scope="bench", prefix=Prefix(f"{one}/28")) for one in places[:BY_DOOR]]
    with open_book(book.url + LAZY) as desk:
        began = time.perf_counter()
        desk.do(Batch(commands=tuple(made)), local_owner())
        print(f"    {len(made) / (time.perf_counter() - began):,.0f} subnets a second by the door")
        desk.do(AllocateAddresses(subnet=book.subnet, count=PAGE), local_owner())
    if count > BY_DOOR:
        stock.copy_subnets(book.url, BY_DOOR, count - 1)
    return places


def _events(book: Book, count: int) -> Sequence[Address]:
    """An event for each address that is allocated, 512 in each transaction; sealed, as in life."""
    with open_book(book.url + LAZY) as desk:
        groups = Groups(desk, book.subnet)
        taken = [one for _ in range(max(count // 512, 1)) for one in groups.take(512, keyed=False)]
        sealed = None
        while (anchor := desk.do(SealAudit(), local_owner())) != sealed:
            sealed = anchor
        return taken


def _scattered(book: Book, count: int) -> Sequence[Address]:
    """At random places of a /64: a hundred allocated, the others entered beside them."""
    one = AllocateAddress(subnet=book.subnet, placement=AddressPlacement.RANDOM)
    with open_book(book.url + LAZY) as desk:
        desk.do(Batch(commands=(one,) * BY_DOOR), local_owner())
    return [Address.of(6, value) for value in stock.scatter(book, max(count - BY_DOOR, 1))]


# --- what is done on them


def _figure(name: str, work: Work, shelves: Sequence[Shelf], sizes: object) -> Figure:
    """The largest book beside the smallest; what is between them is in the notes."""
    reads: int = sizes.reads  # type: ignore[attr-defined]  # options
    rounds: int = sizes.rounds  # type: ignore[attr-defined]  # options
    contenders = {
        shelf.case.name: (lambda shelf=shelf: _median(work, shelf, reads)) for shelf in shelves
    }
    samples = interleaved(contenders, rounds, lambda: [_median(work, one, 2) for one in shelves])
    names = list(contenders)
    return Figure(
        name=f"{name}: {shelves[-1].size:,}",
        unit="ms",
        baseline_name=names[0],
        product=samples[names[-1]],
        baseline=samples[names[0]],
        reach=REACH,
        at_most=True,
        notes={one: round(statistics.median(samples[one]), 3) for one in names},
    )


def _median(work: Work, shelf: Shelf, times: int) -> float:
    """In milliseconds; what allocates is a batch by itself."""
    if getattr(work, "batch", False):
        return work(shelf)
    spans: list[float] = []
    while len(spans) < times and sum(spans) < SLOW_MS:
        spans.append(work(shelf))
    return statistics.median(spans)


def _writing(placement: AddressPlacement) -> Work:
    def work(shelf: Shelf) -> float:
        command = UpdateSubnet(subnet=shelf.case.book.subnet, placement=placement)
        shelf.case.desk.do(command, local_owner())
        return shelf.case.measured() * 1000

    work.batch = True  # type: ignore[attr-defined]  # a mark
    return work


def _reading(query: Callable[[Shelf], object]) -> Work:
    def work(shelf: Shelf) -> float:
        asked = query(shelf)
        began = time.perf_counter()
        shelf.ask(asked)
        return (time.perf_counter() - began) * 1000

    return work


def _creating(shelf: Shelf) -> float:
    """A subnet is made, and then deleted (not timed)."""
    command = CreateSubnet(scope="bench", prefix=Prefix("192.168.0.0/28"))
    began = time.perf_counter()
    made = shelf.case.desk.do(command, local_owner())
    span = (time.perf_counter() - began) * 1000
    shelf.case.desk.do(DeleteSubnet(subnet=str(made.id)), local_owner())
    return span


def _cursor(shelf: Shelf) -> str:
    return write_cursor((str(UUID(shelf.case.book.subnet)), shelf.middle.value))


def _of(shelf: Shelf) -> str:
    return shelf.case.book.subnet


READS: dict[str, Work] = {
    "one by its address": _reading(lambda s: GetAllocation(subnet=_of(s), address=s.middle)),
    "a page of 1,000 at half": _reading(
        lambda s: ListAllocations(subnet=_of(s), limit=PAGE, cursor=_cursor(s))
    ),
    "search by a host name": _reading(lambda _: Search(text="host-00000001", limit=16)),
    "longest match": _reading(lambda s: Lookup(address=s.middle)),
    "utilisation of the subnet": _reading(lambda s: GetUtilisation(containers=(_of(s),))),
    "free space, first page": _reading(lambda s: ListFree(container=_of(s), limit=100)),
}
FULL_ONLY = {"a page of 1,000 at half", "search by a host name"}
OF_SUBNETS: dict[str, Work] = {
    "a subnet made": _creating,
    "longest match": READS["longest match"],
    "a page of 10 subnets at half": _reading(
        lambda s: ListSubnets(scope="bench", limit=10, cursor=_half_of_subnets(s))
    ),
    "utilisation of 10 subnets": _reading(
        lambda _: GetUtilisation(scope="bench", kind="subnet", limit=10)
    ),
    "allocation": _writing(AddressPlacement.LOWEST),
}
OF_EVENTS: dict[str, Work] = {
    "allocation": _writing(AddressPlacement.LOWEST),
    "the first 100 events": _reading(lambda _: ListEvents(limit=100)),
    "100 events from half on": _reading(lambda s: ListEvents(limit=100, after=s.size // 2)),
}


def _half_of_subnets(shelf: Shelf) -> str:
    """The cursor of a page that ends in the middle."""
    return write_cursor((4, shelf.middle.value, 28, str(UUID(int=0))))


def _run(command: str, url: str) -> tuple[float, float]:
    """Seconds and peak MiB of a command line."""
    arguments = [sys.executable, "-c", COMMAND, *command.split(), "--database", url]
    done = subprocess.run(
        arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    seconds, peak = done.stderr.split()[-2:]
    return float(seconds), float(peak) / 1024


if __name__ == "__main__":
    main()
