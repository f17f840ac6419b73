"""P6: one prefix costs the same whether the pool is empty or nearly full.

On each database, with each placement, two pools that give /24s, or /64s: one is fresh, the other
one is nearly full. In turn, some are allocated from each, one by one and durably, until the second
is full. `--bits 16` makes them a /8 and a /48; with 17, /64s of a /47.
"""

from __future__ import annotations

import statistics
import time

from ground import Bench, Figure, Ground, checked, interleaved, options

from allotment.bootstrap import local_owner, open_book
from allotment.model.commands import (
    AllocatePrefix,
    Batch,
    CreateAddressScope,
    CreateSubnetPool,
)
from allotment.model.prefix import Prefix
from allotment.model.results import PrefixPlacement

REACH = 1.3
TREES = {"10.0.0.0": 24, "2001:db8::": 64}
"""Where a pool begins, and how long the prefixes are that it gives."""
COMPARED_MAX = 1_000
FILLED_AT_ONCE = 1_000
ME = local_owner()


def main() -> None:
    """Compare a fresh pool with one that is nearly full, of each kind."""
    sizes = options(
        __doc__,
        databases=(["postgresql", "sqlite"], ["sqlite"]),
        placements=([str(one) for one in PrefixPlacement],) * 2,
        bits=(13, 6),
        rounds=(10, 2),
    )
    bench = Bench(claim="P6", options=sizes)
    with Ground() as ground:
        for kind in sizes.databases:
            for base, length in TREES.items():
                for placement in sizes.placements:
                    pool = f"{base}/{length - sizes.bits}"
                    command = AllocatePrefix(
                        pool="p", length=length, placement=PrefixPlacement(placement)
                    )
                    name = f"{kind}, {placement}: the last /{length}s of {pool}"
                    bench.add(_figure(ground, kind, command, pool, name, sizes.rounds))
        bench.note("check", "clean, and every pool that was to be full is")
        bench.finish(ground)


class _Pool:
    """A book with one subnet pool that hands out prefixes of one length."""

    def __init__(self, ground: Ground, kind: str, command: AllocatePrefix, pool: str) -> None:
        self._url = ground.database(kind)
        self.desk = open_book(self._url, create=True)
        self._command = command
        self._held: set[Prefix] = set()
        self.desk.do(CreateAddressScope(name="bench"), ME)
        self.desk.do(CreateSubnetPool(name="p", scope="bench", prefixes=(Prefix(pool),)), ME)

    def fill(self, count: int) -> float:
        """So many prefixes, many in one transaction; how many a second."""
        began = time.perf_counter()
        for start in range(0, count, FILLED_AT_ONCE):
            some = [self._command] * min(FILLED_AT_ONCE, count - start)
            for given in self.desk.do(Batch(commands=tuple(some)), ME):
                self._held.add(given.prefix)
        return count / (time.perf_counter() - began)

    def measured(self, count: int) -> float:
        """So many more, each in its own transaction; the median in milliseconds."""
        spans = []
        for _ in range(count):
            began = time.perf_counter()
            given = self.desk.do(self._command, ME)
            spans.append((time.perf_counter() - began) * 1000)
            self._held.add(given.prefix)
        return statistics.median(spans)

    def close(self, ground: Ground, count: int) -> None:
        """Prove that so many were handed out, each once."""
        assert len(self._held) == count, "a prefix was handed out twice"
        checked(self.desk)
        self.desk.close()
        ground.drop(self._url)


def _figure(
    ground: Ground, kind: str, command: AllocatePrefix, prefix: str, name: str, rounds: int
) -> Figure:
    assert command.length is not None
    size = 1 << command.length - int(prefix.rpartition("/")[2])
    compared = min(COMPARED_MAX, size // 4) // rounds * rounds
    fresh, full = (_Pool(ground, kind, command, prefix) for _ in range(2))
    rate = full.fill(size - compared)
    part = compared // rounds
    samples = interleaved(
        {"full": lambda: full.measured(part), "fresh": lambda: fresh.measured(part)}, rounds
    )
    fresh.close(ground, compared)
    full.close(ground, size)
    return Figure(
        name=name,
        unit="ms",
        baseline_name=f"the first {compared:,}",
        product=samples["full"],
        baseline=samples["fresh"],
        reach=REACH,
        at_most=True,
        notes={"before, many at once": f"{rate:,.0f} per s"},
    )


if __name__ == "__main__":
    main()
