"""What the driver does at a desk: repeated requests find themselves, and nobody else."""

from __future__ import annotations

import time
from typing import Any

import pytest

from allotment.doors.exchange.seat import DeskSeat
from allotment.doors.neutron import names
from allotment.doors.neutron.addresses import DEAD_SECONDS, AddressWish, Taken
from allotment.doors.neutron.plan import Place
from allotment.doors.neutron.seat import BookSeat
from allotment.doors.neutron.subnet_pools import Carved, PoolFacts
from allotment.doors.neutron.subnets import SubnetWish
from allotment.errors import (
    AddressTaken,
    AlreadyExists,
    CommitUnknown,
    InvalidValue,
    NotFound,
    Overlap,
    PoolExhausted,
    QuotaExceeded,
)
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.commands import AllocateAddress, Command, CreateSubnet
from allotment.model.mac import Mac
from allotment.model.prefix import Prefix
from allotment.model.queries import GetAllocation, ListAddressScopes, ListAllocations
from neutron_shelves import Shelves

NEVER = lambda _subnet, _address: False  # noqa: E731 - whatever Neutron is asked
ALWAYS = lambda _subnet, _address: True  # noqa: E731 - likewise


def subnet(prefix: str = "10.0.0.0/29", subnet_id: str = "s", **facts: Any) -> SubnetWish:
    place = Place(subnet_id, prefix, network_id=facts.pop("network", "n"))
    return SubnetWish(place, "tenant", Prefix(prefix), **facts)


def wish(
    *subnets: str, port: str | None = "p", request: str = "req-1", **facts: Any
) -> AddressWish:
    return AddressWish(subnets or ("s",), port_id=port, request_id=request, **facts)


@pytest.fixture
def open_subnet(shelves: Shelves) -> Shelves:
    shelves.subnets.enter(subnet())
    return shelves


def take(shelves: Shelves, asked: AddressWish, is_live: Any = NEVER) -> Taken:
    return shelves.addresses.take(asked, is_live)


# --- addresses


def test_what_the_same_request_left_behind_is_found_again(open_subnet: Shelves) -> None:
    first = take(open_subnet, wish())
    assert take(open_subnet, wish()) == first, "the attempt before failed, and is repeated"


def test_an_address_in_use_is_not_taken_for_another_one(open_subnet: Shelves) -> None:
    first = take(open_subnet, wish())
    second = take(open_subnet, wish(), ALWAYS)
    assert second.allocation.address != first.allocation.address


def test_what_another_request_of_the_same_port_has_under_way_is_left_to_it(
    open_subnet: Shelves,
) -> None:
    first = take(open_subnet, wish(request="req-1"))
    second = take(open_subnet, wish(request="req-2"))
    assert second.allocation.address != first.allocation.address


