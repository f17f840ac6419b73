"""Usable addresses, default pools and checks of pools, against brute force over small subnets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.engine.pools import (
    check_pools,
    default_gateway,
    default_pools,
    difference,
    usable,
)
from allotment.errors import InvalidValue
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.extent import Extent
from allotment.model.prefix import Prefix

SUBNETS = [
    *(Prefix(f"192.0.2.0/{length}") for length in range(24, 33)),
    *(Prefix(f"2001:db8::/{length}") for length in range(120, 129)),
    Prefix("255.255.255.248/29"),
    Prefix("0.0.0.0/29"),
    Prefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125"),
]
SMALL = [prefix for prefix in SUBNETS if prefix.size <= 8]


def addresses(extents: Iterable[Extent]) -> set[int]:
    return {value for first, last in extents for value in range(first, last + 1)}


def hosts(prefix: Prefix) -> set[int]:
    """What a host may bear, written down a second time: from the prefix length, one by one."""
    inside = set(range(prefix.first, prefix.first + prefix.size))
    if prefix.size <= 2:
        return inside
    unusable = {prefix.first, max(inside)} if prefix.family == 4 else {prefix.first}
    return inside - unusable


def accepted(prefix: Prefix, gateway: Address | None, ranges: list[AddressRange]) -> bool:
    try:
        check_pools(prefix, gateway, ranges)
    except InvalidValue:
        return False
    return True


@pytest.mark.parametrize("prefix", SUBNETS, ids=str)
def test_usable_is_what_a_host_may_bear(prefix: Prefix) -> None:
    found = usable(prefix.family, prefix.first, prefix.last, prefix.length)
    assert addresses([found]) == hosts(prefix)


@pytest.mark.parametrize("prefix", SUBNETS, ids=str)
def test_the_default_gateway_is_the_first_host_where_others_remain(prefix: Prefix) -> None:
    gateway = default_gateway(prefix)
    if prefix.size <= 2:
        assert gateway is None
    else:
        assert gateway == Address.of(prefix.family, min(hosts(prefix)))


@pytest.mark.parametrize("prefix", SUBNETS, ids=str)
def test_default_pools_are_all_hosts_but_the_gateway(prefix: Prefix) -> None:
    assert addresses(default_pools(prefix, None)) == hosts(prefix)
    for value in range(prefix.first, prefix.last + 1):
        pools = default_pools(prefix, Address.of(prefix.family, value))
        assert addresses(pools) == hosts(prefix) - {value}
        assert all(pool.first <= pool.last for pool in pools)


@pytest.mark.parametrize("prefix", SUBNETS, ids=str)
def test_default_pools_pass_their_own_check(prefix: Prefix) -> None:
    gateway = default_gateway(prefix)
    pools = default_pools(prefix, gateway)
    ranges = [AddressRange.of(prefix.family, pool.first, pool.last) for pool in pools]
    assert check_pools(prefix, gateway, ranges) == pools


@pytest.mark.parametrize("gateway", ["198.51.100.1", "fe80::1", "::c000:201"])
def test_a_gateway_outside_the_subnet_takes_nothing_away(gateway: str) -> None:
    prefix = Prefix("192.0.2.0/24")
    whole = (Extent(prefix.first + 1, prefix.last - 1),)
    assert default_pools(prefix, Address(gateway)) == whole
    assert accepted(prefix, Address(gateway), [AddressRange("192.0.2.1-192.0.2.254")])


def test_a_very_large_subnet_costs_no_more() -> None:
    prefix = Prefix("2001:db8::/32")
    assert default_pools(prefix, Address("2001:db8::1")) == (Extent(prefix.first + 2, prefix.last),)
    assert default_pools(Prefix("::/0"), None) == (Extent(1, 2**128 - 1),)


@pytest.mark.parametrize("prefix", SMALL, ids=str)
def test_one_range_is_accepted_exactly_when_all_its_addresses_may_be(prefix: Prefix) -> None:
    around = range(prefix.first - 2, prefix.last + 3)
    inside = [value for value in around if 0 <= value < 2**prefix.bits]
    gateways = [None, *(Address.of(prefix.family, value) for value in inside)]
    for first in inside:
        for last in inside[inside.index(first) :]:
            wanted = AddressRange.of(prefix.family, first, last)
            for gateway in gateways:
                allowed = hosts(prefix) - ({gateway.value} if gateway else set())
                whole = set(range(first, last + 1))
                assert accepted(prefix, gateway, [wanted]) == (whole <= allowed)


def test_ranges_are_accepted_in_any_order_exactly_when_they_are_disjoint() -> None:
    prefix = Prefix("192.0.2.0/29")
    at = prefix.first
    every = [
        AddressRange.of(4, at + first, at + last)
        for first in range(1, 7)
        for last in range(first, 7)
    ]
    for chosen in chain(combinations(every, 2), combinations(every, 3)):
        values = [value for one in chosen for value in range(one.first, one.last + 1)]
        disjoint = len(values) == len(set(values))
        for order in (list(chosen), list(chosen)[::-1]):
            assert accepted(prefix, None, order) == disjoint
            if disjoint:
                assert addresses(check_pools(prefix, None, order)) == set(values)


def test_adjacent_ranges_become_one_pool() -> None:
    ranges = [AddressRange("10.0.0.6-10.0.0.9"), AddressRange("10.0.0.2-10.0.0.5")]
    pools = check_pools(Prefix("10.0.0.0/24"), None, ranges)
    assert pools == (Extent(ranges[1].first, ranges[0].last),)


def test_no_ranges_are_no_pools() -> None:
    assert check_pools(Prefix("10.0.0.0/24"), None, []) == ()


@pytest.mark.parametrize(
    ("prefix", "ranges", "rule"),
    [
        ("10.0.0.0/24", ["::1-::2"], "the subnet 10.0.0.0/24 is IPv4"),
        ("2001:db8::/64", ["10.0.0.1-10.0.0.2"], "the subnet 2001:db8::/64 is IPv6"),
        ("10.0.0.0/24", ["10.0.0.9-10.0.1.1"], "not inside the subnet 10.0.0.0/24"),
        ("10.0.0.0/24", ["10.0.0.9-10.0.1.1"], "; stay within 10.0.0.1-10.0.0.254"),
        ("10.0.1.0/24", ["10.0.0.9-10.0.1.9"], "not inside the subnet 10.0.1.0/24"),
        ("10.0.0.0/24", ["10.0.0.0-10.0.0.9"], "network address 10.0.0.0; begin at 10.0.0.1"),
        ("10.0.0.0/24", ["10.0.0.9-10.0.0.255"], "broadcast address 10.0.0.255; end at 10.0.0.254"),
        ("2001:db8::/64", ["2001:db8::-2001:db8::9"], "anycast address 2001:db8::; begin at 2001:"),
        ("10.0.0.0/24", ["10.0.0.5-10.0.0.9"], "it holds the gateway 10.0.0.7; leave it out"),
        ("10.0.0.0/24", ["10.0.0.9-10.0.0.12", "10.0.0.10-10.0.0.11"], "overlaps 10.0.0.9-10"),
        ("10.0.0.0/24", ["10.0.0.9-10.0.0.9"] * 2, "it overlaps 10.0.0.9-10.0.0.9"),
    ],
)  # fmt: skip
def test_a_refused_pool_is_told_why(prefix: str, ranges: list[str], rule: str) -> None:
    wanted = [AddressRange(text) for text in ranges]
    with pytest.raises(InvalidValue, match=re.escape(rule)) as refusal:
        check_pools(Prefix(prefix), Address("10.0.0.7"), wanted)
    assert refusal.value.facts["field"] == "ranges"
    assert refusal.value.facts["value"] in ranges


@st.composite
def cuts_of(draw: st.DrawFn, values: set[int]) -> list[Extent]:
    """One of the many ways to write a set of addresses: split anywhere, in any order."""
    pieces: list[Extent] = []
    for value in sorted(values):
        if pieces and pieces[-1].last + 1 == value and draw(st.booleans()):
            pieces[-1] = Extent(pieces[-1].first, value)
        else:
            pieces.append(Extent(value, value))
    return draw(st.permutations(pieces))


sets = st.sets(st.integers(0, 24))


@given(st.data(), sets, sets)
def test_difference_is_between_sets_of_addresses(
    data: st.DataObject, old: set[int], new: set[int]
) -> None:
    change = difference(data.draw(cuts_of(old)), data.draw(cuts_of(new)))
    assert addresses(change.added) == new - old
    assert addresses(change.removed) == old - new


@given(st.data(), sets)
def test_order_spelling_and_adjacent_splits_are_no_change(
    data: st.DataObject, values: set[int]
) -> None:
    change = difference(data.draw(cuts_of(values)), data.draw(cuts_of(values)))
    assert change == ((), ())
