"""Placement of prefixes and runs of addresses, against brute force and RFC 3531's own order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.engine.extents import blocks, largest_block, size
from allotment.engine.placement import (
    carve_largest,
    carve_lowest,
    carve_smallest,
    remainder,
    take_run,
)
from allotment.model.extent import Extent

END = 40
EVERY_EXTENT = [Extent(first, last) for first in range(END) for last in range(first, END)]


def starts(extent: Extent, length: int) -> list[int]:
    """The first addresses of all aligned blocks of that length inside the extent."""
    step = 2 ** (32 - length)
    return [at for at in range(0, END, step) if extent.first <= at and at + step - 1 <= extent.last]


@pytest.mark.parametrize("length", range(27, 33))
def test_lowest_is_the_lowest_block_of_all(length: int) -> None:
    for extent in EVERY_EXTENT:
        if starts(extent, length):
            assert carve_lowest(extent, length, 32) == min(starts(extent, length))


@pytest.mark.parametrize("length", range(27, 33))
def test_smallest_lies_in_the_smallest_free_block_that_holds_it(length: int) -> None:
    for extent in EVERY_EXTENT:
        if starts(extent, length):
            free = [block for block in blocks(extent, 32) if block[1] <= length]
            narrowest = max(width for _, width in free)
            expected = min(first for first, width in free if width == narrowest)
            assert carve_smallest(extent, length, 32) == expected
            assert expected in starts(extent, length)


@pytest.mark.parametrize("length", range(27, 33))
def test_largest_begins_the_widest_free_block(length: int) -> None:
    for extent in EVERY_EXTENT:
        if starts(extent, length):
            widest = next(wide for wide in range(26, 33) if starts(extent, wide))
            assert carve_largest(extent, length, 32) == min(starts(extent, widest))


@pytest.mark.parametrize("carve", [carve_lowest, carve_smallest, carve_largest])
def test_a_block_that_cannot_fit_is_a_broken_invariant(carve: object) -> None:
    assert callable(carve)
    for length in range(27, 33):
        for extent in EVERY_EXTENT:
            if not starts(extent, length):
                with pytest.raises(AssertionError, match="no aligned block of that length fits"):
                    carve(extent, length, 32)


@pytest.mark.parametrize("carve", [carve_lowest, carve_smallest, carve_largest])
@pytest.mark.parametrize("bits", [32, 128])
def test_a_whole_family_can_be_carved(carve: object, bits: int) -> None:
    assert callable(carve)
    whole = Extent(0, 2**bits - 1)
    for length in range(bits + 1):
        assert carve(whole, length, bits) == 0
    assert carve(Extent(2**bits - 1, 2**bits - 1), bits, bits) == 2**bits - 1


def sparse_order(extent: Extent, length: int, bits: int) -> list[int]:
    """Take prefixes until none is left, each from the extent with the widest block."""
    free, order = [extent], []
    while free:
        chosen = min(free, key=lambda piece: (largest_block(piece, bits), piece.first))
        if largest_block(chosen, bits) > length:
            break
        first = carve_largest(chosen, length, bits)
        free.remove(chosen)
        free += remainder(chosen, first, first + 2 ** (bits - length) - 1)
        order.append(first)
    return order


def bit_reversed_order(depth: int) -> list[int]:
    """RFC 3531, leftmost: a counter whose bits are read from right to left."""
    return [int(f"{number:0{depth}b}"[::-1], 2) for number in range(2**depth)]


def room_to_grow(taken: list[int], depth: int) -> list[int]:
    """The distances from each number taken to the next, or to the end, in order of size."""
    return sorted(later - earlier for earlier, later in pairwise([*sorted(taken), 2**depth]))


@pytest.mark.parametrize("depth", range(1, 9))
@pytest.mark.parametrize("bits", [32, 128])
def test_sparse_order_is_bit_reversed_order_level_by_level(depth: int, bits: int) -> None:
    base, pool_length = 10 << bits - 8, 16
    pool = Extent(base, base + 2 ** (bits - pool_length) - 1)
    step = 2 ** (bits - pool_length - depth)
    order = [(first - base) // step for first in sparse_order(pool, pool_length + depth, bits)]
    reference = bit_reversed_order(depth)
    for level in range(depth):
        ours = order[2**level : 2 ** (level + 1)]
        assert ours == sorted(reference[2**level : 2 ** (level + 1)])
    for count in range(1, 2**depth + 1):
        ours, theirs = order[:count], reference[:count]
        assert room_to_grow(ours, depth) == room_to_grow(theirs, depth)


def test_the_first_prefixes_of_a_sparse_pool_lie_far_apart() -> None:
    order = sparse_order(Extent(0, 255), 29, 32)
    assert [first >> 3 for first in order[:8]] == [0, 16, 8, 24, 4, 12, 20, 28]


def test_best_fit_keeps_the_large_block_whole() -> None:
    free = Extent(0x0A000040, 0x0A0000FF)  # 10.0.0.64/26 and 10.0.0.128/25
    assert carve_smallest(free, 26, 32) == 0x0A000040
    assert carve_smallest(Extent(0x0A000000, 0x0A0000BF), 26, 32) == 0x0A000080
    assert carve_smallest(free, 25, 32) == 0x0A000080


def test_remainder_is_exactly_what_was_not_taken() -> None:
    for extent in EVERY_EXTENT:
        for first in (extent.first, (extent.first + extent.last) // 2, extent.last):
            for last in {first, (first + extent.last) // 2, extent.last}:
                left = remainder(extent, first, last)
                values = [value for piece in left for value in range(piece.first, piece.last + 1)]
                whole = range(extent.first, extent.last + 1)
                assert values == [value for value in whole if not first <= value <= last]
                assert all(piece.first <= piece.last for piece in left)


@pytest.mark.parametrize(("first", "last"), [(9, 12), (18, 21), (5, 25), (15, 14), (30, 31)])
def test_taking_what_is_not_inside_is_a_broken_invariant(first: int, last: int) -> None:
    with pytest.raises(AssertionError, match="not inside the extent"):
        remainder(Extent(10, 20), first, last)


@st.composite
def free_lists(draw: st.DrawFn) -> list[Extent]:
    """Disjoint extents in any order."""
    ends = sorted(draw(st.sets(st.integers(0, 200), max_size=12)))
    pairs = [Extent(ends[at], ends[at + 1]) for at in range(0, len(ends) - 1, 2)]
    return draw(st.permutations(pairs))


@given(free_lists(), st.integers(0, 250))
def test_a_run_takes_the_first_addresses_in_the_order_given(
    extents: list[Extent], count: int
) -> None:
    everything = [value for first, last in extents for value in range(first, last + 1)]
    taking = take_run(extents, count)
    taken = [value for first, last in taking.taken for value in range(first, last + 1)]
    assert taken == everything[:count]
    pieces = [piece for _, new in taking.left for piece in new]
    left = [value for first, last in pieces for value in range(first, last + 1)]
    touched = [old for old, _ in taking.left]
    assert touched == extents[: len(touched)]
    assert taken + left == everything[: size(touched)]


@given(free_lists(), st.integers(1, 250))
def test_a_run_touches_no_extent_it_does_not_take_from(extents: list[Extent], count: int) -> None:
    taking = take_run(extents, count)
    assert len(taking.taken) == len(taking.left)
    for run, (old, new) in zip(taking.taken, taking.left, strict=True):
        assert run.first == old.first
        assert new == remainder(old, run.first, run.last)
        assert all(piece.last == old.last for piece in new)
    assert all(not shrunk.new for shrunk in taking.left[:-1])


def test_an_extent_is_emptied_one_address_at_a_time() -> None:
    free, taken = [Extent(7, 11)], []
    while free:
        taking = take_run(free, 1)
        taken += [run.first for run in taking.taken]
        free = list(taking.left[0].new)
    assert taken == [7, 8, 9, 10, 11]
    assert take_run([], 1) == ((), ())


def test_a_huge_run_costs_no_more() -> None:
    whole = Extent(2**64, 2**65 - 1)
    taking = take_run([whole], 2**63)
    assert taking.taken == (Extent(2**64, 2**64 + 2**63 - 1),)
    assert taking.left == ((whole, (Extent(2**64 + 2**63, 2**65 - 1),)),)


def test_a_negative_count_is_a_broken_invariant() -> None:
    with pytest.raises(AssertionError, match="never negative"):
        take_run([Extent(1, 2)], -1)
