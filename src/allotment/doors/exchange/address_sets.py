"""Address ranges as sets of addresses: joined, parted, and kept off what no host may bear.

Invariant: results are in order, disjoint and never adjacent, and of one family.
"""

from __future__ import annotations

from collections.abc import Iterable

from allotment.model.address_range import AddressRange
from allotment.model.prefix import Prefix


def union(ranges: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """The same addresses in as few ranges as possible."""
    joined: list[AddressRange] = []
    for one in sorted(ranges):
        last = joined[-1] if joined else None
        if last is not None and last.family == one.family and one.first <= last.last + 1:
            joined[-1] = AddressRange.of(one.family, last.first, max(last.last, one.last))
        else:
            joined.append(one)
    return tuple(joined)


def without(whole: AddressRange, taken: Iterable[int]) -> tuple[AddressRange, ...]:
    """What is left of a range when single addresses are taken out."""
    left = []
    begin = whole.first
    for value in sorted(taken):
        if whole.first <= value <= whole.last:
            if begin < value:
                left.append(AddressRange.of(whole.family, begin, value - 1))
            begin = value + 1
    if begin <= whole.last:
        left.append(AddressRange.of(whole.family, begin, whole.last))
    return tuple(left)


def contains(ranges: Iterable[AddressRange], part: AddressRange) -> bool:
    """Whether one of some joined ranges holds all of another."""
    return any(
        one.family == part.family and one.first <= part.first and part.last <= one.last
        for one in ranges
    )


def host_addresses(prefix: Prefix) -> AddressRange:
    """The addresses of a subnet that a host may bear.

    The core says so too, by refusing the others; a test holds the two equal.
    """
    first, last = prefix.first, prefix.last
    if prefix.length < prefix.bits - 1:
        first += 1
        last -= 1 if prefix.family == 4 else 0
    return AddressRange.of(prefix.family, first, last)


def common(one: AddressRange, other: AddressRange) -> AddressRange | None:
    """The addresses that two ranges of one family share."""
    first, last = max(one.first, other.first), min(one.last, other.last)
    return AddressRange.of(one.family, first, last) if first <= last else None
