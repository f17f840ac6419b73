"""Where a prefix or a run of addresses is taken inside extents that are already chosen and locked.

Invariant: what is taken plus what is left is exactly what was there before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from allotment.engine.extents import blocks, largest_block, size
from allotment.model.extent import Extent


class Shrunk(NamedTuple):
    """One extent that was taken from, and the pieces (none or one) that replace it."""

    old: Extent
    new: tuple[Extent, ...]


class Taking(NamedTuple):
    """The runs taken, in the order of taking, and the extents they were taken from."""

    taken: tuple[Extent, ...]
    left: tuple[Shrunk, ...]


def carve_lowest(extent: Extent, length: int, bits: int) -> int:
    """The first address of the lowest block of this prefix length; one must fit."""
    host_bits = bits - length
    first = -(-extent.first >> host_bits) << host_bits
    assert first + (1 << host_bits) - 1 <= extent.last, "no aligned block of that length fits"
    return first


def carve_smallest(extent: Extent, length: int, bits: int) -> int:
    """The first address of a block inside the smallest free CIDR block that can hold it.

    Best fit: large blocks stay whole as long as a smaller one serves; the lowest of equals.
    """
    fitting = [block for block in blocks(extent, bits) if block[1] <= length]
    assert fitting, "no aligned block of that length fits"
    return max(fitting, key=lambda block: block[1])[0]  # blocks come in order: the lowest wins


def carve_largest(extent: Extent, length: int, bits: int) -> int:
    """The beginning of the largest free CIDR block, the lowest of equals.

    Taken again and again, always from the extent with the largest block, this leaves every prefix
    the room to grow that RFC 3531 (leftmost bits first) leaves it: gaps are halved, the widest
    first. Of gaps equally wide the lowest comes first, where RFC 3531 goes in bit-reversed order.
    """
    widest = largest_block(extent, bits)
    assert widest <= length, "no aligned block of that length fits"
    return carve_lowest(extent, widest, bits)


def remainder(extent: Extent, first: int, last: int) -> tuple[Extent, ...]:
    """What is left of an extent when `first`..`last` is taken out: no, one or two pieces."""
    assert extent.first <= first <= last <= extent.last, "the taken run is not inside the extent"
    left: tuple[Extent, ...] = ()
    if extent.first < first:
        left += (Extent(extent.first, first - 1),)
    if last < extent.last:
        left += (Extent(last + 1, extent.last),)
    assert size(left) + last - first + 1 == extent.size, "conservation"
    return left


def take_run(extents: Sequence[Extent], count: int) -> Taking:
    """Take `count` addresses from the extents in the given order, each from its `first` upwards.

    Takes fewer only when the extents hold fewer; extents that are not reached are not in `left`.
    """
    assert count >= 0, "a count is never negative"
    taken: list[Extent] = []
    left: list[Shrunk] = []
    wanted = count
    for extent in extents:
        if not wanted:
            break
        run = extent if extent.size <= wanted else Extent(extent.first, extent.first + wanted - 1)
        taken.append(run)
        left.append(Shrunk(extent, remainder(extent, *run)))
        wanted -= run.size
    before = sum(shrunk.old.size for shrunk in left)
    after = sum(size(shrunk.new) for shrunk in left)
    assert size(taken) + after == before, "conservation"
    return Taking(tuple(taken), tuple(left))
