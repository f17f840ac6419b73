"""Whether one container's books agree: the conservation audit as a pure function.

Invariant: free + quarantined + held = size of the pools, and nothing is free and held at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from allotment.engine.extents import canonical, intersect, largest_block, size, subtract
from allotment.model.extent import Extent

Finding = tuple[str, str, bool]
"""The rule broken, what was found, and whether the free extents are what is wrong."""


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
    whole: Extent, pools: Sequence[Extent], free: Sequence[Extent], held: Iterable[int]
) -> Iterator[Finding]:
    """Free extents and held addresses (in order) of a subnet against its allocation pools."""
    yield from _audit_free(free, pools)
    ends = sorted(free)
    at = pool_at = inside = 0
    previous = None
    for address in held:
        if previous is not None and address <= previous:
            yield "S1", f"address {address} is held twice", False
        previous = address
        if not whole.first <= address <= whole.last:
            yield "S2", f"a held address ({address}) is outside the subnet", False
        while at < len(ends) and ends[at].last < address:
            at += 1
        if at < len(ends) and ends[at].first <= address:
            yield "S3", f"address {address} is free and held at once", True
        while pool_at < len(pools) and pools[pool_at].last < address:
            pool_at += 1
        inside += pool_at < len(pools) and pools[pool_at].first <= address
    total = size(free) + inside
    if total != size(pools):
        found = f"{size(free)} free and resting + {inside} held = {total}, not {size(pools)}"
        yield "S3", f"the pools do not add up: {found}", True


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
    shown = [f"{first:#x}-{last:#x}" for first, last in list(extents)[:3]]
    return ", ".join(shown)
