"""Prefixes that two give back at once, that a pool gives up or takes in; changes in place."""

from __future__ import annotations

import psycopg

from allotment import LocalDesk, Prefix, open_book
from allotment.errors import NotFound
from allotment.model.access import Actor
from allotment.model.commands import (
    AllocateAddress,
    AllocatePrefix,
    CreateAddressScope,
    CreateSubnet,
    CreateSubnetPool,
    ReleaseAddress,
    ReleasePrefix,
    UpdateAllocation,
    UpdateSubnet,
    UpdateSubnetPool,
)
from allotment.model.queries import CheckBook, ListFree, ListPrefixAllocations
from allotment.model.results import AddressPlacement, Released
from conformance.callers import Caller, waiting

BLOCK = Prefix("10.0.1.0/24")


def test_of_two_who_give_the_same_prefix_back_one_is_told_that_it_was(
    postgres_url: str, me: Actor
) -> None:
    with open_book(postgres_url) as one, open_book(postgres_url) as other:
        one.do(CreateAddressScope(name="s"), me)
        pool = one.do(CreateSubnetPool(name="p", prefixes=(Prefix("10.0.0.0/16"),)), me)
        one.do(AllocatePrefix(pool="p", prefix=BLOCK), me)
        with psycopg.connect(postgres_url) as holder:
            holder.execute("SELECT 1 FROM prefix_allocation FOR UPDATE")
            callers = [
                Caller(desk, ReleasePrefix(pool="p", prefix=BLOCK), me) for desk in (one, other)
            ]
            waiting(postgres_url, 2)
        outcomes = [caller.result() for caller in callers]
        (refusal,) = (found for found in outcomes if isinstance(found, NotFound))
        assert refusal.facts == {"what": "prefix allocation", "reference": str(BLOCK)}
        assert Released(count=1, container_id=pool.id) in outcomes
        assert one.ask(ListPrefixAllocations(pool="p"), me).items == ()
        assert one.ask(CheckBook(), me).clean


def test_a_prefix_that_a_pool_gives_up_is_free_in_its_parent(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnetPool(name="p", prefixes=(Prefix("10.0.0.0/23"),)), me)
    halves = (Prefix("10.0.0.0/24"), BLOCK)
    desk.do(CreateSubnetPool(name="c", parent="p", prefixes=halves), me)
    assert desk.ask(ListFree(container="p"), me).items == ()
    assert desk.do(UpdateSubnetPool(pool="c", prefixes=halves[:1]), me).prefixes == halves[:1]
    (free,) = desk.ask(ListFree(container="p", as_prefixes=True), me).items
    assert free.prefix == BLOCK
    assert desk.ask(CheckBook(), me).clean
    assert desk.do(AllocatePrefix(pool="p", length=24), me).prefix == BLOCK


def test_a_pool_takes_in_a_held_prefix_whose_identifier_it_does_not_know(
    desk: LocalDesk, me: Actor
) -> None:
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnetPool(name="p", prefixes=(Prefix("10.0.0.0/16"),)), me)
    held = desk.do(AllocatePrefix(pool="p", prefix=BLOCK, identifier="net"), me)
    pool = desk.do(CreateSubnetPool(name="c", prefixes=(Prefix("10.0.0.0/20"),)), me)
    (moved,) = desk.ask(ListPrefixAllocations(pool="c"), me).items
    assert (moved.id, moved.pool_id, moved.identifier) == (held.id, pool.id, "net")
    assert desk.do(AllocatePrefix(pool="c", length=24, identifier="net"), me).id == held.id


def test_an_identifier_may_be_said_again_of_the_same_address(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnet(name="n", prefix=Prefix("10.0.0.0/24")), me)
    held = desk.do(AllocateAddress(subnet="n", identifier="vm"), me)
    again = UpdateAllocation(subnet="n", address=held.address, identifier="vm", hostname="h")
    assert desk.do(again, me).hostname == "h"


def test_a_new_placement_holds_for_the_next_address(desk: LocalDesk, me: Actor) -> None:
    desk.do(CreateAddressScope(name="s"), me)
    desk.do(CreateSubnet(name="n", prefix=Prefix("10.0.0.0/24")), me)
    last = AddressPlacement.LEAST_RECENTLY_USED
    assert desk.do(UpdateSubnet(subnet="n", placement=last), me).placement is last
    first = desk.do(AllocateAddress(subnet="n"), me).address
    desk.do(ReleaseAddress(subnet="n", address=first), me)
    assert desk.do(AllocateAddress(subnet="n"), me).address != first, "the lowest would be"
