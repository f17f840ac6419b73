"""The conservation audit of a subnet, on extents and addresses that are read once."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from allotment.engine.audit import audit_pool, audit_subnet
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


def test_an_address_that_is_held_twice_is_said_and_no_repair_heals_it() -> None:
    found = list(audit_subnet(WHOLE, [Extent(1, 9)], iter([Extent(4, 9)]), iter([1, 2, 2])))
    assert found[0] == ("S1", "address 2 is held twice", False)


def test_free_extents_of_a_subnet_pool_that_overlap_are_said_and_a_repair_heals_them() -> None:
    own = [Extent(0, 15)]
    found = list(audit_pool(own, [Extent(0, 7), Extent(4, 11)], [Extent(12, 15)]))
    assert found[0] == ("S3", "free extents overlap", True)
    assert list(audit_pool(own, [Extent(0, 7), Extent(8, 11)], [Extent(12, 15)])) == []
