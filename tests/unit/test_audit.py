"""The conservation audit of a subnet, on extents and addresses that are read once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allotment.engine.audit import audit_fits, audit_pool, audit_pools, audit_subnet
from allotment.engine.extents import canonical, intersect, size, subtract
from allotment.model.extent import Extent

WHOLE = Extent(0, 63)
runs = st.tuples(st.integers(0, 63), st.integers(0, 63)).map(
    lambda ends: Extent(min(ends), max(ends))
)


def messages(pools: list[Extent], free: list[Extent], held: list[int]) -> list[str]:
    found = audit_subnet(WHOLE, pools, iter(free), iter(held))
    return [message for _, message, _ in found]


@given(st.lists(runs, max_size=4), st.sets(st.integers(0, 63)))
def test_a_book_that_adds_up_is_clean(some: list[Extent], held: set[int]) -> None:
    pools = list(canonical(some))
    free = subtract(pools, canonical(Extent(one, one) for one in held))
    assert messages(pools, list(free), sorted(held)) == []


@given(st.lists(runs, max_size=3), st.lists(runs, max_size=4), st.sets(st.integers(0, 63)))
def test_what_is_wrong_is_said_as_sets_say_it(
    some: list[Extent], free: list[Extent], held: set[int]
) -> None:
    pools = list(canonical(some))
    free = sorted(free, key=lambda extent: (extent.last, extent.first))
    said = " ".join(messages(pools, free, sorted(held)))
    members = canonical(Extent(one, one) for one in held)
    assert ("overlap" in said) == (size(canonical(free)) != size(free))
    assert ("outside the pools" in said) == bool(subtract(free, pools))
    if size(canonical(free)) == size(free):
        assert said.count("free and held") == size(intersect(canonical(free), members))
    total = size(free) + size(intersect(pools, members))
    assert ("do not add up" in said) == (total != size(pools))


def test_millions_of_extents_are_not_kept() -> None:
    """They are asked for one at a time, in step with the addresses."""
    ahead = 0

    def free() -> Iterator[Extent]:
        nonlocal ahead
        for first in range(0, 2_000, 2):
            ahead += 1
            yield Extent(first, first)

    def held() -> Iterator[int]:
        nonlocal ahead
        for address in range(1, 2_000, 2):
            assert ahead <= 2
            ahead -= 1
            yield address

    pools = [Extent(0, 1_999)]
    assert list(audit_subnet(pools[0], pools, free(), held())) == []


@pytest.mark.parametrize(
    ("free", "held", "said"),
    [
        ([Extent(4, 9)], [4], ["address 4 is free and held at once"]),
        ([Extent(2, 4), Extent(4, 9)], [], ["free extents overlap"]),
        ([Extent(2, 9), Extent(10, 10)], [], ["free extents lie outside the pools: 0xa-0xa"]),
    ],
)
def test_a_repair_heals_wrong_free_extents(
    free: list[Extent], held: list[int], said: list[str]
) -> None:
    pools = [Extent(2, 9)]
    total = size(free) + len(held)
    sum_up = f"{size(free)} free and resting + {len(held)} held = {total}, not 8"
    said = said if total == 8 else [*said, f"the pools do not add up: {sum_up}"]
    found = audit_subnet(WHOLE, pools, iter(free), iter(held))
    assert list(found) == [("S3", what, True) for what in said]


def test_an_address_that_is_held_twice_is_said_and_no_repair_heals_it() -> None:
    found = list(audit_subnet(WHOLE, [Extent(1, 9)], iter([Extent(4, 9)]), iter([1, 2, 2])))
    assert found[0] == ("S1", "address 2 is held twice", False)


def test_free_extents_of_a_subnet_pool_that_overlap_are_said_and_a_repair_heals_them() -> None:
    own = [Extent(0, 15)]
    found = list(audit_pool(own, [Extent(0, 7), Extent(4, 11)], [Extent(12, 15)]))
    assert found[0] == ("S3", "free extents overlap", True)
    assert list(audit_pool(own, [Extent(0, 7), Extent(8, 11)], [Extent(12, 15)])) == []


USABLE = Extent(1, 62)
ONE_TOO_MANY = [Extent(at, at) for at in (3, 5, 7, 9)]


@pytest.mark.parametrize("gateway", [None, 0, 4, 10, 62])
def test_pools_that_leave_the_gateway_out_are_clean(gateway: int | None) -> None:
    assert list(audit_pools(WHOLE, USABLE, gateway, [Extent(5, 9), Extent(11, 61)])) == []
    assert list(audit_pools(WHOLE, USABLE, gateway, [])) == []


@pytest.mark.parametrize("gateway", [5, 7, 9, 11])
def test_a_pool_with_the_gateway_is_said_wherever_in_it(gateway: int) -> None:
    found = audit_pools(WHOLE, USABLE, gateway, [Extent(5, 9), Extent(11, 11)])
    assert list(found) == [("S2", "an allocation pool contains the gateway", False)]


@pytest.mark.parametrize(
    ("pools", "said"),
    [
        ([Extent(5, 9), Extent(2, 3)], "0x5-0x9, 0x2-0x3"),
        ([Extent(2, 5), Extent(5, 9)], "0x2-0x5, 0x5-0x9"),
        ([Extent(2, 4), Extent(5, 9)], "0x2-0x4, 0x5-0x9"),
        ([*ONE_TOO_MANY, Extent(10, 10)], "0x3-0x3, 0x5-0x5, 0x7-0x7"),
    ],
    ids=["out of order", "overlapping", "adjacent", "of many, three are shown"],
)
def test_pools_that_are_not_canonical_are_said(pools: list[Extent], said: str) -> None:
    found = list(audit_pools(WHOLE, USABLE, None, pools))
    assert found == [("S4", f"allocation pools are not canonical: {said}", False)]


@pytest.mark.parametrize(
    ("pool", "said"),
    [
        (Extent(0, 9), "usable addresses: 0x0-0x0"),
        (Extent(60, 63), "usable addresses: 0x3f-0x3f"),
        (Extent(60, 64), "subnet: 0x3f-0x40"),
    ],
)
def test_pools_that_reach_outside_are_said(pool: Extent, said: str) -> None:
    found = list(audit_pools(WHOLE, USABLE, None, [pool]))
    assert found == [("S4", f"allocation pools reach outside the {said}", False)]


@pytest.mark.parametrize(("address", "clean"), [(0, True), (63, True), (64, False)])
def test_a_held_address_outside_the_subnet_is_said(address: int, clean: bool) -> None:
    found = list(audit_subnet(WHOLE, [], iter([]), iter([address])))
    said = ("S2", f"a held address ({address}) is outside the subnet", False)
    assert found == ([] if clean else [said])


def test_the_first_three_free_extents_outside_the_pools_are_shown() -> None:
    found = [what for _, what, _ in audit_subnet(WHOLE, [], iter(ONE_TOO_MANY), iter([]))]
    assert found[0] == "free extents lie outside the pools: 0x3-0x3, 0x5-0x5, 0x7-0x7"
    assert found[1:] == ["the pools do not add up: 4 free and resting + 0 held = 4, not 0"]


@pytest.mark.parametrize(
    ("free", "carved", "said"),
    [
        ([Extent(0, 7)], [Extent(8, 15)], []),
        (
            [Extent(0, 15)],
            [Extent(8, 15)],
            [
                ("S3", "space is free and carved at once: 0x8-0xf", True),
                ("S3", "the pool does not add up: 16 free + 8 carved, not 16", True),
            ],
        ),
        (
            [Extent(0, 7), Extent(16, 16)],
            [Extent(8, 15)],
            [
                ("S3", "free extents lie outside the pools: 0x10-0x10", True),
                ("S3", "the pool does not add up: 9 free + 8 carved, not 16", True),
            ],
        ),
        (
            [],
            [Extent(0, 15), Extent(16, 31)],
            [
                ("S5", "prefixes carved from the pool lie outside it: 0x10-0x1f", False),
                ("S3", "the pool does not add up: 0 free + 32 carved, not 16", True),
            ],
        ),
        (
            [],
            [Extent(0, 15), Extent(4, 7)],
            [
                ("S5", "prefixes carved from the pool overlap", False),
                ("S3", "the pool does not add up: 0 free + 20 carved, not 16", True),
            ],
        ),
    ],
)
def test_a_subnet_pool_is_said_to_add_up_or_not(
    free: list[Extent], carved: list[Extent], said: list[tuple[str, str, bool]]
) -> None:
    assert list(audit_pool([Extent(0, 15)], free, carved)) == said


def test_a_free_extent_that_says_wrongly_what_fits_is_said() -> None:
    found = audit_fits([(Extent(0, 15), 28), (Extent(0, 15), 29), (Extent(0, 15), None)], 32)
    assert list(found) == [
        ("S3", "the extent 0x0-0xf is indexed as /29", True),
        ("S3", "the extent 0x0-0xf is indexed as /None", True),
    ]
