"""The demo: the same again for the same seed, sound, and never mixed into a book by itself."""

from __future__ import annotations

import pytest

from allotment.doors.exchange.demo import BookNotEmpty, build, check_room, planned
from allotment.doors.exchange.demo_names import ACQUIRED, CORPORATE
from allotment.doors.exchange.demo_plan import SIZES, Plan
from allotment.doors.exchange.seat import DeskSeat, every
from allotment.errors import AlreadyExists
from allotment.model.commands import (
    AllocateAddress,
    AllocateAddresses,
    CreateAddressScope,
    CreateProject,
    CreateSubnet,
    CreateSubnetPool,
)
from allotment.model.prefix import Prefix
from allotment.model.queries import GetStatus, GetUtilisation, ListSubnets

OURS = [
    *("10.0.0.0/8", "100.64.0.0/10", "fc00::/7", "2001:db8::/32"),
    *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
]


@pytest.mark.parametrize("size", list(SIZES))
def test_a_seed_is_a_plan(size: str) -> None:
    assert list(Plan(7, SIZES[size]).commands()) == list(Plan(7, SIZES[size]).commands())
    assert list(Plan(7, SIZES[size]).commands()) != list(Plan(8, SIZES[size]).commands())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_full_plan_is_thousands_of_subnets_and_tens_of_thousands_of_addresses(
    seed: int,
) -> None:
    commands = list(Plan(seed, SIZES["full"]).commands())
    subnets = [one.prefix for one in commands if isinstance(one, CreateSubnet) and one.prefix]
    assert len(subnets) >= 2000
    families = [prefix.family for prefix in subnets]
    assert families.count(6) >= 0.4 * len(families), "both families are planned"
    held = sum(one.count for one in commands if isinstance(one, AllocateAddresses))
    assert held + sum(isinstance(one, AllocateAddress) for one in commands) >= 10_000


def test_only_private_shared_and_documentation_space_is_used() -> None:
    ours = [Prefix(text) for text in OURS]
    for one in Plan(1, SIZES["full"]).commands():
        if isinstance(one, CreateSubnet):
            used = (one.prefix,)
        else:
            used = one.prefixes if isinstance(one, CreateSubnetPool) else ()
        for prefix in used:
            assert prefix is not None
            assert any(whole.contains(prefix) for whole in ours), prefix


def test_the_small_demo_is_built_and_has_what_a_plan_has(seat: DeskSeat) -> None:
    check_room(seat, add=False)
    commands = planned(seat, 1, "small")
    finished: list[int] = []
    build(seat, commands, finished.append)
    assert sum(finished) == len(commands)
    status = seat.ask(GetStatus())
    assert (status.scopes, status.subnets > 80, status.allocations > 1000) == (2, True, True)
    uses = list(every(seat, GetUtilisation(kind="subnet")))
    assert any(use.pool_size > 30 and use.free * 20 < use.pool_size for use in uses), "nearly full"
    assert any(use.reserved for use in uses), "reserved ranges"
    subnets = {
        scope: {one.prefix for one in every(seat, ListSubnets(scope=scope))}
        for scope in (CORPORATE, ACQUIRED)
    }
    assert subnets[CORPORATE] & subnets[ACQUIRED], "two scopes that overlap"
    assert any(one.project for one in every(seat, ListSubnets(scope=CORPORATE)))


def test_a_book_that_is_not_empty_is_left_alone(seat: DeskSeat) -> None:
    seat.do(CreateProject(name="network"))
    with pytest.raises(BookNotEmpty, match="--yes"):
        check_room(seat, add=False)


def test_when_told_so_it_is_added_beside_what_is_there(seat: DeskSeat) -> None:
    seat.do(CreateAddressScope(name="mine"))
    seat.do(CreateProject(name="network"))
    check_room(seat, add=True)
    commands = planned(seat, 1, "small")
    assert "network" not in [one.name for one in commands if isinstance(one, CreateProject)]
    build(seat, commands[:40], lambda count: None)
    assert seat.ask(GetStatus()).scopes == 3


def test_a_scope_of_the_demo_s_name_is_never_added_to(seat: DeskSeat) -> None:
    seat.do(CreateAddressScope(name=CORPORATE))
    with pytest.raises(AlreadyExists):
        check_room(seat, add=True)
