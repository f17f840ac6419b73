"""Arithmetic on extents: runs of consecutive addresses, as integers, both ends inclusive.

Invariant: every function keeps the set of addresses exact (nothing lost, nothing doubled), and
costs by the number of extents or blocks, never by the number of addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from allotment.model.extent import Extent as Extent

_STRIPES_BITS = 6  # 64 stripes
_STRIPE_BITS_MIN = 8  # 256 addresses


def canonical(extents: Iterable[Extent]) -> tuple[Extent, ...]:
    """The same set of addresses, sorted, with overlapping and adjacent extents merged."""
    merged: list[Extent] = []
    for extent in sorted(extents):
        assert extent.first <= extent.last, "an extent is never empty"
        if merged and extent.first <= merged[-1].last + 1:
            last = max(merged[-1].last, extent.last)
            merged[-1] = Extent(merged[-1].first, last)
        else:
            merged.append(extent)
    return tuple(merged)


def subtract(a: Iterable[Extent], b: Iterable[Extent]) -> tuple[Extent, ...]:
    """The addresses of `a` that are not in `b`, canonical."""
    holes = canonical(b)
    left: list[Extent] = []
    at = 0
    for extent in canonical(a):
        first = extent.first
        while at < len(holes) and holes[at].last < first:
            at += 1
        probe = at
        while probe < len(holes) and holes[probe].first <= extent.last:
            if first < holes[probe].first:
                left.append(Extent(first, holes[probe].first - 1))
            first = holes[probe].last + 1
            probe += 1
        if first <= extent.last:
            left.append(Extent(first, extent.last))
    return tuple(left)


def intersect(a: Iterable[Extent], b: Iterable[Extent]) -> tuple[Extent, ...]:
    """The addresses that are in both, canonical."""
    ours, theirs = canonical(a), canonical(b)
    common: list[Extent] = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        first = max(ours[i].first, theirs[j].first)
        last = min(ours[i].last, theirs[j].last)
        if first <= last:
            common.append(Extent(first, last))
        if ours[i].last < theirs[j].last:
            i += 1
        else:
            j += 1
    return tuple(common)


def size(extents: Iterable[Extent]) -> int:
    """How many addresses disjoint extents hold together."""
    return sum(last - first + 1 for first, last in extents)


def stripe_bits(size: int) -> int:
    """Into stripes of 2**bits addresses a range of this size is cut.

    At most 64 stripes (65 when the range is not aligned), none planned below 256 addresses. It
    depends on nothing but the size, so every process at every time finds the same borders.
    """
    return max(_STRIPE_BITS_MIN, (size - 1).bit_length() - _STRIPES_BITS)


def cut(extent: Extent, block_bits: int) -> Iterator[Extent]:
    """The extent in order, cut at the multiples of 2**block_bits."""
    first = extent.first
    while first <= extent.last:
        last = min(extent.last, first | (1 << block_bits) - 1)
        yield Extent(first, last)
        first = last + 1


def same_stripe(a: int, b: int, bits: int) -> bool:
    """Whether no border of stripes of 2**bits addresses lies between two addresses."""
    return a >> bits == b >> bits


def largest_block(extent: Extent, bits: int) -> int:
    """The shortest prefix length of which an aligned block lies inside; `bits` is 32 or 128.

    Two steps suffice: a run of n addresses holds an aligned block of more than a quarter of n.
    """
    host_bits = extent.size.bit_length() - 1
    first = _round_up(extent.first, host_bits)
    if first + (1 << host_bits) - 1 > extent.last:
        host_bits -= 1
    return bits - host_bits


def blocks(extent: Extent, bits: int) -> Iterator[tuple[int, int]]:
    """The fewest CIDR blocks that make up the extent, in order, as (first, prefix length)."""
    first = extent.first
    while first <= extent.last:
        room = (extent.last - first + 1).bit_length() - 1
        aligned = (first & -first).bit_length() - 1 if first else bits
        host_bits = min(room, aligned)
        yield first, bits - host_bits
        first += 1 << host_bits


def _round_up(value: int, host_bits: int) -> int:
    return -(-value >> host_bits) << host_bits
