"""Whether one container's books agree: the conservation audit as a pure function.

Invariant: free + quarantined + held = size of the pools, and nothing is free and held at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from allotment.engine.extents import canonical, intersect, largest_block, size, subtract
from allotment.model.extent import Extent

Finding = tuple[str, str, bool]
"""The rule broken, what was found, and whether the free extents are what is wrong."""
_SHOWN = 3


def audit_pools(
    whole: Extent, usable: Extent, gateway: int | None, pools: Sequence[Extent]
) -> Iterator[Finding]:
    """The allocation pools of a subnet: disjoint, never adjacent, inside, without the gateway."""
    if list(canonical(pools)) != list(pools):
        yield "S4", f"allocation pools are not canonical: {_shown(pools)}", False
    outside = subtract(pools, (usable,))
    if outside:
        place = "usable addresses" if subtract(outside, (whole,)) == () else "subnet"
        yield "S4", f"allocation pools reach outside the {place}: {_shown(outside)}", False
    if gateway is not None and any(pool.first <= gateway <= pool.last for pool in pools):
        yield "S2", "an allocation pool contains the gateway", False


def audit_subnet(
    whole: Extent, pools: Sequence[Extent], free: Iterable[Extent], held: Iterable[int]
) -> Iterator[Finding]:
    """Free extents and held addresses (both in order) of a subnet against its allocation pools.

    Each is read once, side by side, and not kept: there may be millions.
    """
    walk, ladder = _Walk(pools, iter(free)), _Ladder(pools)
    inside = 0
    previous = None
    for address in held:
        if previous is not None and address <= previous:
            yield "S1", f"address {address} is held twice", False
        previous = address
        if not whole.first <= address <= whole.last:
            yield "S2", f"a held address ({address}) is outside the subnet", False
        if walk.is_free(address):
            yield "S3", f"address {address} is free and held at once", True
        inside += ladder.holds(address, address)
    yield from walk.findings()
    total = walk.total + inside
    if total != size(pools):
        found = f"{walk.total} free and resting + {inside} held = {total}, not {size(pools)}"
        yield "S3", f"the pools do not add up: {found}", True


class _Ladder:
    """Allocation pools in order, climbed once."""

    def __init__(self, pools: Sequence[Extent]) -> None:
        self._pools = pools
        self._at = 0

    def holds(self, first: int, last: int) -> bool:
        """Whether a run lies in one pool; each run asked about ends no lower than the last one."""
        while self._at < len(self._pools) and self._pools[self._at].last < last:
            self._at += 1
        return self._at < len(self._pools) and self._pools[self._at].first <= first


class _Walk:
    """The free extents of a subnet, in the order of their last addresses, passed one by one."""

    def __init__(self, pools: Sequence[Extent], free: Iterator[Extent]) -> None:
        self.total = 0
        self._overlap = False
        self._outside: list[Extent] = []
        self._pools = pools
        self._ladder = _Ladder(pools)
        self._free = free
        self._now: Extent | None = None
        self._next()

    def is_free(self, address: int) -> bool:
        """Whether an address, not below the one asked about before, is in an extent."""
        while self._now is not None and self._now.last < address:
            self._next()
        return self._now is not None and self._now.first <= address

    def findings(self) -> Iterator[Finding]:
        """Pass what is left; what is wrong with the extents themselves."""
        while self._now is not None:
            self._next()
        if self._overlap:
            yield "S3", "free extents overlap", True
        if self._outside:
            yield "S3", f"free extents lie outside the pools: {_shown(self._outside)}", True

    def _next(self) -> None:
        before, self._now = self._now, next(self._free, None)
        if self._now is None:
            return
        self.total += self._now.size
        self._overlap |= before is not None and self._now.first <= before.last
        if len(self._outside) < _SHOWN and not self._ladder.holds(*self._now):
            self._outside += subtract((self._now,), self._pools)


def audit_pool(
    own: Sequence[Extent], free: Sequence[Extent], carved: Sequence[Extent]
) -> Iterator[Finding]:
    """Free extents and carved prefixes of a subnet pool against its own prefixes."""
    yield from _audit_free(free, own)
    if size(canonical(carved)) != size(carved):
        yield "S5", "prefixes carved from the pool overlap", False
    outside = subtract(carved, own)
    if outside:
        yield "S5", f"prefixes carved from the pool lie outside it: {_shown(outside)}", False
    both = intersect(free, carved)
    if both:
        yield "S3", f"space is free and carved at once: {_shown(both)}", True
    if size(free) + size(carved) != size(own):
        found = f"{size(free)} free + {size(carved)} carved, not {size(own)}"
        yield "S3", f"the pool does not add up: {found}", True


def audit_fits(found: Iterable[tuple[Extent, int | None]], bits: int) -> Iterator[Finding]:
    """That each free extent of a subnet pool says rightly which prefixes fit into it."""
    for extent, fits in found:
        if fits != largest_block(extent, bits):
            yield "S3", f"the extent {_shown((extent,))} is indexed as /{fits}", True


def _audit_free(free: Sequence[Extent], home: Sequence[Extent]) -> Iterator[Finding]:
    if size(canonical(free)) != size(free):
        yield "S3", "free extents overlap", True
    outside = subtract(free, home)
    if outside:
        yield "S3", f"free extents lie outside the pools: {_shown(outside)}", True


def _shown(extents: Iterable[Extent]) -> str:
    shown = [f"{first:#x}-{last:#x}" for first, last in list(extents)[:_SHOWN]]
    return ", ".join(shown)
