"""Ranges as sets of addresses, and the rule the core has about which of them a host may bear."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.doors.exchange.address_sets import (
    common,
    contains,
    host_addresses,
    union,
    without,
)
from allotment.doors.exchange.prefix_index import PrefixIndex
from allotment.doors.exchange.seat import DeskSeat
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import CreateAddressScope, CreateSubnet
from allotment.model.prefix import Prefix

SMALL = st.tuples(st.integers(0, 40), st.integers(0, 12)).map(
    lambda pair: AddressRange.of(4, pair[0], pair[0] + pair[1])
)


def addresses(*ranges: AddressRange) -> set[int]:
    return {value for one in ranges for value in range(one.first, one.last + 1)}


@given(st.lists(SMALL, max_size=8))
def test_a_union_holds_the_same_addresses_in_ranges_that_are_apart(
    ranges: list[AddressRange],
) -> None:
    joined = union(ranges)
    assert addresses(*joined) == addresses(*ranges)
    assert all(one.last + 1 < other.first for one, other in pairwise(joined))


@given(SMALL, st.sets(st.integers(0, 60)))
def test_a_range_without_some_addresses_is_what_is_left(
    whole: AddressRange, taken: set[int]
) -> None:
    left = without(whole, taken)
    assert addresses(*left) == addresses(whole) - taken
    assert union(left) == left


@given(st.lists(SMALL, max_size=5), SMALL)
def test_joined_ranges_contain_a_range_when_they_hold_all_of_it(
    ranges: list[AddressRange], part: AddressRange
) -> None:
    assert contains(union(ranges), part) == (addresses(part) <= addresses(*ranges))


@given(SMALL, SMALL)
def test_what_two_ranges_share(one: AddressRange, other: AddressRange) -> None:
    shared = common(one, other)
    assert (addresses(shared) if shared else set()) == addresses(one) & addresses(other)


@pytest.mark.parametrize("family", [4, 6])
def test_the_core_hands_out_the_same_addresses_at_every_length(seat: DeskSeat, family: int) -> None:
    seat.do(CreateAddressScope(name="corp"))
    lengths = range(33) if family == 4 else [0, 1, 48, 63, 64, 65, 119, 120, 125, 126, 127, 128]
    for length in lengths:
        prefix = Prefix.of(family, 0, length)
        subnet = seat.do(CreateSubnet(scope="corp", prefix=prefix, gateway=None))
        assert subnet.pools == (host_addresses(prefix),)
        seat.do(_removal(str(subnet.id)))


def _removal(subnet: str) -> object:
    from allotment.model.commands import DeleteSubnet

    return DeleteSubnet(subnet=subnet)


BLOCKS = st.tuples(st.integers(0, 255), st.integers(0, 8)).map(
    lambda pair: Prefix.of(4, pair[0] >> (8 - pair[1]) << (8 - pair[1]), 24 + pair[1])
)


@given(st.lists(BLOCKS, max_size=12), BLOCKS, st.integers(0, 255))
def test_an_index_finds_what_is_around_a_place_the_smallest_first(
    entered: list[Prefix], place: Prefix, value: int
) -> None:
    index: PrefixIndex[str] = PrefixIndex()
    for prefix in entered:
        index.put(prefix, str(prefix))
    for wanted in (place, Address.of(4, value)):
        around = [prefix for prefix, _ in index.around(wanted)]
        expected = {prefix for prefix in entered if prefix.contains(wanted)}
        assert around == sorted(expected, key=lambda prefix: -prefix.length)
    assert index.get(place) == (str(place) if place in entered else None)
