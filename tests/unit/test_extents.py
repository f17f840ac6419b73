"""Arithmetic on extents, against Python's own sets over small universes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.engine.extents import (
    Extent,
    blocks,
    canonical,
    cut,
    intersect,
    largest_block,
    same_stripe,
    size,
    stripe_bits,
    subtract,
)

UNIVERSE = 48
FAMILY_END = {32: 2**32 - 1, 128: 2**128 - 1}


def addresses(extents: Iterable[Extent]) -> list[int]:
    return [value for first, last in extents for value in range(first, last + 1)]


def is_canonical(extents: tuple[Extent, ...]) -> bool:
    gaps = [later.first - earlier.last for earlier, later in pairwise(extents)]
    return all(extent.first <= extent.last for extent in extents) and all(gap > 1 for gap in gaps)


@st.composite
def extents(draw: st.DrawFn, end: int = UNIVERSE) -> Extent:
    first, last = sorted((draw(st.integers(0, end)), draw(st.integers(0, end))))
    return Extent(first, last)


@st.composite
def wide_extents(draw: st.DrawFn, bits: int) -> Extent:
    """Any extent of a family; sizes of every magnitude, ends often on block borders."""
    first = draw(st.integers(0, FAMILY_END[bits])) >> draw(st.integers(0, bits))
    first = first << draw(st.integers(0, bits - first.bit_length()))
    count = draw(st.integers(1, 2**bits)) >> draw(st.integers(0, bits))
    return Extent(first, min(first + max(count, 1) - 1, FAMILY_END[bits]))


lists = st.lists(extents(), max_size=8)


@given(lists)
def test_canonical_keeps_the_set_and_merges_neighbours(given_extents: list[Extent]) -> None:
    found = canonical(given_extents)
    assert addresses(found) == sorted(set(addresses(given_extents)))
    assert is_canonical(found)
    assert canonical(reversed(given_extents)) == canonical(found) == found


def test_canonical_merges_what_touches_and_nothing_else() -> None:
    assert canonical([Extent(5, 6), Extent(1, 4)]) == (Extent(1, 6),)
    assert canonical([Extent(1, 4), Extent(6, 7)]) == (Extent(1, 4), Extent(6, 7))
    assert canonical([Extent(1, 9), Extent(2, 3)]) == (Extent(1, 9),)
    assert canonical([]) == ()


def test_an_empty_extent_is_a_broken_invariant() -> None:
    with pytest.raises(AssertionError):
        canonical([Extent(2, 1)])


@given(lists, lists)
def test_subtract_is_set_difference(a: list[Extent], b: list[Extent]) -> None:
    found = subtract(a, b)
    assert addresses(found) == sorted(set(addresses(a)) - set(addresses(b)))
    assert is_canonical(found)


@given(lists, lists)
def test_intersect_is_set_intersection(a: list[Extent], b: list[Extent]) -> None:
    found = intersect(a, b)
    assert addresses(found) == sorted(set(addresses(a)) & set(addresses(b)))
    assert is_canonical(found)


def test_every_pair_of_small_sets_subtracts_and_intersects() -> None:
    every = [{value for value in range(6) if mask >> value & 1} for mask in range(64)]
    for a in every:
        for b in every:
            one, other = [[Extent(value, value) for value in values] for values in (a, b)]
            assert addresses(subtract(one, other)) == sorted(a - b)
            assert addresses(intersect(one, other)) == sorted(a & b)


@given(lists, lists)
def test_what_is_left_and_what_is_common_are_the_whole(a: list[Extent], b: list[Extent]) -> None:
    assert size(subtract(a, b)) + size(intersect(a, b)) == size(canonical(a))


@given(lists)
def test_size_counts_addresses(given_extents: list[Extent]) -> None:
    assert size(given_extents) == len(addresses(given_extents))
    assert size(given_extents) == sum(extent.size for extent in given_extents)


def test_sizes_have_no_limit() -> None:
    whole = Extent(0, 2**128 - 1)
    assert size([whole]) == whole.size == 2**128
    assert subtract([whole], [Extent(2**64, 2**64)]) == (
        Extent(0, 2**64 - 1),
        Extent(2**64 + 1, 2**128 - 1),
    )


@given(extents(), st.integers(0, 7))
def test_cutting_keeps_every_address_and_crosses_no_border(extent: Extent, bits: int) -> None:
    pieces = list(cut(extent, bits))
    assert addresses(pieces) == addresses([extent])
    for piece in pieces:
        assert same_stripe(piece.first, piece.last, bits)
    for earlier, later in pairwise(pieces):
        assert not same_stripe(earlier.last, later.first, bits)


@given(st.sampled_from([32, 128]).flatmap(wide_extents))
def test_a_range_is_cut_into_few_stripes_none_of_them_small(extent: Extent) -> None:
    bits = stripe_bits(extent.size)
    stripes = list(cut(extent, bits))
    assert len(stripes) <= 65
    assert size(stripes) == extent.size
    assert bits >= 8
    for stripe in stripes[1:-1]:
        assert stripe.size == 2**bits >= 256


@pytest.mark.parametrize(
    ("count", "bits"),
    [
        (1, 8), (255, 8), (256, 8), (257, 8), (2**14 - 1, 8), (2**14, 8), (2**14 + 1, 9),
        (2**16 - 3, 10), (2**16, 10), (2**24, 18), (2**64, 58), (2**64 + 1, 59), (2**128, 122),
    ],
)  # fmt: skip
def test_stripes_depend_on_the_size_alone(count: int, bits: int) -> None:
    assert stripe_bits(count) == bits


def test_an_aligned_block_has_at_most_64_stripes() -> None:
    for length in range(129):
        stripes = list(cut(Extent(0, 2**length - 1), stripe_bits(2**length)))
        assert len(stripes) == min(64, max(1, 2 ** (length - 8)))


@pytest.mark.parametrize("first", range(18))
@pytest.mark.parametrize("count", range(1, 19))
def test_the_largest_block_is_the_largest_of_all_blocks(first: int, count: int) -> None:
    extent = Extent(first, first + count - 1)
    fitting = [
        host_bits
        for host_bits in range(6)
        for start in range(0, 64, 2**host_bits)
        if first <= start and start + 2**host_bits - 1 <= extent.last
    ]
    assert largest_block(extent, 32) == 32 - max(fitting)
    assert largest_block(extent, 128) == 128 - max(fitting)


@pytest.mark.parametrize("bits", [32, 128])
def test_a_whole_family_is_one_block(bits: int) -> None:
    whole = Extent(0, FAMILY_END[bits])
    assert largest_block(whole, bits) == 0
    assert list(blocks(whole, bits)) == [(0, 0)]
    assert largest_block(Extent(1, FAMILY_END[bits]), bits) == 1
    assert largest_block(Extent(0, FAMILY_END[bits] - 1), bits) == 1
    assert largest_block(Extent(FAMILY_END[bits], FAMILY_END[bits]), bits) == bits


@given(wide_extents(32))
def test_ipv4_blocks_are_the_fewest(extent: Extent) -> None:
    theirs = ipaddress.summarize_address_range(
        ipaddress.IPv4Address(extent.first), ipaddress.IPv4Address(extent.last)
    )
    expected = [(int(network.network_address), network.prefixlen) for network in theirs]
    assert list(blocks(extent, 32)) == expected
    assert largest_block(extent, 32) == min(length for _, length in expected)


@given(wide_extents(128))
def test_ipv6_blocks_are_the_fewest(extent: Extent) -> None:
    theirs = ipaddress.summarize_address_range(
        ipaddress.IPv6Address(extent.first), ipaddress.IPv6Address(extent.last)
    )
    expected = [(int(network.network_address), network.prefixlen) for network in theirs]
    assert list(blocks(extent, 128)) == expected
    assert largest_block(extent, 128) == min(length for _, length in expected)
