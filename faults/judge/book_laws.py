"""Laws of the book at rest: uniqueness, membership, conservation, pools, subnets (S1 to S5).

Invariant: each law is told from rows only; a finding begins with the law's name.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from faults.judge.rows import Rows

Run = tuple[int, int]


def findings(rows: Rows) -> Iterator[str]:
    """Everything that is wrong with a book."""
    yield from _unique(rows)
    yield from _subnets_apart(rows)
    held = defaultdict(list)
    for subnet, address, _ in rows.held:
        held[subnet].append(address)
    for name, subnet in rows.subnets.items():
        pools = sorted(rows.pools.get(name, []))
        free = sorted(rows.free.get(name, []))
        yield from _apart(f"S4 pools of {name}", pools)
        yield from _apart(f"S3 free space of {name}", free)
        for first, last in pools:
            if not subnet.first <= first <= last <= subnet.last:
                yield f"S4 a pool of {name} is outside it: {first}-{last}"
        outside = [address for address in held[name] if not subnet.first <= address <= subnet.last]
        if outside:
            yield f"S2 {name} holds {len(outside)} addresses outside itself"
        size = sum(last - first + 1 for first, last in pools)
        space = sum(last - first + 1 for first, last in free)
        inside = sum(1 for address in held[name] if _within(address, pools))
        if space + inside != size:
            yield f"S3 {name}: {space} free + {inside} held in pools is not {size}"
        for first, last in free:
            if not any(low <= first and last <= high for low, high in pools):
                yield f"S3 free space of {name} is outside its pools: {first}-{last}"
        both = [address for address in held[name] if _within(address, free)]
        if both:
            yield f"S3 {name}: {len(both)} addresses are held and free"


def _unique(rows: Rows) -> Iterator[str]:
    places = Counter((subnet, address) for subnet, address, _ in rows.held)
    for (subnet, address), number in places.items():
        if number > 1:
            yield f"S1 address {address} of {subnet} is held {number} times"
    ids = Counter(allocation for _, _, allocation in rows.held)
    for allocation, number in ids.items():
        if number > 1:
            yield f"S1 id {allocation} is of {number} allocations"


def _subnets_apart(rows: Rows) -> Iterator[str]:
    scopes: dict[tuple[str, int], list[Run]] = defaultdict(list)
    for subnet in rows.subnets.values():
        scopes[subnet.scope, subnet.family].append((subnet.first, subnet.last))
    for scope, runs in scopes.items():
        yield from _apart(f"S5 subnets of {scope}", sorted(runs))


def _apart(what: str, runs: Sequence[Run]) -> Iterator[str]:
    for before, after in pairwise(runs):
        if before[1] >= after[0]:
            yield f"{what} overlap: {before} and {after}"


def _within(address: int, runs: Sequence[Run]) -> bool:
    return any(first <= address <= last for first, last in runs)