def test_what_any_request_left_behind_long_ago_is_found_again(
    open_subnet: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = take(open_subnet, wish(request="req-1"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + DEAD_SECONDS + 1)
    assert take(open_subnet, wish(request="req-2")) == first


def test_a_very_address_is_taken_once(open_subnet: Shelves) -> None:
    asked = wish(address=Address("10.0.0.5"))
    first = take(open_subnet, asked)
    assert take(open_subnet, asked) == first
    with pytest.raises(AddressTaken):
        take(open_subnet, asked, ALWAYS)
    with pytest.raises(AddressTaken):
        take(open_subnet, wish(port="other", address=Address("10.0.0.5")))
    with pytest.raises(AddressTaken):
        take(open_subnet, wish(port=None, address=Address("10.0.0.5")))


def test_an_address_says_its_port_and_its_mac(open_subnet: Shelves) -> None:
    held = take(open_subnet, wish(mac=Mac("fa:16:3e:00:00:01"))).allocation
    assert names.port_of(held.identifier) == "p"
    assert names.request_of(held.description) == "req-1"
    assert held.mac == Mac("fa:16:3e:00:00:01")


def test_a_group_is_served_in_its_order_and_says_which_subnet_it_was(shelves: Shelves) -> None:
    shelves.subnets.enter(subnet("10.0.0.0/30", "one"))
    shelves.subnets.enter(subnet("10.0.1.0/30", "two", network="m"))
    found = [take(shelves, wish("one", "two", port=port)).subnet_id for port in "ab"]
    assert found == ["one", "two"], "a /30 has one address beside its gateway"
    with pytest.raises(PoolExhausted):
        take(shelves, wish("one", "two", port="c"))


def test_the_lowest_is_the_lowest_whatever_the_order_of_pools(shelves: Shelves) -> None:
    runs = tuple(map(AddressRange, ("10.0.0.40-10.0.0.49", "10.0.0.10-10.0.0.19")))
    shelves.subnets.enter(subnet("10.0.0.0/24", ranges=runs))
    assert take(shelves, wish(lowest=True)).allocation.address == Address("10.0.0.10")


def test_a_subnet_entered_anew_is_found_under_its_new_id(shelves: Shelves) -> None:
    entered = shelves.subnets.enter(subnet()).subnet
    take(shelves, wish())
    shelves.subnets.remove(entered)
    shelves.subnets.enter(subnet())
    assert take(shelves, wish(port="q")).subnet_id == "s"


def test_a_subnet_that_is_gone_is_told(shelves: Shelves) -> None:
    entered = shelves.subnets.enter(subnet()).subnet
    take(shelves, wish())
    shelves.subnets.remove(entered)
    with pytest.raises(NotFound):
        take(shelves, wish())


def test_a_late_release_frees_nobody_else_s_address(open_subnet: Shelves) -> None:
    old = take(open_subnet, wish(address=Address("10.0.0.5"))).allocation
    assert open_subnet.addresses.give_back(old)
    new = take(open_subnet, wish(port="q", address=Address("10.0.0.5"))).allocation
    assert not open_subnet.addresses.give_back(old)
    assert open_subnet.addresses.holder("s", Address("10.0.0.5")) == new


@pytest.mark.parametrize("text", ["10.0.0.6", "192.0.2.1", "2001:db8::1"])
def test_an_address_that_is_nobody_s_has_no_holder(open_subnet: Shelves, text: str) -> None:
    assert open_subnet.addresses.holder("s", Address(text)) is None


def test_an_address_changes_hands_without_being_free(open_subnet: Shelves, seat: DeskSeat) -> None:
    before = take(open_subnet, wish()).allocation
    after = open_subnet.addresses.hand_over(before, wish(port="q"))
    assert (after.id, names.port_of(after.identifier)) == (before.id, "q")
    open_subnet.addresses.hand_back(before)
    query = GetAllocation(subnet=str(before.subnet_id), address=before.address)
    assert seat.ask(query) == before


def test_many_are_taken_or_none_and_given_back_one_by_one(
    open_subnet: Shelves, seat: DeskSeat
) -> None:
    made = open_subnet.addresses.take_many("s", 3)
    open_subnet.addresses.give_back_many(made)
    with pytest.raises(PoolExhausted):
        open_subnet.addresses.take_many("s", 100)
    assert seat.ask(ListAllocations()).items == ()


# --- subnets


def test_a_subnet_is_entered_once(shelves: Shelves) -> None:
    first = shelves.subnets.enter(subnet())
    again = shelves.subnets.enter(subnet())
    assert (first.fresh, again.fresh) == (True, False)
    assert again.subnet == first.subnet
    with pytest.raises(AlreadyExists):
        shelves.subnets.enter(subnet("10.0.1.0/24"))


def test_two_of_one_network_do_not_overlap_and_of_two_networks_may(shelves: Shelves) -> None:
    shelves.subnets.enter(subnet("10.0.0.0/24", "a"))
    with pytest.raises(Overlap):
        shelves.subnets.enter(subnet("10.0.0.0/25", "b"))
    shelves.subnets.enter(subnet("10.0.0.0/25", "c", network="m"))


def test_the_last_subnet_takes_its_scope_with_it(shelves: Shelves, seat: DeskSeat) -> None:
    one = shelves.subnets.enter(subnet("10.0.0.0/24", "a")).subnet
    two = shelves.subnets.enter(subnet("10.0.1.0/24", "b")).subnet
    shelves.subnets.remove(one)
    assert len(seat.ask(ListAddressScopes()).items) == 1
    shelves.subnets.remove(two)
    assert seat.ask(ListAddressScopes()).items == ()


def test_a_change_that_changes_nothing_writes_nothing(shelves: Shelves) -> None:
    made = shelves.subnets.enter(subnet("10.0.0.0/24")).subnet
    split = (AddressRange("10.0.0.100-10.0.0.254"), AddressRange("10.0.0.2-10.0.0.99"))
    same = subnet("10.0.0.0/24", gateway=Address("10.0.0.1"), ranges=split)
    assert shelves.subnets.change(made, same) is made


def test_gateway_and_pools_change_together_whichever_is_in_the_other_s_way(
    shelves: Shelves,
) -> None:
    made = shelves.subnets.enter(subnet("10.0.0.0/24")).subnet
    turned = subnet(
        "10.0.0.0/24",
        gateway=Address("10.0.0.254"),
        ranges=(AddressRange("10.0.0.1-10.0.0.253"),),
    )
    now = shelves.subnets.change(made, turned)
    assert (now.gateway, now.pools) == (turned.gateway, turned.ranges)
    with pytest.raises(InvalidValue):
        shelves.subnets.change(now, subnet("10.0.0.0/24", gateway=Address("10.0.0.7")))


def test_no_pools_are_no_pools(shelves: Shelves) -> None:
    made = shelves.subnets.enter(subnet("10.0.0.0/24")).subnet
    assert shelves.subnets.change(made, subnet("10.0.0.0/24", ranges=())).pools == ()


def test_another_prefix_keeps_the_name_and_can_be_taken_back(
    shelves: Shelves, seat: DeskSeat
) -> None:
    made = shelves.subnets.enter(subnet("::/64")).subnet
    take(shelves, wish(address=Address("::f816:3eff:fe00:1")))
    held = shelves.subnets.held(made)
    now = shelves.subnets.change(made, subnet("2001:db8::/64", gateway=Address("2001:db8::1")))
    assert (now.name, now.scope, str(now.prefix)) == (made.name, made.scope, "2001:db8::/64")
    shelves.subnets.restore(now, made, held)
    back = shelves.subnets.find("s")
    assert (back.prefix, back.pools) == (made.prefix, made.pools)
    assert [one.identifier for one in shelves.subnets.held(back)] == [held[0].identifier]


# --- subnet pools


def facts(*prefixes: str, quota: int | None = None) -> PoolFacts:
    return PoolFacts("pool", tuple(map(Prefix, prefixes)), None, 26, quota)


def pooled(shelves: Shelves, subnet_id: str, length: int, project: str = "tenant") -> Prefix:
    place = Place(subnet_id, "", "n", "pool")
    return shelves.subnets.enter(SubnetWish(place, project, length=length)).subnet.prefix


def test_a_pool_is_kept_up_with_neutron_s(shelves: Shelves) -> None:
    made = shelves.pools.enter(facts("10.0.0.0/24"))
    assert shelves.pools.enter(facts("10.0.0.0/24")) == made
    more = shelves.pools.enter(facts("10.0.0.0/24", "10.0.7.0/24"))
    assert (more.id, len(more.prefixes)) == (made.id, 2)


def test_what_was_brought_into_a_pool_late_is_not_carved_again(shelves: Shelves) -> None:
    pool = shelves.pools.enter(facts("10.0.0.0/24"))
    late = Carved("x", Prefix("10.0.0.0/26"), "tenant")
    shelves.pools.set_apart(pool, [late])
    shelves.pools.set_apart(pool, [late])
    assert pooled(shelves, "s", 26) == Prefix("10.0.0.64/26")
    assert shelves.pools.used(pool, "tenant") == 128, "the onboarded one counts"


def test_a_quota_is_the_asking_project_s_own(shelves: Shelves) -> None:
    limited = facts("10.0.0.0/16", quota=256)
    pool = shelves.pools.enter(limited)
    pooled(shelves, "a", 24, project="one")
    shelves.pools.check_quota(pool, limited, "two", 256)
    with pytest.raises(QuotaExceeded):
        shelves.pools.check_quota(pool, limited, "one", 1)
    shelves.pools.check_quota(pool, facts("10.0.0.0/16", quota=0), "one", 1 << 20)


def test_a_quota_of_ipv6_counts_prefixes_of_64(shelves: Shelves) -> None:
    limited = facts("2001:db8::/32", quota=2)
    pool = shelves.pools.enter(limited)
    shelves.pools.check_quota(pool, limited, "one", 2 << 64)
    with pytest.raises(QuotaExceeded):
        shelves.pools.check_quota(pool, limited, "one", (2 << 64) + 1)


# --- answers lost on the way


class Losing:
    """A desk that carries commands out, and loses the first answer to each kind on its way."""

    def __init__(self, seat: DeskSeat) -> None:
        self._desk = seat.desk
        self.lost: set[type] = set()
        self.keys: list[str | None] = []

    def do(self, command: Command[Any], actor: Any, /) -> Any:
        answer = self._desk.do(command, actor)
        self.keys.append(command.idempotency_key)
        if type(command) not in self.lost and command.idempotency_key is None:
            self.lost.add(type(command))
            raise CommitUnknown("the connection was lost", phase="commit")
        return answer

    def ask(self, query: Any, actor: Any, /) -> Any:
        return self._desk.ask(query, actor)

    def close(self) -> None:
        """It belongs to the test."""


def test_a_lost_answer_to_an_identified_request_is_found_by_asking_again(
    shelves: Shelves, seat: DeskSeat
) -> None:
    shelves.subnets.enter(subnet())
    losing = Losing(seat)
    own = BookSeat(losing, seat.actor, loses_answers=True)
    asked = AllocateAddress(subnet=names.subnet_name("s"), identifier="port:p:0")
    made = own.do(asked)
    assert losing.lost == {AllocateAddress}
    assert own.do(asked) == made
    assert len(seat.ask(ListAllocations()).items) == 1


def test_what_cannot_tell_itself_apart_gets_a_key(shelves: Shelves, seat: DeskSeat) -> None:
    shelves.subnets.enter(subnet())
    losing = Losing(seat)
    own = BookSeat(losing, seat.actor, loses_answers=True)
    own.do(CreateSubnet(scope=names.scope_of_network("n"), prefix=Prefix("10.9.0.0/24")))
    own.do(AllocateAddress(subnet=names.subnet_name("s")))
    assert all(key and key.startswith("neutron-") for key in losing.keys)
