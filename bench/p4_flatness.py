"""P4: one allocation costs the same however large and however full the subnet is.

Books with one subnet each - an empty /16 (the reference), an empty /8, an empty IPv6 /64, a /8
with 10^5, 10^6 (by option 10^7) addresses held, one with 10^6 held and then scattered holes, a /12
that is 99.99% full with scattered holes - on PostgreSQL and on SQLite. On each, with each
placement, single allocations are timed one by one in small batches, the books taking turns; after
each batch its addresses are given back (not timed), so that a book stays as full as it is.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ground import Bench, Book, Figure, Ground, checked, interleaved, options

from allotment.bootstrap import local_owner, open_book
from allotment.desk import LocalDesk
from allotment.model.address import Address
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    ReleaseAddresses,
    UpdateSubnet,
)
from allotment.model.results import AddressPlacement

REACH = 1.3
EMPTY = "empty /16"
FULL = "99.99% full /12"
FULL_PREFIX, FULL_QUICK_PREFIX = "10.0.0.0/12", "10.0.0.0/18"
RELEASED_AT_ONCE = 1000


@dataclass(kw_only=True)
class Case:
    """A book in a certain state, open, with the latencies of its current placement."""

    name: str
    book: Book
    desk: LocalDesk
    batch: int
    spans: list[float] = field(default_factory=list)

    def measured(self) -> float:
        """Allocate a batch one by one, give it back; the median latency in seconds."""
        actor = local_owner()
        command = AllocateAddress(subnet=self.book.subnet)
        held, spans = [], []
        for _ in range(self.batch):
            began = time.perf_counter()
            allocation = self.desk.do(command, actor)
            spans.append(time.perf_counter() - began)
            held.append(allocation.address)
        assert len(set(held)) == len(held), "an address was handed out twice"
        self.desk.do(ReleaseAddresses(subnet=self.book.subnet, addresses=tuple(held)), actor)
        self.spans += spans
        return statistics.median(spans)


def main() -> None:
    """Measure every case with every placement on every database."""
    sizes = options(
        __doc__,
        databases=(["postgresql", "sqlite"], ["postgresql", "sqlite"]),
        placements=([str(one) for one in AddressPlacement],) * 2,
        held=([100_000, 1_000_000], [2_000]),
        holes=(2_000, 50),
        batch=(25, 4),
        rounds=(10, 1),
        commit=("durable", "durable"),
    )
    if sizes.commit not in ("durable", "lazy"):
        raise SystemExit("--commit durable, or lazy: PostgreSQL without the wait for the disk")
    bench = Bench(claim="P4", options=sizes)
    with Ground() as ground:
        for kind in sizes.databases:
            cases = _cases(ground, kind, bench)
            if kind == "postgresql":
                ground.settle()
            for placement in sizes.placements:
                bench.add(_figure(kind, placement, cases, sizes.rounds))
            for case in cases:
                checked(case.desk)
                case.desk.close()
                ground.drop(case.book.url)
            bench.note(f"check, {kind}", f"clean, all {len(cases)} books")
        bench.finish(ground)


def _cases(ground: Ground, kind: str, bench: Bench) -> list[Case]:
    """Make the books; how long filling and releasing takes is noted."""
    sizes = bench.options
    prefix = FULL_QUICK_PREFIX if sizes.quick else FULL_PREFIX
    books = {
        EMPTY: ground.book(kind, "10.0.0.0/16"),
        "empty /8": ground.book(kind, "10.0.0.0/8"),
        "empty IPv6 /64": ground.book(kind, "2001:db8::/64"),
    }
    for count in sorted(sizes.held):
        book = ground.book(kind, "10.0.0.0/8")
        seconds = _filled(book, count)
        bench.note(f"{kind}: {count:,} addresses in one call", f"{seconds:.1f} s")
        books[f"{count:,} held in a /8"] = book
    book = ground.copy(book, kind)
    seconds = _holed(book, count, sizes.holes)
    rate = sizes.holes / seconds
    bench.note(f"{kind}: {sizes.holes:,} scattered releases", f"{seconds:.1f} s, {rate:,.0f} per s")
    books[f"{count:,} held with {sizes.holes:,} holes"] = book
    books[FULL] = book = ground.book(kind, prefix)
    size = 1 << 32 - int(prefix.rpartition("/")[2])
    _filled(book, size - 3)  # all but the network, the gateway and the broadcast address
    _holed(book, size - 3, max(size // 10_000, sizes.batch + 1))
    cases = []
    for name, book in books.items():
        cases.append(
            Case(name=name, book=book, desk=open_book(_url(book, sizes.commit)), batch=sizes.batch)
        )
    return cases


def _url(book: Book, commit: str) -> str:
    """Lazy commits (PostgreSQL alone has them) show the rest without the noise of the disk."""
    lazy = commit == "lazy" and book.url.startswith("postgresql")
    return book.url + ("?options=-c%20synchronous_commit%3Doff" if lazy else "")


def _filled(book: Book, count: int) -> float:
    with open_book(book.url) as desk:
        began = time.perf_counter()
        answer = desk.do(AllocateAddresses(subnet=book.subnet, count=count), local_owner())
        seconds = time.perf_counter() - began
    assert answer.count == count
    return seconds


def _holed(book: Book, held: int, holes: int) -> float:
    """Release addresses at random among those held (they begin at .2: the gateway has .1)."""
    seed = random.Random(4)
    first = Address("10.0.0.2").value
    values = seed.sample(range(first, first + held), holes)
    began = time.perf_counter()
    with open_book(book.url) as desk:
        for start in range(0, holes, RELEASED_AT_ONCE):
            some = tuple(Address.of(4, one) for one in values[start : start + RELEASED_AT_ONCE])
            desk.do(ReleaseAddresses(subnet=book.subnet, addresses=some), local_owner())
    return time.perf_counter() - began


def _figure(kind: str, placement: str, cases: list[Case], rounds: int) -> Figure:
    for case in cases:
        command = UpdateSubnet(subnet=case.book.subnet, placement=AddressPlacement(placement))
        case.desk.do(command, local_owner())
        case.measured()  # warm-up
        case.spans.clear()
    contenders: dict[str, Callable[[], float]] = {case.name: case.measured for case in cases}
    samples = interleaved(contenders, rounds)
    milliseconds = {name: [span * 1000 for span in found] for name, found in samples.items()}
    p99 = {case.name: _p99(case.spans) * 1000 for case in cases}
    figures = [
        Figure(
            name=f"{kind}, {placement}: worst, {name}",
            unit="ms",
            baseline_name=EMPTY,
            product=found,
            baseline=milliseconds[EMPTY],
            reach=REACH,
            at_most=True,
        )
        for name, found in milliseconds.items()
        if name != EMPTY
    ]
    worst = max(figures, key=lambda figure: figure.ratio)
    for figure, case in zip([None, *figures], cases, strict=True):
        worst.notes[case.name] = _told(milliseconds[case.name], p99[case.name], figure)
    return worst


def _told(medians: list[float], p99: float, figure: Figure | None) -> dict[str, Any]:
    told = {"median ms": round(statistics.median(medians), 3), "p99 ms": round(p99, 3)}
    return told | ({} if figure is None else {"ratio": round(figure.ratio, 3)})


def _p99(spans: list[float]) -> float:
    return sorted(spans)[min(len(spans) - 1, int(len(spans) * 0.99))]


if __name__ == "__main__":
    main()
